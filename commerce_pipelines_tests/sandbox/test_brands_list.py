"""The brand system's list: what it holds, how it shifts, what survives."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.sandbox.brands.register import Register
from commerce_pipelines.sandbox.server import Addresses, RunningSandbox, SandboxOptions
from commerce_pipelines.sandbox.state_file import StateFile
from commerce_pipelines_tests.sandbox.brand_caller import BrandCaller, code_of
from commerce_pipelines_tests.sandbox.lake import Lake
from commerce_pipelines_tests.sandbox.test_server import started


@pytest.fixture
def brands(lake: Lake, running: Addresses) -> Iterator[BrandCaller]:
    """A caller of a brand system without brands."""
    del lake
    caller = BrandCaller(running)
    with caller.session:
        caller.empty()
        yield caller


def seeded(path: Path, *brands: Any) -> SandboxOptions:
    seed = path / "seed.json"
    seed.write_text(json.dumps({"products": [], "brands": brands}))
    return SandboxOptions(port=0, rate_limit=False, seed=seed)


def test_the_sample_has_some_of_the_pims_brands_in_other_spellings() -> None:
    with RunningSandbox() as sandbox:
        brands = BrandCaller(sandbox.addresses).page()["brands"]
        pim = requests.get(sandbox.addresses["pim"]["url"] + "/products", timeout=30).json()
    ours = {product["brand"] for product in pim["products"]}
    theirs = {brand["name"] for brand in brands}
    assert 5 <= len(theirs) <= 20
    assert {"NORDHANG", "señal"} <= theirs
    assert {"Nordhang", "Señal"} <= ours
    assert "Fjällvide" in theirs & ours
    assert "Lumen & Oak" in theirs - ours


def test_brands_stand_in_the_order_of_their_changes(brands: BrandCaller) -> None:
    made = [brands.create(name=name)["id"] for name in "abc"]
    assert brands.ids() == made
    brands.patch(made[0], name="A")
    page = brands.page()
    assert [brand["id"] for brand in page["brands"]] == [made[1], made[2], made[0]]
    moments = [brand["updated_at"] for brand in page["brands"]]
    assert moments == sorted(set(moments))


def test_the_list_is_read_in_pages(brands: BrandCaller) -> None:
    made = [brands.create(name=str(number))["id"] for number in range(5)]
    first = brands.page(limit=2)
    second = brands.page(limit=2, cursor=first["next_cursor"])
    third = brands.page(limit=2, cursor=second["next_cursor"])
    read = [brand["id"] for page in (first, second, third) for brand in page["brands"]]
    assert read == made
    assert third["next_cursor"] is None
    assert {page["total"] for page in (first, second, third)} == {5}
    assert brands.page(limit=5)["next_cursor"] is None


def test_a_hundred_brands_are_a_page_unless_asked_for_more(brands: BrandCaller) -> None:
    for number in range(101):
        brands.create(name=str(number))
    assert len(brands.page()["brands"]) == 100
    assert len(brands.page(limit=500)["brands"]) == 101


def test_a_change_while_reading_makes_the_list_shift(brands: BrandCaller) -> None:
    made = [brands.create(name=str(number))["id"] for number in range(5)]
    first = brands.page(limit=2)
    brands.patch(made[0], name="changed")
    rest = brands.ids(limit=4, cursor=first["next_cursor"])
    assert made[2] not in rest
    assert rest == [made[3], made[4], made[0]]


def test_changes_since_a_moment_are_listed_with_that_moment(brands: BrandCaller) -> None:
    made = [brands.create(name=str(number)) for number in range(3)]
    since = made[1]["updated_at"]
    page = brands.page(updated_since=since)
    assert page["brands"] == made[1:]
    assert page["total"] == 3
    later = datetime.fromisoformat(since) + timedelta(microseconds=1)
    assert brands.ids(updated_since=later.isoformat()) == [made[2]["id"]]
    assert brands.ids(updated_since="2999-01-01T00:00:00Z") == []


@pytest.mark.parametrize(
    "params",
    [
        *({"limit": "0"}, {"limit": "501"}, {"limit": "ten"}, {"updated_since": "yesterday"}),
        *({"updated_since": "2026-01-01T00:00:00"}, {"cursor": "next"}, {"cursor": "at--1"}),
    ],
)
def test_a_list_of_the_wrong_kind_is_refused(brands: BrandCaller, params: dict[str, str]) -> None:
    assert brands.ask("GET", params=params).status_code == 422


def test_a_cursor_is_none_of_ours_to_make(brands: BrandCaller) -> None:
    assert code_of(brands.ask("GET", params={"cursor": "x"})) == "no_such_cursor"


def test_on_request_a_page_holds_a_brand_twice(brands: BrandCaller, lake: Lake) -> None:
    made = [brands.create(name=name)["id"] for name in "abc"]
    lake.fault("repeated_rows", system="brands")
    assert brands.ids(limit=2) == [made[0], made[1], made[0]]
    assert brands.ids(limit=2) == made[:2]


def test_moments_rise_also_when_the_clock_does_not() -> None:
    still = datetime(2026, 1, 1, tzinfo=UTC)
    register = Register(StateFile(None), [], lambda: still)
    one = register.create("k1", {"name": "one"})
    two = register.create("k2", {"name": "two"})
    again = register.change(one["id"], {"name": "again"})
    assert one["updated_at"] < two["updated_at"] < again["updated_at"]
    assert [brand["name"] for brand in register.changed(None)] == ["two", "again"]


def test_a_reset_brings_back_the_first_brands_and_forgets_keys(
    lake: Lake, running: Addresses
) -> None:
    brands = BrandCaller(running)
    first = brands.page()
    made = brands.post("k", name="One").json()
    brands.patch(first["brands"][0]["id"], name="Changed")
    brands.delete(first["brands"][1]["id"])
    lake.forget()
    assert brands.page() == first
    assert brands.post("k", name="Two").json()["id"] != made["id"]
    brands.session.close()


def test_acknowledged_brands_survive_a_kill(tmp_path: Path) -> None:
    state_file = tmp_path / "state.db"
    with started(state_file) as (child, addresses):
        brands = BrandCaller(addresses)
        first = brands.ids()
        made = brands.post("k", name="Made").json()
        brands.patch(first[0], name="Changed")
        brands.delete(first[1])
        kept = brands.page()
        child.send_signal(signal.SIGKILL)
        child.wait()
        brands.session.close()
    with started(state_file) as (child, addresses):
        brands = BrandCaller(addresses)
        assert brands.page() == kept
        assert brands.post("k", name="Made").json() == made
        assert brands.post("k", name="Other").status_code == 422
        assert brands.create(name="Later")["updated_at"] > kept["brands"][-1]["updated_at"]
        brands.session.close()


def test_a_register_that_was_emptied_stays_empty(tmp_path: Path) -> None:
    options = SandboxOptions(port=0, rate_limit=False, state_file=tmp_path / "state.db")
    for _ in range(2):
        with RunningSandbox(options) as sandbox:
            BrandCaller(sandbox.addresses).empty()
    with RunningSandbox(options) as sandbox:
        assert BrandCaller(sandbox.addresses).page()["total"] == 0


def test_a_seed_may_hold_other_brands_also_broken_ones(tmp_path: Path) -> None:
    moment = "2026-02-03T04:05:06.000007Z"
    given = [{"name": "Late", "id": "b_1", "updated_at": moment}, {"name": 5}, {}]
    with RunningSandbox(seeded(tmp_path, *given)) as sandbox:
        page = BrandCaller(sandbox.addresses).page()
    assert [brand["name"] for brand in page["brands"]] == [5, None, "Late"]
    assert page["brands"][2]["updated_at"] == moment


def test_a_seed_without_brands_leaves_the_sample(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text('{"products": []}')
    with RunningSandbox(SandboxOptions(port=0, seed=seed)) as sandbox:
        assert BrandCaller(sandbox.addresses).page()["total"] > 0


@pytest.mark.parametrize(
    "brands",
    [["text"], [{"updated_at": "soon"}], [{"updated_at": 5}], [{"id": "a"}, {"id": "a"}], [5]],
)
def test_a_seed_that_cannot_be_listed_is_refused(tmp_path: Path, brands: list[Any]) -> None:
    with pytest.raises(ConfigurationError):
        RunningSandbox(seeded(tmp_path, *brands))


def test_the_key_is_the_one_given_and_never_shown() -> None:
    options = SandboxOptions(port=0, brands_api_key="bk_mine")
    with RunningSandbox(options) as sandbox:
        assert sandbox.addresses["brands"]["api_key"] == "bk_mine"
    assert "bk_mine" not in repr(options)
