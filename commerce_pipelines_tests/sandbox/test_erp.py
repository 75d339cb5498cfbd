from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from standardwebhooks import Webhook

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.sandbox.server import Addresses, RunningSandbox, SandboxOptions
from commerce_pipelines_tests.sandbox.erp_caller import ErpCaller, code_of
from commerce_pipelines_tests.sandbox.lake import Lake
from commerce_pipelines_tests.sandbox.test_server import started

PACK, MUG, KNIFE, BOOT = "v-nor-1001-sla", "v-hea-1009-whi", "v-sen-1024-16", "v-kue-1039-26"


@pytest.fixture
def erp(running: Addresses, lake: Lake) -> Iterator[ErpCaller]:
    del lake
    caller = ErpCaller(running)
    with caller.session:
        yield caller


def test_only_the_key_opens_it_in_either_header(erp: ErpCaller, running: Addresses) -> None:
    url, key = erp.url + "/products", running["erp"]["api_key"]
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-Api-Key": key}):
        assert requests.get(url, headers=headers, timeout=30).status_code == 200
    for wrong in ({}, {"X-Api-Key": "wrong"}, {"Authorization": f"Basic {key}"}):
        assert requests.get(url, headers=wrong, timeout=30).status_code == 401
    assert requests.get(erp.url + "/openapi.json", timeout=30).status_code == 200


