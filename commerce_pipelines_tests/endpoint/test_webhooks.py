from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text
from standardwebhooks import Webhook

from commerce_pipelines_tests.endpoint.running import (
    OTHER_SECRET,
    SECRET,
    Endpoint,
    as_json,
    bodies,
    head,
    problem,
    read_answer,
    settings,
    signed,
)

BODY = json.dumps([{"title": "Mug", "external_id": "m-1"}]).encode()

Headers = dict[str, str]
Change = Callable[[Headers, bytes], tuple[Headers, bytes]]


def with_header(name: str, change: Callable[[str], str]) -> Change:
    return lambda headers, body: (headers | {name: change(headers[name])}, body)


def without_header(*names: str) -> Change:
    return lambda headers, body: (
        {name: value for name, value in headers.items() if name not in names},
        body,
    )


def with_body(change: Callable[[bytes], bytes]) -> Change:
    return lambda headers, body: (headers, change(body))


def signed_anew(body: bytes = BODY, **how: object) -> Change:
    return lambda headers, _: (signed(body, **how), body)  # type: ignore[arg-type]


def seconds_off(seconds: float) -> Change:
    def change(headers: Headers, body: bytes) -> tuple[Headers, bytes]:
        return signed(body, at=datetime.now(UTC) + timedelta(seconds=seconds)), body

    return change


ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

MUTATIONS: dict[str, Change] = {
    "nothing signed": without_header(ID, TIMESTAMP, SIGNATURE),
    "no id": without_header(ID),
    "no timestamp": without_header(TIMESTAMP),
    "no signature": without_header(SIGNATURE),
    "another id": with_header(ID, lambda value: value + "2"),
    "an empty id": with_header(ID, lambda value: ""),
    "an id with the dot moved": with_header(ID, lambda value: "msg_1.1"),
    "a very long id": signed_anew(id_="x" * 257),
    "another timestamp": with_header(TIMESTAMP, lambda value: str(int(value) + 1)),
    "a timestamp with a fraction": with_header(TIMESTAMP, lambda value: value + ".5"),
    "a timestamp with a sign": with_header(TIMESTAMP, lambda value: "+" + value),
    "a timestamp with a zero before it": with_header(TIMESTAMP, lambda value: "0" + value),
    "a timestamp with underscores": with_header(TIMESTAMP, lambda v: v[:1] + "_" + v[1:]),
    "a timestamp in milliseconds": with_header(TIMESTAMP, lambda value: value + "000"),
    "a timestamp that is no number": with_header(TIMESTAMP, lambda value: "nan"),
    "a huge timestamp": with_header(TIMESTAMP, lambda value: "9" * 5000),
    "an old timestamp": seconds_off(-310),
    "a timestamp to come": seconds_off(310),
    "an empty signature": with_header(SIGNATURE, lambda value: ""),
    "a version without a signature": with_header(SIGNATURE, lambda value: "v1,"),
    "no version": with_header(SIGNATURE, lambda value: value.removeprefix("v1,")),
    "another version": with_header(SIGNATURE, lambda value: value.replace("v1,", "v2,")),
    "a signature cut short": with_header(SIGNATURE, lambda value: value[:-4]),
    "a signature in other letters": with_header(SIGNATURE, lambda value: value.swapcase()),
    "a signature with padding bits": with_header(
        SIGNATURE, lambda value: value[:-2] + chr(ord(value[-2]) + 1) + "="
    ),
    "a signature that is not ASCII": with_header(SIGNATURE, lambda value: "v1,\xe9" + value),
    "a signature of nothing": with_header(
        SIGNATURE, lambda value: Webhook(SECRET).sign("msg_1", datetime.now(UTC), "")
    ),
    "a signature with another secret": signed_anew(secret=OTHER_SECRET),
    "the body changed": with_body(lambda body: body.replace(b"Mug", b"Cup")),
    "the body with a space more": with_body(lambda body: body + b" "),
    "the body cut short": with_body(lambda body: body[:-1]),
    "the body twice": with_body(lambda body: body * 2),
    "no body": with_body(lambda body: b""),
    "a body that is not UTF-8": with_body(lambda body: b"\xff\xfe" + body),
    "a byte order mark": with_body(lambda body: b"\xef\xbb\xbf" + body),
}


