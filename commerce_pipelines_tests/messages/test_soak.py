"""Whatever is killed while deliveries come in: none is lost, doubled, or out of order."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from commerce_pipelines_tests.messages.soak import (
    Scale,
    Traffic,
    external_id,
    kill_in_turn,
    title,
    webhook_id,
)
from commerce_pipelines_tests.processes.running import QUICK, RunningStack, running

SEED = 7
SANITY_SECONDS = 0.5
DRAIN_PATIENCE_SECONDS = 600.0


@pytest.mark.parametrize(
    "scale",
    [
        pytest.param(
            Scale(deliveries=300, products=20, kills=5),
            marks=[pytest.mark.processes, pytest.mark.timeout(400)],
            id="quick",
        ),
        pytest.param(
            Scale(deliveries=10_000, products=200, kills=50),
            marks=[pytest.mark.whole, pytest.mark.timeout(3600)],
            id="whole",
        ),
    ],
)
def test_every_acknowledged_delivery_has_its_effect_once_and_in_order(
    scale: Scale, tmp_path: Path
) -> None:
    started = time.monotonic()
    with running(tmp_path / "home", **QUICK) as stack:
        # Long enough for kills to hit a page in the middle of its work.
        stack.fault(kind="delay", seconds=SANITY_SECONDS, times=None)
        traffic = _traffic(stack, scale)
        traffic.start()
        killed = kill_in_turn(stack, traffic, scale, SEED)
        traffic.finish()
        sent_seconds = time.monotonic() - started
        _await_drained(stack)
        _print(stack, scale, traffic, killed, sent_seconds, time.monotonic() - started)

        _expect_each_message_done_once(stack, scale, traffic)
        _expect_the_newest(stack, scale)
        _expect_only_rising(stack, scale)
        assert stack.unfinished_sagas() == []


def _traffic(stack: RunningStack, scale: Scale) -> Traffic:
    addresses = stack.shop.addresses
    assert addresses.sandbox is not None
    secret = addresses.sandbox["pim"]["webhook_secret"]
    return Traffic(f"{addresses.endpoint}/webhooks/pim", secret, scale)


def _await_drained(stack: RunningStack) -> None:
    deadline = time.monotonic() + DRAIN_PATIENCE_SECONDS
    while _waiting(stack) or stack.unfinished_sagas():
        assert time.monotonic() < deadline, "the inbox was not drained"
        time.sleep(1)


def _waiting(stack: RunningStack) -> list[tuple[Any, ...]]:
    return stack.ask("SELECT id FROM message WHERE state IN ('new', 'claimed') LIMIT 1")


def _expect_each_message_done_once(stack: RunningStack, scale: Scale, traffic: Traffic) -> None:
    rows = stack.ask("SELECT webhook_id, id, state FROM message ORDER BY id")
    assert Counter(state for _, _, state in rows) == {"done": scale.deliveries}
    stored = {name: {id_} for name, id_, _ in rows}
    told = {webhook_id(number): ids for number, ids in traffic.message_ids.items()}
    assert len(told) == len(rows) == scale.deliveries
    assert stored == told


def _expect_the_newest(stack: RunningStack, scale: Scale) -> None:
    last = range(scale.deliveries - scale.products, scale.deliveries)
    newest = {external_id(scale, number): title(number) for number in last}
    assert stack.shop.store_titles() == newest
    documents = stack.shop.documents()
    assert {id_: document["title"] for id_, document in documents.items()} == newest


def _expect_only_rising(stack: RunningStack, scale: Scale) -> None:
    """Each product's and document's numbers as they were written, one after the other."""
    products = _numbers(stack.ask(_REPLACED))
    documents = _numbers(stack.ask(_DOCUMENTS))
    assert len(documents) == scale.products
    for numbers in (*products.values(), *documents.values()):
        assert all(earlier < later for earlier, later in pairwise(numbers)), numbers


def _numbers(rows: Iterable[tuple[Any, ...]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for id_, written in rows:
        found[id_].append(int(written.removeprefix(title(0)[:-1])))
    return found


def _print(
    stack: RunningStack,
    scale: Scale,
    traffic: Traffic,
    killed: Counter[str],
    sent_seconds: float,
    seconds: float,
) -> None:
    sagas = dict(stack.ask("SELECT status, count(*) FROM saga GROUP BY status ORDER BY status"))
    ((most_tries, slowest, p95),) = stack.ask(_WAITS)
    print(
        f"\n{scale.deliveries} deliveries over {scale.products} products, "
        f"{killed.total()} kills {dict(killed)}"
        f"\nacknowledged {traffic.acknowledged}, not at once: {dict(traffic.refused)}"
        f"\nsagas {sagas}, most tries of a message {most_tries}"
        f"\nfrom commit to effect p95 {p95:.1f} s, slowest {slowest:.1f} s"
        f"\nsent within {sent_seconds:.0f} s, all done within {seconds:.0f} s"
    )


# What was there before each change that was not undone.
_REPLACED = """
    SELECT product_id, before->>'title' FROM product_revision
    WHERE before IS NOT NULL AND undone_at IS NULL ORDER BY product_id, version"""

_DOCUMENTS = """
    SELECT document->>'id', document->'set'->>'title'
    FROM saga_step, jsonb_array_elements(plan->'documents') AS document
    WHERE saga_step.name = 'sanity.write_documents' AND state = 'done' ORDER BY updated_at, seq"""

_WAITS = """
    SELECT max(tries), max(seconds),
           percentile_cont(0.95) WITHIN GROUP (ORDER BY seconds)
    FROM (SELECT tries, CAST(extract(epoch FROM finished_at - received_at) AS float8) AS seconds
          FROM message) AS waited"""
