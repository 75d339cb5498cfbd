from __future__ import annotations

from typing import Any

import pytest

from commerce_pipelines_tests.sandbox.lake import Lake, error_of, ids_of, item_of


def product(document_id: str, **more: Any) -> dict[str, Any]:
    return {"_id": document_id, "_type": "product", **more}


def test_a_created_document_has_the_transaction_as_its_revision(lake: Lake) -> None:
    lake.mutate({"create": product("a", title="Żółw")}, transaction_id="first:1")
    document = lake.document("a")
    assert document is not None
    assert (document["title"], document["_rev"]) == ("Żółw", "first:1")
    assert document["_createdAt"] == document["_updatedAt"]


def test_an_id_is_made_when_missing_or_ending_in_a_dot(lake: Lake) -> None:
    assert lake.create(_type="product")["_id"]
    made = lake.create(_id="pre.", _type="product")["_id"]
    assert made.startswith("pre.")
    assert len(made) > len("pre.")


def test_creating_an_id_in_use_is_a_conflict(lake: Lake) -> None:
    lake.create(**product("a"))
    answer = lake.mutate({"create": product("a")})
    assert answer.status_code == 409
    assert error_of(answer)["type"] == "mutationError"
    assert item_of(answer)["type"] == "documentAlreadyExistsError"


def test_replacing_leaves_nothing_of_the_old_document(lake: Lake) -> None:
    lake.create(**product("a", title="old", extra=1))
    lake.mutate({"createOrReplace": product("a", title="new")})
    document = lake.document("a")
    assert document is not None
    assert document["title"] == "new"
    assert "extra" not in document


def test_creating_if_missing_leaves_an_existing_document_alone(lake: Lake) -> None:
    before = lake.create(**product("a", title="kept"))
    answer = lake.mutate({"createIfNotExists": product("a", title="lost")})
    assert answer.json()["results"] == [{"id": "a", "operation": "none"}]
    assert lake.document("a") == before


def test_one_refused_mutation_undoes_the_whole_transaction(lake: Lake) -> None:
    lake.create(**product("taken"))
    answer = lake.mutate(
        {"create": product("new")}, {"create": product("taken")}, transaction_id="both"
    )
    assert answer.status_code == 409
    assert error_of(answer)["items"][0]["index"] == 1
    assert lake.document("new") is None
    assert lake.mutate({"create": product("new")}, transaction_id="both").status_code == 200


def test_a_transaction_id_is_accepted_once(lake: Lake) -> None:
    lake.mutate({"create": product("a")}, transaction_id="once")
    answer = lake.mutate({"create": product("b")}, transaction_id="once")
    assert answer.status_code == 409
    assert error_of(answer)["type"] == "transactionAlreadyExistsError"
    assert lake.document("b") is None


def test_a_dry_run_changes_nothing_and_uses_up_no_id(lake: Lake) -> None:
    dry = lake.mutate({"create": product("a")}, transaction_id="dry", dryRun="true")
    assert dry.json()["results"] == [{"id": "a", "operation": "create"}]
    assert lake.document("a") is None
    assert lake.mutate({"create": product("a")}, transaction_id="dry").status_code == 200


def test_a_patch_under_another_revision_is_a_conflict(lake: Lake) -> None:
    current = lake.create(**product("a"))["_rev"]
    answer = lake.mutate({"patch": {"id": "a", "ifRevisionID": "other", "set": {"x": 1}}})
    assert answer.status_code == 409
    item = item_of(answer)
    assert item["type"] == "documentRevisionIDDoesNotMatchError"
    assert (item["currentRevisionID"], item["expectedRevisionID"]) == (current, "other")
    fits = lake.mutate({"patch": {"id": "a", "ifRevisionID": current, "set": {"x": 1}}})
    assert fits.status_code == 200


def test_a_guarded_delete_removes_only_the_revision_it_names(lake: Lake) -> None:
    revision = lake.create(**product("a"))["_rev"]

    def guarded(expected: str) -> int:
        guard = {"patch": {"id": "a", "ifRevisionID": expected, "unset": ["nothing"]}}
        return lake.mutate(guard, {"delete": {"id": "a"}}).status_code

    assert guarded("other") == 409
    assert guarded(revision) == 200
    assert lake.document("a") is None


def test_patching_a_missing_document_is_refused_but_deleting_one_is_not(lake: Lake) -> None:
    patched = lake.mutate({"patch": {"id": "none", "set": {"x": 1}}})
    assert patched.status_code == 409
    assert item_of(patched)["type"] == "documentNotFoundError"
    deleted = lake.mutate({"delete": {"id": "none"}})
    assert (deleted.status_code, deleted.json()["results"]) == (200, [])


def test_patch_and_delete_select_by_query(lake: Lake) -> None:
    for name in ("a", "b"):
        lake.create(**product(name))
    lake.create(_id="c", _type="brand")
    selection = {"query": "*[_type == $type]", "params": {"type": "product"}}
    lake.mutate({"patch": {**selection, "set": {"seen": True}}})
    assert ids_of(lake.query("*[seen == true]")) == ["a", "b"]
    lake.mutate({"delete": selection})
    assert lake.query("*._id") == ["c"]


