from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests

from commerce_pipelines.errors import CommerceError, Refused, Unavailable
from commerce_pipelines.saga.ledger import Ledger
from commerce_pipelines.services.product_update import ProductUpdate
from commerce_pipelines_tests.endpoint.running import Endpoint, as_json, problem, signed
from commerce_pipelines_tests.services.erp_by_hand import failing
from commerce_pipelines_tests.services.update_ground import Ground, big


@pytest.fixture
def ground(ledger: Ledger) -> Ground:
    """A product that can be changed."""
    return Ground(ledger)


@pytest.fixture
def worker(ground: Ground) -> Iterator[None]:
    """Somebody who makes the changes that wait, and undoes what fails."""
    over = threading.Event()

    def work() -> None:
        flow = ProductUpdate(ground.ledger, ground.erp, "run")
        while not over.wait(0.02):
            while saga_id := flow.claim():
                try:
                    flow.update(saga_id)
                except CommerceError:
                    # A person may look before the undo has begun.
                    over.wait(0.3)
                    ground.recover()

    thread = threading.Thread(target=work, name="worker", daemon=True)
    thread.start()
    yield
    over.set()
    thread.join()


def path(ground: Ground) -> str:
    return f"/store/products/{ground.product_id}/erp"


@pytest.mark.usefixtures("worker")
def test_the_answer_is_the_product_here_and_there(local: Endpoint, ground: Ground) -> None:
    answer = local.post(path(ground), json=big(ground))

    updated = as_json(answer, 200)
    assert updated["product"] == as_json(local.get(f"/store/products/{ground.product_id}"), 200)
    assert updated["product"]["title"] == "Mug, large"
    assert updated["erp"]["external_id"] == "P1"
    assert updated["erp"]["variants"][1]["options"] == {"Size": "XL"}
    message = as_json(local.get(answer.headers["Location"]), 200)
    assert (message["state"], message["outcome"]["updated"]) == ("done", 1)


@pytest.mark.usefixtures("worker")
def test_a_refusal_says_what_was_undone(local: Endpoint, ground: Ground) -> None:
    before = ground.catalog.dump()
    ground.erp.script("write_product", failing(Refused("The ERP refused: title is too long.")))

    told = problem(local.post(path(ground), json=big(ground)), 502)

    assert told["detail"] == (
        "The ERP refused: title is too long. The change in the store was undone. "
        "The ERP was not changed."
    )
    assert told["saga_id"].startswith("product_update-")
    assert ground.catalog.dump() == before


@pytest.mark.usefixtures("worker")
def test_an_erp_that_is_away_says_when_to_come_again(local: Endpoint, ground: Ground) -> None:
    error = Unavailable("The ERP is away.", retry_after_seconds=7)
    ground.erp.script("find_product", failing(error))

    answer = local.post(path(ground), json={"title": "Cup"})

    assert problem(answer, 503)["undone"] == "The change in the store was undone."
    assert answer.headers["Retry-After"] == "7"


@pytest.mark.usefixtures("worker")
def test_the_same_key_again_changes_nothing_more(local: Endpoint, ground: Ground) -> None:
    key = {"Idempotency-Key": "k1"}
    first = as_json(local.post(path(ground), json={"title": "Cup"}, headers=key), 200)

    again = local.post(path(ground), json={"title": "Cup"}, headers=key)

    assert as_json(again, 200) == first
    assert ground.erp.asked.count("write_product") == 1
    other = local.post(path(ground), json={"title": "Pot"}, headers=key)
    assert problem(other, 422)["code"] == "key_reused"


def test_a_key_that_outlives_its_answer_still_names_the_first_change(
    local: Endpoint, ground: Ground
) -> None:
    headers = {"Idempotency-Key": "k1", "Prefer": "respond-async"}
    first = as_json(local.post(path(ground), json={"title": "Cup"}, headers=headers), 202)
    ground.catalog.execute("DELETE FROM idempotency_key")

    again = local.post(path(ground), json={"title": "Cup"}, headers=headers)

    assert as_json(again, 202) == first
    ground.catalog.execute("DELETE FROM idempotency_key")
    other = local.post(path(ground), json={"title": "Pot"}, headers=headers)
    assert "another change" in problem(other, 422)["detail"]


@pytest.mark.parametrize("first", ["k", None])
def test_a_signed_change_sent_again_is_made_once_whatever_its_key(
    endpoint: Endpoint, ground: Ground, first: str | None
) -> None:
    body = b'{"title": "Cup"}'
    headers = {**signed(body), "Prefer": "respond-async"}

    def send(key: str | None) -> requests.Response:
        named = {"Idempotency-Key": key} if key else {}
        return endpoint.post(path(ground), data=body, headers=headers | named)

    accepted = as_json(send(first), 202)
    with ThreadPoolExecutor(20) as pool:
        copies = list(pool.map(send, [f"key {number}" for number in range(20)]))

    assert {problem(each, 409)["code"] for each in copies} == {"delivery_repeated"}
    assert as_json(send(first), 202) == as_json(send(None), 202) == accepted
    assert ground.catalog.values("SELECT count(*) FROM message") == [1]


def test_who_does_not_want_to_wait_gets_a_place_to_ask(local: Endpoint, ground: Ground) -> None:
    answer = local.post(path(ground), json={"title": "A"}, headers={"Prefer": "respond-async"})
    assert as_json(answer, 202)["location"] == answer.headers["Location"]

    late = local.post(path(ground), json={"title": "B"}, headers={"Prefer": "wait=1"})
    assert as_json(local.get(as_json(late, 202)["location"]), 200)["state"] == "new"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, ""),
        ({"titel": "x"}, "titel"),
        ({"title": " "}, "title"),
        ({"title": "x", "price": 1}, "price"),
        ({"variants": [{"sku": "a"}, {"sku": "a"}]}, "variants"),
        ({"variants": [{"id": "variant_x"}]}, None),
        ([], ""),
    ],
)
def test_what_is_no_change_is_refused(
    local: Endpoint, ground: Ground, body: object, field: str | None
) -> None:
    told = problem(local.post(path(ground), json=body), 422)

    if field is not None:
        assert told["errors"][0]["field"] == field
    assert ground.catalog.values("SELECT count(*) FROM message") == [0]


def test_a_product_that_is_not_there_or_not_in_the_erp_is_told(
    local: Endpoint, ground: Ground
) -> None:
    problem(local.post("/store/products/prod_x/erp", json={"title": "x"}), 404)
    ground.catalog.execute("DELETE FROM external_id WHERE system = 'erp'")

    told = problem(local.post(path(ground), json={"title": "x"}), 409)

    assert "run erp_product_sync" in told["detail"]


def test_strangers_change_nothing(endpoint: Endpoint, ground: Ground) -> None:
    problem(endpoint.post(path(ground), json={"title": "x"}), 401)
    body = b'{"title": "x"}'
    answer = endpoint.post(
        path(ground), data=body, headers={**signed(body), "Prefer": "respond-async"}
    )
    as_json(answer, 202)
