from __future__ import annotations

import pytest
from sqlalchemy import Engine

from commerce_pipelines.endpoint.app import create_app
from commerce_pipelines.endpoint.callers import is_loopback
from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines_tests.endpoint.running import (
    SECRET,
    Endpoint,
    as_json,
    bodies,
    problem,
    settings,
)

NOWHERE = "postgresql://u@127.0.0.1:1/d"
TWO = [{"title": "Mug"}, {"title": "Cup"}]


@pytest.mark.parametrize(
    "secret",
    [None, "", "   ", "whsec_", "whsec_c2hvcnQ=", "whsec_%%%", f"{SECRET} whsec_", "password"],
)
def test_without_a_sound_secret_it_does_not_start(secret: str | None) -> None:
    with pytest.raises(ConfigurationError, match="PIM_WEBHOOK_SECRET"):
        create_app(settings(NOWHERE, pim_webhook_secret=secret))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.com"])
def test_the_unsigned_mode_is_for_loopback_only(host: str) -> None:
    rules = settings(NOWHERE, endpoint_unsigned_loopback=True, endpoint_host=host)
    with pytest.raises(ConfigurationError, match="ENDPOINT_HOST"):
        create_app(rules)


def test_without_a_store_it_does_not_start() -> None:
    with pytest.raises(ConfigurationError, match="POSTGRES_URL"):
        create_app(settings(None))


def test_the_unsigned_mode_needs_no_secret_but_then_takes_no_webhook(
    postgres_url: str, engine: Engine
) -> None:
    rules = settings(postgres_url, endpoint_unsigned_loopback=True, pim_webhook_secret=None)
    with Endpoint(rules) as endpoint:
        as_json(endpoint.import_(TWO, {"prefer": "respond-async"}), 202)
        problem(endpoint.deliver(b"[]", {"content-type": "application/json"}), 401)
    assert len(bodies(engine)) == 1


def test_no_secret_shows_in_a_repr() -> None:
    app = create_app(settings(NOWHERE))
    assert SECRET not in repr([middleware.kwargs for middleware in app.user_middleware])


@pytest.mark.parametrize(
    "host",
    ["example.com", "example.com:9000", "127.0.0.1.example.com", "192.168.0.1", "[::2]", "["],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/products"), ("GET", "/store/products")])
def test_a_request_that_names_another_host_is_refused_in_unsigned_mode(
    local: Endpoint, engine: Engine, host: str, method: str, path: str
) -> None:
    problem(local.ask(method, path, json=TWO, headers={"host": host}), 403)
    assert bodies(engine) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://example.com"},
        {"origin": "null"},
        {"origin": "http://localhost:3000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_cannot_import_in_unsigned_mode(
    local: Endpoint, engine: Engine, headers: dict[str, str]
) -> None:
    problem(local.import_(TWO, headers), 403)
    assert bodies(engine) == []


def test_the_own_pages_and_plain_clients_can_import_in_unsigned_mode(local: Endpoint) -> None:
    own = {"origin": local.url, "sec-fetch-site": "same-origin", "prefer": "respond-async"}
    as_json(local.import_(TWO, own), 202)
    port = local.address[1]
    for host in (f"localhost:{port}", "LOCALHOST", "127.0.0.1", f"[::1]:{port}"):
        as_json(local.import_(TWO, {"host": host, "prefer": "respond-async"}), 202)


def test_a_page_of_another_site_never_gets_to_read(local: Endpoint) -> None:
    answer = local.get("/store/products", headers={"origin": "https://example.com"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


def test_a_forwarded_address_counts_for_nothing(endpoint: Endpoint, engine: Engine) -> None:
    headers = {"x-forwarded-for": "127.0.0.1", "x-forwarded-host": "localhost"}
    problem(endpoint.import_(TWO, headers), 401)
    assert bodies(engine) == []


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, *, expected: bool) -> None:
    assert is_loopback(host) is expected
