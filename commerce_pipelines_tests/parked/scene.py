"""An import of three products that is broken off, and a CMS where editors go on working."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from commerce_pipelines.errors import CommerceError
from commerce_pipelines.saga.compensation import MOST_TRIES
from commerce_pipelines_tests.factories import full_product, product
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import Shop
from commerce_pipelines_tests.services.test_import_undo import publish_and_die
from commerce_pipelines_tests.store.catalog import Catalog

OLD = "Product 1"
STORY = "Made by hand"


@dataclass
class Scene:
    """A shop with two products, one of which an editor works on.

    Attributes:
        store: What the store held before the import.
        documents: What Sanity is to hold in the end, by id.
        saga_id: The saga of the import.
    """

    shop: Shop
    cms: Cms
    store: dict[str, Counter[str]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    saga_id: str = ""

    @property
    def catalog(self) -> Catalog:
        """What the store holds."""
        return Catalog(self.shop.engine)

    def start(self) -> None:
        """Fills the shop."""
        self.shop.take(full_product(1), product(2, description="old"))
        self.store = self.catalog.dump()
        self.documents = self._documents()

    def import_and_die(self) -> None:
        """Imports on both sides in a run that dies before it ends the saga."""
        self.saga_id = publish_and_die(self.shop, *CHANGES)
        self.edit()

    def import_in_doubt(self, *, landed: bool) -> None:
        """Imports while Sanity answers nothing but errors."""
        self.cms.fault("unavailable_after" if landed else "unavailable_before", times=None)
        self.shop.receive(*CHANGES)
        with pytest.raises(CommerceError):
            self.shop.run()
        self.cms.heal()
        (self.saga_id,) = self.shop.values("SELECT saga_id FROM saga WHERE status = 'aborting'")
        self.edit()

    def edit(self) -> None:
        """Has an editor add a field to one document and rewrite a field of ours in another."""
        first, second = self.documents
        self.cms.edit(first, set={"story": STORY})
        self.cms.edit(second, set={"title": "Edited"})
        self.documents[first]["story"] = STORY
        self.documents[second]["title"] = "Edited"

    def document_of(self, title: str) -> str:
        """Returns a document's id."""
        return str(self.cms.documents()[title]["_id"])

    def park(self, shop: Shop | None = None) -> None:
        """Lets the sweep try until it gives up."""
        for _ in range(MOST_TRIES):
            (shop or self.shop).recover()
            self.shop.make_due()
        assert self.status() == "parked"

    def status(self) -> str:
        """Returns the saga's status."""
        return str(
            self.shop.values("SELECT status FROM saga WHERE saga_id = :id", id=self.saga_id)[0]
        )

    def assert_undone(self) -> None:
        """Looks whether all is as before, but for what others changed."""
        self.shop.make_due()
        self.shop.recover()
        assert self.status() == "compensated"
        assert self.catalog.dump() == self.store
        assert self._documents() == self.documents

    def _documents(self) -> dict[str, dict[str, Any]]:
        ours = [one for one in self.cms.documents().values() if one["_type"] == "product"]
        return {
            document["_id"]: {
                name: document[name] for name in document.keys() - {"_rev", "_updatedAt"}
            }
            for document in sorted(ours, key=lambda one: str(one["title"]))
        }


CHANGES = (
    product(1, title="New", brand="Other", variants=[], images=[]),
    product(2, title="New 2", description=None),
    product(3),
)
