"""What waits for a person in the ledger: parked steps, whatever has become of their sagas.

A saga parks with its step; the late-arrival audit parks a step of a saga that
is long compensated. Does not belong here: deciding about them (`operations`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class ParkedStep:
    """A step that nobody undoes until a person has decided.

    Attributes:
        error: Why it was parked, in full.
        tries: How often it was tried before.
        run_id: The last run that worked on its saga.
        pivoted: Its saga may only go forward.
    """

    saga_id: str
    seq: int
    name: str
    error: str
    tries: int
    since: datetime
    run_id: str | None
    pivoted: bool = False


def list_parked(
    connection: Connection, limit: int, kinds: Sequence[str] = (), within: bool = False
) -> list[ParkedStep]:
    """Returns parked steps, the oldest first.

    Args:
        connection: The ledger's database.
        limit: How many at most.
        kinds: Of the sagas.
        within: Whether it is these kinds, or all but these.
    """
    names = {"limit": limit, "kinds": list(kinds), "within": within}
    rows = connection.execute(_PARKED, names).mappings()
    return [ParkedStep(**row) for row in rows]


def count_parked(connection: Connection, kinds: Sequence[str] = (), within: bool = False) -> int:
    """Returns how many steps are parked; see `list_parked`."""
    names = {"kinds": list(kinds), "within": within}
    return int(connection.execute(_COUNT, names).scalar_one())


_OF_KINDS: Final = """
    FROM saga_step JOIN saga USING (saga_id)
    WHERE state = 'parked' AND (kind = ANY (CAST(:kinds AS text[]))) = :within"""

_COUNT: Final = text(f"SELECT count(*) {_OF_KINDS}")

_PARKED: Final = text(f"""
    SELECT saga_id, seq, name, error, undo_tries AS tries, updated_at AS since,
           saga.last_run_id AS run_id, saga.pivoted
    {_OF_KINDS} ORDER BY updated_at, saga_id, seq LIMIT :limit""")
