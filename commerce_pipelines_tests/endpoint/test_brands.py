"""The store's brands over HTTP, and the message that each change leaves for the push."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from sqlalchemy import Engine, text

from commerce_pipelines.endpoint import door
from commerce_pipelines_tests.endpoint.running import (
    Endpoint,
    as_json,
    bodies,
    problem,
    settings,
    signed,
)

PATH = "/store/brands"
FACTS: dict[str, Any] = {
    "name": "Acme",
    "description": "Anvils",
    "logo_url": "https://example.com/a.svg",
}


def save(endpoint: Endpoint, status: int = 201, **facts: Any) -> Any:
    return as_json(endpoint.post(PATH, json=facts), status)


def patch(endpoint: Endpoint, id_: str, **changes: Any) -> requests.Response:
    return endpoint.ask("PATCH", f"{PATH}/{id_}", json=changes)


def said(brand: Any) -> dict[str, Any]:
    return {name: brand[name] for name in FACTS}


def announced(engine: Engine) -> list[str]:
    """Whose change waits to be pushed, in order."""
    return [json.loads(body)["brand_id"] for body in bodies(engine)]


def test_a_new_brand_is_answered_with_its_place_and_waits_to_be_pushed(
    local: Endpoint, engine: Engine
) -> None:
    answer = local.post(PATH, json=FACTS)

    brand = as_json(answer, 201)
    assert said(brand) == FACTS
    assert (brand["external_ids"], brand["gone_at"], brand["version"]) == ([], None, 1)
    assert as_json(local.get(answer.headers["Location"]), 200) == brand
    assert announced(engine) == [brand["id"]]


def test_a_brand_of_a_known_name_is_changed_and_keeps_what_is_not_said(
    local: Endpoint, engine: Engine
) -> None:
    brand = save(local, **FACTS)

    changed = save(local, 200, name=" ACME ", logo_url=None)

    assert said(changed) == {"name": "ACME", "description": "Anvils", "logo_url": None}
    assert changed["id"] == brand["id"]
    assert announced(engine) == [brand["id"]] * 2


def test_the_same_again_is_the_same_brand_and_nothing_to_push(
    local: Endpoint, engine: Engine
) -> None:
    first = as_json(local.post(PATH, json=FACTS), 201)

    again = local.post(PATH, json=FACTS)

    assert as_json(again, 200) == first
    assert again.headers["Location"] == f"{PATH}/{first['id']}"
    assert len(announced(engine)) == 1


def test_the_same_again_under_one_key_gets_the_first_answer(local: Endpoint) -> None:
    first, again = (
        local.post(PATH, json=FACTS, headers={"Idempotency-Key": "once"}) for _ in range(2)
    )

    assert as_json(again, 201) == first.json()
    assert again.content == first.content
    assert again.headers["Location"] == first.headers["Location"]


def test_one_name_sent_many_times_at_once_is_one_brand(local: Endpoint, engine: Engine) -> None:
    names = ["Acme", "Acme", "Acme", "Acme"]
    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: local.post(PATH, json={"name": name}), names))

    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(announced(engine)) == 1


def test_what_an_import_created_is_pushed_once_somebody_asks_for_it(
    local: Endpoint, engine: Engine
) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO brand (id, name, name_key, saga_id) VALUES ('b', 'Acme', 'acme', 's')"
            )
        )

    assert save(local, 200, name="Acme")["version"] == 2
    assert save(local, 200, name="Acme")["version"] == 2
    assert announced(engine) == ["b"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"name": "Acme & Sons"}, {"name": "Acme & Sons"}),
        ({"description": None}, {"description": None}),
        ({"logo_url": None, "description": "Bells"}, {"logo_url": None, "description": "Bells"}),
        ({}, {}),
    ],
)
def test_a_change_leaves_what_it_does_not_name(
    local: Endpoint, engine: Engine, changes: dict[str, Any], expected: dict[str, Any]
) -> None:
    id_ = save(local, **FACTS)["id"]

    changed = as_json(patch(local, id_, **changes), 200)

    assert said(changed) == FACTS | expected
    assert as_json(local.get(f"{PATH}/{id_}"), 200) == changed
    assert announced(engine) == [id_] * (2 if changes else 1)


def test_changes_at_once_of_different_fields_are_all_kept(local: Endpoint) -> None:
    id_ = save(local, name="Acme")["id"]
    changes = [{"name": "Acme & Sons"}, {"description": "Anvils"}, {"logo_url": "https://a/b"}]

    with ThreadPoolExecutor(len(changes)) as pool:
        list(pool.map(lambda change: as_json(patch(local, id_, **change), 200), changes))

    assert said(as_json(local.get(f"{PATH}/{id_}"), 200)) == changes[0] | changes[1] | changes[2]


def test_a_name_of_another_brand_is_refused(local: Endpoint, engine: Engine) -> None:
    save(local, name="Acme")
    other = save(local, name="Other")

    told = problem(patch(local, other["id"], name="acmé"), 409)

    assert "belongs to another brand" in told["detail"]
    assert as_json(local.get(f"{PATH}/{other['id']}"), 200) == other
    assert len(announced(engine)) == 2


def test_a_name_that_was_given_up_is_free_for_another_brand(local: Endpoint) -> None:
    first = save(local, name="Acme")
    as_json(patch(local, first["id"], name="Acme & Sons"), 200)

    second = save(local, name="Acme")

    assert second["id"] != first["id"]
    assert problem(patch(local, first["id"], name="Acme"), 409)


def test_a_brand_that_is_not_there_is_a_problem(local: Endpoint) -> None:
    problem(local.get(f"{PATH}/none"), 404)
    problem(patch(local, "none", name="Acme"), 404)
    problem(local.get(f"{PATH}/%00"), 422)


@pytest.mark.parametrize(
    ("asked", "field", "reason"),
    [
        ({"name": "x" * 300}, "name", "at most 255 characters"),
        ({"name": "   "}, "name", "at least 1 character that is not a space"),
        ({"name": None}, "name", "valid string"),
        ({"name": 1.5}, "name", "valid string"),
        ({"name": "a\x00b"}, "name", "NUL"),
        ({"name": "\ud800"}, "name", "unicode"),
        ({"name": "A", "description": "x" * 10_001}, "description", "at most 10000"),
        ({"name": "A", "logo_url": ["x"]}, "logo_url", "valid string"),
        ({"name": "A", "id": "b"}, "id", "not permitted"),
        (["Acme"], "", "valid dictionary|object"),
    ],
)
def test_what_cannot_be_a_brand_is_refused_with_its_field(
    local: Endpoint, engine: Engine, asked: Any, field: str, reason: str
) -> None:
    id_ = save(local, name="Known")["id"]

    for answer in (local.post(PATH, json=asked), _patch(local, id_, asked)):
        (fault,) = problem(answer, 422)["errors"]
        assert fault["field"] == field
        assert any(each in fault["reason"] for each in reason.split("|"))
    assert len(announced(engine)) == 1


def _patch(endpoint: Endpoint, id_: str, body: Any) -> requests.Response:
    return endpoint.ask("PATCH", f"{PATH}/{id_}", json=body)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"name": "A", "name": "B"}', 400),
        (b'{"name": NaN}', 400),
        (b'{"name": "\xff"}', 400),
        (b"", 400),
        (b'{"name": "A"} {}', 400),
        (b'{"name": "' + b"x" * 256 * 1024 + b'"}', 413),
    ],
)
def test_a_body_that_is_not_strict_json_is_refused(
    local: Endpoint, engine: Engine, body: bytes, status: int
) -> None:
    problem(local.post(PATH, data=body, headers={"Content-Type": "application/json"}), status)
    problem(local.post(PATH, data=b"name=A"), 415)
    assert announced(engine) == []


def test_a_post_without_a_name_is_refused_and_a_change_without_one_is_not(local: Endpoint) -> None:
    (fault,) = problem(local.post(PATH, json={"description": "Anvils"}), 422)["errors"]
    assert (fault["field"], fault["reason"]) == ("name", "Field required")


def test_only_who_signs_may_change_brands(endpoint: Endpoint, engine: Engine) -> None:
    body = json.dumps(FACTS).encode()
    problem(endpoint.post(PATH, json=FACTS), 401)
    problem(endpoint.post(PATH, data=body + b" ", headers=signed(body)), 401)
    id_ = as_json(endpoint.post(PATH, data=body, headers=signed(body)), 201)["id"]
    problem(patch(endpoint, id_, name="Other"), 401)
    body = b'{"name": "Acme & Sons"}'
    changed = endpoint.ask("PATCH", f"{PATH}/{id_}", data=body, headers=signed(body, id_="2"))
    assert as_json(changed, 200)["name"] == "Acme & Sons"
    assert announced(engine) == [id_] * 2


@pytest.mark.parametrize("limit", [1, 3, 7, 500])
def test_the_pages_together_hold_each_brand_once(local: Endpoint, limit: int) -> None:
    saved = {save(local, name=f"Brand {number}")["id"] for number in range(7)}
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = as_json(local.get(PATH, params={"limit": str(limit), "after": after}), 200)
        assert 0 < len(page["brands"]) <= limit
        found += [brand["id"] for brand in page["brands"]]
        after = page["next"]
    assert found == sorted(saved)


def test_a_store_without_brands_has_one_empty_page(local: Endpoint) -> None:
    assert as_json(local.get(PATH), 200) == {"brands": [], "next": None}
    assert problem(local.get(PATH, params={"limit": "501"}), 422)


def test_a_brand_is_not_changed_while_the_door_is_closed(postgres_url: str, engine: Engine) -> None:
    rules = settings(postgres_url, messages_most_waiting=1, endpoint_unsigned_loopback=True)
    with Endpoint(rules) as endpoint:
        brand = save(endpoint, **FACTS)
        deadline = time.monotonic() + 10 * door.LOOK_SECONDS
        while (answer := endpoint.post(PATH, json={"name": "Acme"})).status_code != 503:
            assert time.monotonic() < deadline, "the door did not close"
            time.sleep(0.05)

        assert "1 messages wait" in problem(answer, 503)["detail"]
        assert answer.headers["Retry-After"] == "60"
        problem(endpoint.post(PATH, json={"name": "New"}), 503)
        problem(patch(endpoint, brand["id"], name="New"), 503)
        assert as_json(endpoint.get(PATH), 200)["brands"] == [brand]
    assert len(announced(engine)) == 1
