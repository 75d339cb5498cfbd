"""Taking in what the ERP says has changed, as messages of the inbox.

    {"type": "price_book.changed", "variants": ["…"]}     these, by the ERP's ids
    {"type": "price_book.changed"}                        all of them

A message only says where to look; prices are fetched (`price_book_refresh.py`). Does
not belong here: HTTP (`endpoint`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection

from commerce_pipelines.domain.strict_json import loads
from commerce_pipelines.errors import InvalidInput, NotFound
from commerce_pipelines.store import messages
from commerce_pipelines.store.price_questions import erp_ids_of

TOPIC = "price_book"
CHANGED = "price_book.changed"
LONGEST_ID = 255
# Of messages that a person asked for.
SOURCE = "launchpad"


def part(body: bytes) -> messages.Part:
    """Returns a body as a message, as it came.

    Raises:
        InvalidInput: It does not say what has changed.
    """
    variants = changed_variants(body)
    return messages.Part(body, item_count=max(1, len(variants or ())))


def changed_variants(body: bytes) -> list[str] | None:
    """Returns which variants have changed, each once, by the ERP's ids; None for all.

    Raises:
        InvalidInput: It does not say what has changed.
    """
    change = loads(body)
    if not isinstance(change, dict) or change.get("type") != CHANGED:
        raise InvalidInput(f'It has no "type": "{CHANGED}".')
    variants = change.get("variants")
    if variants is None:
        return None
    if not isinstance(variants, list) or not all(_is_id(each) for each in variants):
        raise InvalidInput('"variants" must be a list of ids, each a text.')
    return list(dict.fromkeys(variants))


def deliver(
    connection: Connection, source: str, webhook_id: str, variants: Sequence[str] | None
) -> None:
    """Puts a change of these variants into the inbox, by the ERP's ids; None for all."""
    change = {"type": CHANGED} if variants is None else {"type": CHANGED, "variants": variants}
    body = json.dumps(change, ensure_ascii=False).encode()
    messages.receive(connection, source, webhook_id, TOPIC, [part(body)])


def ask_for(
    connection: Connection, webhook_id: str, names: Sequence[str], *, whole: bool = False
) -> None:
    """Has variants fetched as if the ERP had said that they changed.

    Args:
        connection: An open transaction.
        webhook_id: What tells this wish from others.
        names: Ids or handles of products, ids or SKUs of variants.
        whole: All of them.

    Raises:
        NotFound: A name is none of ours, or the ERP does not know it.
    """
    found = erp_ids_of(connection, names)
    missing = [name for name, ids in found.items() if not ids]
    if missing:
        raise NotFound(f"No variant with an id of the ERP is called {', '.join(missing)}.")
    variants = None if whole else list(dict.fromkeys(id_ for ids in found.values() for id_ in ids))
    deliver(connection, SOURCE, webhook_id, variants)


def _is_id(value: object) -> bool:
    # The store takes no NUL and no half character.
    return (
        isinstance(value, str)
        and 0 < len(value) <= LONGEST_ID
        and "\0" not in value
        and not any("\ud800" <= letter <= "\udfff" for letter in value)
    )
