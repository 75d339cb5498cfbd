"""An order whose export is given up, and every way in which the ERP parks it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.domain.orders import ErpOrder
from commerce_pipelines.errors import CommerceError, Unauthorised
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.services.order_export import OrderExport
from commerce_pipelines.services.order_steps import CreateErpOrder
from commerce_pipelines.store import messages
from commerce_pipelines_tests.orders import PLACED_AT
from commerce_pipelines_tests.parked.erp_scene import ErpScene, dying, unconfigured
from commerce_pipelines_tests.services.order_desk import Desk

ORDER = "order_1"


class ReadOnlyErp(RestErp):
    """An ERP that lets us cancel nothing."""

    def cancel_order(self, external_id: str) -> ErpOrder:
        """Refuses."""
        raise Unauthorised("POST /cancel answered 403")


class ExportScene(ErpScene):
    """An order whose export is given up."""

    def start(self) -> None:
        """Places the order."""
        self.desk = Desk(self.ledger)
        self.desk.place(ORDER)

    def draft_and_die(self) -> str:
        """Makes a draft in a run that dies before it confirms it; returns its id."""
        saga_id = self._claim()
        create = CreateErpOrder(self.erp, self.ledger.engine)
        with pytest.raises(RuntimeError), self._joined(saga_id) as saga:
            made = saga.take(create, {"order_id": ORDER})
            raise RuntimeError("the run dies")
        return str(made["external_id"])

    def export_and_fail(self, kind: str, route: str) -> None:
        """Exports while the ERP answers one of its requests with nothing but errors."""
        self.world.fault(kind, method="POST", route=route, times=None)
        flow = OrderExport(self.ledger, self.erp, "run")
        with pytest.raises(CommerceError):
            flow.export(self._claim())

    def export_and_die(self) -> None:
        """Exports in a run that dies before it ends the saga."""
        flow = OrderExport(self.ledger, self.erp, "run")
        with dying(self.change), pytest.raises(Exception, match="dies"):
            flow.export(self._claim())

    def put(self, status: str) -> None:
        """Has our order be there."""
        line = {"variant": "v-1", "quantity": 2, "unit_price": "10.00"}
        order = {"reference": ORDER, "status": status, "total": "20.00", "lines": [line]}
        self.world.ask("POST", "/erp/orders", [{**order, "placed_at": PLACED_AT.isoformat()}])

    def without_cancelling(self) -> Erp:
        """Opens the ERP with rights that do not suffice to cancel."""
        erp: Erp = self.open(ReadOnlyErp)
        return erp

    def under_reference(self) -> dict[str, str]:
        """Returns the status of each order that the ERP has under our id."""
        orders = self.world.ask("GET", f"/erp/orders?reference={ORDER}")
        return {each["id"]: each["status"] for each in orders}

    def assert_exported(self, *cancelled: str) -> None:
        """Works on all that waits, and looks whether both sides have one order and agree."""
        self.sweep()
        assert self.status() in {"compensated", "succeeded"}
        self.change("UPDATE message SET next_try_at = now()")
        flow = OrderExport(self.ledger, self.erp, "again")
        while saga_id := flow.claim():
            flow.export(saga_id)
        there, here = self.under_reference(), self.desk.show()
        assert {id_ for id_, status in there.items() if status == "cancelled"} == set(cancelled)
        assert [id_ for id_, status in there.items() if status == "confirmed"] == [here.erp_id]
        assert len(there) == len(cancelled) + 1
        assert (here.status, here.sync.state) == ("confirmed", "exported")

    def _claim(self) -> str:
        saga_id = OrderExport(self.ledger, self.erp, "run").claim()
        assert saga_id
        self.saga_id = saga_id
        return saga_id

    def _joined(self, saga_id: str) -> AbstractContextManager[Saga]:
        return Saga.joined(
            self.ledger, saga_id, "run", on_failure=lambda error: messages.failed(saga_id, error)
        )


def drafted(scene: ExportScene) -> None:
    """A draft is there, and the key is no good any more."""
    scene.draft_and_die()
    scene.park(scene.without_key())


def drafted_and_unconfigured(scene: ExportScene) -> None:
    """A draft is there, and nobody says any more where."""
    scene.draft_and_die()
    scene.park(unconfigured())


def drafted_and_silent(scene: ExportScene) -> None:
    """A draft is there, and the ERP answers with errors until the tries are used up."""
    scene.draft_and_die()
    scene.world.fault("unavailable_before", route="cancel", times=None)
    scene.park()


def in_doubt(*, landed: bool) -> Callable[[ExportScene], None]:
    """Whether a draft is there was never known, and the key is no good any more."""

    def park(scene: ExportScene) -> None:
        scene.export_and_fail("unavailable_after" if landed else "unavailable_before", "/orders")
        scene.heal()
        scene.park(scene.without_key())

    return park


DRAFTS: dict[str, tuple[Callable[[ExportScene], None], str]] = {
    "the key is lost": (drafted, "401"),
    "it is not configured": (drafted_and_unconfigured, "Set ERP_URL"),
    "cancelling fails": (drafted_and_silent, "503"),
    "in doubt, landed": (in_doubt(landed=True), "401"),
    "in doubt, not landed": (in_doubt(landed=False), "401"),
}


def half_confirmed(
    erp: Callable[[ExportScene], Erp], kind: str = "unavailable_before"
) -> Callable[[ExportScene], None]:
    """The confirmation was never answered, and then something else is wrong too."""

    def park(scene: ExportScene) -> None:
        scene.export_and_fail(kind, "/confirm")
        scene.heal()
        scene.park(erp(scene))

    return park


def never_confirmed(scene: ExportScene) -> None:
    """The confirmation is answered with errors until the tries are used up."""
    scene.export_and_fail("unavailable_before", "/confirm")
    scene.park()


CONFIRMATIONS: dict[str, tuple[Callable[[ExportScene], None], str]] = {
    "the key is lost": (half_confirmed(ExportScene.without_key), "401"),
    "it is not configured": (half_confirmed(lambda _: unconfigured()), "Set ERP_URL"),
    "confirming fails": (never_confirmed, "503"),
    "in doubt, landed": (half_confirmed(ExportScene.without_key, "unavailable_after"), "401"),
}
