"""Every way in which a product of the ERP parks a saga, and a person who finishes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from commerce_pipelines.errors import Refused
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.erp_product_sync import WATERMARK, ErpProductSync
from commerce_pipelines.services.operations import Desk
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines.services.product_update_steps import details_of, product_of
from commerce_pipelines.store.watermarks import load_watermark
from commerce_pipelines_tests.cli.conftest import Commands
from commerce_pipelines_tests.parked.erp_scene import dying
from commerce_pipelines_tests.parked.person import Person, Printed
from commerce_pipelines_tests.parked.update_scene import (
    THEIRS,
    WAYS,
    UpdateScene,
    in_doubt,
    key_lost,
    not_configured,
)
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.update_ground import Ground, big

WISHLIST = "CREATE TABLE wishlist (variant_id text REFERENCES variant)"
FREE = "DELETE FROM wishlist"


@pytest.fixture
def scene(ledger: Ledger, sandbox: RunningSandbox) -> Iterator[UpdateScene]:
    """The two sides before the update."""
    scene = UpdateScene(ledger, sandbox.addresses)
    scene.start()
    yield scene
    scene.close()


@pytest.mark.parametrize("way", WAYS)
def test_what_is_printed_finishes_it(way: str, scene: UpdateScene, person: Person) -> None:
    park, cause = WAYS[way]
    park(scene)
    scene.heal()
    assert cause in person.read(scene.saga_id)["problem"]

    finish(scene, person)

    scene.assert_undone()


def test_a_change_in_doubt_that_comes_after_all_that_changes_nothing(
    scene: UpdateScene, person: Person
) -> None:
    in_doubt(landed=False)(scene)
    scene.heal()
    sent = step(person.read(scene.saga_id))

    finish(scene, person)
    seen, wanted = product_of(sent["plan"]["seen"]), details_of(sent["plan"]["details"])
    scene.erp.write_product(seen.external_id, wanted, seen, sent["idem_key"])

    scene.assert_undone()


@pytest.mark.parametrize("way", ["the key is lost", "in doubt, not landed", "reads fail"])
def test_it_is_tried_again_when_the_cause_is_gone(
    way: str, scene: UpdateScene, person: Person
) -> None:
    WAYS[way][0](scene)

    scene.heal()
    person.decide(person.read(scene.saga_id), "retry")

    scene.assert_undone()


def test_the_print_says_what_was_there_what_we_wrote_and_what_is_there_now(
    scene: UpdateScene, person: Person
) -> None:
    key_lost(scene)

    printed = person.read(scene.saga_id)

    assert "ERP_API_KEY" in printed["advice"]
    assert step(printed)["errors"]
    (shown,) = step(printed)["records"]
    assert (shown["id"], shown["undo"]) == (scene.side.erp_id, "restore")
    assert (shown["before"]["title"], shown["written"]["title"]) == ("Teapot", "Teapot, large")
    assert shown["now"]["description"] == THEIRS
    (_, removed) = scene.there.variants
    name = f"variant {removed.external_id} sku"
    assert (shown["before"][name], shown["written"][name]) == (removed.sku, None)
    said = person.run("sagas", "show", scene.saga_id).stdout
    for part in ("curl -X PUT", '"Authorization: Bearer $ERP_API_KEY"', "If-Match", THEIRS):
        assert part in said
    assert person.settings["ERP_API_KEY"] not in said


def test_what_somebody_changes_after_the_print_is_not_overwritten(
    scene: UpdateScene, person: Person
) -> None:
    key_lost(scene)
    printed = person.read(scene.saga_id)

    scene.world.rename(scene.side.erp_id, "Theirs")
    with pytest.raises(AssertionError, match="revision_differs"):
        person.send(printed)

    scene.there = replace(scene.there, title="Theirs")
    person.send(person.read(scene.saga_id))
    person.decide(printed, "resolve")
    scene.assert_undone()


def test_without_an_erp_the_print_says_what_to_set(scene: UpdateScene, person: Person) -> None:
    not_configured(scene)
    without = {name: it for name, it in person.settings.items() if not name.startswith("ERP_")}

    printed = Person(Commands(without), without).read(scene.saga_id)

    assert "set ERP_URL and ERP_API_KEY" in step(printed)["unseen"]
    assert step(printed)["records"][0]["written"]["title"] == "Teapot, large"


def test_where_no_request_is_careful_enough_the_print_says_in_words_what_to_change(
    ledger: Ledger,
) -> None:
    ground = Ground(ledger)
    ground.erp.has_revisions = False
    ground.ask(**big(ground))
    saga_id = ProductUpdate(ledger, ground.erp, "run").claim()
    assert saga_id
    with dying(ground.catalog.execute), pytest.raises(Exception, match="dies"):
        ProductUpdate(ledger, ground.erp, "run").update(saga_id)
    ground.erp.script("write_product", failing(Refused("It is locked.")))
    assert ground.recover() == {"parked": 1}
    (_, added) = ground.there.variants

    found = Desk(ledger.engine, erp=ground.erp).describe_saga(saga_id)

    assert step(found)["requests"] == []
    assert step(found)["to_do"] == [
        f"take variant {added.external_id} (sku-xl) off sale",
        "put variant E1-M (sku-1-M) on sale again",
        'set title to "MUG"',
        'set description to "d"',
        'set variant E1-S sku to "sku-1-S"',
        'set variant E1-S title to "1-S"',
    ]


@pytest.fixture(params=[True, False], ids=["on both sides", "in the store only"])
def wished(scene: UpdateScene, request: pytest.FixtureRequest) -> UpdateScene:
    """Somebody else's table refers to a variant that the update has made."""
    scene.change(WISHLIST)
    if request.param:
        scene.update_and_die()
    else:
        scene.update_without_erp()
    scene.change(
        "INSERT INTO wishlist SELECT id FROM variant WHERE sku = :sku", sku=f"xl-{scene.side.tag}"
    )
    scene.park()
    return scene


