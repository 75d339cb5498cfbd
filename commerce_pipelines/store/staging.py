"""Getting a page of products into temporary tables with COPY.

The tables live as long as their connection and are emptied at each commit, so
a process that imports many pages creates them once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from typing import Any, Final

from sqlalchemy import Connection, text

from commerce_pipelines.domain.catalog import BrandReference, Product, fold_name
from commerce_pipelines.domain.feed import FeedRow
from commerce_pipelines.domain.ownership import PIM

_TABLES: Final = """
CREATE TEMP TABLE IF NOT EXISTS staged_product (
    no int PRIMARY KEY, new_id text, external_id text, handle text COLLATE "C",
    own_handle boolean, title text, description text, has_description boolean,
    status text, brand_key text, brand_name text, brand_external_id text, has_brand boolean,
    images jsonb, metadata jsonb, has_options boolean, has_variants boolean,
    feed_hash bytea, message_id bigint,
    adopted_id text, product_id text, is_shared boolean, brand_id text, action text, note text)
    ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_option (
    no int, position smallint, title text, values text[]) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_variant (
    no int, key text, position smallint, external_id text, title text, sku text,
    options jsonb, manage_inventory boolean, has_prices boolean, known_id text)
    ON COMMIT DELETE ROWS;
CREATE TEMP TABLE IF NOT EXISTS staged_price (
    no int, key text, currency_code text, min_quantity int, amount numeric, known_id text)
    ON COMMIT DELETE ROWS;
"""

_PRODUCT_COLUMNS: Final = (
    "no, new_id, external_id, handle, own_handle, title, description, has_description, status, "
    "brand_key, brand_name, brand_external_id, has_brand, images, metadata, has_options, "
    "has_variants, feed_hash, message_id"
)

_VARIANT_COLUMNS: Final = (
    "no, key, position, external_id, title, sku, options, manage_inventory, has_prices"
)

Row = tuple[Any, ...]


def stage(connection: Connection, rows: Sequence[FeedRow], system: str) -> None:
    """Fills the temporary tables with a page of products.

    Args:
        connection: An open transaction.
        rows: The products.
        system: Whose external ids these are.
    """
    # An id of one system is not the same number of another one.
    origin = "" if system == PIM else f"{system} "
    connection.execute(text(_TABLES))
    _copy(connection, f"staged_product ({_PRODUCT_COLUMNS})", _products(rows, origin))
    _copy(connection, "staged_option", _options(rows))
    _copy(connection, f"staged_variant ({_VARIANT_COLUMNS})", _variants(rows, origin))
    _copy(connection, "staged_price (no, key, currency_code, min_quantity, amount)", _prices(rows))


def product_id(row: FeedRow, origin: str = "") -> str:
    """Makes a new product's id from its identity: the same feed, the same id."""
    external_id = row.product.external_id
    identity = f"{origin}external_id {external_id}" if external_id else f"handle {row.handle}"
    return "prod_" + blake2b(identity.encode(), digest_size=16).hexdigest()


def _copy(connection: Connection, target: str, rows: Iterable[Row]) -> None:
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _products(rows: Sequence[FeedRow], origin: str) -> Iterator[Row]:
    for no, row in enumerate(rows):
        product = row.product
        given = product.model_fields_set
        yield (
            no,
            product_id(row, origin),
            product.external_id,
            row.handle,
            product.handle is not None,
            product.title,
            product.description,
            "description" in given,
            product.status,
            *_brand(product.brand),
            "brand" in given,
            _json([] if product.images is None and "images" in given else product.images),
            _json({} if product.metadata is None and "metadata" in given else product.metadata),
            "options" in given,
            "variants" in given or product.sold_as is not None,
            row.feed_hash,
            row.message_id,
        )


def _brand(brand: str | BrandReference | None) -> Row:
    """Returns its folded name, its name and its id in the brand system."""
    name, external_id = (
        (brand.name, brand.external_id) if isinstance(brand, BrandReference) else (brand, None)
    )
    return fold_name(name) if name else None, name, external_id


def _options(rows: Sequence[FeedRow]) -> Iterator[Row]:
    for no, row in enumerate(rows):
        for position, option in enumerate(row.product.options or ()):
            yield no, position, option.title, option.values


def _variants(rows: Sequence[FeedRow], origin: str) -> Iterator[Row]:
    for no, row in enumerate(rows):
        for position, variant in enumerate(row.product.sold_as or ()):
            yield (
                no,
                origin + variant.key,
                position,
                variant.external_id,
                variant.shown_title,
                variant.sku,
                _json(variant.options or {}),
                variant.manage_inventory,
                "prices" in variant.model_fields_set,
            )


def _prices(rows: Sequence[FeedRow]) -> Iterator[Row]:
    for no, row in enumerate(rows):
        for variant in _sold(row.product):
            for price in variant.prices or ():
                yield no, variant.key, price.currency_code, price.min_quantity, price.amount


def _sold(product: Product) -> Sequence[Any]:
    return product.sold_as or ()


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)
