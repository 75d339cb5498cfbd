"""The brand connector against the sandbox's imitation, with its faults."""

from __future__ import annotations

import time as real_time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from commerce_pipelines.connectors.brands import BrandSystem
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.domain.brands import ForeignBrand
from commerce_pipelines.errors import Conflict, NotFound, Refused, Unknown
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines_tests.connectors.brand_sandbox import (
    Meddler,
    Show,
    effects_in,
    found,
    opened,
    rename,
    seeded,
)
from commerce_pipelines_tests.fakes import FakeTime

MANY = 1_200
SAME_MOMENT = "2025-06-01T00:00:00.000000Z"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """The imitations, with many brands and without a rate limit."""
    brands = [{"id": f"b_{number}", "name": f"Brand {number}"} for number in range(MANY)]
    with RunningSandbox(seeded(tmp_path_factory.mktemp("seed") / "seed.json", brands)) as running:
        yield running


@pytest.fixture
def show(sandbox: RunningSandbox) -> Iterator[Show]:
    """Asks for a fault; all end with the test, and what it changed."""
    url = sandbox.addresses["faults"]["url"]

    def shown(kind: str, **options: Any) -> None:
        fault = {"kind": kind, "system": "brands", **options}
        requests.post(url, json=fault, timeout=10).raise_for_status()

    yield shown
    for what in ("", "/effects", "/state"):
        requests.delete(url + what, timeout=10).raise_for_status()


@pytest.fixture
def meddler() -> Meddler:
    """Somebody else, who so far does nothing."""
    return Meddler()


@pytest.fixture
def brands(
    sandbox: RunningSandbox, show: Show, time: FakeTime, meddler: Meddler
) -> Iterator[BrandSystem]:
    """The imitation, as seeded."""
    del show
    retry = RetryPolicy(sleep=time.sleep, clock=time.clock)
    with opened(sandbox, meddler, retry) as account:
        yield account


@pytest.fixture
def others(sandbox: RunningSandbox) -> Iterator[BrandSystem]:
    """The imitation in the hands of somebody else."""
    with opened(sandbox) as account:
        yield account


def test_all_brands_are_fetched_page_by_page(brands: BrandSystem, meddler: Meddler) -> None:
    fetched = brands.fetch_changed(None)
    assert [brand.external_id for brand in fetched.brands] == [f"b_{n}" for n in range(MANY)]
    assert (fetched.total, fetched.rejected, meddler.requests) == (MANY, [], 3)


def test_no_brand_is_missed_while_the_list_shifts(
    brands: BrandSystem, others: BrandSystem, meddler: Meddler
) -> None:
    def change_what_was_read() -> None:
        for number in range(20):
            rename(others, f"b_{number}", f"Changed {number}")
        others.delete("b_30", found(others, "b_30").updated_at)
        others.delete("b_900", found(others, "b_900").updated_at)

    meddler.before = {2: change_what_was_read, 3: lambda: rename(others, "b_700", "Changed 700")}
    fetched = brands.fetch_changed(None)
    names = {brand.external_id: brand.name for brand in fetched.brands}
    assert len(names) == len(fetched.brands)
    assert set(names) == {f"b_{number}" for number in range(MANY)} - {"b_900"}
    assert all(names[f"b_{number}"] == f"Changed {number}" for number in [*range(20), 700])
    assert fetched.total == MANY - 2


def test_many_brands_of_one_moment_are_all_fetched(tmp_path: Path) -> None:
    rows = [{"id": f"b_{n}", "name": "x", "updated_at": SAME_MOMENT} for n in range(MANY)]
    options = seeded(tmp_path / "seed.json", rows)
    with RunningSandbox(options) as sandbox, opened(sandbox) as brands:
        assert len(brands.fetch_changed(None).brands) == MANY


def test_a_brand_that_comes_again_is_kept_once(brands: BrandSystem, show: Show) -> None:
    show("repeated_rows", times=None)
    fetched = brands.fetch_changed(None)
    assert len({brand.external_id for brand in fetched.brands}) == len(fetched.brands) == MANY


def test_a_limit_in_the_middle_of_the_list_is_waited_for(
    brands: BrandSystem, show: Show, time: FakeTime, meddler: Meddler
) -> None:
    show("rate_limited", seconds=7, after=1)
    assert len(brands.fetch_changed(None).brands) == MANY
    assert meddler.requests == 4
    assert len(time.slept_seconds) == 1
    assert time.slept_seconds[0] >= 7


def test_only_what_changed_since_is_fetched(brands: BrandSystem) -> None:
    changed = rename(brands, "b_5", "Five")
    made = brands.create("Made", None, None, "k")
    fetched = brands.fetch_changed(changed.updated_at)
    assert fetched.brands == [changed, made]
    assert fetched.total == MANY + 1
    assert brands.fetch_changed(datetime.max.replace(tzinfo=UTC)).brands == []


def test_rows_that_are_no_brands_are_reported(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        *({"id": "b_1", "name": "Good"}, {"id": "b_2"}, {"id": "b_3", "name": 5}),
        *({"id": "b_4", "name": "   "}, {"id": "b_5", "name": "Good too"}),
    ]
    options = seeded(tmp_path / "seed.json", rows)
    with RunningSandbox(options) as sandbox, opened(sandbox) as brands:
        fetched = brands.fetch_changed(None)
    assert [brand.external_id for brand in fetched.brands] == ["b_1", "b_5"]
    assert {row.external_id: row.reason for row in fetched.rejected} == {
        "b_2": "name is missing",
        "b_3": "name is no text",
        "b_4": "name is blank",
    }
    assert fetched.total == 5


