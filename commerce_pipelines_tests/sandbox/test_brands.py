"""The brand system as its documentation says, by plain requests."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from commerce_pipelines.sandbox.server import Addresses, RunningSandbox
from commerce_pipelines_tests.sandbox.brand_caller import BrandCaller, code_of
from commerce_pipelines_tests.sandbox.lake import Lake

MOMENT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


@pytest.fixture
def brands(lake: Lake, running: Addresses) -> Iterator[BrandCaller]:
    del lake
    caller = BrandCaller(running)
    with caller.session:
        yield caller


@pytest.mark.parametrize("key", [None, "", "wrong", "bk_" + "x" * 43])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", ""), ("GET", "/b_1"), ("PATCH", "/b_1"), ("DELETE", "/b_1")],
)
def test_nothing_is_told_without_the_key(
    brands: BrandCaller, method: str, path: str, key: str | None
) -> None:
    headers = {"X-Api-Key": key, "Idempotency-Key": "k"}
    answer = brands.ask(method, path, headers=headers, json={"name": "x"})
    assert (answer.status_code, code_of(answer)) == (401, "unauthorised")


def test_a_created_brand_has_an_id_of_theirs_and_its_moments(brands: BrandCaller) -> None:
    brand = brands.create(name="Ægir & Søn", description="Ropes", logo_url="https://e.x/l.svg")
    assert re.fullmatch(r"b_[0-9a-f]{12}", brand["id"])
    assert re.fullmatch(MOMENT, brand["updated_at"])
    assert brand["created_at"] == brand["updated_at"]
    assert (brand["name"], brand["description"]) == ("Ægir & Søn", "Ropes")
    assert brands.ask("GET", f"/{brand['id']}").json() == brand


def test_names_need_not_be_unique_nor_say_anything(brands: BrandCaller) -> None:
    names = ["Twin", "Twin", "   ", "x" * 1000]
    made = [brands.create(name=name) for name in names]
    assert len({brand["id"] for brand in made}) == len(names)
    assert [brand["name"] for brand in made] == names


def test_one_key_makes_one_brand_and_gives_one_answer(brands: BrandCaller) -> None:
    before = brands.page()["total"]
    first = brands.post("same", name="Once", description=None)
    brands.patch(first.json()["id"], name="Renamed")
    again = brands.post("same", description=None, name="Once")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert brands.page()["total"] == before + 1


def test_a_key_with_another_body_is_refused(brands: BrandCaller) -> None:
    brands.post("same", name="Once")
    before = brands.page()["total"]
    answer = brands.post("same", name="Other")
    assert (answer.status_code, code_of(answer)) == (422, "idempotency_key_reused")
    assert brands.page()["total"] == before


def test_one_key_sent_many_times_at_once_makes_one_brand(
    brands: BrandCaller, running: Addresses
) -> None:
    before = brands.page()["total"]
    made: list[str] = []

    def send() -> None:
        caller = BrandCaller(running)
        with caller.session:
            made.append(caller.post("together", name="Once").json()["id"])

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 20
    assert len(set(made)) == 1
    assert brands.page()["total"] == before + 1


@pytest.mark.parametrize(
    "body",
    [{}, {"name": None}, {"name": 5}, {"name": "x" * 1001}, {"name": "x", "colour": "red"}, []],
)
def test_a_brand_of_the_wrong_shape_is_refused(brands: BrandCaller, body: Any) -> None:
    answer = brands.ask("POST", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422


def test_a_creation_without_a_key_is_refused(brands: BrandCaller) -> None:
    assert brands.ask("POST", json={"name": "x"}).status_code == 422


def test_a_change_replaces_what_it_names_and_leaves_the_rest(brands: BrandCaller) -> None:
    brand = brands.create(name="Old", description="Kept", logo_url="https://e.x/l.svg")
    changed = brands.patch(brand["id"], name="New", logo_url=None).json()
    assert changed["updated_at"] > brand["updated_at"]
    expected = {"name": "New", "logo_url": None, "updated_at": changed["updated_at"]}
    assert changed == brand | expected
    assert brands.ask("GET", f"/{brand['id']}").json() == changed


def test_the_same_values_again_are_a_change(brands: BrandCaller) -> None:
    brand = brands.create(name="Same")
    assert brands.patch(brand["id"], name="Same").json()["updated_at"] > brand["updated_at"]


@pytest.mark.parametrize("body", [{}, {"name": None}, {"id": "b_mine"}, {"name": 5}])
def test_a_change_of_the_wrong_shape_is_refused(brands: BrandCaller, body: dict[str, Any]) -> None:
    brand = brands.create(name="Old")
    assert brands.patch(brand["id"], **body).status_code == 422
    assert brands.ask("GET", f"/{brand['id']}").json() == brand


def test_a_precondition_holds_only_for_the_version_that_is_there(brands: BrandCaller) -> None:
    old = brands.create(name="One")
    new = brands.patch(old["id"], unless_since=old["updated_at"], name="Two").json()
    for answer in (
        brands.patch(old["id"], unless_since=old["updated_at"], name="Three"),
        brands.delete(old["id"], unless_since=old["updated_at"]),
    ):
        assert (answer.status_code, code_of(answer)) == (412, "version_differs")
    assert brands.ask("GET", f"/{old['id']}").json() == new
    elsewhere = new["updated_at"].replace("Z", "+00:00")
    assert brands.delete(old["id"], unless_since=elsewhere).status_code == 204


def test_a_precondition_that_is_no_moment_is_refused(brands: BrandCaller) -> None:
    brand = brands.create(name="One")
    for wrong in ("yesterday", "2026-01-01T00:00:00"):
        assert brands.patch(brand["id"], unless_since=wrong, name="Two").status_code == 422
        assert brands.delete(brand["id"], unless_since=wrong).status_code == 422


def test_a_deleted_brand_is_gone_without_a_trace(brands: BrandCaller) -> None:
    brand = brands.create(name="Gone")
    before = brands.page()["total"]
    assert brands.delete(brand["id"]).status_code == 204
    for answer in (
        brands.ask("GET", f"/{brand['id']}"),
        brands.patch(brand["id"], unless_since=brand["updated_at"], name="x"),
        brands.delete(brand["id"], unless_since=brand["updated_at"]),
    ):
        assert (answer.status_code, code_of(answer)) == (404, "brand_not_found")
    page = brands.page(limit=500)
    assert page["total"] == before - 1
    assert brand["id"] not in [each["id"] for each in page["brands"]]


def test_effects_name_the_brand_and_the_key(brands: BrandCaller, running: Addresses) -> None:
    brand_id = brands.post("k1", name="One").json()["id"]
    brands.post("k1", name="One")
    brands.patch(brand_id, name="Two", description="x")
    brands.patch(brand_id, unless_since="2020-01-01T00:00:00Z", name="Three")
    brands.delete(brand_id)
    url = running["faults"]["url"] + "/effects"
    effects = requests.get(url, params={"system": "brands"}, timeout=30).json()
    assert [effect["kind"] for effect in effects] == ["create", "update", "delete"]
    assert {effect["brand_id"] for effect in effects} == {brand_id}
    assert effects[0]["idempotency_key"] == "k1"
    assert effects[1]["fields"] == ["description", "name"]


def test_faults_are_shown_by_this_system_too(brands: BrandCaller, lake: Lake) -> None:
    brand_id = brands.ids()[0]
    lake.fault("unavailable_before", system="brands", method="POST")
    lake.fault("rate_limited", system="brands", method="GET", seconds=3)
    lake.fault("lost_answer", system="brands", method="DELETE")
    assert lake.query("*") == []
    assert brands.post(name="x").status_code == 503
    assert brands.ask("GET").headers["Retry-After"] == "3"
    with pytest.raises(requests.ConnectionError):
        brands.delete(brand_id)
    assert brands.ask("GET", f"/{brand_id}").status_code == 404


def test_ten_requests_a_second_are_let_in() -> None:
    with RunningSandbox() as sandbox:
        brands = BrandCaller(sandbox.addresses)
        with brands.session:
            started = time.monotonic()
            refused = next(
                answer
                for answer in (brands.ask("GET") for _ in range(500))
                if answer.status_code != 200
            )
            stranger = requests.get(brands.url, timeout=30)
            while brands.ask("GET").status_code == 429:
                assert time.monotonic() - started < 60
    assert (refused.status_code, code_of(refused)) == (429, "rate_limited")
    assert refused.headers["Retry-After"] == "1"
    assert stranger.status_code == 401


def test_the_documentation_describes_all_of_it(running: Addresses) -> None:
    base = running["brands"]["url"].removesuffix("/brands")
    document = requests.get(f"{base}/openapi.json", timeout=30).json()
    paths = {path: each for path, each in document["paths"].items() if path.startswith("/brands/")}
    assert {path: set(each) for path, each in paths.items()} == {
        "/brands/brands": {"get", "post"},
        "/brands/brands/{brand_id}": {"get", "patch", "delete"},
    }
    for operation in (operation for each in paths.values() for operation in each.values()):
        assert operation["description"]
        assert operation["security"] == [{"ApiKey": []}]
        assert {"401", "422", "429"} <= set(operation["responses"])
        assert all(parameter["description"] for parameter in operation.get("parameters", ()))
    schemas = document["components"]["schemas"]
    for name in ("BrandModel", "PageModel", "NewBrand", "BrandChange", "ErrorBody"):
        assert schemas[name]["description"]
    for name in ("BrandModel", "PageModel", "NewBrand", "BrandChange"):
        assert all(field["description"] for field in schemas[name]["properties"].values())
    assert document["components"]["securitySchemes"]["ApiKey"]["name"] == "X-Api-Key"
    guarded = paths["/brands/brands/{brand_id}"]["patch"]
    assert {"404", "412"} <= set(guarded["responses"])
