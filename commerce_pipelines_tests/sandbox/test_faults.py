from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from commerce_pipelines_tests.sandbox.lake import Lake, error_of, item_of


def write(lake: Lake, document_id: str = "a") -> requests.Response:
    return lake.mutate(
        {"createOrReplace": {"_id": document_id, "_type": "x"}}, transaction_id=f"tx-{document_id}"
    )


def eventually(happened: Callable[[], object]) -> bool:
    for _ in range(600):
        if happened():
            return True
        time.sleep(0.05)
    return False


def statuses(lake: Lake) -> set[int]:
    return {each["status"] for each in requests.get(lake.faults + "/requests", timeout=30).json()}


def test_unavailable_before_applies_nothing(lake: Lake) -> None:
    lake.fault("unavailable_before", system="sanity")
    assert write(lake).status_code == 503
    assert lake.document("a") is None
    assert write(lake).status_code == 200


def test_unavailable_after_has_applied(lake: Lake) -> None:
    lake.fault("unavailable_after", system="sanity")
    assert write(lake).status_code == 503
    assert lake.document("a") is not None
    assert error_of(write(lake))["type"] == "transactionAlreadyExistsError"


def test_a_lost_answer_has_applied(lake: Lake) -> None:
    lake.fault("lost_answer", system="sanity")
    with pytest.raises(requests.ConnectionError):
        write(lake)
    assert lake.document("a") is not None


def test_a_late_request_applies_after_its_caller_has_gone(lake: Lake) -> None:
    lake.fault("late", system="sanity", seconds=1.0)
    with pytest.raises(requests.ConnectionError):
        write(lake)
    assert lake.effects() == []
    assert eventually(lambda: lake.document("a"))


def test_what_was_late_when_everything_is_forgotten_never_applies(lake: Lake) -> None:
    lake.fault("late", system="sanity", seconds=0.3)
    with pytest.raises(requests.ConnectionError):
        write(lake)
    lake.forget()
    time.sleep(0.5)
    assert lake.document("a") is None


def test_a_delayed_request_applies_although_its_caller_gave_up(lake: Lake) -> None:
    lake.fault("delay", system="sanity", seconds=1.0)
    with pytest.raises(requests.Timeout):
        requests.post(
            f"{lake.base}/mutate/production",
            json={"mutations": [{"create": {"_id": "a", "_type": "x"}}]},
            headers={"Authorization": f"Bearer {lake.sanity['token']}"},
            timeout=0.2,
        )
    assert eventually(lambda: lake.document("a"))


def test_a_late_transaction_is_sealed_out_by_another_under_its_id(lake: Lake) -> None:
    lake.fault("late", system="sanity", seconds=0.5)
    with pytest.raises(requests.ConnectionError):
        write(lake)
    seal = {"createOrReplace": {"_id": "seal", "_type": "seal"}}
    assert lake.mutate(seal, transaction_id="tx-a").status_code == 200
    assert eventually(lambda: 409 in statuses(lake))
    assert lake.document("a") is None


def test_a_rate_limit_tells_how_long_to_wait(lake: Lake) -> None:
    lake.fault("rate_limited", system="sanity", seconds=7)
    answer = write(lake)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert lake.document("a") is None


def test_an_error_may_be_a_page_of_html(lake: Lake) -> None:
    lake.fault("html_error", system="sanity")
    answer = write(lake)
    assert answer.status_code == 502
    assert answer.headers["Content-Type"].startswith("text/html")


def test_a_conflict_rolls_back_and_leaves_the_id_free(lake: Lake) -> None:
    lake.fault("transaction_conflict", system="sanity")
    answer = write(lake)
    assert answer.status_code == 409
    assert error_of(answer)["type"] == "transactionConflictError"
    assert write(lake).status_code == 200


def test_refusing_deletes_leaves_other_mutations_alone(lake: Lake) -> None:
    lake.fault("refuse_delete", system="sanity")
    assert write(lake).status_code == 200
    answer = lake.mutate({"patch": {"id": "a", "set": {"x": 1}}}, {"delete": {"id": "a"}})
    assert answer.status_code == 403
    assert item_of(answer)["permission"] == "delete"
    assert lake.document("a") is not None
    assert lake.mutate({"delete": {"id": "a"}}).status_code == 200


