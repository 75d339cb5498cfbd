"""Deleting what is over and old enough, page by page.

Each function looks at one page of rows in the order of their keys and says where
the next one starts; a page is one commit, so this may end anywhere and begin anew.
Content goes first (bodies, plans, before-images), rows later, and a row goes only
when its content has gone. Kept for ever: what is unfinished, parked or dead, but for
carts, which most people just leave.

Does not belong here: how old (`settings`), and other systems (`services`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text


@dataclass(frozen=True)
class Page:
    """A page that was looked at.

    Attributes:
        last: The key that the next page starts after; None when there is no next one.
        deleted: How many of what were deleted.
    """

    last: int | str | None
    deleted: dict[str, int]


@dataclass(frozen=True)
class SealedStep:
    """A step whose transaction was sealed, with the key that the seal is made from."""

    saga_id: str
    seq: int
    idem_key: str


def strip_messages(connection: Connection, after: int, most: int, days: int) -> Page:
    """Deletes the bodies of messages that have been done for so many days."""
    names = {"after": after, "days": days, "most": most}
    row = connection.execute(_STRIP_MESSAGES, names).one()
    return Page(row.last if row.more else None, {"bodies": row.bodies})


def drop_messages(connection: Connection, after: int, most: int, days: int) -> Page:
    """Deletes deliveries whose parts have all been done for so many days."""
    names = {"after": after, "days": days, "most": most}
    row = connection.execute(_DROP_MESSAGES, names).one()
    return Page(row.last if row.more else None, {"messages": row.messages})


def drop_answers(connection: Connection, page: int, most: int, days: int) -> Page:
    """Deletes answers that were kept by idempotency key for so many days."""
    gone = connection.execute(_DROP_ANSWERS, {"days": days, "most": most}).rowcount
    return Page(page + 1 if gone == most else None, {"answers": gone})


def drop_carts(connection: Connection, after: str, most: int, days: int) -> Page:
    """Deletes carts that nobody completed, nor touched for so many days, with their lines."""
    row = connection.execute(_DROP_CARTS, {"after": after, "days": days, "most": most}).one()
    return Page(row.last, {"carts": row.carts})


def strip_sagas(
    connection: Connection, after: str, most: int, days: int, sealing: Sequence[str]
) -> Page:
    """Empties the steps of sagas that finished so many days ago, and their before-images.

    Args:
        connection: An open transaction.
        after: Where the page starts.
        most: How many sagas it has.
        days: How long ago.
        sealing: Names of steps that leave a seal when they are absent; those come later.
    """
    names = {"after": after, "days": days, "most": most, "sealing": list(sealing)}
    row = connection.execute(_STRIP_SAGAS, names).one()
    return Page(row.last, {"steps": row.steps, "revisions": row.revisions})


def sealed_steps(
    connection: Connection, most: int, days: int, sealing: Sequence[str]
) -> list[SealedStep]:
    """Returns sealed steps, not empty yet, of sagas that finished so many days ago."""
    names = {"days": days, "most": most, "sealing": list(sealing)}
    return [SealedStep(**row) for row in connection.execute(_SEALED_STEPS, names).mappings()]


def strip_steps(connection: Connection, steps: Sequence[SealedStep]) -> None:
    """Empties steps whose seals are gone."""
    names = {"ids": [step.saga_id for step in steps], "seqs": [step.seq for step in steps]}
    connection.execute(_STRIP_STEPS, names)


def drop_sagas(connection: Connection, after: str, most: int, days: int) -> Page:
    """Deletes sagas that finished so many days ago, with their steps and events."""
    names = {"after": after, "days": days, "most": most}
    row = connection.execute(_DROP_SAGAS, names).one()
    return Page(row.last, {"sagas": row.sagas, "events": row.events})


_LONG_AGO: Final = "now() - make_interval(days => :days)"

# Ids grow with the time of receipt, near enough: a page of young messages is the last one.
_PAGE_OF_MESSAGES: Final = f"""
    page AS (
        SELECT id, source, webhook_id, part, parts, received_at < {_LONG_AGO} AS old
        FROM message WHERE id > :after ORDER BY id LIMIT :most)"""

# The state is asked for in the update itself: a replay may have come first.
_STRIP_MESSAGES: Final = text(f"""
    WITH {_PAGE_OF_MESSAGES},
    stripped AS (
        UPDATE message SET body = NULL
        WHERE id = ANY (ARRAY(SELECT id FROM page WHERE old))
          AND state = 'done' AND finished_at < {_LONG_AGO} AND body IS NOT NULL
        RETURNING id),
    conflicts AS (
        UPDATE message_conflict SET body = NULL FROM stripped
        WHERE message_conflict.message_id = stripped.id AND message_conflict.body IS NOT NULL)
    SELECT max(id) AS last, coalesce(bool_or(old), false) AS more,
           (SELECT count(*) FROM stripped) AS bodies
    FROM page""")

# Whole deliveries: of one with a part missing it could not be told whether it came before.
_DROP_MESSAGES: Final = text(f"""
    WITH {_PAGE_OF_MESSAGES},
    over AS (
        SELECT source, webhook_id FROM page
        WHERE old AND part = 0 AND parts = (
            SELECT count(*) FROM message known
            WHERE known.source = page.source AND known.webhook_id = page.webhook_id
              AND known.state = 'done' AND known.body IS NULL
              AND known.finished_at < {_LONG_AGO})),
    gone AS (
        DELETE FROM message USING over
        WHERE message.source = over.source AND message.webhook_id = over.webhook_id
        RETURNING 1)
    SELECT max(id) AS last, coalesce(bool_or(old), false) AS more,
           (SELECT count(*) FROM gone) AS messages
    FROM page""")

_DROP_ANSWERS: Final = text(f"""
    DELETE FROM idempotency_key WHERE (scope, key) IN (
        SELECT scope, key FROM idempotency_key WHERE created_at < {_LONG_AGO}
        ORDER BY created_at LIMIT :most FOR UPDATE SKIP LOCKED)""")

# Asked again in the deletion itself, which may have waited for somebody who touched the cart.
_DROP_CARTS: Final = text(f"""
    WITH page AS (
        SELECT id, updated_at < {_LONG_AGO} AS old
        FROM cart WHERE completed_at IS NULL AND id > :after ORDER BY id LIMIT :most),
    gone AS (
        DELETE FROM cart USING page
        WHERE page.old AND cart.id = page.id
          AND cart.completed_at IS NULL AND cart.updated_at < {_LONG_AGO}
        RETURNING 1)
    SELECT max(id) AS last, (SELECT count(*) FROM gone) AS carts FROM page""")

_PAGE_OF_SAGAS: Final = f"""
    page AS (
        SELECT saga_id, coalesce(finished_at < {_LONG_AGO}, false) AS old
        FROM saga WHERE saga_id > :after ORDER BY saga_id LIMIT :most)"""

_FULL: Final = """(saga_step.plan <> '{}' OR saga_step.result <> '{}'
        OR saga_step.undo_result IS NOT NULL)"""

# A result that is there has to stay there, if empty: the ledger's rules want it so.
_EMPTY: Final = """plan = '{}', undo_result = NULL,
        result = CASE WHEN result IS NOT NULL THEN CAST('{}' AS jsonb) END"""

_SEALED: Final = "(saga_step.state = 'absent' AND saga_step.name = ANY (:sealing))"

# What is looked for once more (`audit_at`) still needs its plan.
_STRIP_SAGAS: Final = text(f"""
    WITH {_PAGE_OF_SAGAS},
    steps AS (
        UPDATE saga_step SET {_EMPTY} FROM page
        WHERE page.old AND saga_step.saga_id = page.saga_id
          AND {_FULL} AND saga_step.audit_at IS NULL AND saga_step.state <> 'parked'
          AND NOT {_SEALED}
        RETURNING 1),
    revisions AS (
        DELETE FROM product_revision USING page
        WHERE page.old AND product_revision.saga_id = page.saga_id
        RETURNING 1),
    brand_revisions AS (
        DELETE FROM brand_revision USING page
        WHERE page.old AND brand_revision.saga_id = page.saga_id
        RETURNING 1)
    SELECT max(saga_id) AS last, (SELECT count(*) FROM steps) AS steps,
           (SELECT count(*) FROM revisions) + (SELECT count(*) FROM brand_revisions) AS revisions
    FROM page""")

_SEALED_STEPS: Final = text(f"""
    SELECT saga_step.saga_id, saga_step.seq, saga_step.idem_key
    FROM saga_step JOIN saga ON saga.saga_id = saga_step.saga_id
    WHERE {_SEALED} AND {_FULL} AND saga_step.audit_at IS NULL
      AND saga.finished_at < {_LONG_AGO}
    ORDER BY saga_step.saga_id, saga_step.seq LIMIT :most""")

_STRIP_STEPS: Final = text(f"""
    UPDATE saga_step SET {_EMPTY}
    FROM unnest(CAST(:ids AS text[]), CAST(:seqs AS int[])) AS unsealed (saga_id, seq)
    WHERE saga_step.saga_id = unsealed.saga_id AND saga_step.seq = unsealed.seq""")

_DROP_SAGAS: Final = text(f"""
    WITH {_PAGE_OF_SAGAS},
    over AS (
        SELECT saga_id FROM page
        WHERE old AND NOT EXISTS (
            SELECT FROM saga_step WHERE saga_step.saga_id = page.saga_id AND {_FULL})),
    events AS (
        DELETE FROM saga_event USING over WHERE saga_event.saga_id = over.saga_id RETURNING 1),
    gone AS (
        DELETE FROM saga USING over WHERE saga.saga_id = over.saga_id RETURNING 1)
    SELECT max(saga_id) AS last, (SELECT count(*) FROM gone) AS sagas,
           (SELECT count(*) FROM events) AS events
    FROM page""")
