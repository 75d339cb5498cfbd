from __future__ import annotations

from typing import Any

import pytest

from commerce_pipelines_tests.sandbox.lake import Lake, error_of, item_of

START: dict[str, Any] = {
    "title": "Tent",
    "count": 3,
    "seo": {"title": "old", "note": "kept"},
    "tags": ["a", "b", "c"],
    "items": [{"_key": "k1", "n": 1}, {"_key": "k2", "n": 2}],
}

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("set", {"set": {"title": "Yurt"}}, {"title": "Yurt"}),
    ("set_nested", {"set": {"seo.title": "new"}}, {"seo": {"title": "new", "note": "kept"}}),
    ("set_makes_parents", {"set": {"x.y.z": 1}}, {"x": {"y": {"z": 1}}}),
    ("set_over_text", {"set": {"title.en": "Yurt"}}, {"title": {"en": "Yurt"}}),
    ("set_item", {"set": {"tags[-1]": "z"}}, {"tags": ["a", "b", "z"]}),
    ("set_no_item", {"set": {"tags[9]": "z"}}, {"tags": ["a", "b", "c"]}),
    ("set_quoted", {"set": {"['7 up']": 1}}, {"7 up": 1}),
    (
        "set_by_key",
        {"set": {'items[_key=="k2"].n': 9}},
        {"items": [{"_key": "k1", "n": 1}, {"_key": "k2", "n": 9}]},
    ),
    (
        "set_each",
        {"set": {"items[*].n": 0}},
        {"items": [{"_key": "k1", "n": 0}, {"_key": "k2", "n": 0}]},
    ),
    (
        "set_where",
        {"set": {"items[n > 1].big": True}},
        {"items": [{"_key": "k1", "n": 1}, {"_key": "k2", "n": 2, "big": True}]},
    ),
    ("seed_missing", {"setIfMissing": {"colour": "red"}}, {"colour": "red"}),
    ("seed_present", {"setIfMissing": {"title": "no"}}, {"title": "Tent"}),
    ("seed_nested", {"setIfMissing": {"seo.extra": 1}}, {"seo": {**START["seo"], "extra": 1}}),
    (
        "seed_goes_before_set",
        {"set": {"new.a": 1}, "setIfMissing": {"new": {"b": 2}}},
        {"new": {"a": 1, "b": 2}},
    ),
    ("unset", {"unset": ["title", "missing", "a.b"]}, {"title": None}),
    ("unset_nested", {"unset": ["seo.title"]}, {"seo": {"note": "kept"}}),
    ("unset_items", {"unset": ["tags[0,2]"]}, {"tags": ["b"]}),
    ("unset_by_key", {"unset": ['items[_key=="k1"]']}, {"items": [{"_key": "k2", "n": 2}]}),
    ("inc", {"inc": {"count": 2}}, {"count": 5}),
    ("dec", {"dec": {"count": 0.5}}, {"count": 2.5}),
    ("append", {"insert": {"after": "tags[-1]", "items": ["d"]}}, {"tags": [*"abcd"]}),
    ("prepend", {"insert": {"before": "tags[0]", "items": ["z"]}}, {"tags": [*"zabc"]}),
    ("replace", {"insert": {"replace": "tags[1]", "items": [*"xy"]}}, {"tags": [*"axyc"]}),
    ("replace_end", {"insert": {"replace": "tags[1:]", "items": ["x"]}}, {"tags": [*"ax"]}),
    ("replace_last", {"insert": {"replace": "tags[-2:]", "items": ["x"]}}, {"tags": [*"abx"]}),
    ("splice_in", {"insert": {"replace": "tags[1:1]", "items": ["x"]}}, {"tags": [*"axbc"]}),
    (
        "append_to_empty",
        {"setIfMissing": {"new": []}, "insert": {"after": "new[-1]", "items": [1]}},
        {"new": [1]},
    ),
]


@pytest.mark.parametrize(
    ("patch", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_patch_does_what_the_content_lake_does(
    lake: Lake, patch: dict[str, Any], expected: dict[str, Any]
) -> None:
    lake.create(_id="a", _type="product", **START)
    patched = lake.patch("a", **patch)
    assert {name: patched.get(name) for name in expected} == expected
    untouched = START.keys() - expected.keys()
    assert {name: patched[name] for name in untouched} == {name: START[name] for name in untouched}


@pytest.mark.parametrize(
    "patch",
    [
        {"set": {"7abc": 1}},
        {"set": {"a..b": 1}},
        {"set": {"tags[": 1}},
        {"set": {"tags[]": 1}},
        {"set": {"": 1}},
        {"set": [1]},
        {"unset": "title"},
        {"inc": {"missing": 1}},
        {"inc": {"title": 1}},
        {"inc": {"count": "1"}},
        {"insert": {"after": "missing[-1]", "items": [1]}},
        {"insert": {"after": "title", "items": [1]}},
        {"insert": {"items": [1]}},
        {"diffMatchPatch": {"title": "@@"}},
    ],
)
def test_a_patch_that_is_not_understood_is_refused(lake: Lake, patch: dict[str, Any]) -> None:
    before = lake.create(_id="a", _type="product", **START)
    answer = lake.mutate({"patch": {"id": "a", **patch}})
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "validationError"
    assert lake.document("a") == before


def test_id_and_type_never_change(lake: Lake) -> None:
    lake.create(_id="a", _type="product")
    for attribute in ("_id", "_type"):
        answer = lake.mutate({"patch": {"id": "a", "set": {attribute: "other"}}})
        assert answer.status_code == 400
        assert item_of(answer)["type"] == "cannotModifyImmutableAttributeError"


def test_a_patch_leaves_earlier_answers_and_the_deleted_revision_alone(lake: Lake) -> None:
    lake.create(_id="a", _type="product", **START)
    answer = lake.mutate(
        {"patch": {"id": "a", "set": {"seo.title": "one"}}},
        {"patch": {"id": "a", "set": {"seo.title": "two"}}},
        returnDocuments="true",
    )
    titles = [result["document"]["seo"]["title"] for result in answer.json()["results"]]
    assert titles == ["one", "two"]
