"""A product that an update changes on both sides, and every way in which the ERP parks it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from commerce_pipelines.domain.erp_products import ErpDetails
from commerce_pipelines_tests.parked.erp_scene import ErpScene, RestlessErp, dying, unconfigured
from commerce_pipelines_tests.services.erp_side import Side

THEIRS = "Written by somebody there"


class UpdateScene(ErpScene):
    """A product that an update changes on both sides, until it is given up.

    Attributes:
        store: What the store held before.
        there: What the ERP is to hold in the end.
    """

    store: dict[str, Counter[str]]
    there: ErpDetails

    def start(self) -> None:
        """Has the product on both sides."""
        self.side = Side(self.ledger, self.erp, self.world)
        self.store, self.there = self.side.catalog.dump(), self.side.there.details

    def update_and_die(self) -> None:
        """Changes both sides in a run that dies before it ends the saga."""
        with dying(self.change):
            self._update("dies")
        self.edit()

    def update_without_erp(self) -> None:
        """Changes the store, and does not get as far as the ERP."""
        self.side.erp = self.open(api_key="revoked")
        self._update("401")
        self.side.erp = self.erp

    def update_in_doubt(self, *, landed: bool) -> None:
        """Updates while the ERP answers its change with nothing but errors."""
        self.silence("unavailable_after" if landed else "unavailable_before", "PUT")
        self._update("503")

    def edit(self) -> None:
        """Has somebody there change a field that we have changed too."""
        self.world.change(self.side.erp_id, description=THEIRS)
        self.there = replace(self.there, description=THEIRS)

    def silence(self, kind: str, method: str) -> None:
        """Has the ERP show a fault until it is healed."""
        self.world.fault(kind, method=method, times=None)

    def assert_undone(self) -> None:
        """Looks whether all is as before, but for what others changed."""
        self.sweep()
        assert self.status() == "compensated"
        assert self.side.catalog.dump() == self.store
        there = self.side.there.details
        assert (there.title, there.description) == (self.there.title, self.there.description)
        assert set(there.variants) == set(self.there.variants)

    def _update(self, error: str) -> None:
        with pytest.raises(Exception, match=error):
            self.side.update(**self.side.big())
        ((self.saga_id,),) = self.rows("SELECT saga_id FROM saga WHERE status = 'aborting'")


def silent(kind: str, method: str) -> Callable[[UpdateScene], None]:
    """The ERP answers with errors until the tries are used up."""

    def park(scene: UpdateScene) -> None:
        scene.update_and_die()
        scene.silence(kind, method)
        scene.park()

    return park


def key_lost(scene: UpdateScene) -> None:
    """The key is no good any more."""
    scene.update_and_die()
    scene.park(scene.without_key())


def not_configured(scene: UpdateScene) -> None:
    """Nobody says any more where the ERP is."""
    scene.update_and_die()
    scene.park(unconfigured())


def restless_people(scene: UpdateScene) -> None:
    """Somebody there writes each time between our look and our write."""
    scene.update_and_die()
    restless, numbers = scene.open(RestlessErp), count()
    kept = scene.side.there.details.variants
    restless.before_write = lambda: scene.world.change(
        scene.side.erp_id, description=f"{THEIRS} {next(numbers)}"
    )
    scene.park(restless)
    assert scene.side.there.details.variants == kept
    scene.there = replace(scene.there, description=scene.side.there.details.description)


def in_doubt(*, landed: bool) -> Callable[[UpdateScene], None]:
    """The answer never came, and does not come when it is sent again."""

    def park(scene: UpdateScene) -> None:
        scene.update_in_doubt(landed=landed)
        scene.park()

    return park


def in_doubt_without_key(*, landed: bool) -> Callable[[UpdateScene], None]:
    """The answer never came, and the key is no good any more."""

    def park(scene: UpdateScene) -> None:
        scene.update_in_doubt(landed=landed)
        scene.heal()
        scene.park(scene.without_key())

    return park


def in_doubt_and_changed_there(scene: UpdateScene) -> None:
    """The change never came, and somebody there has made another one."""
    in_doubt(landed=False)(scene)
    scene.edit()


WAYS: dict[str, tuple[Callable[[UpdateScene], None], str]] = {
    "the key is lost": (key_lost, "401"),
    "it is not configured": (not_configured, "Set ERP_URL"),
    "writes fail": (silent("unavailable_before", "PUT"), "503"),
    "writes are too many": (silent("rate_limited", "PUT"), "429"),
    "reads fail": (silent("html_error", "GET"), "502"),
    "people are restless": (restless_people, "changes faster"),
    "in doubt, landed": (in_doubt(landed=True), "503"),
    "in doubt, not landed": (in_doubt(landed=False), "503"),
    "in doubt, landed, no key": (in_doubt_without_key(landed=True), "401"),
    "in doubt, not landed, no key": (in_doubt_without_key(landed=False), "401"),
    "in doubt, changed there": (in_doubt_and_changed_there, "503"),
}
