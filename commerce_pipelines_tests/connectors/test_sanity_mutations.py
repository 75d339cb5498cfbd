"""What is decided before anything is sent to Sanity."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce_pipelines.connectors.sanity_mutations import (
    ENVELOPE_BYTES,
    Mutation,
    pack,
    request_body,
    serialise,
    valid_document_id,
)
from commerce_pipelines.errors import InvalidInput

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=300)


def created(document_id: str, text: str) -> tuple[str, dict[str, Any]]:
    return document_id, {"create": {"_id": document_id, "_type": "product", "text": text}}


@pytest.mark.parametrize(
    "document_id", ["a", "A_1-b", "drafts.product-1", "_x", "a" * 128, "saga.seal.0f", "7"]
)
def test_a_document_id_that_sanity_takes_is_valid(document_id: str) -> None:
    assert valid_document_id(document_id)


@pytest.mark.parametrize(
    "document_id",
    ["", ".", "-a", ".a", "a.", "a..b", "a.-b", "a b", "a/b", "ä", "a\n", "a,b", "a" * 129],
)
def test_any_other_document_id_is_not(document_id: str) -> None:
    assert not valid_document_id(document_id)
    with pytest.raises(InvalidInput):
        serialise(document_id, {})


@given(st.lists(TEXT, max_size=40), st.integers(300, 3_000), st.integers(1, 10))
def test_packs_keep_order_and_limits_and_lose_nothing(
    texts: list[str], max_bytes: int, max_count: int
) -> None:
    mutations = [created(f"p{number}", text) for number, text in enumerate(texts)]
    packs = list(pack(mutations, max_bytes=max_bytes, max_count=max_count))
    sent: list[Any] = []
    for packed in packs:
        body = request_body(packed, "x" * 128)
        assert len(packed) <= max_count
        assert len(body) <= max_bytes or len(packed) == 1
        assert len(body) <= sum(len(m.body) + 1 for m in packed) + ENVELOPE_BYTES
        sent += json.loads(body)["mutations"]
    assert sent == [mutation for _, mutation in mutations]
    assert [m.document_id for packed in packs for m in packed] == [key for key, _ in mutations]


def test_a_mutation_beyond_the_limit_is_packed_alone() -> None:
    mutations = [created("a", "x"), created("b", "x" * 1_000), created("c", "x")]
    packs = [[m.document_id for m in packed] for packed in pack(mutations, max_bytes=1_000)]
    assert packs == [["a"], ["b"], ["c"]]


def test_a_body_is_the_same_from_mutations_and_from_their_bytes() -> None:
    document_id, mutation = created("a", "ä€😀")
    serialised = serialise(document_id, mutation)
    assert serialised == Mutation(
        "a", json.dumps(mutation, ensure_ascii=False, separators=(",", ":")).encode()
    )
    assert request_body([serialised], "t") == request_body([mutation], "t")
    assert json.loads(request_body([mutation], 't"')) == {
        "mutations": [mutation],
        "transactionId": 't"',
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud800", object(), {1, 2}])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        serialise("a", {"create": {"value": value}})
