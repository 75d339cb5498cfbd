"""What to ask the ERP: of which variants, in which currencies, for whom.

Belongs here: which variants are due, and what was asked of them and when. Does not
belong here: what it answers (`price_book.py`, `stock_levels.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

# So many companies, those that bought or looked last: the rules are one a company and variant.
MOST_COMPANIES = 20
# Rows of what is gone are kept so long: an undo may bring a variant back.
GONE_KEPT_DAYS = 1


@dataclass(frozen=True)
class Asked:
    """Variants to ask about.

    Attributes:
        variants: Ours by the ERP's id.
        at: The moment before they are asked about, by the store's clock.
    """

    variants: dict[str, str]
    at: datetime


@dataclass(frozen=True)
class Due:
    """How things stand.

    Attributes:
        oldest_at: When the variant was asked about that was asked about longest ago; None
            for never, and when there is none.
        has_due: Whether one that is tracked was never asked about, or longer ago than allowed,
            or none is tracked yet.
        is_at_work: Whether a refresh is under way.
    """

    oldest_at: datetime | None
    has_due: bool
    is_at_work: bool


def look(connection: Connection, kind: str, mark: str, refresh_seconds: float) -> Due:
    """Tells whether variants are due, in one question.

    Args:
        connection: The store.
        kind: Of the sagas that refresh.
        mark: Name of the mark before which all is out of date.
        refresh_seconds: How old the ERP's word may get.
    """
    names = {"kind": kind, "mark": mark, "seconds": refresh_seconds}
    return Due(**connection.execute(_LOOK, names).mappings().one())


def track_variants(connection: Connection) -> datetime:
    """Notes which variants have an id of the ERP by now; returns the moment, by the store."""
    connection.execute(_TRACK)
    connection.execute(_UNTRACK)
    moment: datetime = connection.execute(text("SELECT now()")).scalar_one()
    return moment


def next_due(
    connection: Connection, before: datetime, mark: str, most: int, skipped: Collection[str] = ()
) -> Asked:
    """Returns tracked variants that were asked about longest ago, the never asked ones first.

    Args:
        connection: The store.
        before: Not those that were asked about at this moment or later,
        mark: unless that was before the mark of this name.
        most: How many.
        skipped: Not these of ours.
    """
    names = {"before": before, "mark": mark, "most": most, "skipped": list(skipped)}
    return _asked(connection, _NEXT_DUE, names)


def named(connection: Connection, external_ids: Sequence[str]) -> Asked:
    """Returns those of these variants that the store has, by the ERP's ids."""
    return _asked(connection, _NAMED, {"ids": list(external_ids)})


def erp_ids_of(connection: Connection, names: Sequence[str]) -> dict[str, list[str]]:
    """Returns the ERP's ids of variants by what a person calls them.

    Args:
        connection: The store.
        names: Ids or handles of products, ids or SKUs of variants.
    """
    found: dict[str, list[str]] = {name: [] for name in names}
    for row in connection.execute(_OF_NAMES, {"names": list(names)}):
        found[row.name].append(row.external_id)
    return found


def note_asked(connection: Connection, asked: Asked, faults: Mapping[str, Sequence[str]]) -> None:
    """Notes that these variants were asked about, and what could not be read.

    Args:
        connection: The transaction that keeps the answers.
        asked: The variants.
        faults: Sentences, by our variant.
    """
    ids = sorted(asked.variants.values())
    connection.execute(_NOTE, {"ids": ids, "at": asked.at})
    if faults:
        rows = [{"id": id_, "faults": list(told)} for id_, told in sorted(faults.items())]
        connection.execute(_NOTE_FAULTS, rows)


def move_mark(connection: Connection, mark: str, message_ids: Sequence[int]) -> None:
    """Declares out of date what was fetched before these messages came."""
    connection.execute(_MOVE_MARK, {"mark": mark, "ids": list(message_ids)})


def currencies(connection: Connection) -> list[str]:
    """Returns the currencies of the store's own prices and of open carts."""
    return list(connection.execute(_CURRENCIES).scalars())


def active_companies(connection: Connection) -> dict[str, str]:
    """Returns the names of our customers' companies by key, those last active, few enough."""
    rows = connection.execute(_COMPANIES, {"most": MOST_COMPANIES})
    return {row.company_key: row.name for row in rows}


def save_companies(
    connection: Connection, groups: Iterable[tuple[str, str, str]], fetched_at: datetime
) -> None:
    """Saves companies.

    Args:
        connection: An open transaction.
        groups: Key, name and customer group of each.
        fetched_at: When the ERP was asked.
    """
    rows = [
        {"key": key, "name": name, "group": group, "at": fetched_at}
        for key, name, group in sorted(groups)
    ]
    if rows:
        connection.execute(_SAVE_COMPANY, rows)


def forget_gone(connection: Connection) -> None:
    """Deletes the rows of what the ERP has said nothing of for a day."""
    for statement in (_FORGET_PRICES, _FORGET_STOCK, _FORGET_RULES, _FORGET_COMPANIES):
        connection.execute(statement, {"days": GONE_KEPT_DAYS})


def _asked(connection: Connection, statement: Any, names: Mapping[str, Any]) -> Asked:
    (at,) = connection.execute(text("SELECT clock_timestamp()")).one()
    rows = connection.execute(statement, names)
    return Asked({external_id: variant_id for variant_id, external_id in rows}, at)


_OF_ERP: Final = "known.system = 'erp' AND known.entity = 'variant'"

