"""Whether the price book can be trusted, in words for a person.

Does not belong here: numbers about it (`store.price_book_figures`).
"""

from __future__ import annotations

from sqlalchemy import Connection

from commerce_pipelines.services.attention import Concern, Concerns
from commerce_pipelines.store.price_book_figures import count_stale


def age_concerns(connection: Connection, fresh_seconds: float | None) -> Concerns:
    """Returns one concern when carts no longer trust rows; the words do not change with the time.

    Args:
        connection: The store.
        fresh_seconds: How old a word of the ERP may be for a cart; None where there is no ERP.
    """
    if fresh_seconds is None or not count_stale(connection, fresh_seconds, 1):
        return Concerns(0, [])
    concern = Concern(
        about="erp",
        ids={},
        problem="Prices and stock of some variants are older than "
        f"{fresh_seconds / 60:g} minutes: each cart asks the ERP itself.",
        advice="Look whether runs of price_book_refresh fail, and whether Dagster's daemon and "
        "its sensor price_book run.",
        commands={"commerce-pipelines messages list": "see which of the ERP's changes wait"},
    )
    return Concerns(1, [concern])
