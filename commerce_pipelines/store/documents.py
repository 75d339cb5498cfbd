"""Which product versions the CMS's documents show, and what the next ones are made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, TextClause, text


@dataclass(frozen=True)
class ProductContent:
    """A product that a saga changed, with everything a document may show.

    Attributes:
        options: `{title, values}` in order.
        variants: `{id, title, sku, options}` in order.
        content_hash: Of the content its document has now; None when it has none from us.
    """

    product_id: str
    version: int
    title: str
    handle: str
    description: str | None
    status: str
    brand: str | None
    external_id: str | None
    images: list[str]
    options: list[dict[str, Any]]
    variants: list[dict[str, Any]]
    content_hash: bytes | None


@dataclass(frozen=True)
class DocumentState:
    """What a document shows.

    Attributes:
        revision: The transaction that wrote it; None leaves the one that is known.
    """

    product_id: str
    document_id: str
    content_hash: bytes
    product_version: int
    revision: str | None


def load_changed_contents(connection: Connection, saga_id: str) -> Iterator[ProductContent]:
    """Yields the products that a saga created or changed and did not take back."""
    yield from _contents(connection, _CHANGED_CONTENTS, {"saga": saga_id})


def load_contents(connection: Connection, product_ids: Sequence[str]) -> Iterator[ProductContent]:
    """Yields products by their ids; unknown ones are left out."""
    yield from _contents(connection, _CONTENTS_OF, {"ids": list(product_ids)})


def save_documents(connection: Connection, documents: Sequence[DocumentState]) -> None:
    """Notes what the documents show now."""
    if documents:
        connection.execute(
            _SAVE,
            {
                "products": [document.product_id for document in documents],
                "documents": [document.document_id for document in documents],
                "hashes": [document.content_hash for document in documents],
                "versions": [document.product_version for document in documents],
                "revisions": [document.revision for document in documents],
            },
        )


def _contents(
    connection: Connection, statement: TextClause, names: Mapping[str, Any]
) -> Iterator[ProductContent]:
    for row in connection.execute(statement, names).mappings():
        hash_ = row["content_hash"]
        yield ProductContent(**{**row, "content_hash": None if hash_ is None else bytes(hash_)})


_CONTENTS: Final = """
    options AS (
        SELECT product_id, jsonb_agg(jsonb_build_object(
            'title', title, 'values', to_jsonb(values)) ORDER BY position) AS rows
        FROM product_option JOIN changed USING (product_id) GROUP BY product_id),
    variants AS (
        SELECT product_id, jsonb_agg(jsonb_build_object(
            'id', id, 'title', title, 'sku', sku, 'options', options) ORDER BY position) AS rows
        FROM variant JOIN changed USING (product_id) GROUP BY product_id)
    SELECT product.id AS product_id, product.version, product.title, product.handle,
           product.description, product.status, brand.name AS brand,
           (SELECT min(external_id) FROM external_id WHERE internal_id = product.id
               AND entity = 'product' AND system = 'pim') AS external_id,
           product.images, coalesce(options.rows, '[]') AS options,
           coalesce(variants.rows, '[]') AS variants, document.content_hash
    FROM changed JOIN product ON product.id = changed.product_id
    LEFT JOIN brand ON brand.id = product.brand_id
    LEFT JOIN options ON options.product_id = product.id
    LEFT JOIN variants ON variants.product_id = product.id
    LEFT JOIN product_document document ON document.product_id = product.id
    ORDER BY product.id"""

_CHANGED_CONTENTS: Final = text(f"""
    WITH changed AS (
        SELECT product_id FROM product_revision WHERE saga_id = :saga AND undone_at IS NULL),
    {_CONTENTS}""")

_CONTENTS_OF: Final = text(f"""
    WITH changed AS (SELECT unnest(CAST(:ids AS text[])) AS product_id), {_CONTENTS}""")

_SAVE: Final = text("""
    INSERT INTO product_document (product_id, document_id, content_hash, product_version, revision)
    SELECT * FROM unnest(CAST(:products AS text[]), CAST(:documents AS text[]),
                         CAST(:hashes AS bytea[]), CAST(:versions AS bigint[]),
                         CAST(:revisions AS text[]))
    ON CONFLICT (product_id) DO UPDATE SET document_id = excluded.document_id,
        content_hash = excluded.content_hash, product_version = excluded.product_version,
        revision = coalesce(excluded.revision, product_document.revision), updated_at = now()""")