def test_the_sql_printed_undoes_an_update_in_the_store(wished: UpdateScene, person: Person) -> None:
    printed = person.read(wished.saga_id)
    assert 'still referenced from table "wishlist"' in printed["problem"]
    assert "leave that product as it is" in printed["advice"]
    assert printed["steps"][0]["products"][0]["undo"] == "restore"

    person.run_sql(FREE)
    person.send(printed)
    person.decide(printed, "resolve")

    wished.assert_undone()


def test_a_product_can_be_left_as_an_update_made_it(wished: UpdateScene, person: Person) -> None:
    printed = person.read(wished.saga_id)
    (leave,) = (each for each in printed["steps"][0]["requests"] if each.get("optional"))

    person.run_sql(leave["sql"].replace("PRODUCT_ID", wished.side.product_id))
    person.decide(printed, "retry")
    wished.sweep()

    _assert_left(wished)


def test_an_accepted_update_stays_in_the_store_until_the_erp_speaks(
    wished: UpdateScene, person: Person
) -> None:
    person.decide(person.read(wished.saga_id), "accept")
    wished.sweep()

    _assert_left(wished)


def _assert_left(scene: UpdateScene) -> None:
    """Looks whether the store says what the update said, and a sync makes both sides agree."""
    assert scene.status() == "compensated"
    documents = "SELECT convert_from(body, 'UTF8') FROM message WHERE topic = 'documents'"
    assert scene.side.product_id in str(scene.rows(documents))
    scene.change(FREE)
    titles = "SELECT title FROM product WHERE id = :id"
    assert scene.rows(titles, id=scene.side.product_id) == [("Teapot, large",)]
    flow = ErpProductSync(scene.ledger, scene.erp, "sync")
    flow.sync(None)
    assert scene.rows(titles, id=scene.side.product_id) == [("Teapot",)]


def test_the_sql_printed_undoes_a_page_of_the_erp_and_has_it_read_again(
    scene: UpdateScene, person: Person
) -> None:
    scene.change(WISHLIST)
    watermark = _watermark(scene)
    scene.world.add_product("Cup", ["cup"])
    scene.world.rename(scene.side.erp_id, "Kettle")
    _sync_and_die(scene)
    scene.change("INSERT INTO wishlist SELECT id FROM variant WHERE sku = 'cup'")
    scene.park()
    printed = person.read(scene.saga_id)
    assert printed["steps"][0]["undo_counts"] == {"delete": 1, "restore": 1}

    person.run_sql(FREE)
    person.send(printed)
    person.decide(printed, "resolve")

    scene.sweep()
    assert scene.status() == "compensated"
    assert scene.side.catalog.dump() == scene.store
    assert _watermark(scene) == watermark
    assert scene.side.sync().counts["created"] == 1


def _sync_and_die(scene: UpdateScene) -> None:
    """Takes a page in a run that dies before it ends the saga."""
    with dying(scene.change), pytest.raises(Exception, match="dies"):
        scene.side.sync()
    ((scene.saga_id,),) = scene.rows("SELECT saga_id FROM saga WHERE status = 'aborting'")


def _watermark(scene: UpdateScene) -> object:
    with scene.ledger.engine.connect() as connection:
        return load_watermark(connection, WATERMARK)


def finish(scene: UpdateScene, person: Person) -> None:
    """Sends what is printed until nothing is left to send, and says so."""
    printed = person.read(scene.saga_id)
    while step(printed)["requests"]:
        person.send(printed)
        printed = person.read(scene.saga_id)
    person.decide(printed, "resolve")


def step(printed: Printed) -> Printed:
    """Returns the step in the ERP."""
    (found,) = (each for each in printed["steps"] if each["name"] == "erp.write_product")
    return dict(found)
