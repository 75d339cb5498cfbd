"""Brands as people and other flows see them, and how far the other side was read.

Belongs here: reading, the changes of the store's own people, watermarks. Does not
belong here: what a sync writes (`brand_changes.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from commerce_pipelines.domain.brands import (
    BrandChanges,
    BrandFacts,
    ForeignBrand,
    StoredBrand,
    WantedBrand,
)
from commerce_pipelines.domain.catalog import fold_name
from commerce_pipelines.errors import Conflict
from commerce_pipelines.store.announcements import announce_brands, announce_stale_documents
from commerce_pipelines.store.brand_ids import new_brand_id
from commerce_pipelines.store.brand_staging import keep_others_out


@dataclass(frozen=True)
class SyncState:
    """What is known of the other side before it is asked.

    Attributes:
        read_until: The latest change there that was read; None before the first sync.
        total: How many brands there were then.
        recent: What the brands changed about then looked like, by external id.
    """

    read_until: datetime | None
    total: int
    recent: dict[str, BrandFacts]


def load_sync_state(connection: Connection, name: str, overlap_seconds: float) -> SyncState:
    """Returns what was read last, and the brands that were changed just before it."""
    names = {"name": name, "overlap": overlap_seconds}
    row = connection.execute(_SYNC_STATE, names).one_or_none()
    if row is None:
        return SyncState(None, 0, {})
    return SyncState(row.at, row.total, {key: BrandFacts(*v) for key, v in row.recent.items()})


def present_links(connection: Connection) -> set[str]:
    """Returns the external ids that were there when the other side was last read."""
    return set(connection.execute(_PRESENT).scalars())


def move_watermark(
    connection: Connection, name: str, at: datetime | None, total: int
) -> dict[str, Any]:
    """Notes how far a system was read; returns what was noted before, for `reset_watermark`.

    Args:
        connection: An open transaction.
        name: Of the watermark.
        at: The latest change that was read; None if there was none.
        total: How many records the system has.
    """
    names = {"name": name, "at": at, "total": total}
    before: dict[str, Any] = connection.execute(_MOVE_WATERMARK, names).scalar_one()
    return before


def reset_watermark(connection: Connection, name: str, before: Any) -> None:
    """Has a system read again from where it was, unless it was read further since."""
    connection.execute(RESET_WATERMARK, {"name": name, **before})


def save_brand(connection: Connection, wanted: WantedBrand) -> tuple[StoredBrand, str]:
    """Creates a brand or changes the one of the same name, as the store's people do.

    Args:
        connection: An open transaction.
        wanted: What it shall be; what it does not say of a known brand stays.

    Returns:
        The brand, and `created`, `changed` or `unchanged`.
    """
    keep_others_out(connection)
    names = {**_fields(wanted.facts), "key": fold_name(wanted.name)}
    created = connection.execute(_INSERT, names).scalar_one_or_none()
    if created:
        return _reloaded(connection, created), "created"
    known = connection.execute(text("SELECT id FROM brand WHERE name_key = :key"), names)
    return _changed(connection, _reloaded(connection, known.scalar_one()), wanted)


def change_brand(
    connection: Connection, brand_id: str, changes: BrandChanges
) -> tuple[StoredBrand, str] | None:
    """Changes a brand, its name too, as the store's people do; None if there is none.

    Raises:
        Conflict: Another brand has the name.
    """
    keep_others_out(connection)
    known = load_brand(connection, brand_id)
    return None if known is None else _changed(connection, known, changes)


def announce(connection: Connection, brand_id: str) -> None:
    """Has a brand brought to the brand system."""
    connection.execute(_ANNOUNCE, {"id": brand_id})


def load_brand(connection: Connection, brand_id: str) -> StoredBrand | None:
    """Returns one brand; None if there is none."""
    row = connection.execute(_ONE, {"id": brand_id}).mappings().one_or_none()
    return None if row is None else StoredBrand(**row)


def list_brands(connection: Connection, *, after: str, limit: int) -> list[StoredBrand]:
    """Returns brands in the order of their ids."""
    rows = connection.execute(_LIST, {"after": after, "limit": limit}).mappings()
    return [StoredBrand(**row) for row in rows]


def count_brands(connection: Connection) -> int:
    """Returns how many brands there are."""
    return int(connection.execute(text("SELECT count(*) FROM brand")).scalar_one())


def linked_ids(connection: Connection, external_ids: Sequence[str]) -> set[str]:
    """Returns which of these external ids are linked to a brand."""
    return set(connection.execute(_LINKED, {"ids": list(external_ids)}).scalars())


def load_link(connection: Connection, brand_id: str) -> ForeignBrand | None:
    """Returns the other side's brand as it was when we last agreed; None without one."""
    row = connection.execute(_LINK_OF, {"id": brand_id}).one_or_none()
    return None if row is None else ForeignBrand(*row)