def test_one_request_too_many_is_told_to_wait() -> None:
    with RunningSandbox(SandboxOptions(port=0)) as sandbox:
        caller = ErpCaller(sandbox.addresses)
        answers = [caller.ask("GET", "/products?limit=1") for _ in range(80)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert refused[0].headers["retry-after"] == "1"
    assert code_of(refused[0]) == "rate_limited"


def test_it_sells_what_the_pim_has_under_the_same_skus(erp: ErpCaller, running: Addresses) -> None:
    listed = requests.get(running["pim"]["url"] + "/products", timeout=30).json()["products"]
    here = erp.get("/products", limit=500)["products"]
    assert {v["sku"] for p in here for v in p["variants"]} == {
        v["sku"] for p in listed for v in p["variants"]
    }
    assert [p["changed_at"] for p in here] == sorted(p["changed_at"] for p in here)


def test_the_sample_has_every_kind_of_price(erp: ErpCaller) -> None:
    assert erp.amount(MUG, "EUR") == "9.8975"
    assert erp.amount(PACK, "JPY") == "24442"
    assert erp.amount(MUG, "KWD") == "3.311"
    assert erp.amount(PACK, "EUR", "partner") == "136.8294"
    assert erp.amount(BOOT, "EUR") is None
    assert erp.amount("v-hea-1009-blu", "EUR", "partner") is None
    assert erp.amount(PACK, "CHF") is None
    assert erp.amount(PACK, "EUR", "nobody") is None
    assert erp.amount("unknown", "EUR") is None


def test_the_sample_has_every_kind_of_stock_and_company(erp: ErpCaller) -> None:
    asked = ["v-pin-1006-wid", "v-hea-1019-140", "v-tal-1021-080", "v-ost-1037-70-ora", "unknown"]
    stock = {each["variant"]: each for each in erp.query("stock", variants=asked)["stock"]}
    assert [stock[each]["available"] for each in asked[:4]] == ["0", "0", "-3", "12.5"]
    assert [stock[each]["allows_out_of_stock"] for each in asked[:2]] == [False, True]
    assert "unknown" not in stock
    rules = erp.query("purchase-rules", companies=["globex", "ACME"], variants=[KNIFE, PACK])
    assert rules["forbidden"] == [{"company": "globex", "variant": KNIFE}]
    companies = erp.query("companies", names=[" ácme", "nobody"])["companies"]
    assert companies == [{"name": " ácme", "customer_group": "partner"}]


def test_pages_follow_each_other(erp: ErpCaller) -> None:
    first = erp.get("/products", limit=15)
    second = erp.get("/products", limit=15, cursor=first["next_cursor"])
    third = erp.get("/products", limit=15, cursor=second["next_cursor"])
    ids = [p["id"] for page in (first, second, third) for p in page["products"]]
    assert len(set(ids)) == 40
    assert third["next_cursor"] is None
    since = first["products"][10]["changed_at"]
    assert len(erp.get("/products", changed_since=since, limit=500)["products"]) == 30
    assert code_of(erp.ask("GET", "/products?cursor=nonsense")) == "no_such_cursor"


def test_a_product_is_changed_once_for_each_key_and_revision(erp: ErpCaller) -> None:
    product = erp.get("/products/p-1001")

    changed = erp.put(product, key="one", title="Another")
    again = erp.put(product, key="one", title="Another")
    other = erp.put(product, key="one", title="Third")
    late = erp.put(product, title="Fourth")

    assert changed.json()["title"] == "Another"
    assert changed.json()["revision"] != product["revision"]
    assert again.json() == changed.json()
    assert code_of(other) == "idempotency_key_reused"
    assert (late.status_code, code_of(late)) == (412, "revision_differs")
    assert [(each["kind"], each["key"]) for each in erp.effects()] == [("product.update", "one")]
    assert erp.get("/products", limit=500)["products"][-1]["id"] == "p-1001"


def test_a_variant_that_is_removed_is_not_sold_and_can_come_back(erp: ErpCaller) -> None:
    product = erp.get("/products/p-1001")

    without = erp.put(product, variants=product["variants"][1:]).json()
    assert erp.amount(PACK, "EUR") is None
    back = erp.put(without, variants=product["variants"]).json()

    assert len(without["variants"]) == 1
    assert back["variants"] == product["variants"]
    assert erp.amount(PACK, "EUR") == "149.9500"
    foreign = [{**product["variants"][0], "id": MUG}]
    assert code_of(erp.put(back, variants=foreign)) == "variant_not_found"


def test_an_order_is_made_once_for_a_reference(erp: ErpCaller) -> None:
    made, again = erp.order("a"), erp.order("a")
    other = erp.order("a", currency_code="USD")

    assert (made.status_code, again.status_code) == (201, 200)
    assert again.json() == made.json()
    assert (other.status_code, code_of(other)) == (409, "order_differs")
    assert erp.get("/orders", reference="a")["orders"] == [made.json()]
    assert erp.get("/orders/" + made.json()["id"]) == made.json()
    assert [(each["kind"], each["reference"]) for each in erp.effects()] == [("order.create", "a")]


def test_an_order_goes_as_far_as_it_may(erp: ErpCaller) -> None:
    path = "/orders/" + erp.order("a").json()["id"]
    assert erp.ask("POST", path + "/confirm").json()["status"] == "confirmed"
    assert erp.ask("POST", path + "/confirm").status_code == 200
    erp.by_hand("PUT", path + "/status", {"status": "processing"})
    assert code_of(erp.ask("POST", path + "/cancel")) == "order_too_far"
    path = "/orders/" + erp.order("b").json()["id"]
    assert erp.ask("POST", path + "/cancel").json()["status"] == "cancelled"
    assert erp.ask("POST", path + "/cancel").status_code == 200
    assert code_of(erp.ask("POST", path + "/confirm")) == "order_cancelled"
    assert erp.order("b").status_code == 201
    assert code_of(erp.ask("POST", "/orders/none/cancel")) == "order_not_found"
    kinds = [each["kind"] for each in erp.effects()]
    assert kinds == [
        *("order.create", "order.confirm", "order.create", "order.cancel", "order.create")
    ]


def test_orders_are_listed_by_when_they_were_placed_and_changed(erp: ErpCaller) -> None:
    late = erp.order("late", placed_at="2026-05-02T00:00:00+02:00").json()["id"]
    early = erp.order("early", placed_at="2026-05-01T00:00:00+02:00").json()["id"]
    day = {"placed_from": "2026-04-30T22:00:00Z", "placed_until": "2026-05-01T22:00:00Z"}
    assert [each["id"] for each in erp.get("/orders", **day)["orders"]] == [early]
    assert [each["id"] for each in erp.get("/orders")["orders"]] == [late, early]


@pytest.mark.parametrize(
    "changes",
    [{"lines": []}, {"total": 9.9}, {"total": "-1"}, {"placed_at": "2026-01-01"}, {"more": 1}],
)
def test_an_order_of_the_wrong_shape_is_refused(erp: ErpCaller, changes: dict[str, Any]) -> None:
    assert erp.order("a", **changes).status_code == 422
    assert erp.get("/orders", reference="a")["orders"] == []


def test_a_late_commit_lies_before_what_was_seen(erp: ErpCaller) -> None:
    erp.by_hand("PUT", "/products/p-1001", {"title": "Late", "commit_after_seconds": 0.5})
    erp.by_hand("PUT", "/products/p-1002", {"title": "Soon"})
    assert erp.get("/products/p-1001")["title"] != "Late"
    for _ in range(100):
        late = erp.get("/products/p-1001")
        if late["title"] == "Late":
            break
        threading.Event().wait(0.05)
    assert late["title"] == "Late"
    assert late["changed_at"] < erp.get("/products/p-1002")["changed_at"]


def test_all_it_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    state_file = tmp_path / "state.db"
    with started(state_file) as (child, addresses):
        erp = ErpCaller(addresses)
        changed = erp.put(erp.get("/products/p-1001"), key="one", title="Kept").json()
        order = erp.order("a").json()
        erp.ask("POST", f"/orders/{order['id']}/confirm")
        erp.by_hand("POST", "/prices", [{"variant": PACK, "currency_code": "EUR", "tiers": None}])
        erp.by_hand("POST", "/stock", [{"variant": PACK, "available": "1"}])
        erp.by_hand("POST", "/companies", [{"name": "New", "forbidden": [PACK]}])
        erp.by_hand("DELETE", "/products/p-1002")
        child.send_signal(signal.SIGKILL)
        child.wait()
    with started(state_file) as (child, addresses):
        erp = ErpCaller(addresses)
        assert erp.get("/products/p-1001") == changed
        seen = {**changed, "revision": "r1"}
        assert erp.put(seen, key="one").headers["idempotent-replayed"] == "true"
        assert erp.order("a").json()["status"] == "confirmed"
        assert erp.amount(PACK, "EUR") is None
        assert erp.query("stock", variants=[PACK])["stock"][0]["available"] == "1"
        rules = erp.query("purchase-rules", companies=["new"], variants=[PACK])
        assert len(rules["forbidden"]) == 1
        assert erp.ask("GET", "/products/p-1002").status_code == 404


def test_a_seed_file_brings_another_erp(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    variant = {"id": "v", "sku": "S", "title": "A"}
    price = {"variant": "v", "currency_code": "CHF", "tiers": [{"min_quantity": 1, "amount": "2"}]}
    order = {"currency_code": "CHF", "total": "2.00", "placed_at": "2026-01-01T00:00:00Z"}
    content = {
        "products": [{"id": "p", "title": "One", "variants": [variant]}],
        "prices": [price],
        "stock": [{"variant": "v", "available": "5"}],
        "companies": [{"name": "Own", "forbidden": ["v"]}],
        "orders": [order],
        "generate": {"products": 3, "variants": 2},
    }
    seed.write_text(json.dumps({"products": [], "erp": content}))
    with RunningSandbox(SandboxOptions(port=0, seed=seed)) as sandbox:
        erp = ErpCaller(sandbox.addresses)
        ids = {product["id"] for product in erp.get("/products")["products"]}
        assert ids == {"p", "g-000000", "g-000001", "g-000002"}
        assert erp.amount("v", "CHF") == "2"
        assert erp.amount("gv-000002-1", "EUR") == "1.02"
        assert erp.get("/orders")["orders"][0]["total"] == "2.00"


@pytest.mark.parametrize("erp", [{"products": 1}, {"products": [{}]}, {"prices": [1]}, []])
def test_a_seed_file_that_is_none_is_told(tmp_path: Path, erp: Any) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"products": [], "erp": erp}))
    with pytest.raises(ConfigurationError, match="ERP"):
        RunningSandbox(SandboxOptions(port=0, seed=seed))


