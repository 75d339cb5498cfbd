"""What waits for a person in the ledger: parked steps, whatever has become of their sagas.

A saga parks with its step; the late-arrival audit parks a step of a saga that
is long compensated. Does not belong here: deciding about them (`operations`).
"""

from __future__ import annotations

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
    """

    saga_id: str
    seq: int
    name: str
    error: str
    tries: int
    since: datetime
    run_id: str | None


def list_parked(connection: Connection, limit: int) -> list[ParkedStep]:
    """Returns parked steps, the oldest first."""
    rows = connection.execute(_PARKED, {"limit": limit}).mappings()
    return [ParkedStep(**row) for row in rows]


def count_parked(connection: Connection) -> int:
    """Returns how many steps are parked."""
    counted = text("SELECT count(*) FROM saga_step WHERE state = 'parked'")
    return int(connection.execute(counted).scalar_one())


_PARKED: Final = text("""
    SELECT saga_id, seq, name, error, undo_tries AS tries, updated_at AS since,
           saga.last_run_id AS run_id
    FROM saga_step JOIN saga USING (saga_id)
    WHERE state = 'parked' ORDER BY updated_at, saga_id, seq LIMIT :limit""")
