"""A brand that gets another name gives it to the documents of its products, and only to those."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.errors import Busy, CommerceError
from commerce_pipelines.saga.compensation import Compensator
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.saga.saga import Saga
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.brand_sync import KIND, BrandSync, UpdateBrands
from commerce_pipelines.services.operations import Desk
from commerce_pipelines_tests.factories import product
from commerce_pipelines_tests.parked.test_in_brands import park
from commerce_pipelines_tests.services.brand_sides import Sides, both_sides
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import Shop
from commerce_pipelines_tests.services.test_import_undo import publish_and_die


@pytest.fixture
def sides(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[Sides]:
    """Both sides, with one brand that they agree about."""
    with both_sides(ledger, sandbox.addresses) as sides:
        sides.there.create(name="Acme")
        sides.sync()
        yield sides


@pytest.fixture(autouse=True)
def stocked(shop: Shop, sides: Sides) -> None:
    """Two products of that brand, one of another and one of none."""
    del sides
    shop.take(
        product(1, brand="Acme"),
        product(2, brand="Acme"),
        product(3, brand="Zenith"),
        product(4),
    )


def shown(cms: Cms) -> list[str | None]:
    """Returns the brands that the documents show, in the order of their titles."""
    return [document.get("brand") for _, document in sorted(cms.documents().items())]


def waiting(shop: Shop) -> int:
    """Returns how many messages about stale documents wait."""
    query = "SELECT count(*) FROM message WHERE topic = 'documents' AND state <> 'done'"
    return int(shop.values(query)[0])


def rename_there(sides: Sides, name: str) -> None:
    """Has the brand renamed by the brand system's people."""
    (brand,) = (one for one in sides.there.page()["brands"] if one["name"].startswith("Acme"))
    sides.there.patch(brand["id"], name=name)


def acme(sides: Sides) -> str:
    """Returns the id of the brand here."""
    return next(brand.id for brand in sides.here() if brand.name.startswith("Acme"))


@pytest.mark.parametrize("by", ["sync", "people"])
def test_the_documents_of_a_renamed_brand_show_its_new_name(
    shop: Shop, sides: Sides, cms: Cms, by: str
) -> None:
    transactions = len(cms.transactions())
    if by == "sync":
        rename_there(sides, "Acme & Sons")
        sides.sync()
    else:
        sides.rename(acme(sides), "Acme & Sons")

    (page,) = shop.run()

    assert shown(cms) == ["Acme & Sons", "Acme & Sons", "Zenith", None]
    assert (page["updated"], page["documents_written"]) == (2, 2)
    assert len(cms.transactions()) == transactions + 1
    assert waiting(shop) == 0


def test_an_editors_work_stays_when_a_document_gets_another_brand_name(
    shop: Shop, sides: Sides, cms: Cms
) -> None:
    (first, *_) = cms.documents().values()
    cms.edit(first["_id"], set={"story": "Made by hand"})
    sides.rename(acme(sides), "Acme & Sons")

    shop.run()

    assert cms.documents()[first["title"]]["story"] == "Made by hand"


def test_a_change_that_is_not_of_the_name_leaves_no_work(shop: Shop, sides: Sides) -> None:
    sides.save("Acme", description="Anvils")
    rename_there(sides, "Acme")
    sides.sync()

    assert waiting(shop) == 0
    assert shop.run() == []


def test_a_name_that_is_back_before_anybody_looked_costs_no_write(
    shop: Shop, sides: Sides, cms: Cms
) -> None:
    transactions = cms.transactions()
    sides.rename(acme(sides), "Acme & Sons")
    sides.rename(acme(sides), "Acme")

    (page,) = shop.run()

    assert (page["updated"], page["unchanged"], page["documents_written"]) == (0, 2, 0)
    assert cms.transactions() == transactions
    assert shop.values("SELECT max(version) FROM product") == [1]


def test_two_brands_that_swap_their_names_swap_them_in_the_documents(
    shop: Shop, sides: Sides, cms: Cms
) -> None:
    (first,) = sides.there.page()["brands"]
    second = sides.there.create(name="Zenith")
    sides.sync()
    sides.there.patch(first["id"], name="Zenith")
    sides.there.patch(second["id"], name="Acme")
    sides.sync()

    shop.run()

    assert shown(cms) == ["Zenith", "Zenith", "Acme", None]