@pytest.mark.parametrize(
    "fault", ["unavailable_before", "unavailable_after", "lost_answer", "rate_limited"]
)
def test_whatever_happens_on_the_way_one_brand_is_created(
    fault: str, brands: BrandSystem, show: Show, sandbox: RunningSandbox
) -> None:
    show(fault, method="POST", times=2)
    made = brands.create("Ægir", "Ropes", None, "saga:1")
    assert brands.find(made.external_id) == made
    (effect,) = effects_in(sandbox)
    assert (effect["brand_id"], effect["idempotency_key"]) == (made.external_id, "saga:1")


def test_a_creation_in_doubt_is_cleared_up_by_sending_it_again(
    brands: BrandSystem, others: BrandSystem, show: Show, sandbox: RunningSandbox
) -> None:
    show("lost_answer", method="POST", times=None)
    with pytest.raises(Unknown):
        brands.create("Ægir", None, None, "saga:1")
    requests.delete(sandbox.addresses["faults"]["url"], timeout=10)
    made = others.create("Ægir", None, None, "saga:1")
    assert [effect["brand_id"] for effect in effects_in(sandbox)] == [made.external_id]


def test_a_repeated_creation_tells_of_the_brand_as_it_was_made(brands: BrandSystem) -> None:
    made = brands.create("Ægir", None, None, "saga:1")
    changed = rename(brands, made.external_id, "Ægir & Søn")
    assert brands.create("Ægir", None, None, "saga:1") == made
    assert brands.delete(made.external_id, changed.updated_at)
    assert brands.create("Ægir", None, None, "saga:1") == made
    assert brands.find(made.external_id) is None


def test_a_key_with_other_fields_is_refused(brands: BrandSystem) -> None:
    brands.create("Ægir", None, None, "saga:1")
    with pytest.raises(Refused, match="422"):
        brands.create("Other", None, None, "saga:1")


def test_a_change_is_made_only_to_the_version_that_was_seen(
    brands: BrandSystem, others: BrandSystem
) -> None:
    seen = found(brands, "b_1")
    theirs = rename(others, "b_1", "Theirs")
    with pytest.raises(Conflict):
        brands.update("b_1", {"name": "Ours"}, seen.updated_at)
    with pytest.raises(Conflict):
        brands.delete("b_1", seen.updated_at)
    assert brands.find("b_1") == theirs
    ours = brands.update("b_1", {"description": "Ours"}, theirs.updated_at)
    assert (ours.name, ours.description) == ("Theirs", "Ours")


def test_a_change_of_what_is_gone_finds_nothing(brands: BrandSystem) -> None:
    seen = found(brands, "b_1")
    assert brands.delete("b_1", seen.updated_at)
    with pytest.raises(NotFound):
        brands.update("b_1", {"name": "Ours"}, seen.updated_at)
    assert brands.delete("b_1", seen.updated_at) is False


def test_a_change_whose_answer_was_lost_is_made_once_and_in_doubt(
    brands: BrandSystem, show: Show, sandbox: RunningSandbox
) -> None:
    seen = found(brands, "b_1")
    show("lost_answer", method="PATCH")
    with pytest.raises(Unknown):
        brands.update("b_1", {"name": "Ours"}, seen.updated_at)
    assert found(brands, "b_1").name == "Ours"
    assert len(effects_in(sandbox)) == 1
    with pytest.raises(Conflict):
        brands.update("b_1", {"name": "Ours"}, seen.updated_at)


def test_a_change_that_comes_late_meets_its_own_repeat(
    brands: BrandSystem, show: Show, sandbox: RunningSandbox
) -> None:
    seen = found(brands, "b_1")
    show("late", method="PATCH", seconds=0.5)
    ours = brands.update("b_1", {"name": "Ours"}, seen.updated_at)
    theirs = rename(brands, "b_1", "Theirs")
    url = sandbox.addresses["faults"]["url"] + "/requests"
    while not [each for each in requests.get(url, timeout=10).json() if each["status"] == 412]:
        real_time.sleep(0.02)
    assert brands.find("b_1") == theirs
    assert theirs.updated_at > ours.updated_at


def test_a_deletion_whose_answer_was_lost_is_a_deletion(brands: BrandSystem, show: Show) -> None:
    seen = found(brands, "b_1")
    show("lost_answer", method="DELETE")
    assert brands.delete("b_1", seen.updated_at) is False
    assert brands.find("b_1") is None


def test_a_deletion_that_met_a_change_meanwhile_is_a_conflict_without_doubt(
    brands: BrandSystem, others: BrandSystem, show: Show, meddler: Meddler
) -> None:
    seen = found(brands, "b_1")
    show("unavailable_before", method="DELETE")
    meddler.before = {meddler.requests + 2: lambda: rename(others, "b_1", "Theirs")}
    with pytest.raises(Conflict):
        brands.delete("b_1", seen.updated_at)
    assert found(brands, "b_1").name == "Theirs"


def test_a_creation_is_known_after_a_restart_there(tmp_path: Path) -> None:
    options = SandboxOptions(port=0, rate_limit=False, state_file=tmp_path / "state.db")
    made: list[ForeignBrand] = []
    for _ in range(2):
        with RunningSandbox(options) as sandbox, opened(sandbox) as brands:
            made.append(brands.create("Ægir", None, None, "saga:1"))
            assert brands.find(made[0].external_id) == made[0]
    assert made[0] == made[1]
