"""What a saga changed in the store's products, beside how they are now."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text


def load_revisions(connection: Connection, saga_id: str, limit: int) -> list[dict[str, Any]]:
    """Returns the products that a saga changed and that are not undone yet.

    `before` is null for a product that it created, `version_now` for one that is gone; the
    change is still the newest where `version_now` is `version_written`.

    Args:
        connection: The store.
        saga_id: The saga.
        limit: At most so many.
    """
    rows = connection.execute(_REVISIONS, {"saga": saga_id, "limit": limit}).mappings()
    return [dict(row) for row in rows]


_REVISIONS: Final = text("""
    SELECT revision.product_id, product.title AS title_now, revision.version AS version_written,
           product.version AS version_now, revision.before
    FROM product_revision revision LEFT JOIN product ON product.id = revision.product_id
    WHERE revision.saga_id = :saga AND revision.undone_at IS NULL
    ORDER BY revision.product_id LIMIT :limit""")