def save_link(
    connection: Connection, saga_id: str, brand_id: str, version: int, there: ForeignBrand
) -> Any:
    """Notes what the other side has of a brand now; returns what was noted before, or None."""
    names = {
        "external_id": there.external_id,
        "brand": brand_id,
        "version": version,
        "updated_at": there.updated_at,
        "saga": saga_id,
        **_fields(there.facts),
    }
    before = connection.execute(_LINK_BEFORE, names).scalar_one_or_none()
    connection.execute(_SAVE_LINK, names)
    return before


def restore_link(connection: Connection, saga_id: str, external_id: str, before: Any) -> bool:
    """Takes a saga's note back; False if somebody has noted something else since."""
    names = {"external_id": external_id, "saga": saga_id, "before": before}
    statement = DROP_LINK if before is None else RESTORE_LINK
    return connection.execute(statement, names).rowcount > 0


def _fields(facts: BrandFacts) -> dict[str, str | None]:
    return {"title": facts.name, "description": facts.description, "logo_url": facts.logo_url}


def _changed(
    connection: Connection, known: StoredBrand, changes: BrandChanges
) -> tuple[StoredBrand, str]:
    facts = changes.over(known.facts)
    names = {**_fields(facts), "key": fold_name(facts.name), "id": known.id}
    taken = connection.execute(
        text("SELECT id FROM brand WHERE name_key = :key AND id <> :id"), names
    ).scalar_one_or_none()
    if taken is not None:
        raise Conflict(f"The name {facts.name} belongs to another brand, {taken}.")
    changed = connection.execute(_CHANGE, names).rowcount
    if facts.name != known.name:
        connection.execute(_ANNOUNCE_RENAMED, names)
    return _reloaded(connection, known.id), "changed" if changed else "unchanged"


def _reloaded(connection: Connection, brand_id: str) -> StoredBrand:
    return StoredBrand(**connection.execute(_ONE, {"id": brand_id}).mappings().one())


_SYNC_STATE: Final = text("""
    SELECT at, total, coalesce((
        SELECT jsonb_object_agg(external_id, jsonb_build_array(name, description, logo_url))
        FROM foreign_brand
        WHERE updated_at >= watermark.at - make_interval(secs => :overlap)
          AND gone_at IS NULL), '{}') AS recent
    FROM watermark WHERE name = :name""")

_LINKED: Final = text("""
    SELECT external_id FROM foreign_brand WHERE external_id = ANY (:ids)""")

_PRESENT: Final = text("SELECT external_id FROM foreign_brand WHERE gone_at IS NULL")

# A time in the future would hide the changes that come before it.
_MOVE_WATERMARK: Final = text("""
    WITH before AS (SELECT at, total FROM watermark WHERE name = :name),
    moved AS (
        INSERT INTO watermark (name, at, total)
        VALUES (:name, least(coalesce(CAST(:at AS timestamptz), to_timestamp(0)), now()), :total)
        ON CONFLICT (name) DO UPDATE SET at = greatest(watermark.at, excluded.at),
                                         total = excluded.total
        RETURNING at)
    SELECT jsonb_build_object('at', before.at, 'total', before.total, 'moved_to', moved.at)
    FROM moved LEFT JOIN before ON true""")

