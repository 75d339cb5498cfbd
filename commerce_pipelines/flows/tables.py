"""What the catalogue shows of our tables: columns, where they come from, a preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

PRODUCT_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("id", "text", "`prod_…`, made from the feed's identity of the product"),
        dg.TableColumn("title", "text"),
        dg.TableColumn("handle", "text", "unique; made from the title where the feed has none"),
        dg.TableColumn("status", "text", "draft, proposed, published, rejected or archived"),
        dg.TableColumn("brand", "text"),
        dg.TableColumn("variants", "int", "how many"),
        dg.TableColumn("version", "int", "goes up with each change"),
    ]
)

DOCUMENT_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("_id", "text", "`product-…`, from the product's id"),
        dg.TableColumn("title", "text", "the feed's"),
        dg.TableColumn("handle", "text", "the feed's"),
        dg.TableColumn("status", "text", "the feed's; archived products are marked, not deleted"),
        dg.TableColumn("brand", "text", "the feed's"),
        dg.TableColumn("slug", "slug", "seeded once, then the editors'"),
    ]
)

BRAND_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("id", "text", "`brand_…`, made from its first name"),
        dg.TableColumn("name", "text", "unique, case and accents folded"),
        dg.TableColumn("description", "text"),
        dg.TableColumn("logo_url", "text"),
        dg.TableColumn("external_ids", "text[]", "its ids in the brand system"),
        dg.TableColumn("gone_at", "timestamptz", "since when the brand system has it no longer"),
        dg.TableColumn("version", "int", "goes up with each change"),
    ]
)

PUSH_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("brand_id", "text"),
        dg.TableColumn("action", "text", "created, updated, lost, unchanged or failed"),
        dg.TableColumn("external_id", "text", "its id in the brand system"),
        dg.TableColumn("why", "text"),
    ]
)


def same_columns(upstream: dg.AssetKey, names: Sequence[str]) -> dg.TableColumnLineage:
    """Returns a lineage in which each column comes from the one of the same name."""
    return dg.TableColumnLineage(
        deps_by_column={name: [dg.TableColumnDep(upstream, name)] for name in names}
    )


def preview(rows: Sequence[Mapping[str, Any]], schema: dg.TableSchema) -> dg.TableMetadataValue:
    """Returns a small table for a run's metadata."""
    return dg.MetadataValue.table(
        records=[dg.TableRecord({name: _cell(v) for name, v in row.items()}) for row in rows],
        schema=schema,
    )


def _cell(value: Any) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
