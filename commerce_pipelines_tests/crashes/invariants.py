"""What must be true after every case, asked of the ledger, the store and the outside systems.

I1  every effect outside carries a key that the ledger has
I2  a key has at most one forward and one undo effect
I3  succeeded: everything is there          I4  compensated: everything is as before
I5  undone in descending order              I6  a value written by somebody else stays
I7  epochs only grow                        I8  one live saga an aggregate at most
I9  nothing is half-done for long           I10 a parked saga says all that finishes it
I11 no secret is in ledger or inbox

I3, I4 and I6 compare snapshots; the cases hold them (`cases.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from commerce_pipelines.services.document_steps import UNDO_MARK
from commerce_pipelines.services.operations import Desk
from commerce_pipelines_tests.crashes.ground import LIVE, Ground

Snapshot = dict[str, Any]

_OURS = ("pim_import-", "crash_order-", "brand_push-")
_TABLES = (
    "brand", "external_id", "product", "product_option", "variant", "price",
    "product_document", "crash_stock",
)  # fmt: skip
_VOLATILE = "{version,saga_id,created_at,updated_at,product_version,revision,message_id,gone_at}"
_LINKS = """
    SELECT brand_id, link.name, link.description, link.gone_at IS NULL AS is_there,
           brand.gone_at IS NULL AS is_here
    FROM foreign_brand link JOIN brand ON brand.id = brand_id"""
_STORE = {
    **{
        table: f"SELECT to_jsonb(one) - '{_VOLATILE}'::text[] AS one FROM {table} one"
        for table in _TABLES
    },
    "links": _LINKS,
}


def snapshot(ground: Ground) -> Snapshot:
    """Returns what all systems hold, without versions and times."""
    store: dict[str, list[str]] = {name: [] for name in _STORE}
    for name, row in ground.shop.rows(_together(_STORE)):
        store[name].append(row)
    documents = {
        document["_id"]: {
            name: value
            for name, value in document.items()
            if name not in {"_rev", "_updatedAt", "_createdAt"}
        }
        for document in ground.cms.documents().values()
    }
    return {
        "store": {name: sorted(rows) for name, rows in store.items()},
        "documents": documents,
        "brands": ground.sides.names_there(),
        "orders": len(ground.orders.open_orders()),
    }


def violations(ground: Ground) -> list[str]:
    """Returns which invariants do not hold, each with what was seen."""
    keys = _keys_of_effects(ground)
    found = {
        "I1": _effects_without_intent(ground, keys),
        "I2": _repeated_effects(ground, keys),
        "I10": _incomplete_parked(ground),
    }
    seen = ground.shop.rows(_together(_RULES), secret=f"%{ground.token}%")
    return [
        *(f"{name}: {seen}" for name, seen in found.items() if seen),
        *(f"{name}: {row}" for name, row in seen),
    ]


def _keys_of_effects(ground: Ground) -> list[str]:
    """Returns the keys of all effects in the sandbox that are ours and create or change."""
    keys = [
        str(effect.get("transaction_id") or effect.get("idempotency_key"))
        for effect in ground.systems.effects()
    ]
    return [key for key in keys if key.startswith(_OURS)]


def _effects_without_intent(ground: Ground, keys: list[str]) -> list[str]:
    known = set(ground.shop.values("SELECT idem_key FROM saga_step"))
    references = [reference for reference, _ in ground.orders.effects]
    return [key for key in [*keys, *references] if key.split(UNDO_MARK)[0] not in known]


def _repeated_effects(ground: Ground, keys: list[str]) -> list[Any]:
    undone = Counter(key.split(UNDO_MARK)[0] for key in keys if UNDO_MARK in key)
    done = Counter(key for key in keys if UNDO_MARK not in key)
    counts = (undone, done, ground.orders.effects)
    return [each for counted in counts for each, n in counted.items() if n > 1]


def _together(queries: Mapping[str, str]) -> str:
    """Returns one query for the rows of all, each row with the name of its query."""
    return " UNION ALL ".join(
        f"SELECT '{name}', to_jsonb(found)::text FROM ({query}) AS found"
        for name, query in queries.items()
    )


def _incomplete_parked(ground: Ground) -> list[str]:
    desk = Desk(ground.shop.engine, ground.shop.sanity)
    parked = ground.shop.values("SELECT saga_id FROM saga WHERE status = 'parked'")
    return [saga_id for saga_id in parked if not desk.describe_saga(saga_id)["decisions"]]


# Only from the point where undoing began; what a late audit undoes comes when it comes.
_UNDONE_OUT_OF_ORDER = """
    SELECT saga_id, seq, following FROM (
        SELECT saga_id, seq, lead(seq) OVER (PARTITION BY saga_id ORDER BY id) AS following
        FROM saga_event WHERE what IN ('undoing', 'undone', 'superseded')
          AND NOT EXISTS (SELECT FROM saga_event late WHERE late.what = 'late'
                          AND late.saga_id = saga_event.saga_id AND late.seq = saga_event.seq)
        ) AS moves
    WHERE following > seq"""

_SHRINKING_EPOCHS = """
    SELECT saga_id, epoch, following FROM (
        SELECT saga_id, epoch, lead(epoch) OVER (PARTITION BY saga_id ORDER BY id) AS following
        FROM saga_event WHERE epoch IS NOT NULL) AS epochs
    WHERE following < epoch"""

_TWO_LIVE = """
    SELECT kind, lock_key FROM saga WHERE status IN ('running', 'aborting', 'parked')
    GROUP BY 1, 2 HAVING count(*) > 1"""

_SECRETS = """
    SELECT 'saga' AS place FROM saga WHERE to_jsonb(saga)::text LIKE :secret
    UNION SELECT 'saga_step' FROM saga_step WHERE to_jsonb(saga_step)::text LIKE :secret
    UNION SELECT 'saga_event' FROM saga_event WHERE to_jsonb(saga_event)::text LIKE :secret
    UNION SELECT 'message' FROM message WHERE to_jsonb(message)::text LIKE :secret"""

_RULES = {
    "I5": _UNDONE_OUT_OF_ORDER,
    "I7": _SHRINKING_EPOCHS,
    "I8": _TWO_LIVE,
    "I9": LIVE,
    "I11": _SECRETS,
}