def test_a_load_is_made_by_number_and_forgotten_by_a_reset(erp: ErpCaller, lake: Lake) -> None:
    erp.by_hand("POST", "/generate", {"products": 600, "variants": 2})
    page = erp.get("/products", limit=500)
    rest = erp.get("/products", limit=500, cursor=page["next_cursor"])
    assert len(page["products"] + rest["products"]) == 600
    assert erp.amount("gv-000123-1", "EUR") == "2.23"
    lake.forget()
    assert len(erp.get("/products", limit=500)["products"]) == 40


def test_it_tells_of_changes_by_signed_webhooks(erp: ErpCaller, running: Addresses) -> None:
    received: list[tuple[dict[str, str], bytes]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            received.append((dict(self.headers.items()), body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    order = erp.order("a").json()
    message = {"type": "price_book.changed", "variants": [PACK]}
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/hook"
        wanted = {"url": url, "orders": [order["id"]], "message": message, "copies": 2}
        outcomes = erp.by_hand("POST", "/send", wanted)["deliveries"]
        server.shutdown()

    secret = running["erp"]["webhook_secret"]
    told = [Webhook(secret).verify(body, headers) for headers, body in received]
    assert told == [{"type": "order.updated", "order": order}] * 2 + [message] * 2
    assert [outcome["status"] for outcome in outcomes] == [202] * 4
    assert len({outcome["id"] for outcome in outcomes}) == 2
