"""The Sanity connector against the sandbox's imitation, with its faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity import Sanity, seal_id
from commerce_pipelines.connectors.sanity_errors import (
    ALREADY_EXISTS,
    NOT_FOUND,
    REVISION_DIFFERS,
    STILL_REFERENCED,
    DocumentsConflict,
    DocumentsRefused,
)
from commerce_pipelines.connectors.sanity_mutations import MAX_REQUEST_BYTES, pack, request_body
from commerce_pipelines.errors import Fenced, Unauthorised, Unavailable
from commerce_pipelines.sandbox.server import RunningSandbox, SandboxOptions
from commerce_pipelines_tests.fakes import FakeTime

Show = Callable[..., None]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    """The imitations, without Sanity's rate limit."""
    with RunningSandbox(SandboxOptions(port=0, rate_limit=False)) as running:
        yield running


@pytest.fixture
def show(sandbox: RunningSandbox) -> Iterator[Show]:
    """Asks for a fault; all end with the test, and the documents with them."""
    url = sandbox.addresses["faults"]["url"]

    def shown(kind: str, **options: Any) -> None:
        fault = {"kind": kind, "system": "sanity", **options}
        requests.post(url, json=fault, timeout=10).raise_for_status()

    yield shown
    requests.delete(url, timeout=10).raise_for_status()
    requests.delete(f"{url}/state", timeout=10).raise_for_status()


@pytest.fixture
def sanity(sandbox: RunningSandbox, show: Show, time: FakeTime) -> Iterator[Sanity]:
    """The imitation's dataset, empty."""
    retry = RetryPolicy(sleep=time.sleep, clock=time.clock)
    opened = Sanity.open(**sandbox.addresses["sanity"], budget=UnlimitedBudget(), retry=retry)
    yield opened
    opened.close()


def create(document_id: str, **fields: Any) -> dict[str, Any]:
    return {"create": {"_id": document_id, "_type": "product", **fields}}


def test_a_transaction_is_seen_at_once_and_its_id_is_the_revision(sanity: Sanity) -> None:
    assert not sanity.mutate([create("a", title="Ä"), create("b")], "t:1").already_applied
    found = sanity.fetch_documents(["a", "b", "c"])
    assert {key: document["_rev"] for key, document in found.items()} == {"a": "t:1", "b": "t:1"}
    assert found["a"]["title"] == "Ä"


@pytest.mark.parametrize(
    "fault", ["unavailable_before", "unavailable_after", "lost_answer", "transaction_conflict"]
)
def test_whatever_happens_on_the_way_a_transaction_has_one_effect(
    fault: str, sanity: Sanity, show: Show
) -> None:
    show(fault, method="POST", times=2)
    sanity.mutate([{"createIfNotExists": {"_id": "a", "_type": "product", "n": 0}}], "t0")
    show(fault, method="POST", times=2)
    sanity.mutate([{"patch": {"id": "a", "inc": {"n": 1}}}], "t1")
    assert sanity.fetch_documents(["a"])["a"]["n"] == 1


def test_a_limit_on_the_rate_is_waited_for(sanity: Sanity, show: Show, time: FakeTime) -> None:
    show("rate_limited", seconds=3)
    sanity.mutate([create("a")], "t1")
    assert time.slept_seconds[0] >= 3


def test_html_from_a_gateway_is_waited_out_and_reads_are_never_in_doubt(
    sanity: Sanity, show: Show
) -> None:
    show("html_error", times=2)
    assert sanity.fetch_documents(["a"]) == {}
    show("html_error", times=None)
    with pytest.raises(Unavailable, match="502"):
        sanity.fetch_documents(["a"])


def test_refusals_carry_sanitys_name_and_the_document(sanity: Sanity) -> None:
    sanity.mutate([create("a"), create("b", link={"_ref": "a"})], "t1")
    refused: dict[str, Any] = {
        ALREADY_EXISTS: create("a"),
        REVISION_DIFFERS: {"patch": {"id": "a", "ifRevisionID": "old", "set": {"x": 1}}},
        NOT_FOUND: {"patch": {"id": "nowhere", "set": {"x": 1}}},
        STILL_REFERENCED: {"delete": {"id": "a"}},
    }
    for type_, mutation in refused.items():
        with pytest.raises(DocumentsConflict) as raised:
            sanity.mutate([create("new"), mutation], f"t-{type_}")
        (item,) = raised.value.items
        assert (item.index, item.type) == (1, type_)
        assert item.document_id in {"a", "nowhere"}
    assert sanity.fetch_documents(["new"]) == {}


def test_what_is_wrong_in_any_state_is_refused(sanity: Sanity) -> None:
    with pytest.raises(DocumentsRefused):
        sanity.mutate([{"create": {"_id": "a"}}], "t1")


def test_a_seal_keeps_a_late_transaction_out_for_ever(sanity: Sanity) -> None:
    assert sanity.seal("t1")
    assert sanity.seal("t1")
    with pytest.raises(Fenced):
        sanity.mutate([create("a")], "t1")
    assert sanity.fetch_documents(["a"]) == {}


def test_a_seal_finds_a_transaction_that_was_first(sanity: Sanity, show: Show) -> None:
    sanity.mutate([create("a")], "t1")
    show("lost_answer", method="POST")
    assert not sanity.seal("t1")
    assert not sanity.seal("t1")
    assert set(sanity.fetch_documents(["a", seal_id("t1")])) == {"a"}


def test_a_seal_with_a_lost_answer_still_holds(sanity: Sanity, show: Show) -> None:
    show("lost_answer", method="POST")
    assert sanity.seal("t1")
    with pytest.raises(Fenced):
        sanity.mutate([create("a")], "t1")


def test_a_full_pack_is_within_sanitys_limit(sanity: Sanity) -> None:
    mutations = [(f"p{number}", create(f"p{number}", text="ä" * 5_000)) for number in range(700)]
    packs = list(pack(mutations))
    assert len(packs) == 3
    assert len(request_body(packs[0], "t0")) > MAX_REQUEST_BYTES - 20_000
    for number, packed in enumerate(packs):
        sanity.mutate(packed, f"t{number}")
    assert len(sanity.fetch_documents(key for key, _ in mutations)) == 700


def test_a_wrong_token_is_told(sandbox: RunningSandbox) -> None:
    address: dict[str, Any] = sandbox.addresses["sanity"] | {"token": "wrong"}
    sanity = Sanity.open(**address, budget=UnlimitedBudget())
    with pytest.raises(Unauthorised):
        sanity.mutate([create("a")], "t1")
    with pytest.raises(Unauthorised):
        sanity.fetch_documents(["a"])
    sanity.close()
