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


UPDATE_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("product_id", "text"),
        dg.TableColumn("action", "text", "updated, put off or failed"),
        dg.TableColumn("saga_id", "text"),
        dg.TableColumn("why", "text"),
    ]
)


PRICE_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("variant_id", "text"),
        dg.TableColumn("sku", "text"),
        dg.TableColumn("currency_code", "text", "ISO 4217"),
        dg.TableColumn("customer_group", "text", "empty for everybody"),
        dg.TableColumn("amount", "numeric", "of one unit, in the main unit; none: not for sale"),
        dg.TableColumn("tiers", "int", "how many quantities have a price of their own"),
        dg.TableColumn("as_of", "timestamptz", "up to when the ERP's word counts"),
    ]
)


ORDER_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("id", "text", "ours; the ERP's reference"),
        dg.TableColumn("currency_code", "text", "ISO 4217"),
        dg.TableColumn("total_minor", "bigint", "in the currency's minor unit"),
        dg.TableColumn("status", "text", "placed, confirmed, processing, shipped, …"),
        dg.TableColumn("erp_status", "text", "the ERP's own word"),
        dg.TableColumn("erp_changed_at", "timestamptz", "when the ERP said so, by its clock"),
        dg.TableColumn("placed_at", "timestamptz"),
    ]
)

EXPORT_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("order_id", "text"),
        dg.TableColumn("action", "text", "exported, found, known, cancelled or failed"),
        dg.TableColumn("external_id", "text", "its id in the ERP"),
        dg.TableColumn("why", "text"),
    ]
)

DISCREPANCY_COLUMNS = dg.TableSchema(
    columns=[
        dg.TableColumn("kind", "text"),
        dg.TableColumn("order_id", "text", "the store's"),
        dg.TableColumn("external_id", "text", "the ERP's"),
        dg.TableColumn("currency_code", "text", "ISO 4217"),
        dg.TableColumn("here", "text", "what the store has; empty if it has no such order"),
        dg.TableColumn("there", "text", "what the ERP has; empty if it has no such order"),
        dg.TableColumn("amount_minor", "bigint", "in question, in the currency's minor unit"),
        dg.TableColumn("repaired_by", "text", "the message that repairs it, if one was sent"),
    ]
)
_STORE_ORDERS, _ERP_ORDERS = dg.AssetKey(["store", "orders"]), dg.AssetKey(["erp", "orders"])
DISCREPANCY_LINEAGE = dg.TableColumnLineage(
    deps_by_column={
        "order_id": [dg.TableColumnDep(_STORE_ORDERS, "id")],
        "external_id": [dg.TableColumnDep(_ERP_ORDERS, "id")],
        "here": [dg.TableColumnDep(_STORE_ORDERS, name) for name in ("total_minor", "status")],
        "there": [dg.TableColumnDep(_ERP_ORDERS, name) for name in ("total", "status")],
        "amount_minor": [
            dg.TableColumnDep(_STORE_ORDERS, "total_minor"),
            dg.TableColumnDep(_ERP_ORDERS, "total"),
        ],
    }
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
