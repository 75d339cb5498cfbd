"""Undoing what was left half-done: the sagas whose owner failed or is gone."""

from __future__ import annotations

import logging
from collections import Counter

from sqlalchemy.exc import DBAPIError

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.erp.port import Erp
from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.errors import Fenced
from commerce_pipelines.saga.audit import Auditor, first_audit_due
from commerce_pipelines.saga.compensation import Compensator, Outcome
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.step import Steps
from commerce_pipelines.services import (
    brand_push,
    brand_sync,
    erp_product_sync,
    order_export,
    order_status_import,
    pim_import,
    product_update,
)

_log = logging.getLogger(__name__)


def compensator(
    ledger: Ledger,
    sanity: Sanity,
    brand_system: BrandSystem | None = None,
    erp: Erp | None = None,
) -> Compensator:
    """Returns what undoes every kind of saga in this project, or finishes it past its pivot.

    The systems may be opened on demand: a saga asks those in which it has had an effect.

    Args:
        ledger: The ledger.
        sanity: The CMS.
        brand_system: The brand system; without one its pushes are parked.
        erp: The ERP; without one its sagas are parked.
    """
    kinds: dict[str, Steps] = {
        pim_import.KIND: pim_import.steps(sanity),
        brand_sync.KIND: brand_sync.steps(),
        erp_product_sync.KIND: erp_product_sync.steps(),
        order_status_import.KIND: order_status_import.steps(),
    }
    if brand_system is not None:
        kinds[brand_push.KIND] = brand_push.steps(brand_system)
    if erp is None:
        return Compensator(ledger, kinds)
    kinds[order_export.KIND] = order_export.steps(erp, ledger)
    kinds[product_update.KIND] = product_update.steps(erp, ledger)
    exports = order_export.OrderExport(ledger, erp, "recovery")
    return Compensator(ledger, kinds, {order_export.KIND: exports.go_on})


def first_due(ledger: Ledger) -> str | None:
    """Returns a saga that waits to be undone or audited; None when nothing does."""
    due = ledger.due(limit=1)
    return due[0] if due else first_audit_due(ledger.engine)


def sweep(undo: Compensator, who: str) -> Counter[str]:
    """Undoes every saga that is due, page by page, and looks for late effects.

    Returns:
        How many sagas came to what, and where how many audited steps stand.
    """
    outcomes: Counter[str] = Counter()
    seen: set[str] = set()
    while due := [saga_id for saga_id in undo.ledger.due() if saga_id not in seen]:
        for saga_id in due:
            seen.add(saga_id)
            outcomes[_compensate(undo, saga_id, who)] += 1
    audited = Auditor(undo.ledger, undo.kinds).audit_due(who)
    outcomes.update({f"audited_{state}": count for state, count in audited.items()})
    return outcomes


def compensate_run(undo: Compensator, run_id: str) -> Counter[Outcome]:
    """Undoes the sagas that a run gave up."""
    return Counter(
        _compensate(undo, saga_id, run_id) for saga_id in undo.ledger.aborting_of_run(run_id)
    )


def _compensate(undo: Compensator, saga_id: str, who: str) -> Outcome:
    """Undoes one saga; what goes wrong with it must not keep the others waiting."""
    try:
        outcome = undo.compensate(saga_id, who)
    except Fenced:
        outcome = Outcome.NOT_OURS
    except DBAPIError:
        _log.exception("saga %s: the database failed; its lease will run out", saga_id)
        outcome = Outcome.LATER
    _log.info("saga %s: %s", saga_id, outcome)
    return outcome
