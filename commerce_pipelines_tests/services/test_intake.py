from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from commerce_pipelines.errors import InvalidInput
from commerce_pipelines.services import intake


def test_a_small_body_stays_as_it_came() -> None:
    body = b' [ {"title": "Mug"} ]\n'
    part = intake.whole(body)
    assert (part.body, part.item_count, part.aggregate) == (body, 1, "product:mug")


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_the_parts_together_hold_the_list_wherever_it_is_cut(size: int) -> None:
    products = [{"title": f"Prod\u00fcct {n}", "external_id": n} for n in range(2_500)]
    text = json.dumps({"total": 2_500, "products": products}, ensure_ascii=False)
    chunks = (text[at : at + size] for at in range(0, len(text), size))
    parts = list(intake.parts(chunks))
    assert [part.item_count for part in parts] == [1_000, 1_000, 500]
    assert [product for part in parts for product in json.loads(part.body)] == products


def test_a_part_of_long_products_holds_fewer() -> None:
    long = json.dumps({"title": "x", "description": "x" * 1_500_000})
    parts = list(intake.parts([f"[{','.join([long] * 5)}]"]))
    assert [part.item_count for part in parts] == [2, 2, 1]


def test_nothing_makes_no_part() -> None:
    assert list(intake.parts(["[]"])) == []


def test_one_part_at_a_time_is_read() -> None:
    read: list[int] = []

    def chunks() -> Iterator[str]:
        yield "["
        for number in range(10_000):
            read.append(number)
            yield '{"title": "Mug"},'
        yield "{}]"

    next(intake.parts(chunks()))
    assert len(read) < 2_000


def test_a_list_without_end_is_refused() -> None:
    def chunks() -> Iterator[str]:
        yield "["
        while True:
            yield "1," * 10_000

    with pytest.raises(InvalidInput, match="1000000"):
        for _ in intake.parts(chunks()):
            pass
