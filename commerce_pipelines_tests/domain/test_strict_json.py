"""JSON as it is accepted, and the traps that are not."""

from __future__ import annotations

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commerce_pipelines.domain.strict_json import DEEPEST, NoSuchArray, iterate_array, loads
from commerce_pipelines.errors import InvalidInput

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def nested(depth: int) -> str:
    """Returns a number inside so many arrays."""
    return "[" * depth + "1" + "]" * depth


def values_of(chunks: list[str], key: str | None = None) -> list[Any]:
    """Returns the items of an array that comes in chunks."""
    return [value for value, _ in iterate_array(chunks, key)]


@given(VALUES, st.sampled_from([None, 2]), st.booleans())
def test_good_json_is_read_as_python_reads_it(value: Any, indent: int | None, ascii_: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_)

    assert loads(text) == loads(text.encode()) == value


def test_numbers_with_a_fraction_are_exact() -> None:
    assert loads("[9.99, 1e2, -0.1]") == [Decimal("9.99"), Decimal("1e2"), Decimal("-0.1")]
    assert isinstance(loads("9.990"), Decimal)
    assert isinstance(loads("9"), int)


def test_a_byte_order_mark_is_taken() -> None:
    assert loads(b"\xef\xbb\xbf[1]") == [1]


BAD = {
    "nothing": "",
    "white space": "  \n ",
    "not JSON": "{title: 1}",
    "text behind the end": "[1] 2",
    "NaN": "[NaN]",
    "Infinity": "[Infinity]",
    "-Infinity": "[-Infinity]",
    "a number beyond a double": "[1e999]",
    "a number of many digits": f"[{'9' * 5000}]",
    "a fraction of many digits": f"[0.{'9' * 5000}]",
    "a key twice": '{"a": 1, "a": 2}',
    "a key twice, deep inside": '[{"b": [{"a": 1, "a": 1}]}]',
    "too deep": nested(DEEPEST + 2),
    "far too deep": nested(100_000),
    "a trailing comma": "[1,]",
    "a comment": "[1] // one",
    "a control character": '["\n"]',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_bad_json_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"^(The body is|There is)"):
        loads(text)


@pytest.mark.parametrize("body", [b"\xff\xfe[\x001\x00]", b'["\xc3"]', b"\x80"])
def test_bytes_that_are_not_utf8_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput, match="not UTF-8"):
        loads(body)


def test_a_whole_character_in_two_escapes_is_taken() -> None:
    assert loads('["\\ud83d\\ude00"]') == ["😀"]


def test_half_a_character_is_left_to_who_takes_the_text() -> None:
    assert loads('["\\ud800"]') == ["\ud800"]


def test_the_deepest_document_is_taken() -> None:
    assert loads(nested(DEEPEST))


@given(st.lists(VALUES, max_size=6), st.lists(st.integers(0, 40), max_size=12), st.booleans())
def test_an_array_is_read_alike_however_it_is_cut(
    values: list[Any], cuts: list[int], wrapped: bool
) -> None:
    text = json.dumps({"products": values} if wrapped else values, ensure_ascii=False)
    chunks = []
    for cut in cuts:
        chunks.append(text[:cut])
        text = text[cut:]
    chunks.append(text)

    assert values_of(chunks, "products") == values


@given(st.lists(VALUES, max_size=5))
def test_an_array_may_come_character_by_character(values: list[Any]) -> None:
    assert values_of(list(json.dumps(values))) == values


@given(st.lists(VALUES, max_size=5))
def test_each_item_comes_with_its_own_text(values: list[Any]) -> None:
    for value, text in iterate_array([json.dumps(values)]):
        assert loads(text) == value


def test_an_item_is_there_before_the_rest_has_come() -> None:
    def endless() -> Any:
        yield "["
        while True:
            yield '{"a": 1},'

    items = iterate_array(endless())

    assert [next(items)[0] for _ in range(3)] == [{"a": 1}] * 3


def test_members_around_the_array_are_read_over() -> None:
    assert values_of(['{"total": 2, "products": [1, 2], "skip": {"x": []}}'], "products") == [1, 2]


@pytest.mark.parametrize("text", ['{"items": [1]}', '{"products": 1}', "{}"])
def test_an_object_without_the_array_is_told_apart(text: str) -> None:
    with pytest.raises(NoSuchArray):
        values_of([text], "products")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[1 2]",
        "[1]]",
        "[1] x",
        "1",
        '{"products": [1]',
        '{"products": [1]} x',
        '{"products": [1], "products": [2]}',
        '[{"a": 1, "a": 2}]',
        "[NaN]",
        f"[{nested(DEEPEST + 1)}]",
        '"products"',
    ],
)
def test_a_bad_array_is_refused(text: str) -> None:
    for chunks in ([text], list(text)):
        with pytest.raises(InvalidInput):
            values_of(chunks, "products")


@given(st.text() | st.binary())
def test_nothing_but_our_own_error_comes_out(body: str | bytes) -> None:
    with suppress(InvalidInput):
        loads(body)
    if isinstance(body, str):
        with suppress(InvalidInput):
            values_of([body], "products")
