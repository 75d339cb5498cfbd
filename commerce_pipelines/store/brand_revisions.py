"""What a sync changed in the store's brands, beside how they are now, and SQL that undoes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text

from commerce_pipelines.store import brand_changes, brands
from commerce_pipelines.store.sql_script import inlined, quoted


def load_brand_revisions(
    connection: Connection, saga_id: str, *, created: bool, limit: int
) -> list[dict[str, Any]]:
    """Returns the brands that a saga created, or changed, and that are not undone yet.

    `before` is null for a created one, `now` for one that is gone; `undo` says what an undo
    would do: delete, restore, leave, or `in_use` where products have a created brand by now.
    """
    names = {"saga": saga_id, "created": created, "limit": limit}
    return [dict(row) for row in connection.execute(_REVISIONS, names).mappings()]


def creations_script(saga_id: str) -> str:
    """Returns SQL that takes back what a sync created, as its undo does."""
    return _script(brand_changes.UNDO_CREATIONS, {"saga": quoted(saga_id)})


def updates_script(saga_id: str, watermark: str, before: dict[str, Any] | None) -> str:
    """Returns SQL that takes back what a sync changed, and how far it read, as its undo does.

    Args:
        saga_id: The saga.
        watermark: Its name.
        before: What `move_watermark` returned; None if it was not moved.
    """
    names = {"saga": quoted(saga_id)}
    if before is None:
        return _script(brand_changes.UNDO_UPDATES, names)
    names |= {"name": quoted(watermark)}
    names |= {
        name: "NULL" if value is None else quoted(str(value)) for name, value in before.items()
    }
    return _script((*brand_changes.UNDO_UPDATES, brands.RESET_WATERMARK), names)


def leave_script(saga_id: str, brand_id: str) -> str:
    """Returns SQL after which the undo of a saga leaves a brand as it is."""
    return inlined(_LEAVE, {"saga": quoted(saga_id), "brand": quoted(brand_id)}) + ";\n"


def link_script(saga_id: str, external_id: str, before: Any) -> str:
    """Returns SQL that takes back what a push noted of a brand."""
    names = {"saga": quoted(saga_id), "external_id": quoted(external_id)}
    if before is None:
        return inlined(brands.DROP_LINK, names) + ";\n"
    names["before"] = f"CAST({quoted(json.dumps(before))} AS jsonb)"
    return inlined(brands.RESTORE_LINK, names) + ";\n"


def _script(statements: Sequence[TextClause], names: dict[str, str]) -> str:
    body = ";\n".join(inlined(statement, names) for statement in statements)
    return _SCRIPT.format(body=body)


_REVISIONS: Final = text("""
    SELECT revision.brand_id AS id, revision.before->'brand' AS before,
           revision.version AS version_written, brand.version AS version_now,
           CASE WHEN brand.version IS DISTINCT FROM revision.version THEN 'leave'
                WHEN revision.before IS NOT NULL THEN 'restore'
                WHEN EXISTS (SELECT FROM product WHERE product.brand_id = brand.id) THEN 'in_use'
                ELSE 'delete' END AS undo,
           to_jsonb(brand) AS now
    FROM brand_revision revision LEFT JOIN brand ON brand.id = revision.brand_id
    WHERE revision.saga_id = :saga AND revision.undone_at IS NULL
      AND (revision.before IS NULL) = :created
    ORDER BY revision.brand_id LIMIT :limit""")

_LEAVE: Final = text("""
    UPDATE brand_revision SET undone_at = now()
    WHERE saga_id = :saga AND brand_id = :brand AND undone_at IS NULL""")

# One block is one transaction: all of it or nothing.
_SCRIPT: Final = """DO $$
BEGIN
PERFORM pg_advisory_xact_lock(hashtext('catalog_import'));
{body};
END $$;
"""