@pytest.mark.parametrize("seen", [True, False])
def test_the_undo_of_a_sync_gives_the_documents_the_old_name_back(
    shop: Shop, sides: Sides, cms: Cms, seen: bool
) -> None:
    before = shown(cms)
    _rename_in_a_sync_that_dies(sides)
    if seen:
        shop.run()
        assert "Acme & Sons" in shown(cms)

    assert sides.recover() == {"compensated": 1}
    shop.run()

    assert shown(cms) == before
    assert waiting(shop) == 0


def test_the_sql_that_undoes_a_sync_by_hand_does_so_too(shop: Shop, sides: Sides, cms: Cms) -> None:
    before = shown(cms)
    saga_id = _rename_in_a_sync_that_dies(sides)
    shop.run()
    park(sides, saga_id, Compensator(sides.ledger, {KIND: {}}))
    (request,) = Desk(shop.engine).describe_saga(saga_id)["steps"][-1]["requests"]

    with shop.engine.begin() as connection:
        connection.exec_driver_sql(request["sql"].replace("%", "%%"))
    shop.run()

    assert shown(cms) == before


def test_documents_that_cannot_be_written_are_as_before_and_come_again(
    shop: Shop, sides: Sides, cms: Cms
) -> None:
    before = shown(cms)
    sides.rename(acme(sides), "Acme & Sons")
    cms.fault("unavailable_after", times=50)
    with pytest.raises(CommerceError):
        shop.run()
    cms.heal()

    assert shop.recover() == {"compensated": 1}
    assert shown(cms) == before
    shop.make_due()
    shop.run()

    assert shown(cms) == ["Acme & Sons", "Acme & Sons", "Zenith", None]


def test_products_in_the_hands_of_an_import_are_looked_at_when_it_has_been_undone(
    shop: Shop, sides: Sides, cms: Cms
) -> None:
    # Its documents have the new name already; its undo puts the old one back.
    sides.rename(acme(sides), "Acme & Sons")
    publish_and_die(shop, product(1, brand="Acme & Sons", description="new"))
    with pytest.raises(Busy):
        shop.run()

    shop.make_due()
    assert shop.recover()["compensated"] == 2
    shop.make_due()
    shop.run()

    assert shown(cms) == ["Acme & Sons", "Acme & Sons", "Zenith", None]
    assert waiting(shop) == 0


def test_a_document_that_sanity_refuses_is_told_and_the_others_are_written(
    shop: Shop, sides: Sides, cms: Cms
) -> None:
    bad = shop.values("SELECT id FROM product ORDER BY title")[0]
    shop.change("UPDATE product SET description = repeat('x', 5000000) WHERE id = :id", id=bad)
    sides.rename(acme(sides), "Acme & Sons")

    shop.run()

    (outcome,) = shop.values("SELECT outcome FROM message WHERE topic = 'documents'")
    assert [each["reason"][:18] for each in outcome["rejected"]] == ["Sanity refused it:"]
    assert (outcome["updated"], outcome["products"].count(None)) == (1, 1)
    assert shown(cms)[1] == "Acme & Sons"


def test_many_products_are_looked_at_in_messages_of_some_hundred(
    shop: Shop, sides: Sides, cms: Cms
) -> None:
    shop.take(*(product(100 + number, brand="Acme") for number in range(1_000)))
    sides.rename(acme(sides), "Acme & Sons")
    assert waiting(shop) == 3

    shop.run()

    assert shown(cms).count("Acme & Sons") == 1_002


def _rename_in_a_sync_that_dies(sides: Sides) -> str:
    rename_there(sides, "Acme & Sons")
    flow = BrandSync(sides.ledger, sides.brand_system, "dies")
    retrieved = flow.retrieve()
    saga_id = flow.decide(retrieved).saga_id
    assert saga_id is not None
    flow.create(saga_id, retrieved)
    with (
        pytest.raises(RuntimeError),
        Saga.joined(flow.ledger, saga_id, flow.run_id) as saga,
    ):
        saga.take(UpdateBrands(retrieved), {})
        raise RuntimeError("dies")
    return saga_id
