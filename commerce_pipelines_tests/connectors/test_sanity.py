"""Sanity's answers, scripted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from commerce_pipelines.connectors.sanity import MutationAnswer, Sanity, seal_id
from commerce_pipelines.connectors.sanity_errors import (
    ALREADY_EXISTS,
    REVISION_DIFFERS,
    DocumentsConflict,
    DocumentsRefused,
    RefusedMutation,
)
from commerce_pipelines.errors import (
    Busy,
    CommerceError,
    Fenced,
    InvalidInput,
    Refused,
    Unauthorised,
    Unavailable,
    Unknown,
)
from commerce_pipelines_tests.connectors.conftest import TOKEN, OpenSession
from commerce_pipelines_tests.fakes import (
    HANG_UP,
    CountingBudget,
    FakeTime,
    Received,
    Reply,
    ScriptedServer,
)

MUTATIONS = [{"delete": {"id": "a"}}]
EXISTS = Reply(409, {"error": {"type": "transactionAlreadyExistsError", "description": "exists"}})
CONFLICT = Reply(409, {"error": {"type": "transactionConflictError", "description": "met"}})
ACCEPTED = Reply(body={"transactionId": "t1", "results": []})
SEAL = seal_id("t1")
SEALED = Reply(body={"documents": [{"_id": SEAL}], "omitted": []})
UNSEALED = Reply(body={"documents": [], "omitted": [{"id": SEAL, "reason": "existence"}]})


@pytest.fixture
def sanity(open_session: OpenSession, budget: CountingBudget) -> Sanity:
    """A dataset on the scripted server."""
    return Sanity(open_session(), "production", budget)


def refusal(status: int, kind: str, *items: tuple[str, str]) -> Reply:
    """Returns a mutation error as Sanity words it; items are document id and type."""
    listed = [
        {"index": index, "error": {"type": type_, "id": identity, "description": "why"}}
        for index, (identity, type_) in enumerate(items)
    ]
    return Reply(status, {"error": {"type": kind, "description": "failed", "items": listed}})


def test_a_transaction_is_one_request_under_its_id(
    server: ScriptedServer, sanity: Sanity, budget: CountingBudget
) -> None:
    server.reply(ACCEPTED)
    assert sanity.mutate(MUTATIONS, "t1") == MutationAnswer("t1", already_applied=False)
    (received,) = server.received
    assert (received.method, received.path) == ("POST", "/data/mutate/production")
    assert received.query == {"visibility": "async", "returnIds": "false"}
    assert received.json() == {"mutations": MUTATIONS, "transactionId": "t1"}
    assert budget.taken == 1


def test_the_hosted_address_and_the_version_are_filled_in(
    server: ScriptedServer, budget: CountingBudget
) -> None:
    server.reply(ACCEPTED)
    sanity = Sanity.open(url=server.url, project_id="p1", dataset="d1", token=TOKEN, budget=budget)
    sanity.mutate(MUTATIONS, "t1")
    sanity.close()
    (received,) = server.received
    assert re.fullmatch(r"/v\d{4}-\d\d-\d\d/data/mutate/d1", received.path)
    assert received.headers["authorization"] == f"Bearer {TOKEN}"
    assert received.headers["x-sanity-project-id"] == "p1"
    hosted = Sanity.open(url=None, project_id="p1", dataset="d1", token=TOKEN, budget=budget)
    assert "https://p1.api.sanity.io/v2025-02-19" in repr(hosted._http)
    hosted.close()


def test_a_transaction_that_is_in_already_counts_as_applied(
    server: ScriptedServer, sanity: Sanity
) -> None:
    server.reply(EXISTS, UNSEALED)
    assert sanity.mutate(MUTATIONS, "t1") == MutationAnswer("t1", already_applied=True)


def test_a_lost_answer_is_cleared_up_by_the_same_transaction_id(
    server: ScriptedServer, sanity: Sanity, budget: CountingBudget
) -> None:
    server.reply(HANG_UP, Reply(503), CONFLICT, Reply(429), EXISTS, UNSEALED)
    assert sanity.mutate(MUTATIONS, "t1").already_applied
    assert len({received.body for received in server.received[:5]}) == 1
    assert budget.taken == 5


def test_a_sealed_transaction_is_fenced(server: ScriptedServer, sanity: Sanity) -> None:
    server.reply(EXISTS, SEALED)
    with pytest.raises(Fenced, match="t1 was sealed"):
        sanity.mutate(MUTATIONS, "t1")


@pytest.mark.parametrize("type_", [REVISION_DIFFERS, ALREADY_EXISTS, "documentNotFoundError"])
def test_a_conflict_names_the_documents(type_: str, server: ScriptedServer, sanity: Sanity) -> None:
    server.reply(refusal(409, "mutationError", ("a", type_), ("b", type_)))
    with pytest.raises(DocumentsConflict) as raised:
        sanity.mutate(MUTATIONS, "t1")
    assert raised.value.items == (
        RefusedMutation(0, "a", type_, "why"),
        RefusedMutation(1, "b", type_, "why"),
    )


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refusal_names_the_documents(status: int, server: ScriptedServer, sanity: Sanity) -> None:
    server.reply(refusal(status, "validationError", ("a", "validationError")))
    with pytest.raises(DocumentsRefused) as raised:
        sanity.mutate(MUTATIONS, "t1")
    assert [item.document_id for item in raised.value.items] == ["a"]
    assert len(server.received) == 1


def test_a_refusal_in_an_unexpected_shape_is_a_refusal_all_the_same(
    server: ScriptedServer, sanity: Sanity
) -> None:
    bodies: list[Any] = [
        {"statusCode": 400, "error": "Bad Request", "message": "no"},
        {"error": {"items": "none"}},
        {"error": {"items": [1, {"error": "x"}, {}]}},
        [],
        None,
        "<html>no</html>",
    ]
    for body in bodies:
        server.reply(Reply(400, body))
        with pytest.raises(DocumentsRefused) as raised:
            sanity.mutate(MUTATIONS, "t1")
        assert raised.value.items == ()


@pytest.mark.parametrize("body", [b"", {}, []])
def test_a_success_that_names_no_transaction_is_not_believed(
    body: Any, server: ScriptedServer, sanity: Sanity
) -> None:
    server.reply(*[Reply(200, body)] * 500)
    with pytest.raises(Unknown, match="no transaction id"):
        sanity.mutate(MUTATIONS, "t1")


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_without_the_right_is_its_own_error(
    status: int, server: ScriptedServer, sanity: Sanity
) -> None:
    server.reply(refusal(status, "mutationError", ("a", "insufficientPermissionsError")))
    with pytest.raises(Unauthorised):
        sanity.mutate(MUTATIONS, "t1")


@pytest.mark.parametrize(
    ("reply", "error"), [(Reply(429), Unavailable), (CONFLICT, Busy), (Reply(503), Unknown)]
)
def test_what_never_gets_better_is_given_up_with_its_own_error(
    reply: Reply,
    error: type[CommerceError],
    server: ScriptedServer,
    sanity: Sanity,
    time: FakeTime,
) -> None:
    server.reply(*[reply] * 500)
    with pytest.raises(CommerceError) as raised:
        sanity.mutate(MUTATIONS, "t1")
    assert type(raised.value) is error
    assert time.now_seconds <= 60
    assert len(server.received) > 5


@pytest.mark.parametrize("last", [Reply(400), refusal(409, "mutationError", ("a", "x"))])
def test_a_refusal_after_a_lost_answer_leaves_doubt(
    last: Reply, server: ScriptedServer, sanity: Sanity
) -> None:
    server.reply(HANG_UP, last)
    with pytest.raises(Unknown):
        sanity.mutate(MUTATIONS, "t1")


@pytest.mark.parametrize(
    ("replies", "never_lands"),
    [((ACCEPTED,), True), ((EXISTS, SEALED), True), ((EXISTS, UNSEALED), False)],
    ids=["accepted", "sealed earlier", "the original was first"],
)
def test_a_seal_tells_which_came_first(
    replies: tuple[Reply, ...], never_lands: bool, server: ScriptedServer, sanity: Sanity
) -> None:
    server.reply(*replies)
    assert sanity.seal("t1") is never_lands
    sent = server.received[0].json()
    (mutation,) = sent["mutations"]
    assert sent["transactionId"] == "t1"
    assert mutation["createIfNotExists"]["_id"] == SEAL
    assert SEAL.startswith("saga.seal.")


def test_a_seal_in_doubt_is_no_answer(server: ScriptedServer, sanity: Sanity) -> None:
    server.reply(*[Reply(503)] * 500)
    with pytest.raises(Unknown):
        sanity.seal("t1")


def documents_but(missing: set[str], reason: str = "existence") -> Callable[[Received], Reply]:
    """Returns a reply with all documents asked for but these."""

    def answer(received: Received) -> Reply:
        ids = received.path.removeprefix("/data/doc/production/").split(",")
        found = [{"_id": identity, "_rev": "r"} for identity in ids if identity not in missing]
        omitted = [{"id": identity, "reason": reason} for identity in ids if identity in missing]
        return Reply(body={"documents": found, "omitted": omitted})

    return answer


def test_many_documents_are_fetched_in_groups(
    server: ScriptedServer, sanity: Sanity, budget: CountingBudget
) -> None:
    ids = [f"product-{number}" for number in range(250)] + ["x" * 128] * 2
    ids += [f"{number:0>128}" for number in range(60)]
    server.reply(*[Reply(answer=documents_but({"product-7"}))] * 9)
    found = sanity.fetch_documents(ids)
    assert set(found) == set(ids) - {"product-7"}
    assert all(len(received.path) <= 6_100 for received in server.received)
    assert all(received.path.count(",") < 100 for received in server.received)
    assert len(server.received) == 4
    assert budget.taken == 0


def test_no_ids_are_no_request(server: ScriptedServer, sanity: Sanity) -> None:
    assert sanity.fetch_documents([]) == {}
    assert server.received == []


def test_a_document_that_may_not_be_read_is_not_taken_for_missing(
    server: ScriptedServer, sanity: Sanity
) -> None:
    server.reply(Reply(answer=documents_but({"a"}, "permissions")))
    with pytest.raises(Unauthorised, match="document a"):
        sanity.fetch_documents(["a", "b"])


@pytest.mark.parametrize("body", [{"documents": []}, {"documents": None}, []])
def test_a_document_that_is_not_accounted_for_is_not_taken_for_missing(
    body: Any, server: ScriptedServer, sanity: Sanity
) -> None:
    server.reply(Reply(body=body))
    with pytest.raises(Refused, match="does not say"):
        sanity.fetch_documents(["a"])


def test_an_id_that_is_none_never_gets_into_an_address(
    server: ScriptedServer, sanity: Sanity
) -> None:
    with pytest.raises(InvalidInput):
        sanity.fetch_documents(["../../x"])
    assert server.received == []


def test_a_read_that_fails_was_never_in_doubt(server: ScriptedServer, sanity: Sanity) -> None:
    server.reply(*[HANG_UP] * 500)
    with pytest.raises(Unavailable):
        sanity.fetch_documents(["a"])
