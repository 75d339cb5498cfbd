"""Creating, changing and linking brands as decided, and taking that back.

Before-images go into `brand_revision` in the statement that changes the brands.
Belongs here: the statements over `brand`, `foreign_brand`, `brand_revision`.
Does not belong here: the decision (`brand_staging.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from commerce_pipelines.store.announcements import announce_stale_documents
from commerce_pipelines.store.brand_staging import keep_others_out


def create_brands(connection: Connection, saga_id: str) -> int:
    """Creates the staged brands that are new, and links the adopted ones; returns how many new."""
    names = {"saga": saga_id}
    created = connection.execute(_CREATE, names).rowcount
    connection.execute(_LINK, names)
    return created


def update_brands(connection: Connection, saga_id: str) -> int:
    """Changes the staged brands that changed there; returns how many."""
    names = {"saga": saga_id}
    updated = connection.execute(_UPDATE, names).rowcount
    # A second pass, so that two brands can swap their names under a unique index.
    connection.execute(_GIVE_NAMES, names)
    connection.execute(_AGREE, names)
    connection.execute(_ANNOUNCE, names)
    return updated


def mark_gone(connection: Connection, saga_id: str, missing: Sequence[str]) -> int:
    """Marks the links that the other side no longer has, and brands left without one.

    Args:
        connection: An open transaction.
        saga_id: The saga.
        missing: The external ids that were linked, and were not there any more.
    """
    names = {"saga": saga_id, "missing": list(missing)}
    return connection.execute(_MARK_GONE, names).rowcount


@dataclass(frozen=True)
class UndoneBrands:
    """How many brands an undo deleted, restored, and left to a later writer.

    Attributes:
        in_use: Created ones that have products by now: only a person may decide.
    """

    deleted: int
    restored: int
    superseded: int
    in_use: list[str]


def undo_creations(connection: Connection, saga_id: str) -> UndoneBrands:
    """Deletes the brands that a saga created, and its links; leaves those with products."""
    names = {"saga": saga_id}
    keep_others_out(connection)
    in_use = list(connection.execute(_IN_USE, names).scalars())
    if in_use:
        return UndoneBrands(0, 0, 0, in_use)
    deleted = connection.execute(_DELETE_CREATED, names).rowcount
    connection.execute(_UNLINK, names)
    superseded = connection.execute(_CLOSE_CREATED, names).rowcount - deleted
    return UndoneBrands(deleted, 0, superseded, [])


def undo_updates(connection: Connection, saga_id: str) -> UndoneBrands:
    """Restores the brands that a saga changed, where nobody changed them since."""
    names = {"saga": saga_id}
    keep_others_out(connection)
    connection.execute(_ANNOUNCE_BACK, names)
    restored = connection.execute(_RESTORE, names).rowcount
    connection.execute(_RESTORE_NAMES, names)
    connection.execute(_RESTORE_LINKS, names)
    closed = connection.execute(_CLOSE_UPDATED, names).rowcount
    return UndoneBrands(0, restored, closed - restored, [])


_CREATE: Final = text("""
    WITH created AS (
        INSERT INTO brand (id, name, name_key, description, logo_url, saga_id)
        SELECT brand_id, shown_name, name_key, description, logo_url, :saga
        FROM staged_brand WHERE action = 'create'
        RETURNING id, version)
    INSERT INTO brand_revision (saga_id, brand_id, version, before)
    SELECT :saga, id, version, NULL FROM created""")

# An adopted brand gets another version: it is no longer only its creator's to take back.
# About it nothing is agreed yet, so the update that follows brings what the other side says.
_LINK: Final = text("""
    WITH adopted AS (
        UPDATE brand SET version = brand.version + 1 FROM staged_brand staged
        WHERE staged.action = 'adopt' AND brand.id = staged.brand_id
          AND brand.saga_id IS DISTINCT FROM :saga
        RETURNING brand.id, brand.version)
    INSERT INTO foreign_brand (external_id, brand_id, name, description, logo_url, updated_at,
                               brand_version, saga_id)
    SELECT staged.external_id, staged.brand_id,
           CASE WHEN staged.action = 'create' THEN staged.name ELSE '' END,
           staged.description, staged.logo_url, staged.updated_at,
           coalesce(adopted.version, 1), :saga
    FROM staged_brand staged LEFT JOIN adopted ON adopted.id = staged.brand_id
    WHERE staged.action IN ('create', 'adopt')
    ON CONFLICT (external_id) DO UPDATE SET brand_id = excluded.brand_id, name = excluded.name,
        description = excluded.description, logo_url = excluded.logo_url,
        updated_at = excluded.updated_at, brand_version = excluded.brand_version,
        gone_at = NULL, saga_id = excluded.saga_id""")

# The names wait under the brand's id, which no name folds to, until all have let theirs go.
_UPDATE: Final = text("""
    WITH changing AS (
        SELECT DISTINCT ON (brand_id) * FROM staged_brand WHERE action = 'update'
        ORDER BY brand_id, external_id),
    before AS (
        SELECT brand.id, jsonb_build_object('brand', to_jsonb(brand),
                                            'links', jsonb_agg(to_jsonb(link))) AS image
        FROM changing JOIN brand ON brand.id = changing.brand_id
        JOIN foreign_brand link ON link.brand_id = brand.id GROUP BY brand.id),
    updated AS (
        UPDATE brand SET name_key = CASE WHEN brand.name_key = changing.name_key
                                         THEN brand.name_key ELSE '#' || brand.id END,
            name = changing.shown_name, description = changing.description,
            logo_url = changing.logo_url, gone_at = NULL,
            version = brand.version + 1, saga_id = :saga, updated_at = now()
        FROM changing WHERE brand.id = changing.brand_id
        RETURNING brand.id, brand.version)
    INSERT INTO brand_revision (saga_id, brand_id, version, before)
    SELECT :saga, updated.id, updated.version, before.image
    FROM updated JOIN before USING (id)
    ON CONFLICT (saga_id, brand_id) DO UPDATE SET version = excluded.version""")

_GIVE_NAMES: Final = text("""
    UPDATE brand SET name_key = staged.name_key FROM staged_brand staged
    WHERE staged.action = 'update' AND brand.id = staged.brand_id
      AND brand.name_key = '#' || brand.id""")

# What lost or was refused is noted too, or each sync would come back to it; what was refused
# on no version of ours, so that a reading of all tries it again.
_AGREE: Final = text("""
    UPDATE foreign_brand link SET name = staged.name, description = staged.description,
        logo_url = staged.logo_url, updated_at = staged.updated_at, gone_at = NULL,
        saga_id = :saga,
        brand_version = CASE staged.action WHEN 'lost' THEN link.brand_version
                                           WHEN 'refused' THEN 0 ELSE brand.version END
    FROM staged_brand staged JOIN brand ON brand.id = staged.brand_id
    WHERE staged.action IN ('update', 'alias', 'lost', 'refused')
      AND link.external_id = staged.external_id""")

_RENAMED: Final = """
    SELECT brand.id FROM brand_revision revision JOIN brand ON brand.id = revision.brand_id
    WHERE revision.saga_id = :saga AND revision.undone_at IS NULL
      AND brand.name <> revision.before->'brand'->>'name'"""

_ANNOUNCE: Final = text(announce_stale_documents(_RENAMED))

_MARK_GONE: Final = text("""
    WITH gone AS (
        UPDATE foreign_brand SET gone_at = now(), saga_id = :saga
        WHERE gone_at IS NULL AND external_id = ANY (:missing)
        RETURNING external_id, brand_id),
    before AS (
        SELECT brand.id, jsonb_build_object('brand', to_jsonb(brand),
                                            'links', jsonb_agg(to_jsonb(link))) AS image
        FROM brand JOIN foreign_brand link ON link.brand_id = brand.id
        WHERE brand.id IN (SELECT brand_id FROM gone) GROUP BY brand.id),
    marked AS (
        UPDATE brand SET gone_at = now(), version = version + 1, saga_id = :saga
        FROM before WHERE brand.id = before.id
          AND NOT EXISTS (SELECT FROM foreign_brand alive
                          WHERE alive.brand_id = brand.id AND alive.gone_at IS NULL
                            AND alive.external_id NOT IN (SELECT external_id FROM gone))
        RETURNING brand.id, brand.version, before.image)
    INSERT INTO brand_revision (saga_id, brand_id, version, before)
    SELECT :saga, id, version, image FROM marked
    ON CONFLICT (saga_id, brand_id) DO UPDATE SET version = excluded.version""")

_CREATED: Final = """
    FROM brand_revision revision
    WHERE revision.saga_id = :saga AND revision.before IS NULL AND revision.undone_at IS NULL
      AND brand.id = revision.brand_id AND brand.version = revision.version"""

# A product that an unfinished saga may give back to the brand counts as one of its products.
_IN_USE: Final = text(f"""
    SELECT brand.name FROM brand WHERE EXISTS (SELECT {_CREATED})
      AND (EXISTS (SELECT FROM product WHERE product.brand_id = brand.id)
           OR EXISTS (SELECT FROM saga JOIN product_revision held USING (saga_id)
                      WHERE saga.status IN ('running', 'aborting', 'parked')
                        AND held.undone_at IS NULL AND held.before->>'brand_id' = brand.id))
    ORDER BY 1""")

_DELETE_CREATED: Final = text(f"DELETE FROM brand WHERE EXISTS (SELECT {_CREATED})")

_UNLINK: Final = text("""
    DELETE FROM foreign_brand link WHERE link.saga_id = :saga AND NOT EXISTS (
        SELECT FROM brand_revision revision WHERE revision.saga_id = :saga
           AND revision.brand_id = link.brand_id)""")

_CLOSE_CREATED: Final = text("""
    UPDATE brand_revision SET undone_at = now()
    WHERE saga_id = :saga AND before IS NULL AND undone_at IS NULL""")

_OURS: Final = """
    revision.saga_id = :saga AND revision.before IS NOT NULL AND revision.undone_at IS NULL
      AND brand.id = revision.brand_id AND brand.version = revision.version
      AND NOT EXISTS (SELECT FROM brand other WHERE other.id <> brand.id
                      AND other.name_key = revision.before->'brand'->>'name_key'
                      AND NOT EXISTS (SELECT FROM brand_revision theirs
                                      WHERE theirs.saga_id = :saga AND theirs.brand_id = other.id
                                        AND theirs.version = other.version))"""

# Before it is done, while it can be seen which names it changes.
_ANNOUNCE_BACK: Final = text(announce_stale_documents(f"{_RENAMED} AND {_OURS}"))

_RESTORE: Final = text(f"""
    UPDATE brand SET name = old.name, description = old.description, logo_url = old.logo_url,
        gone_at = old.gone_at, name_key = '#' || brand.id, updated_at = old.updated_at,
        version = brand.version + 1, saga_id = NULL
    FROM brand_revision revision,
         jsonb_populate_record(NULL::brand, revision.before->'brand') AS old
    WHERE {_OURS}""")

_RESTORE_NAMES: Final = text("""
    UPDATE brand SET name_key = revision.before->'brand'->>'name_key'
    FROM brand_revision revision
    WHERE revision.saga_id = :saga AND brand.id = revision.brand_id
      AND brand.name_key = '#' || brand.id""")

_RESTORE_LINKS: Final = text("""
    UPDATE foreign_brand link SET name = old.name, description = old.description,
        logo_url = old.logo_url, updated_at = old.updated_at, gone_at = old.gone_at,
        saga_id = old.saga_id,
        brand_version = old.brand_version + (brand.version - before_version)
    FROM brand_revision revision JOIN brand ON brand.id = revision.brand_id,
         LATERAL jsonb_populate_recordset(NULL::foreign_brand, revision.before->'links') AS old,
         LATERAL (SELECT CAST(revision.before->'brand'->>'version' AS bigint) AS before_version)
    WHERE revision.saga_id = :saga AND revision.undone_at IS NULL
      AND link.external_id = old.external_id AND link.saga_id = :saga
      AND brand.version = revision.version + 1""")

_CLOSE_UPDATED: Final = text("""
    UPDATE brand_revision SET undone_at = now()
    WHERE saga_id = :saga AND before IS NOT NULL AND undone_at IS NULL""")

UNDO_CREATIONS: Final = (_DELETE_CREATED, _UNLINK, _CLOSE_CREATED)
UNDO_UPDATES: Final = (_ANNOUNCE_BACK, _RESTORE, _RESTORE_NAMES, _RESTORE_LINKS, _CLOSE_UPDATED)