def test_a_referenced_document_is_not_deleted(lake: Lake) -> None:
    lake.create(_id="brand", _type="brand")
    lake.create(**product("a", brand={"_type": "reference", "_ref": "brand"}))
    answer = lake.mutate({"delete": {"id": "brand"}})
    assert answer.status_code == 409
    assert item_of(answer)["type"] == "documentHasExistingReferencesError"
    assert item_of(answer)["referencingIDs"] == ["a"]
    together = lake.mutate({"delete": {"id": "brand"}}, {"delete": {"id": "a"}})
    assert together.status_code == 200


def test_a_weak_reference_does_not_hold_its_target(lake: Lake) -> None:
    lake.create(_id="brand", _type="brand")
    lake.create(**product("a", brand={"_type": "reference", "_ref": "brand", "_weak": True}))
    assert lake.mutate({"delete": {"id": "brand"}}).status_code == 200


def test_a_reference_may_be_dropped_and_its_target_deleted_at_once(lake: Lake) -> None:
    lake.create(_id="brand", _type="brand")
    lake.create(**product("a", brand={"_ref": "brand"}))
    unset = {"patch": {"id": "a", "unset": ["brand"]}}
    assert lake.mutate(unset, {"delete": {"id": "brand"}}).status_code == 200


def test_a_strong_reference_must_lead_somewhere_at_the_end_of_the_transaction(lake: Lake) -> None:
    pointing = product("a", brand={"_ref": "brand"})
    alone = lake.mutate({"create": pointing})
    assert alone.status_code == 409
    assert item_of(alone)["type"] == "documentReferenceDoesNotExistError"
    together = lake.mutate({"create": pointing}, {"create": {"_id": "brand", "_type": "brand"}})
    assert together.status_code == 200


@pytest.mark.parametrize(
    "mutation",
    [
        {"create": {"_id": "a"}},
        {"create": {"_id": "-a", "_type": "x"}},
        {"create": {"_id": "a..b", "_type": "x"}},
        {"create": {"_id": "a.-b", "_type": "x"}},
        {"create": {"_id": "spaced out", "_type": "x"}},
        {"create": {"_id": "a" * 129, "_type": "x"}},
        {"create": {"_id": 7, "_type": "x"}},
        {"createOrReplace": {"_type": "x"}},
        {"create": "text"},
        {"upsert": {"_type": "x"}},
        {"delete": {}},
        {"create": {"_type": "x"}, "delete": {"id": "x"}},
        7,
    ],
)
def test_malformed_mutations_are_named_by_position(lake: Lake, mutation: Any) -> None:
    answer = lake.mutate({"create": product("fine")}, mutation)
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "validationError"
    assert error_of(answer)["items"][0]["index"] == 1
    assert lake.document("fine") is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"mutations": 1}', b'{"a": NaN}'])
def test_a_body_that_is_no_transaction_is_refused(lake: Lake, body: bytes) -> None:
    answer = lake.ask("POST", "mutate/production", data=body)
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "validationError"


def test_twenty_levels_are_taken_and_twenty_one_are_not(lake: Lake) -> None:
    def nested(levels: int) -> dict[str, Any]:
        return {} if levels == 1 else {"in": nested(levels - 1)}

    assert lake.mutate({"create": product("a", tree=nested(19))}).status_code == 200
    assert lake.mutate({"create": product("b", tree=nested(20))}).status_code == 400
    hopeless = {"create": product("c", tree=nested(700))}
    assert lake.mutate(hopeless).status_code == 400
    assert lake.mutate(hopeless, autoGenerateArrayKeys="true").status_code == 400


def test_a_body_over_four_megabytes_is_too_large(lake: Lake) -> None:
    answer = lake.mutate({"create": product("a", text="x" * 4_000_000)})
    assert answer.status_code == 413
    assert answer.json()["message"] == "Request body exceeds limit of 4000000 bytes"


def test_two_thousand_documents_fit_one_transaction(lake: Lake) -> None:
    mutations = [{"create": product(f"p-{n}", text="x" * 1000)} for n in range(2000)]
    answer = lake.mutate(*mutations)
    assert len(answer.json()["results"]) == 2000
    assert lake.query("count(*)") == 2000


def test_array_keys_are_made_on_request(lake: Lake) -> None:
    items = [{"a": 1}, {"a": 2, "_key": "mine"}, "text"]
    lake.mutate({"create": product("a", items=items)}, autoGenerateArrayKeys="true")
    document = lake.document("a")
    assert document is not None
    first, second, third = document["items"]
    assert first["_key"]
    assert (second["_key"], third) == ("mine", "text")


def test_without_asking_the_answer_holds_no_ids(lake: Lake) -> None:
    answer = lake.mutate({"create": product("a")}, returnIds="false")
    assert answer.json()["results"] == [{"operation": "create"}]


def test_a_deleted_document_comes_back_from_history(lake: Lake) -> None:
    before = lake.create(**product("a", title="gone"))
    lake.mutate({"delete": {"id": "a"}})
    history = lake.ask("GET", "history/production/documents/a?lastRevision=true")
    assert history.json() == {"documents": [before]}
