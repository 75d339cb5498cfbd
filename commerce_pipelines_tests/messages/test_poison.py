"""One bad message in a thousand: it ends dead after its tries, and all the others finish."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.connectors.rate_budget import UnlimitedBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity import MutationAnswer, Sanity
from commerce_pipelines.errors import Unavailable
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.store.messages import MOST_TRIES
from commerce_pipelines_tests.factories import deliver
from commerce_pipelines_tests.messages.worker import DEADLY
from commerce_pipelines_tests.services.cms import Cms
from commerce_pipelines_tests.services.shop import Shop

MESSAGES = 1_000
BAD = 400
# A page of all, then of 312, of 19, then each alone: four tries with a bad one nearby.
MOST_TRIES_OF_OTHERS = 4


class PoisonedSanity(Sanity):
    """A Sanity that answers 5xx whenever the deadly document is in a transaction."""

    def mutate(self, mutations: Any, transaction_id: str) -> MutationAnswer:
        """Sends it, or has no answer for it."""
        if DEADLY in json.dumps(mutations):
            raise Unavailable("Sanity answers 503.")
        return super().mutate(mutations, transaction_id)


def test_a_message_that_raises_each_time_is_dead_in_the_end_and_the_others_done(
    shop: Shop, cms: Cms, sandbox: RunningSandbox
) -> None:
    _receive_all(shop)
    shop.change("UPDATE message SET received_at = now() - interval '1 day'")
    poisoned = PoisonedSanity.open(
        **sandbox.addresses["sanity"],
        budget=UnlimitedBudget(),
        retry=RetryPolicy(budget_seconds=0.0),
    )
    doomed = Shop(shop.ledger, poisoned)

    while _waiting(shop):
        with suppress(Unavailable):
            doomed.run()
        shop.recover()
        shop.make_due()

    poisoned.close()
    _expect_one_dead(shop, cms, "Sanity answers 503.")


def test_a_message_that_kills_its_worker_each_time_is_dead_in_the_end_and_the_others_done(
    shop: Shop, cms: Cms, sandbox: RunningSandbox, postgres_url: str
) -> None:
    _receive_all(shop)

    with _workers(postgres_url, sandbox.addresses["sanity"]) as workers:
        while _waiting(shop):
            workers.work()
            shop.make_due()
            shop.recover()

    assert workers.ends == [-signal.SIGKILL] * MOST_TRIES + [0]
    _expect_one_dead(shop, cms, "its run was killed each time")


@dataclass
class _Workers:
    """The warm process.

    Attributes:
        ends: How each of its workers ended.
    """

    process: subprocess.Popen[str]
    ends: list[int]

    def work(self) -> None:
        """Lets a worker work until it ends or is killed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("work\n")
        self.process.stdin.flush()
        self.ends.append(int(self.process.stdout.readline()))


@contextmanager
def _workers(postgres_url: str, sanity: dict[str, str]) -> Iterator[_Workers]:
    module = "commerce_pipelines_tests.messages.worker"
    command = [sys.executable, "-m", module, postgres_url, json.dumps(sanity)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield _Workers(process, [])
        process.communicate()


def _receive_all(shop: Shop) -> None:
    with shop.engine.begin() as connection:
        for number in range(MESSAGES):
            title = DEADLY if number == BAD else f"Good {number}"
            deliver(connection, f"w{number}", {"external_id": f"e{number}", "title": title})


def _waiting(shop: Shop) -> bool:
    (waiting,) = shop.values("SELECT count(*) FROM message WHERE state IN ('new', 'claimed')")
    return bool(waiting)


def _expect_one_dead(shop: Shop, cms: Cms, error: str) -> None:
    (dead,) = shop.rows("SELECT webhook_id, tries, last_error FROM message WHERE state = 'dead'")
    assert (dead[0], dead[1]) == (f"w{BAD}", MOST_TRIES)
    assert error in dead[2]
    (done,) = shop.rows("SELECT count(*), max(tries) FROM message WHERE state = 'done'")
    assert done == (MESSAGES - 1, MOST_TRIES_OF_OTHERS)
    assert shop.values("SELECT count(*) FROM product") == [MESSAGES - 1]
    assert DEADLY not in shop.titles()
    assert len(cms.titles()) == MESSAGES - 1
    assert DEADLY not in cms.titles()
    assert shop.values("SELECT count(*) FROM saga WHERE finished_at IS NULL") == [0]
