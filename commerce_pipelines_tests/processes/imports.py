"""Imports that a test disturbs, and what must be true of each in the end.

Products carry the name of their test, so that tests may share a stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from commerce_pipelines_tests.processes.running import RunningStack, until

Product = dict[str, Any]
Fault = dict[str, Any]
Config = dict[str, Any]

# Long enough to be killed in; it is applied in the end, also when nobody waits any more.
HOLD: Fault = {"kind": "delay", "seconds": 8, "times": 1}
LOST_ANSWER: Fault = {"kind": "lost_answer", "times": 1}


@dataclass(frozen=True)
class Job:
    """A job that imports what is typed into its config.

    Attributes:
        graph: The graph that its ops are in, if any.
        executor: What executes its ops, where that is left open.
    """

    location: str
    name: str
    graph: str | None = None
    executor: str | None = None

    def config_of(self, products: list[Product]) -> Config:
        """Returns the config of a run that imports these."""
        config: Config = {"ops": {"open_pages": {"config": {"products": products}}}}
        if self.graph:
            config = {"ops": {self.graph: config}}
        if self.executor:
            config["execution"] = {"config": {self.executor: {}}}
        return config


@dataclass(frozen=True)
class Import:
    """A message whose first run a test disturbs.

    Attributes:
        products: By external id, the titles that must be in store and Sanity in the end.
        run_id: The first run that claimed it.
        saga_id: The saga in which it did.
    """

    stack: RunningStack
    message_id: int
    products: dict[str, str]
    run_id: str
    saga_id: str

    def status(self) -> str:
        """Returns the status of its first saga."""
        asked = f"SELECT status FROM saga WHERE saga_id = '{self.saga_id}'"
        return str(self.stack.ask(asked)[0][0])

    def reason(self) -> str:
        """Returns why its first saga was given up."""
        asked = f"SELECT reason FROM saga WHERE saga_id = '{self.saga_id}'"
        return str(self.stack.ask(asked)[0][0])

    def steps(self) -> list[str]:
        """Returns the states of its first saga's steps."""
        asked = f"SELECT state FROM saga_step WHERE saga_id = '{self.saga_id}' ORDER BY seq"
        return [row[0] for row in self.stack.ask(asked)]

    def moves(self) -> list[str]:
        """Returns the moves of its first saga, oldest first."""
        asked = f"""
            SELECT what FROM saga_event WHERE saga_id = '{self.saga_id}' AND seq IS NULL
            ORDER BY id"""
        return [row[0] for row in self.stack.ask(asked)]

    def forward_effects(self) -> list[str]:
        """Returns the ids of the transactions that its first saga got into Sanity, undos left out.

        A seal is one as well: it has the id of what it keeps out.
        """
        ids = [effect["transaction_id"] for effect in self.stack.effects()]
        return [id_ for id_ in ids if id_.startswith(self.saga_id) and "-undo-" not in id_]

    def undo_effects(self) -> list[str]:
        """Returns the ids of the undos of its first saga in Sanity."""
        ids = [effect["transaction_id"] for effect in self.stack.effects()]
        return [id_ for id_ in ids if id_.startswith(self.saga_id) and "-undo-" in id_]

    def moved_at(self, what: str) -> float:
        """Returns when its first saga first came to a status, in seconds since 1970."""
        asked = f"""
            SELECT extract(epoch FROM min(at)) FROM saga_event
            WHERE saga_id = '{self.saga_id}' AND seq IS NULL AND what = '{what}'"""
        return float(self.stack.ask(asked)[0][0])

    def imported_at(self) -> float:
        """Returns when its message was done, in seconds since 1970."""
        asked = f"SELECT extract(epoch FROM finished_at) FROM message WHERE id = {self.message_id}"
        return float(self.stack.ask(asked)[0][0])

    def until_undone(self) -> None:
        """Waits until its first saga is undone."""
        until("the undo", lambda: self.status() == "compensated")

    def until_imported(self) -> None:
        """Waits until its message is done."""
        until("the message to be done", lambda: self.stack.shop.finished_message(self.message_id))

    def expect_done(self) -> None:
        """Waits until the message is done, and looks at both sides and the ledger."""
        self.until_imported()
        assert self.stack.unfinished_sagas() == []
        store, documents = self.stack.shop.store_titles(), self.stack.shop.documents()
        assert {id_: store.get(id_) for id_ in self.products} == self.products
        shown = {id_: documents.get(id_, {}).get("title") for id_ in self.products}
        assert shown == self.products


def send(stack: RunningStack, name: str, *faults: Fault) -> Import:
    """Sends a webhook that changes a product and creates two; returns it in its Sanity step."""
    first = stack.shop.send_products([_product(name, 0, "before")])
    until("the first import", lambda: stack.shop.finished_message(first))
    return _sent(stack, [_product(name, number, "after") for number in range(3)], faults)


def send_new(stack: RunningStack, name: str, *faults: Fault) -> Import:
    """Sends a webhook that creates a product; returns it in its Sanity step."""
    return _sent(stack, [_product(name, 0, "new")], faults)


def launch(stack: RunningStack, job: Job, name: str, *faults: Fault) -> Import:
    """Launches a job with a product in its config; returns it in its Sanity step."""
    products = [_product(name, 0, "launched")]
    _script(stack, faults)
    run_id = stack.ui.launch(job.location, job.name, job.config_of(products))
    asked = f"SELECT id FROM message WHERE webhook_id = '{run_id}'"
    ((message_id,),) = until("the message", lambda: stack.ask(asked))
    return _in_sanity_step(stack, int(message_id), products)


@contextmanager
def alone(stack: RunningStack) -> Iterator[None]:
    """Keeps other runs from taking the messages of a launched job between its ops."""
    with stack.ui.sensor_stopped("pim_messages"):
        yield


def _sent(stack: RunningStack, products: list[Product], faults: tuple[Fault, ...]) -> Import:
    _script(stack, faults)
    return _in_sanity_step(stack, stack.shop.send_products(products), products)


def _script(stack: RunningStack, faults: tuple[Fault, ...]) -> None:
    for fault in faults:
        stack.fault(**fault)


def _in_sanity_step(stack: RunningStack, message_id: int, products: list[Product]) -> Import:
    asked = f"""
        SELECT message.run_id, saga_id FROM message JOIN saga_step USING (saga_id)
        WHERE message.id = {message_id} AND NOT transactional"""
    ((run_id, saga_id),) = until("the intent", lambda: stack.ask(asked))
    titles = {product["external_id"]: product["title"] for product in products}
    return Import(stack, message_id, titles, run_id, saga_id)


def _product(name: str, number: int, state: str) -> Product:
    # Titles of their own, for a handle is made of each.
    return {"external_id": f"{name} {number}", "title": f"{name} {number}, {state}"}
