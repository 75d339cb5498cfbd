from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from commerce_pipelines.sandbox.sanity.access import Access
from commerce_pipelines.sandbox.sanity.errors import SanityError
from commerce_pipelines.sandbox.server import Addresses, RunningSandbox
from commerce_pipelines_tests.sandbox.lake import Lake, ids_of, item_of


@pytest.fixture
def stranger(lake: Lake, running: Addresses) -> Iterator[Lake]:
    reader = Lake(running)
    del reader.session.headers["Authorization"]
    with reader.session:
        yield reader


def test_documents_come_in_the_order_asked_for_with_reasons_for_the_rest(lake: Lake) -> None:
    for name in ("a", "b", "c"):
        lake.create(_id=name, _type="x")
    answer = lake.documents("c", "none", "a")
    assert ids_of(answer["documents"]) == ["c", "a"]
    assert answer["omitted"] == [{"id": "none", "reason": "existence"}]


def test_existence_can_be_asked_without_content(lake: Lake) -> None:
    lake.create(_id="a", _type="x")
    answer = lake.ask("GET", "doc/production/a,b?excludeContent=true")
    assert answer.json() == {"omitted": [{"id": "b", "reason": "existence"}]}


def test_a_malformed_id_is_refused_when_reading_too(lake: Lake) -> None:
    assert lake.ask("GET", "doc/production/-a").status_code == 400


def test_a_reader_without_a_token_does_not_see_dotted_ids(lake: Lake, stranger: Lake) -> None:
    for name in ("a", "drafts.a", "private.b"):
        lake.create(_id=name, _type="x")
    answer = stranger.documents("a", "drafts.a")
    assert ids_of(answer["documents"]) == ["a"]
    assert answer["omitted"] == [{"id": "drafts.a", "reason": "permission"}]
    assert stranger.query("*._id", "raw") == ["a"]
    assert len(stranger.ask("GET", "export/production").text.splitlines()) == 1


def test_a_write_without_a_token_is_forbidden(lake: Lake, stranger: Lake) -> None:
    lake.create(_id="a", _type="x")
    wanted = {"create": {"_type": "x"}, "update": {"id": "a"}, "delete": {"id": "a"}}
    for permission, body in wanted.items():
        kind = "patch" if permission == "update" else permission
        answer = stranger.mutate({kind: body})
        assert answer.status_code == 403
        item = item_of(answer)
        assert item["type"] == "insufficientPermissionsError"
        assert item["permission"] == permission
    assert len(lake.effects()) == 1


def test_a_token_nobody_knows_is_unauthorised_everywhere(lake: Lake, stranger: Lake) -> None:
    stranger.session.headers["Authorization"] = "Bearer wrong"
    for answer in (
        stranger.mutate({"create": {"_type": "x"}}),
        stranger.ask("GET", "doc/production/a"),
        stranger.ask("GET", "query/production?query=*"),
    ):
        assert answer.status_code == 401
        assert answer.json() == {
            "statusCode": 401,
            "error": "Unauthorized",
            "message": "Session not found",
            "errorCode": "SIO-401-ANF",
        }


def test_history_wants_a_token(stranger: Lake) -> None:
    answer = stranger.ask("GET", "history/production/documents/a?lastRevision=true")
    assert answer.status_code == 401


def test_other_projects_and_datasets_are_not_here(lake: Lake) -> None:
    assert lake.ask("GET", "doc/staging/a").status_code == 404
    headers = {"X-Sanity-Project-ID": "other"}
    assert lake.ask("GET", "doc/production/a", headers=headers).status_code == 404
    headers = {"X-Sanity-Project-ID": lake.sanity["project_id"]}
    assert lake.ask("GET", "doc/production/a", headers=headers).status_code == 200


def test_the_export_holds_every_document_on_a_line(lake: Lake) -> None:
    made = [
        lake.create(_id="a", _type="x", text="line\nbreak"),
        lake.create(_id="drafts.a", _type="y"),
    ]
    lines = lake.ask("GET", "export/production").text.splitlines()
    assert [json.loads(line) for line in lines] == made
    assert len(lake.ask("GET", "export/production?types=y").text.splitlines()) == 1


def test_history_gives_the_last_revision_only(lake: Lake) -> None:
    revision = lake.create(_id="a", _type="x")["_rev"]
    path = "history/production/documents/a"
    assert ids_of(lake.ask("GET", f"{path}?revision={revision}").json()["documents"]) == ["a"]
    assert lake.ask("GET", f"{path}?revision=older").json() == {"documents": []}
    assert lake.ask("GET", f"{path}?time=2026-01-01T00:00:00Z").status_code == 400


def test_the_twenty_sixth_mutation_of_a_second_has_to_wait() -> None:
    now = [100.0]
    access = Access("project", "dataset", "token", clock=lambda: now[0])
    for _ in range(25):
        access.count_mutation()
    now[0] += 0.9
    with pytest.raises(SanityError):
        access.count_mutation()
    now[0] += 0.1
    for _ in range(25):
        access.count_mutation()


def test_the_mutation_rate_is_kept_unless_switched_off() -> None:
    with RunningSandbox() as sandbox:
        lake = Lake(sandbox.addresses)
        with lake.session:
            answers = (lake.mutate({"create": {"_type": "x"}}) for _ in range(2000))
            refused = next(answer for answer in answers if answer.status_code != 200)
    assert refused.status_code == 429
    assert refused.headers["Retry-After"] == "1"
    assert refused.json() == {"message": "API rate limit exceeded"}
