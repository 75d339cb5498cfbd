"""The acts of the demo: each does something and checks what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.cli.demo_brands import Brands
from commerce_pipelines.cli.demo_shop import Shop

EDITED_FIELD = "careNotes"
EDIT = "Wipe with a dry cloth."
NEW_BRAND = {
    "name": "Demo Bakelite",
    "description": "Switches that click.",
    "logo_url": "https://example.com/logos/bakelite.svg",
}
RENAMED = "Demo Renamed"
NEW_IDS = ("demo-lantern", "demo-hammock", "demo-flask")


@dataclass(frozen=True)
class Check:
    """Something that must be so, and what was seen."""

    what: str
    expected: object
    seen: object

    @property
    def passed(self) -> bool:
        """Tells whether it is so."""
        return self.expected == self.seen


def import_by_webhook(shop: Shop) -> Iterator[Check]:
    """The PIM sends its catalogue; store and Sanity have it."""
    count = len(shop.pim_products())
    outcome = _finish(shop, shop.send_products())
    yield Check("products created in the store", count, outcome["created"])
    yield Check("products the store shows", count, len(shop.store_titles()))
    yield Check("documents in Sanity", count, len(shop.documents()))


def import_again(shop: Shop) -> Iterator[Check]:
    """The PIM sends the same once more; nothing is written."""
    before = shop.count_mutations()
    count = len(shop.pim_products())
    outcome = _finish(shop, shop.send_products())
    yield Check("products found unchanged", count, outcome["unchanged"])
    yield Check("requests that changed Sanity", 0, shop.count_mutations() - before)


def break_and_undo(shop: Shop) -> Iterator[Check]:
    """Sanity fails in the middle: what was created is gone, an editor's work is kept."""
    changed = shop.pim_products()[0]
    identity, old_title = changed["external_id"], changed["title"]
    document = shop.documents()[identity]
    shop.edit_document(document["_id"], {EDITED_FIELD: EDIT})
    new = [{"title": id_.removeprefix("demo-").title(), "external_id": id_} for id_ in NEW_IDS]
    shop.break_sanity()
    message_id = shop.send_products([{**changed, "title": f"{old_title} II"}, *new])
    shop.wait_for("the import to give up", _failed(shop, message_id))
    yield Check("while it is broken: half-done documents", 3, _count_new(shop.documents()))
    shop.mend()
    titles, documents = shop.wait_for("the undo", _undone(shop, identity, old_title))
    yield Check("undone: new products in the store", 0, _count_new(titles))
    yield Check("undone: new documents in Sanity", 0, _count_new(documents))
    yield Check("undone: the changed title in the store", old_title, titles[identity])
    yield Check("undone: the changed title in Sanity", old_title, documents[identity]["title"])
    yield Check("an editor's field in that document", EDIT, documents[identity].get(EDITED_FIELD))
    outcome = _finish(shop, message_id)
    yield Check("then by itself: created", 3, outcome["created"])
    yield Check(
        "then by itself: the editor's field", EDIT, shop.documents()[identity].get(EDITED_FIELD)
    )


def bring_brands_both_ways(shop: Shop) -> Iterator[Check]:
    """The brand system's brands come in, the store's go out, and nothing comes back."""
    brands = Brands(shop)
    stored = shop.wait_for("the catalogue's brands there", brands.pushed)
    there = brands.there()
    names = {brand["name"] for brand in there.values()}
    yield Check("of the store's brands, in the brand system", len(stored), len(names & {*stored}))
    here = brands.synced("the brands", lambda seen: len(seen) >= len(there))
    yield Check("brands of the brand system in the store", len(there), len(here))
    changes = shop.count_mutations("brands")
    renamed = min(there)
    brands.rename_there(renamed, RENAMED)
    here = brands.synced("its name", lambda seen: seen[renamed]["name"] == RENAMED)
    yield Check("renamed there: its name in the store", RENAMED, here[renamed]["name"])
    created = brands.create_here(NEW_BRAND)
    # Only when it is linked it is there; until then the brand system is not asked.
    shop.wait_for("the new brand", brands.here_if(lambda seen: len(seen) > len(there)))
    made = brands.there_named(NEW_BRAND["name"])
    yield Check("created in the store: in the brand system", 1, len(made))
    told = [", ".join(each[name] for name in NEW_BRAND) for each in (NEW_BRAND, *made.values())]
    yield Check("what that says", told[0], told[-1])
    brands.sync()
    version = next(each["version"] for id_, each in brands.here().items() if id_ in made)
    yield Check("no echo: its version", created["version"], version)
    changed = shop.count_mutations("brands") - changes
    yield Check("no echo: changes in the brand system", 2, changed)


ACTS: dict[str, Callable[[Shop], Iterator[Check]]] = {
    "1. The PIM sends its catalogue": import_by_webhook,
    "2. The PIM sends the same again": import_again,
    "3. Sanity breaks in the middle of an import": break_and_undo,
    "4. Brands, both ways": bring_brands_both_ways,
}


def _finish(shop: Shop, message_id: int) -> dict[str, Any]:
    message = shop.wait_for("the import", lambda: shop.finished_message(message_id))
    return dict(message["outcome"])


def _failed(shop: Shop, message_id: int) -> Callable[[], str | None]:
    return lambda: shop.message(message_id)["last_error"]


def _undone(
    shop: Shop, identity: str, old_title: str
) -> Callable[[], tuple[dict[str, str], dict[str, Any]] | None]:
    def look() -> tuple[dict[str, str], dict[str, Any]] | None:
        titles, documents = shop.store_titles(), shop.documents()
        left = _count_new(titles) + _count_new(documents)
        return None if left or titles[identity] != old_title else (titles, documents)

    return look


def _count_new(by_external_id: dict[str, Any]) -> int:
    return sum(id_ in by_external_id for id_ in NEW_IDS)