RESET_WATERMARK: Final = text("""
    WITH forgotten AS (
        DELETE FROM watermark WHERE name = :name AND at = CAST(:moved_to AS timestamptz)
          AND CAST(:at AS timestamptz) IS NULL)
    UPDATE watermark SET at = CAST(:at AS timestamptz), total = CAST(:total AS bigint)
    WHERE name = :name AND at = CAST(:moved_to AS timestamptz)
      AND CAST(:at AS timestamptz) IS NOT NULL""")

_INSERT: Final = text(f"""
    INSERT INTO brand (id, name, name_key, description, logo_url)
    VALUES ({new_brand_id("CAST(:key AS text)")}, :title, :key, :description, :logo_url)
    ON CONFLICT (name_key) DO NOTHING RETURNING id""")

# What an import created and somebody asks for by name is no longer the import's to take back.
_CHANGE: Final = text("""
    UPDATE brand SET name = :title, name_key = :key, description = :description,
        logo_url = :logo_url, version = version + 1, saga_id = NULL, updated_at = now()
    WHERE id = :id AND (
        (name, description, logo_url) IS DISTINCT FROM
        (:title, CAST(:description AS text), CAST(:logo_url AS text))
        OR saga_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM foreign_brand WHERE brand_id = brand.id))""")

_ANNOUNCE: Final = text(announce_brands("SELECT id, NULL AS saga_id FROM brand WHERE id = :id"))

_ANNOUNCE_RENAMED: Final = text(announce_stale_documents("SELECT CAST(:id AS text)"))

# One that was gone there and was pushed anew is there again.
_BRAND: Final = """
    SELECT brand.id, brand.name, brand.description, brand.logo_url, brand.version,
           brand.created_at, brand.updated_at,
           CASE WHEN NOT EXISTS (SELECT FROM foreign_brand alive WHERE brand_id = brand.id
                                 AND alive.gone_at IS NULL) THEN brand.gone_at END AS gone_at,
           coalesce((SELECT array_agg(external_id ORDER BY external_id) FROM foreign_brand
                     WHERE brand_id = brand.id AND foreign_brand.gone_at IS NULL),
                    '{}') AS external_ids
    FROM brand"""

_ONE: Final = text(f"{_BRAND} WHERE brand.id = :id")

_LIST: Final = text(f"{_BRAND} WHERE brand.id > :after ORDER BY brand.id LIMIT :limit")

# The one with the lowest external id speaks for the brand.
_LINK_OF: Final = text("""
    SELECT external_id, name, description, logo_url, updated_at FROM foreign_brand
    WHERE brand_id = :id AND gone_at IS NULL ORDER BY external_id LIMIT 1""")

_LINK_BEFORE: Final = text("""
    SELECT to_jsonb(foreign_brand) FROM foreign_brand
    WHERE external_id = :external_id FOR UPDATE""")

# A brand that has got another version meanwhile, but says the same, is agreed about too.
_SAVE_LINK: Final = text("""
    INSERT INTO foreign_brand (external_id, brand_id, name, description, logo_url, updated_at,
                               brand_version, saga_id)
    SELECT :external_id, id, :title, :description, :logo_url, :updated_at,
           CASE WHEN (name, description, logo_url) IS NOT DISTINCT FROM
                     (:title, CAST(:description AS text), CAST(:logo_url AS text))
                THEN version ELSE :version END, :saga
    FROM brand WHERE id = :brand
    ON CONFLICT (external_id) DO UPDATE SET brand_id = excluded.brand_id, name = excluded.name,
        description = excluded.description, logo_url = excluded.logo_url,
        updated_at = excluded.updated_at, brand_version = excluded.brand_version,
        gone_at = NULL, saga_id = excluded.saga_id""")

DROP_LINK: Final = text("""
    DELETE FROM foreign_brand WHERE external_id = :external_id AND saga_id = :saga""")

RESTORE_LINK: Final = text("""
    UPDATE foreign_brand link SET name = old.name, description = old.description,
        logo_url = old.logo_url, updated_at = old.updated_at, gone_at = old.gone_at,
        brand_id = old.brand_id, brand_version = old.brand_version, saga_id = old.saga_id
    FROM jsonb_populate_record(NULL::foreign_brand, :before) AS old
    WHERE link.external_id = :external_id AND link.saga_id = :saga""").bindparams(
    bindparam("before", type_=JSONB)
)
