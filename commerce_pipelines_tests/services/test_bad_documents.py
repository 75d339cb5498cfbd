"""A document that Sanity refuses is found among the others and taken back alone."""

from __future__ import annotations

from typing import Any

import pytest

from commerce_pipelines_tests.factories import Payload, full_product, product, variant
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import Shop

# A request over 4 MB is refused whatever else is in it.
TOO_LARGE = [f"https://example.com/{at}?{'x' * 90_000}" for at in range(50)]


@pytest.mark.parametrize("position", [0, 3, 6])
def test_a_product_whose_document_is_refused_is_withdrawn_from_the_store(
    shop: Shop, cms: Cms, position: int
) -> None:
    page: list[Payload] = [product(number) for number in range(7)]
    page[position]["images"] = TOO_LARGE
    message = shop.receive(*page)

    shop.run()

    good = sorted(payload["title"] for at, payload in enumerate(page) if at != position)
    assert shop.titles() == cms.titles() == good
    outcome = shop.outcome(message)
    assert outcome["created"] == 6
    assert outcome["products"][position] is None
    assert [each["position"] for each in outcome["rejected"]] == [position]
    assert "Sanity refused it" in outcome["rejected"][0]["reason"]
    assert shop.values("SELECT status FROM saga") == ["succeeded"]


def test_a_known_product_whose_document_is_refused_stays_as_it_was(shop: Shop, cms: Cms) -> None:
    shop.take(full_product(1), product(2))
    document = cms.documents()["Product 1"]
    message = shop.receive(product(1, title="New", images=TOO_LARGE), product(2, title="Newer"))

    shop.run()

    assert shop.titles() == ["Newer", "Product 1"]
    assert cms.documents()["Product 1"] == document
    assert cms.titles() == ["Newer", "Product 1"]
    outcome = shop.outcome(message)
    assert (outcome["created"], outcome["updated"]) == (0, 1)


def test_several_bad_documents_in_a_transaction_are_all_found(shop: Shop, cms: Cms) -> None:
    page: list[Any] = [product(number) for number in range(9)]
    for position in (1, 2, 8):
        page[position]["images"] = TOO_LARGE
    shop.receive(*page)

    shop.run()

    assert len(shop.titles()) == len(cms.titles()) == 6


def test_a_later_failure_takes_the_rest_back_too(shop: Shop, cms: Cms) -> None:
    shop.take(product(0))
    shop.receive(product(1, images=TOO_LARGE), product(2), product(0, variants=[variant("a")]))
    flow = shop.flow()
    opened = flow.open_page()
    assert opened is not None
    flow.store_page(opened)
    cms.fault("unavailable_before", times=None, after=1)
    with pytest.raises(Exception, match="503"):
        flow.publish_page(opened.saga_id)
    cms.heal()

    assert shop.recover() == {"compensated": 1}
    assert shop.titles() == cms.titles() == ["Product 0"]
    assert shop.values("SELECT count(*) FROM variant") == [0]
