from __future__ import annotations

from typing import Any

import pytest

from commerce_pipelines_tests.sandbox.lake import Lake, error_of

DOCUMENTS: list[dict[str, Any]] = [
    {"_id": "tent", "_type": "product", "title": "Big Tent", "n": 3, "tags": ["camp", "sleep"]},
    {"_id": "mug", "_type": "product", "title": "Mug", "n": 1, "brand": {"_ref": "acme"}},
    {"_id": "rope", "_type": "product", "n": 2.5, "sold": True},
    {"_id": "acme", "_type": "brand", "name": "Acme"},
    {"_id": "drafts.mug", "_type": "product", "title": "Mug, edited"},
    {"_id": "drafts.new", "_type": "product", "title": "Not out yet"},
]

CASES: list[tuple[str, Any]] = [
    ("count(*)", 4),
    ('*[_type == "brand"]._id', ["acme"]),
    ("*[_type == 'product' && n > 1]._id", ["tent", "rope"]),
    ("*[_type == 'product' && !(n > 1)]._id", ["mug"]),
    ("*[n <= 1 || name == 'Acme']._id", ["mug", "acme"]),
    ("*[n >= 3 || n < 2]._id", ["tent", "mug"]),
    ("*[_type != 'product']._id", ["acme"]),
    ("*[sold == true]._id", ["rope"]),
    ("*[n == true]._id", []),
    ("*[title > 1]._id", []),
    ("*[title == null && n > 0]._id", ["rope"]),
    ("*[defined(title)]._id", ["tent", "mug"]),
    ("*[_id in $ids]._id", ["tent", "acme"]),
    ("*['camp' in tags]._id", ["tent"]),
    ("*[references('acme')]._id", ["mug"]),
    ("*[references($ids)]._id", ["mug"]),
    ("*[title match 'big te*']._id", ["tent"]),
    ("*[_id in path('m*')]._id", ["mug"]),
    ("*[string::startsWith(title, 'B')]._id", ["tent"]),
    ("*[_id == 'mug'][0].title", "Mug"),
    ("*[_id == 'none'][0]", None),
    ("*[_id == 'mug'][0].brand->name", "Acme"),
    ("*[_id == 'mug'][0]{title, brand->{name}}", {"title": "Mug", "brand": {"name": "Acme"}}),
    ("*[_type == 'product'] | order(n)[0...2]._id", ["mug", "rope"]),
    ("*[_type == 'product'] | order(n desc)[0..1]._id", ["tent", "rope"]),
    ("*[_type == 'product'] | order(title asc, n desc)._id", ["tent", "mug", "rope"]),
    ("* | order(_id)[-1]._id", "tent"),
    ("*[n == 3]{_id, 'label': title, 'more': count(tags)}",
     [{"_id": "tent", "label": "Big Tent", "more": 2}]),
    ("*[_id == 'acme'][0]{..., 'name': upper(name)}.name", "ACME"),
    ("*[_id == 'rope'][0]{_id, title}", {"_id": "rope", "title": None}),
    ("*[_id == 'tent'][0].tags[1]", "sleep"),
    ("*[_id == 'tent'][0].tags[@ != 'camp']", ["sleep"]),
    ("{'products': count(*[_type == 'product']), 'one': 1}", {"products": 3, "one": 1}),
    ("*[_type == 'brand']{name, 'sold': *[brand._ref == ^._id]._id}",
     [{"name": "Acme", "sold": ["mug"]}]),
    ("coalesce(*[_id == 'rope'][0].title, 'untitled')", "untitled"),
    ("length(*[_id == 'mug'][0].title)", 3),
    ("*[n == -1 || n == 2.5]._id // a comment", ["rope"]),
    ('"\\u00e9\\n\\"" == $text', True),
]  # fmt: skip


@pytest.fixture
def filled(lake: Lake) -> Lake:
    assert lake.mutate(*({"create": document} for document in DOCUMENTS)).status_code == 200
    return lake


@pytest.mark.parametrize(("query", "expected"), CASES, ids=[query for query, _ in CASES])
def test_a_query_gives_what_groq_gives(filled: Lake, query: str, expected: Any) -> None:
    assert filled.query(query, ids=["tent", "acme"], text='é\n"') == expected


@pytest.mark.parametrize(
    "query",
    [
        "",
        "*[",
        "*[_type ==]",
        "*[_id == $missing]",
        "*[dateTime(_createdAt) > now()]",
        "* | score(title match 'a')",
        "*{'a' + 'b'}",
        "*[0..n]",
        "*[1.5]",
        "*{title == 'a' => {n}}",
        "*[_id == 'a'] §",
        "count()",
        "*{a.b}",
        "(" * 5000,
    ],
)
def test_a_query_outside_the_subset_is_refused(filled: Lake, query: str) -> None:
    answer = filled.ask("POST", "query/production", json={"query": query, "params": {}})
    assert answer.status_code == 400
    error = error_of(answer)
    assert error["type"] == "queryParseError"
    assert error["query"] == query
    assert 0 <= error["start"] <= error["end"]


def test_queries_may_be_posted(filled: Lake) -> None:
    body = {"query": "*[_id in $ids]._id", "params": {"ids": ["mug"]}}
    answer = filled.ask("POST", "query/production", json=body).json()
    assert answer["result"] == ["mug"]
    assert answer["query"] == body["query"]
    quiet = filled.ask("POST", "query/production?returnQuery=false", json=body).json()
    assert "query" not in quiet


def test_perspectives_show_and_hide_drafts(filled: Lake) -> None:
    titles = "*[_type == 'product' && defined(title)] | order(_id).title"
    assert filled.query(titles) == ["Mug", "Big Tent"]
    assert filled.query(titles, "published") == ["Mug", "Big Tent"]
    assert filled.query(titles, "raw") == ["Mug, edited", "Not out yet", "Mug", "Big Tent"]
    assert filled.query(titles, "drafts") == ["Mug, edited", "Not out yet", "Big Tent"]
    assert filled.query("*[_id == 'mug'][0]._originalId", "drafts") == "drafts.mug"


def test_before_february_2025_a_query_sees_everything(filled: Lake) -> None:
    old = filled.base.replace("v2025-06-01", "v2021-06-07")
    answer = filled.session.get(f"{old}/query/production", params={"query": "count(*)"}, timeout=30)
    assert answer.json()["result"] == len(DOCUMENTS)


def test_an_unknown_perspective_is_refused(filled: Lake) -> None:
    answer = filled.ask("GET", "query/production?query=*&perspective=rSummer")
    assert answer.status_code == 400