# What was asked about before the mark is out of date, however young.
_MARK: Final = "(SELECT at FROM watermark WHERE name = :mark)"

# Three index look-ups: to compare all ids at each tick would cost more than all else. A variant
# that is not tracked yet is found by the next refresh, the first one by the last question.
_LOOK: Final = text(f"""
    SELECT oldest.asked_at AS oldest_at,
           CASE WHEN oldest.tracked THEN
               oldest.asked_at IS NULL
               OR oldest.asked_at < now() - make_interval(secs => :seconds)
               OR coalesce(oldest.asked_at < {_MARK}, false)
           ELSE EXISTS (SELECT FROM external_id known WHERE {_OF_ERP}) END AS has_due,
           EXISTS (SELECT FROM saga WHERE kind = :kind AND lock_key = :kind
                   AND status IN ('running', 'aborting', 'parked')) AS is_at_work
    FROM (VALUES (1)) AS one (row) LEFT JOIN LATERAL (
        SELECT asked_at, true AS tracked FROM asked_variant
        ORDER BY asked_at NULLS FIRST LIMIT 1) AS oldest ON true""")

_TRACK: Final = text(f"""
    INSERT INTO asked_variant (variant_id)
    SELECT DISTINCT internal_id FROM external_id known WHERE {_OF_ERP}
      AND NOT EXISTS (SELECT FROM asked_variant WHERE variant_id = known.internal_id)
    ON CONFLICT DO NOTHING""")

_UNTRACK: Final = text(f"""
    DELETE FROM asked_variant WHERE NOT EXISTS (
        SELECT FROM external_id known WHERE {_OF_ERP} AND known.internal_id = variant_id)""")

_NEXT_DUE: Final = text(f"""
    SELECT due.variant_id, erp.external_id
    FROM (SELECT variant_id, asked_at FROM asked_variant
          WHERE (asked_at IS NULL OR asked_at < :before OR asked_at < {_MARK})
            AND variant_id <> ALL (CAST(:skipped AS text[]))
          ORDER BY asked_at NULLS FIRST, variant_id LIMIT :most) AS due
    CROSS JOIN LATERAL (
        SELECT min(external_id) AS external_id FROM external_id known
        WHERE {_OF_ERP} AND known.internal_id = due.variant_id) AS erp
    WHERE erp.external_id IS NOT NULL""")

_NAMED: Final = text(f"""
    SELECT internal_id, min(external_id) FROM external_id known
    WHERE {_OF_ERP} AND internal_id IN (
        SELECT internal_id FROM external_id known WHERE {_OF_ERP} AND external_id = ANY (:ids))
    GROUP BY internal_id""")

_OF_NAMES: Final = text(f"""
    SELECT asked.name, known.external_id
    FROM unnest(CAST(:names AS text[])) AS asked (name)
    JOIN LATERAL (
        SELECT id FROM variant WHERE id = asked.name OR sku = asked.name OR product_id = asked.name
        UNION SELECT variant.id FROM product JOIN variant ON product_id = product.id
        WHERE handle = asked.name) AS variant ON true
    JOIN external_id known ON {_OF_ERP} AND known.internal_id = variant.id
    ORDER BY 1, 2""")

_NOTE: Final = text("""
    INSERT INTO asked_variant AS asked (variant_id, asked_at)
    SELECT id, :at FROM unnest(CAST(:ids AS text[])) AS variant (id) ORDER BY id
    ON CONFLICT (variant_id) DO UPDATE
    SET asked_at = greatest(asked.asked_at, excluded.asked_at), faults = '{}'""")

_NOTE_FAULTS: Final = text("UPDATE asked_variant SET faults = :faults WHERE variant_id = :id")

_MOVE_MARK: Final = text("""
    INSERT INTO watermark (name, at, total)
    SELECT :mark, max(received_at), 0 FROM message WHERE id = ANY (:ids)
    ON CONFLICT (name) DO UPDATE SET at = greatest(watermark.at, excluded.at)""")

_CURRENCIES: Final = text("""
    SELECT currency_code FROM price
    UNION SELECT currency_code FROM cart WHERE completed_at IS NULL ORDER BY 1""")

_COMPANIES: Final = text("""
    SELECT company_key, min(company_name) AS name
    FROM customer LEFT JOIN cart ON cart.customer_id = customer.id
    WHERE company_key IS NOT NULL AND company_name IS NOT NULL
    GROUP BY company_key
    ORDER BY max(greatest(customer.updated_at, cart.updated_at)) DESC, company_key LIMIT :most""")

_SAVE_COMPANY: Final = text("""
    INSERT INTO company (name_key, name, customer_group, fetched_at)
    VALUES (:key, :name, :group, :at)
    ON CONFLICT (name_key) DO UPDATE
    SET name = excluded.name, customer_group = excluded.customer_group,
        fetched_at = excluded.fetched_at
    WHERE company.fetched_at <= excluded.fetched_at""")

_GONE: Final = "fetched_at < now() - make_interval(days => :days)"
_FORGET_PRICES: Final = text(f"DELETE FROM price_book WHERE {_GONE}")
# What is reserved is still owed to orders.
_FORGET_STOCK: Final = text(f"DELETE FROM stock_level WHERE {_GONE} AND reserved = 0")
_FORGET_RULES: Final = text(f"DELETE FROM purchase_rule WHERE {_GONE}")
_FORGET_COMPANIES: Final = text(f"DELETE FROM company WHERE {_GONE}")
