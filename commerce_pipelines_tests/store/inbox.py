"""The inbox in a test, with sagas that claim from it."""

from __future__ import annotations

from itertools import count

from sqlalchemy import Connection, Engine, text

from commerce_pipelines.store import message_claims, messages
from commerce_pipelines.store.messages import Part, Receipt

TOPIC = "products"


class Inbox:
    """The inbox with sagas that claim from it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._numbers = count(1)

    def receive(
        self, webhook_id: str, *bodies: str, aggregate: str | None = None, items: int = 1
    ) -> Receipt:
        """Stores a delivery; each body is a part of it."""
        with self.engine.begin() as connection:
            return receive(connection, webhook_id, *bodies, aggregate=aggregate, items=items)

    def claim(self, most_items: int = 100, topic: str = TOPIC, **more: int) -> list[int]:
        """Claims a page for a new saga that then works on."""
        with self.engine.begin() as connection:
            return claim(connection, f"saga-{next(self._numbers)}", most_items, topic, **more)

    def set_saga(self, number: int, status: str) -> None:
        """Moves a saga to another state, in whichever order."""
        self.change(
            """UPDATE saga SET status = :status,
                   finished_at = CASE WHEN :status IN ('succeeded', 'compensated') THEN now() END
               WHERE saga_id = :saga""",
            status=status,
            saga=f"saga-{number}",
        )

    def compensate(self, number: int) -> None:
        """Lets a saga have been undone."""
        self.set_saga(number, "aborting")
        self.set_saga(number, "compensated")

    def fail(self, number: int, error: str = "Sanity is away", *, may_pass: bool = False) -> None:
        """Lets a saga have failed and been undone."""
        with self.engine.begin() as connection:
            messages.fail(connection, f"saga-{number}", error, may_pass=may_pass)
        self.compensate(number)

    def make_due(self) -> None:
        """Lets the time until each next try have passed."""
        self.change("UPDATE message SET next_try_at = now() - interval '1 second'")

    def rest(self) -> None:
        """Lets each next try be far away."""
        self.change("UPDATE message SET next_try_at = now() + interval '1 hour'")

    def states(self) -> list[str]:
        """Returns the state of each message in order."""
        return [str(state) for state in self.values("SELECT state FROM message ORDER BY id")]

    def values(self, query: str) -> list[object]:
        """Returns the first column of a query."""
        with self.engine.connect() as connection:
            return list(connection.execute(text(query)).scalars())

    def change(self, statement: str, **names: object) -> None:
        """Changes rows."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), names)


def receive(
    connection: Connection,
    webhook_id: str,
    *bodies: str,
    aggregate: str | None = None,
    items: int = 1,
) -> Receipt:
    """Stores a delivery in a transaction of the caller's."""
    parts = [Part(body.encode(), items, aggregate) for body in bodies or ("[]",)]
    return messages.receive(connection, "pim", webhook_id, TOPIC, parts)


def claim(
    connection: Connection, saga_id: str, most_items: int, topic: str, **more: int
) -> list[int]:
    """Claims a page for a new saga in a transaction of the caller's."""
    connection.execute(
        text("INSERT INTO saga (saga_id, kind, lock_key) VALUES (:id, 'import', :id)"),
        {"id": saga_id},
    )
    return message_claims.claim_page(
        connection, topic=topic, saga_id=saga_id, run_id="run", most_items=most_items, **more
    )
