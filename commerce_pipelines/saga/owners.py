"""Who holds sagas just now, and letting go of what the dead hold.

A lease ends by itself some time after its owner. Who knows for sure that the owner is no
more need not wait for that. Whoever was wrong about it has done no harm: the owner is
fenced like one that was silent for too long. Does not belong here: how anybody knows.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Engine, text


def owners(engine: Engine) -> list[str]:
    """Returns who holds sagas: runs, for the most part."""
    with engine.connect() as connection:
        return list(connection.execute(_OWNERS).scalars())


def let_go(engine: Engine, owner: str) -> int:
    """Ends an owner's leases, and returns how many there were."""
    with engine.begin() as connection:
        return connection.execute(_LET_GO, {"owner": owner}).rowcount


_OWNERS: Final = text("SELECT DISTINCT holder FROM saga WHERE lease_until >= now()")

_LET_GO: Final = text("""
    UPDATE saga SET lease_until = now() - interval '1 us'
    WHERE holder = :owner AND lease_until >= now()""")
