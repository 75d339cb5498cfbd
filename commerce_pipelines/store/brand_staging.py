"""What the other side says of brands, beside what the store has, and what is to be done.

    create     nobody here has the name          adopt    a brand here has it: link, then update
    update     changed there since we agreed     lost     changed on both sides, ours is newer
    unchanged  as when we last agreed            refused  the name belongs to another brand
    alias      changed there, but another one there speaks for our brand

Identity is the external id. Two brands there with one name (case and accents
folded) are one brand here; the one with the lower external id speaks for it. An
alias that gets another name there is a brand of its own from then on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, text

from commerce_pipelines.domain.brands import ForeignBrand
from commerce_pipelines.domain.catalog import fold_name
from commerce_pipelines.store.brand_ids import new_brand_id


@dataclass(frozen=True)
class Decided:
    """What is to be done with one brand of the other side.

    Attributes:
        brand_id: The brand here; of a new one the id that it will have.
        action: See the module.
        note: Why it was refused, or lost to what.
    """

    external_id: str
    brand_id: str
    action: str
    note: str | None


def keep_others_out(connection: Connection) -> None:
    """Lets nobody else change brands or products until the end of the transaction."""
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('catalog_import'))"))


def decide(connection: Connection, brands: Sequence[ForeignBrand]) -> list[Decided]:
    """Stages the other side's brands and decides about each, in the order of their ids.

    Args:
        connection: An open transaction; who acts on the decision keeps others out first.
        brands: Each external id once.
    """
    connection.execute(_STAGE_TABLE)
    connection.execute(text("TRUNCATE staged_brand"))
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        for brand in sorted(brands, key=lambda each: each.external_id):
            copy.write_row(
                (brand.external_id, brand.name, brand.name.strip(), fold_name(brand.name),
                 brand.description, brand.logo_url, brand.updated_at)
            )  # fmt: skip
    for statement in (_ANALYZE, _DECIDE, _REFUSE_NAMES):
        connection.execute(statement)
    return [Decided(*row) for row in connection.execute(_DECISIONS)]


_STAGE_TABLE: Final = text("""
    CREATE TEMP TABLE IF NOT EXISTS staged_brand (
        external_id text, name text, shown_name text, name_key text, description text,
        logo_url text, updated_at timestamptz, brand_id text, action text,
        note text) ON COMMIT DROP""")

_COPY: Final = """
    COPY staged_brand (external_id, name, shown_name, name_key, description, logo_url, updated_at)
    FROM STDIN"""

_ANALYZE: Final = text("ANALYZE staged_brand (external_id, name_key)")

# What was read before somebody else noted a newer change is old news: nothing is done about it.
_DECIDE: Final = text(f"""
    UPDATE staged_brand staged SET
        brand_id = coalesce(mine.id, named.id, {new_brand_id("staged.name_key")}),
        action = CASE
            WHEN mine.id IS NULL AND (named.id IS NOT NULL OR self.turn > 1) THEN 'adopt'
            WHEN mine.id IS NULL THEN 'create'
            WHEN link.updated_at > self.updated_at AND link.gone_at IS NULL THEN 'unchanged'
            WHEN (link.name, link.description, link.logo_url)
                 IS NOT DISTINCT FROM (self.name, self.description, self.logo_url)
                 AND link.gone_at IS NULL AND link.brand_version > 0 THEN 'unchanged'
            WHEN speaker.external_id IS NOT NULL THEN 'alias'
            WHEN mine.version <> link.brand_version AND link.brand_version > 0
                 AND mine.updated_at > self.updated_at THEN 'lost'
            ELSE 'update' END,
        note = CASE WHEN mine.version <> link.brand_version AND mine.updated_at > self.updated_at
                    THEN 'changed here later, at ' || mine.updated_at END
    FROM (SELECT *, row_number() OVER (PARTITION BY name_key ORDER BY external_id) AS turn
          FROM staged_brand) AS self
    LEFT JOIN foreign_brand link ON link.external_id = self.external_id
    LEFT JOIN LATERAL (
        SELECT other.external_id FROM foreign_brand other
        WHERE other.brand_id = link.brand_id AND other.external_id < self.external_id
          AND other.gone_at IS NULL LIMIT 1) AS speaker ON true
    LEFT JOIN brand mine ON mine.id = link.brand_id
         AND (mine.name_key = self.name_key OR speaker.external_id IS NULL)
    LEFT JOIN brand named ON mine.id IS NULL AND named.name_key = self.name_key
    WHERE staged.external_id = self.external_id""")

# Unless that other brand takes another name in the same moment, as when two swap theirs.
_REFUSE_NAMES: Final = text("""
    UPDATE staged_brand staged SET action = 'refused',
        note = 'the name ' || staged.name || ' belongs to another brand, ' || taken.id
    FROM brand taken
    WHERE staged.action = 'update' AND taken.name_key = staged.name_key
      AND taken.id <> staged.brand_id
      AND NOT EXISTS (SELECT FROM staged_brand other WHERE other.brand_id = taken.id
                      AND other.action = 'update' AND other.name_key <> taken.name_key)""")

_DECISIONS: Final = text("""
    SELECT external_id, brand_id, action, note FROM staged_brand ORDER BY external_id""")
