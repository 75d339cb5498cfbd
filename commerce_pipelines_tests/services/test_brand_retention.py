"""Before-images of brands go with the plans of their sagas, and not before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.retention import Ages, Retention
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides

AGES = Ages(bodies_days=30, messages_days=90, steps_days=30, sagas_days=365)
AGE = "UPDATE saga SET finished_at = now() - make_interval(days => :days)"
COUNT = "SELECT count(*) FROM brand_revision"


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, with one brand that was synced."""
    with both_sides(ledger, sandbox.addresses) as sides:
        sides.there.create(name="Acme")
        sides.sync()
        yield sides


def test_before_images_of_brands_go_after_thirty_days(sides: Sides) -> None:
    sides.change(AGE, days=29)
    assert _deleted(sides) == 0
    assert sides.rows(COUNT) == [(1,)]

    sides.change(AGE, days=31)

    assert _deleted(sides) == 1
    assert sides.rows(COUNT) == [(0,)]
    assert sides.names_here() == ["Acme"]


def _deleted(sides: Sides) -> int:
    pages = Retention(sides.ledger.engine, AGES, _nobody).pages()
    return sum(page.get("revisions", 0) for page in pages)


def _nobody() -> Sanity:
    raise AssertionError("there are no seals")
