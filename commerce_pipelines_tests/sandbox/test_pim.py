from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from commerce_pipelines.domain.catalog import Product, Rejection, parse_product
from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.sandbox.server import Addresses, RunningSandbox, SandboxOptions
from commerce_pipelines_tests.sandbox.lake import Lake


class Receiver:
    """Takes webhooks and answers with scripted statuses, 202 when they run out."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.received: list[tuple[dict[str, str], bytes]] = []
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                outer.received.append((dict(self.headers.items()), body))
                self.send_response(outer.statuses.pop(0) if outer.statuses else 202)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        self._thread = threading.Thread(target=self.server.serve_forever, args=[0.01])
        self._thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self._thread.join()

    def titles(self) -> list[list[str]]:
        return [[p["title"] for p in json.loads(body)["products"]] for _, body in self.received]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


@pytest.fixture
def pim(lake: Lake, running: Addresses) -> dict[str, str]:
    return running["pim"]


def send(pim: dict[str, str], receiver: Receiver, **more: Any) -> list[dict[str, Any]]:
    body = {"url": receiver.url, **more}
    answer = requests.post(pim["url"] + "/send", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    deliveries: list[dict[str, Any]] = answer.json()["deliveries"]
    return deliveries


def test_the_sample_catalogue_is_one_that_the_import_takes(pim: dict[str, str]) -> None:
    listed = requests.get(pim["url"] + "/products", timeout=30).json()["products"]
    parsed = [parse_product(product, at) for at, product in enumerate(listed)]
    assert len(parsed) == 40
    assert [each for each in parsed if isinstance(each, Rejection)] == []
    products = [each for each in parsed if isinstance(each, Product)]
    assert len({product.handle for product in products}) == 40
    assert all(2 <= len(product.variants or ()) <= 4 for product in products)
    assert sum(not product.title.isascii() for product in products) >= 5


def test_a_delivery_is_signed_as_standard_webhooks_says(
    pim: dict[str, str], receiver: Receiver
) -> None:
    (delivery,) = send(pim, receiver, count=3)
    assert (delivery["status"], delivery["attempts"], delivery["products"]) == (202, 1, 3)
    ((headers, body),) = receiver.received
    signed = {name.lower(): value for name, value in headers.items()}
    payload = Webhook(pim["webhook_secret"]).verify(body, signed)
    assert len(payload["products"]) == 3
    assert signed["webhook-id"] == delivery["id"]


def test_products_are_chosen_by_id_or_given(pim: dict[str, str], receiver: Receiver) -> None:
    send(pim, receiver, ids=["pim-1009"])
    send(pim, receiver, products=[{"title": "Żółw"}, {"no": "title", "title": "x"}])
    assert receiver.titles() == [["Enamel Mug"], ["Żółw", "x"]]


def test_a_large_catalogue_goes_in_several_deliveries(
    pim: dict[str, str], receiver: Receiver
) -> None:
    deliveries = send(pim, receiver, batch_size=15)
    assert [delivery["products"] for delivery in deliveries] == [15, 15, 10]
    assert len({delivery["id"] for delivery in deliveries}) == 3


def test_a_delivery_is_repeated_under_its_id(pim: dict[str, str], receiver: Receiver) -> None:
    deliveries = send(pim, receiver, count=1, copies=3, delivery_id="msg_same")
    assert [delivery["id"] for delivery in deliveries] == ["msg_same"] * 3
    assert {headers["webhook-id"] for headers, _ in receiver.received} == {"msg_same"}


def test_a_producer_tries_again_while_it_may_help(pim: dict[str, str], receiver: Receiver) -> None:
    receiver.statuses = [503, 429]
    (delivery,) = send(pim, receiver, count=1)
    assert (delivery["status"], delivery["attempts"]) == (202, 3)
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    receiver.statuses = [401]
    (refused,) = send(pim, receiver, count=1)
    assert (refused["status"], refused["attempts"]) == (401, 1)


def test_a_receiver_that_is_away_is_reported(pim: dict[str, str], receiver: Receiver) -> None:
    receiver.url = "http://127.0.0.1:1/"
    (delivery,) = send(pim, receiver, count=1, attempts=2)
    assert (delivery["status"], delivery["attempts"]) == (None, 2)
    assert delivery["error"]


def test_an_edited_product_is_sent_as_edited(pim: dict[str, str], receiver: Receiver) -> None:
    address = pim["url"] + "/products/pim-1001"
    changed = requests.patch(address, json={"title": "New", "brand": None}, timeout=30).json()
    assert changed["title"] == "New"
    assert "brand" not in changed
    assert requests.get(address, timeout=30).json() == changed
    send(pim, receiver, ids=["pim-1001"])
    assert receiver.titles() == [["New"]]


def test_an_unknown_product_is_not_found(pim: dict[str, str], receiver: Receiver) -> None:
    address = pim["url"] + "/products/none"
    assert requests.get(address, timeout=30).status_code == 404
    assert requests.patch(address, json={"title": "x"}, timeout=30).status_code == 404
    body = {"url": receiver.url, "ids": ["none"]}
    assert requests.post(pim["url"] + "/send", json=body, timeout=30).status_code == 404


@pytest.mark.parametrize("wrapped", [True, False])
def test_another_catalogue_takes_the_place_of_the_sample(tmp_path: Path, wrapped: bool) -> None:
    products = [{"title": "Only", "external_id": "one"}]
    seed = tmp_path / "products.json"
    seed.write_text(json.dumps({"products": products} if wrapped else products))
    with RunningSandbox(SandboxOptions(port=0, seed=seed)) as sandbox:
        listed = requests.get(sandbox.addresses["pim"]["url"] + "/products", timeout=30).json()
    assert listed == {"products": products}


@pytest.mark.parametrize("content", ["", "{", "{}", '["text"]'])
def test_a_seed_without_products_is_refused(tmp_path: Path, content: str) -> None:
    seed = tmp_path / "products.json"
    seed.write_text(content)
    with pytest.raises(ConfigurationError):
        RunningSandbox(SandboxOptions(port=0, seed=seed))
