"""Looking at the ledger's rows, and moving their clocks."""

from __future__ import annotations

from sqlalchemy import Engine, text


def status_of(engine: Engine, saga_id: str) -> str:
    """Returns where a saga stands."""
    return str(_scalar(engine, "SELECT status FROM saga WHERE saga_id = :id", saga_id))


def reason_of(engine: Engine, saga_id: str) -> str:
    """Returns why a saga failed."""
    return str(_scalar(engine, "SELECT reason FROM saga WHERE saga_id = :id", saga_id))


def states_of(engine: Engine, saga_id: str) -> list[str]:
    """Returns where its steps stand, in the order in which they were taken."""
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT state FROM saga_step WHERE saga_id = :id ORDER BY seq"), {"id": saga_id}
        )
        return list(rows.scalars())


def seconds_until_next_try(engine: Engine, saga_id: str) -> float:
    """Returns how long a saga rests."""
    query = """SELECT extract(epoch FROM next_try_at - clock_timestamp())::float8
               FROM saga WHERE saga_id = :id"""
    return float(str(_scalar(engine, query, saga_id)))


def expire_lease(engine: Engine, saga_id: str) -> None:
    """Lets a saga's owner have been silent for too long."""
    _change(engine, "UPDATE saga SET lease_until = now() - interval '1 second'", saga_id)


def make_due(engine: Engine, saga_id: str) -> None:
    """Lets the time until a saga's next try have passed."""
    _change(engine, "UPDATE saga SET next_try_at = now()", saga_id)


def settle(engine: Engine, saga_id: str) -> None:
    """Lets the settle time of a saga's requests have passed."""
    _change(engine, "UPDATE saga_step SET settle_at = now()", saga_id)


def _scalar(engine: Engine, query: str, saga_id: str) -> object:
    with engine.connect() as connection:
        return connection.execute(text(query), {"id": saga_id}).scalar_one()


def _change(engine: Engine, statement: str, saga_id: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(f"{statement} WHERE saga_id = :id"), {"id": saga_id})