def test_queries_lag_behind_an_acknowledged_write_but_documents_do_not(lake: Lake) -> None:
    write(lake, "before")
    lake.fault("query_lag", system="sanity", times=None)
    write(lake, "after")
    assert lake.query("*._id") == ["before"]
    assert lake.document("after") is not None
    requests.delete(lake.faults, timeout=30)
    assert lake.query("*._id") == ["before", "after"]


def test_a_lagging_index_catches_up_when_it_is_old_enough(lake: Lake) -> None:
    lake.fault("query_lag", system="sanity", times=None, seconds=0)
    write(lake)
    assert lake.query("*._id") == ["a"]


def test_a_fault_skips_some_then_shows_so_often(lake: Lake) -> None:
    lake.fault("unavailable_before", system="sanity", method="POST", after=1, times=2)
    statuses = [write(lake, name).status_code for name in "abcd"]
    assert statuses == [200, 503, 503, 200]
    (listed,) = requests.get(lake.faults, timeout=30).json()
    assert (listed["seen"], listed["shown"]) == (3, 2)


def test_a_fault_lasts_until_it_is_cleared(lake: Lake) -> None:
    fault = lake.fault("unavailable_before", times=None)
    assert {write(lake, name).status_code for name in "abc"} == {503}
    requests.delete(f"{lake.faults}/{fault['id']}", timeout=30)
    assert write(lake).status_code == 200


def test_a_fault_is_for_its_route_method_and_system_only(lake: Lake) -> None:
    lake.fault("unavailable_before", route="/data/doc")
    lake.fault("unavailable_before", method="PATCH")
    lake.fault("unavailable_before", system="pim")
    assert write(lake).status_code == 200
    assert lake.ask("GET", "doc/production/a").status_code == 503


@pytest.mark.parametrize(
    "fault",
    [{"kind": "unheard_of"}, {"kind": "delay", "system": "crm"}, {"kind": "delay", "tims": 1}, {}],
)
def test_a_fault_that_would_never_show_is_refused(lake: Lake, fault: dict[str, Any]) -> None:
    assert requests.post(lake.faults, json=fault, timeout=30).status_code == 422


def test_effects_name_each_transaction_once(lake: Lake) -> None:
    write(lake)
    write(lake)
    lake.mutate({"create": {"_type": "x"}}, dryRun="true")
    lake.mutate({"delete": {"id": "a"}}, transaction_id="tx-gone")
    effects = lake.effects()
    assert [effect["transaction_id"] for effect in effects] == ["tx-a", "tx-gone"]
    assert [effect["kind"] for effect in effects] == ["createOrReplace", "delete"]
    assert [effect["documents"] for effect in effects] == [1, 1]


def test_requests_are_counted_by_route_and_status(lake: Lake) -> None:
    write(lake)
    write(lake)
    lake.document("a")
    counted = requests.get(lake.faults + "/requests", timeout=30).json()
    by_route = {(each["route"].split("/")[4], each["status"]): each["count"] for each in counted}
    assert by_route == {("mutate", 200): 1, ("mutate", 409): 1, ("doc", 200): 1}


def test_one_transaction_id_sent_many_times_at_once_has_one_effect(lake: Lake) -> None:
    answers: list[int] = []

    def send() -> None:
        body = {"mutations": [{"create": {"_type": "x"}}], "transactionId": "together"}
        answer = requests.post(
            f"{lake.base}/mutate/production",
            json=body,
            headers={"Authorization": f"Bearer {lake.sanity['token']}"},
            timeout=30,
        )
        answers.append(answer.status_code)

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [200] + [409] * 19
    assert len(lake.effects()) == 1


def test_a_reset_forgets_documents_and_transaction_ids(lake: Lake) -> None:
    write(lake)
    requests.delete(lake.faults + "/state", timeout=30)
    assert lake.document("a") is None
    assert write(lake).status_code == 200