@pytest.mark.parametrize("change", MUTATIONS.values(), ids=MUTATIONS.keys())
@pytest.mark.parametrize("unsigned_loopback", [False, True], ids=["signed", "unsigned mode"])
def test_a_delivery_changed_on_its_way_is_refused_and_not_stored(
    postgres_url: str, engine: Engine, change: Change, *, unsigned_loopback: bool
) -> None:
    headers, body = change(signed(BODY), BODY)
    rules = settings(postgres_url, endpoint_unsigned_loopback=unsigned_loopback)
    with Endpoint(rules) as endpoint:
        answer = endpoint.deliver(body, headers)
    problem(answer, 401)
    assert "WWW-Authenticate" in answer.headers
    assert bodies(engine) == []


def test_a_signature_header_that_appears_twice_is_refused(
    endpoint: Endpoint, engine: Engine
) -> None:
    more = ("webhook-id: msg_1", f"content-length: {len(BODY)}")
    with endpoint.connect() as connection:
        connection.sendall(head("/webhooks/pim", signed(BODY), *more) + BODY)
        answer = read_answer(connection)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert bodies(engine) == []


def test_a_delivery_is_acknowledged_with_its_message_once_it_is_stored(
    endpoint: Endpoint, engine: Engine
) -> None:
    answer = endpoint.deliver(BODY, signed(BODY))
    accepted = as_json(answer, 202)
    assert bodies(engine) == [BODY]
    assert accepted["location"] == answer.headers["Location"] == f"/messages/{accepted['id']}"
    message = as_json(endpoint.get(accepted["location"]), 200)
    assert (message["source"], message["state"], message["item_count"]) == ("pim", "new", 1)


@pytest.mark.parametrize("seconds", [-290, 290])
def test_a_clock_that_is_a_little_off_is_no_fault(endpoint: Endpoint, seconds: int) -> None:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    as_json(endpoint.deliver(BODY, signed(BODY, at=moment)), 202)


def test_a_thousand_deliveries_of_one_id_at_once_are_one_message(
    endpoint: Endpoint, engine: Engine
) -> None:
    headers = signed(BODY)

    def deliver(_: int) -> int:
        answer = endpoint.deliver(BODY, headers)
        while answer.status_code == 503:  # on a busy machine some are asked to come again
            assert int(answer.headers["Retry-After"]) > 0
            answer = endpoint.deliver(BODY, headers)
        message_id: int = as_json(answer, 202)["id"]
        return message_id

    with ThreadPoolExecutor(50) as senders:
        assert len(set(senders.map(deliver, range(1_000)))) == 1
    assert bodies(engine) == [BODY]


def test_a_repeated_id_with_another_body_is_a_conflict_and_the_first_counts(
    endpoint: Endpoint, engine: Engine
) -> None:
    other = b'[{"title": "Cup"}]'
    as_json(endpoint.deliver(BODY, signed(BODY)), 202)
    problem(endpoint.deliver(other, signed(other)), 409)
    assert bodies(engine) == [BODY]
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT body FROM message_conflict")).scalar_one()
    assert bytes(kept) == other


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_both_secrets_are_right_while_one_is_being_replaced(postgres_url: str, secret: str) -> None:
    with Endpoint(settings(postgres_url, pim_webhook_secret=f"{SECRET} {OTHER_SECRET}")) as both:
        as_json(both.deliver(BODY, signed(BODY, secret=secret)), 202)


def test_a_sender_may_sign_with_the_old_and_the_new_secret_at_once(endpoint: Endpoint) -> None:
    headers = signed(BODY)
    other = signed(BODY, secret=OTHER_SECRET)["webhook-signature"]
    headers["webhook-signature"] = f"v1a,xyz {other} {headers['webhook-signature']}"
    as_json(endpoint.deliver(BODY, headers), 202)


def test_nothing_is_taken_from_a_source_that_is_not_known(
    endpoint: Endpoint, engine: Engine
) -> None:
    problem(endpoint.deliver(BODY, signed(BODY), source="shop"), 404)
    assert bodies(engine) == []


@pytest.mark.parametrize(
    ("body", "aggregate"),
    [
        (b'[{"title": "A mug", "external_id": 7}]', "product:7"),
        (b'{"products": [{"title": "A mug"}]}', "product:a-mug"),
        (b'[{"title": "A mug", "handle": "mug"}]', "product:mug"),
        (b'[{"title": ""}]', None),
        (b'[{"title": "x", "external_id": "\\ud800"}]', None),
        (b'[{"title": "A mug"}, {"title": "A cup"}]', None),
        (b"[]", None),
    ],
)
def test_a_message_about_one_product_says_so_to_keep_its_place(
    endpoint: Endpoint, engine: Engine, body: bytes, aggregate: str | None
) -> None:
    as_json(endpoint.deliver(body, signed(body)), 202)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT aggregate FROM message")).scalar_one() == aggregate
