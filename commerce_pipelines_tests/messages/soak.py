"""Deliveries without a pause into a running stack while its parts are killed one after another.

Belongs here: senders that keep a delivery until it is acknowledged, and the kills.
Does not belong here: what must be true afterwards (`test_soak.py`).
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

import psutil
import requests
from standardwebhooks import Webhook

from commerce_pipelines_tests.processes.running import RunningStack

# In turn. Each comes back by itself, the run worker with the next run.
PARTS = {
    "run worker": ("commerce-pipelines run",),
    "endpoint": ("commerce_pipelines", "endpoint"),
    "code server": ("dagster", "api", "grpc"),
    "run server": ("commerce_pipelines.flows.run_server",),
    "daemon": ("dagster._daemon",),
}
# A part that died often is started again after half a minute, and then needs some seconds.
PART_PATIENCE_SECONDS = 90.0
WORKER_PATIENCE_SECONDS = 45.0
ANSWER_SECONDS = 5.0
PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Scale:
    """How much of it.

    Attributes:
        deliveries: Each of one product.
        products: Delivery `n` is about product `n` modulo this.
        kills: How many processes get SIGKILL.
        senders: Threads; each product's deliveries come from one, in order.
    """

    deliveries: int
    products: int
    kills: int
    senders: int = 4


@dataclass
class Traffic:
    """The senders, and what was acknowledged to them.

    Attributes:
        allowed: How many deliveries may be sent so far.
        message_ids: By delivery, the message that each acknowledgement has named.
        refused: How often something else than 2xx came back, or nothing.
    """

    url: str
    secret: str
    scale: Scale
    allowed: int = 0
    message_ids: dict[int, set[int]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Starts the senders."""
        for sender in range(self.scale.senders):
            thread = threading.Thread(target=self._send_all, args=(sender,), daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def acknowledged(self) -> int:
        """How many deliveries were acknowledged."""
        return len(self.message_ids)

    def finish(self) -> None:
        """Lets the rest be sent and waits until all are acknowledged."""
        self.allowed = self.scale.deliveries
        for thread in self._threads:
            thread.join()

    def _send_all(self, sender: int) -> None:
        with requests.Session() as session:
            for number in range(self.scale.deliveries):
                if number % self.scale.products % self.scale.senders == sender:
                    while number >= self.allowed:
                        time.sleep(PAUSE_SECONDS)
                    self._send(session, number)

    def _send(self, session: requests.Session, number: int) -> None:
        """Sends one delivery until it is acknowledged."""
        while (message_id := self._try(session, number)) is None:
            time.sleep(PAUSE_SECONDS)
        self.message_ids[number] = {message_id}
        if number % 50 == 0:
            # A sender that has lost the answer sends once more.
            self.message_ids[number] |= {self._try(session, number) or message_id}

    def _try(self, session: requests.Session, number: int) -> int | None:
        product = {"external_id": external_id(self.scale, number), "title": title(number)}
        body, id_, now = json.dumps([product]), webhook_id(number), datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": id_,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self.secret).sign(id_, now, body),
        }
        try:
            answer = session.post(self.url, data=body, headers=headers, timeout=ANSWER_SECONDS)
        except requests.RequestException as error:
            self.refused[type(error).__name__] += 1
            return None
        if not answer.ok:
            self.refused[str(answer.status_code)] += 1
            return None
        return int(answer.json()["id"])


def webhook_id(number: int) -> str:
    """The sender's id of a delivery."""
    return f"delivery-{number}"


def external_id(scale: Scale, number: int) -> str:
    """What a delivery is about."""
    return f"p{number % scale.products}"


def title(number: int) -> str:
    """What a delivery says; the newest has the highest number."""
    return f"Number {number}"


def kill_in_turn(stack: RunningStack, traffic: Traffic, scale: Scale, seed: int) -> Counter[str]:
    """Kills parts while deliveries come in; returns how often each was killed."""
    draw = random.Random(seed)
    killed: Counter[str] = Counter()
    turn = 0
    while killed.total() < scale.kills:
        part = list(PARTS)[turn % len(PARTS)]
        turn += 1
        before = traffic.allowed
        traffic.allowed = scale.deliveries * (killed.total() + 1) // (scale.kills + 1)
        _await_acknowledged(traffic, before)
        time.sleep(draw.random() / 2)
        killed[part] += _kill(stack, part)
    return killed


def _kill(stack: RunningStack, part: str) -> int:
    """Kills a part as soon as it is there, a worker only in the middle of a page."""
    # None may come while other parts are down.
    worker = part == "run worker"
    patience = WORKER_PATIENCE_SECONDS if worker else PART_PATIENCE_SECONDS
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        idle = worker and not stack.unfinished_sagas()
        found = [] if idle else stack.processes(*PARTS[part])
        for process in found:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
            return 1
        time.sleep(PAUSE_SECONDS)
    assert worker, f"the {part} did not come back"
    return 0


def _await_acknowledged(traffic: Traffic, number: int) -> None:
    deadline = time.monotonic() + 2 * PART_PATIENCE_SECONDS
    while traffic.acknowledged < number:
        assert time.monotonic() < deadline, "the deliveries have come to a halt"
        time.sleep(PAUSE_SECONDS)
