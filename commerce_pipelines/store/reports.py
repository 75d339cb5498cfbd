"""Counts and samples that a run shows of what it did."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, text


def count_products(connection: Connection) -> int:
    """Returns how many products the store has."""
    return int(connection.execute(text("SELECT count(*) FROM product")).scalar_one())


def count_documents(connection: Connection) -> int:
    """Returns how many products have a document of ours."""
    return int(connection.execute(text("SELECT count(*) FROM product_document")).scalar_one())


def latest_products(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Returns the products changed last, newest first."""
    rows = connection.execute(_LATEST, {"limit": limit}).mappings()
    return [dict(row) for row in rows]


def latest_brands(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Returns the brands changed last, newest first."""
    rows = connection.execute(_LATEST_BRANDS, {"limit": limit}).mappings()
    return [dict(row) for row in rows]


def rejections_of_run(connection: Connection, run_id: str, limit: int) -> list[dict[str, Any]]:
    """Returns the products that a run did not take: message, position, field and reason."""
    rows = connection.execute(_REJECTIONS, {"run": run_id, "limit": limit}).mappings()
    return [{"message_id": row["id"], **row["rejection"]} for row in rows]


_LATEST: Final = text("""
    SELECT product.id, title, handle, status, brand.name AS brand,
           (SELECT count(*) FROM variant WHERE variant.product_id = product.id) AS variants,
           product.version
    FROM product LEFT JOIN brand ON brand.id = product.brand_id
    ORDER BY product.updated_at DESC, product.id LIMIT :limit""")

_LATEST_BRANDS: Final = text("""
    SELECT id, name, description, logo_url, gone_at, version, (
        SELECT array_to_string(array_agg(external_id ORDER BY external_id), ', ')
        FROM foreign_brand WHERE brand_id = brand.id AND foreign_brand.gone_at IS NULL
    ) AS external_ids
    FROM brand ORDER BY updated_at DESC, id LIMIT :limit""")

_REJECTIONS: Final = text("""
    SELECT message.id, rejection
    FROM message, jsonb_array_elements(message.outcome->'rejected') AS rejection
    WHERE message.run_id = :run ORDER BY message.id, (rejection->>'position')::int
    LIMIT :limit""")
