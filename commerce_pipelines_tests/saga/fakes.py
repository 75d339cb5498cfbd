"""Steps for the engine's tests: a shop elsewhere that can be scripted, a table here."""

from __future__ import annotations

import random
import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from commerce_pipelines.saga.step import JSON, ExternalStep, Steps, TransactionalStep, Undo

KIND = "purchase"

Answer = Exception | Callable[[], None]


class Killed(BaseException):
    """Stands for the end of a whole process: nothing catches it."""


def die() -> None:
    """Ends the work as a kill would."""
    raise Killed


@dataclass
class Shop:
    """An outside system that knows each key once.

    Attributes:
        asked: Every request in order, as (verb, key).
        sent_plans: The plans of the reserve requests, in order.
        reserved: What is there now, by key.
        changed_later: Keys that somebody else has changed.
    """

    asked: list[tuple[str, str]] = field(default_factory=list)
    sent_plans: list[JSON] = field(default_factory=list)
    reserved: dict[str, JSON] = field(default_factory=dict)
    changed_later: set[str] = field(default_factory=set)
    _script: dict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, verb: str, *answers: Answer) -> None:
        """Scripts the next answers to a verb: an error, or something to do before."""
        self._script[verb].extend(answers)

    def count(self, verb: str) -> int:
        """Returns how often a verb was asked."""
        return sum(asked == verb for asked, _ in self.asked)

    def reserve(self, key: str, plan: JSON, *, lands: bool = True) -> None:
        """Reserves once a key, also before an error if it `lands`."""
        self.sent_plans.append(plan)
        if lands:
            self.reserved.setdefault(key, plan)
        self._ask("reserve", key)
        self.reserved.setdefault(key, plan)

    def find(self, key: str) -> bool:
        """Tells whether a reservation is there."""
        self._ask("look", key)
        return key in self.reserved

    def release(self, key: str) -> bool:
        """Takes a reservation back; False if somebody else has changed it."""
        self._ask("undo", key)
        if key in self.changed_later:
            return False
        self.reserved.pop(key, None)
        return True

    def _ask(self, verb: str, key: str) -> None:
        with self._lock:
            self.asked.append((verb, key))
            answer = self._script[verb].pop(0) if self._script[verb] else None
        if isinstance(answer, Exception):
            raise answer
        if answer is not None:
            answer()


@dataclass(frozen=True)
class Reserve(ExternalStep):
    """Reserves in the shop; nothing is known about a request until it has settled."""

    name = "shop.reserve"
    settle_seconds = 3600.0
    shop: Shop

    def act(self, plan: JSON, key: str) -> JSON:
        self.shop.reserve(key, plan, lands=plan.get("lands", True))
        return {"key": key}

    def look(self, plan: JSON, key: str) -> JSON | None:
        return {"key": key} if self.shop.find(key) else None

    def undo(self, plan: JSON, result: JSON, key: str) -> Undo:
        assert result == {"key": key}
        return Undo(superseded=not self.shop.release(key), report={"key": key})


class ReserveSealed(Reserve):
    """Reserves in a shop that can refuse a key for ever, so looking settles it."""

    name = "shop.reserve_sealed"
    seals = True


class Add(TransactionalStep):
    """Adds to a row of `tally`, which a version guards."""

    name = "tally.add"

    def act(self, connection: Connection, saga_id: str, plan: JSON) -> JSON:
        version = connection.execute(
            text("""
                UPDATE tally SET amount = amount + :amount, version = version + 1
                WHERE name = :name RETURNING version"""),
            plan,
        ).scalar_one()
        return {"version": version}

    def undo(self, connection: Connection, saga_id: str, plan: JSON, result: JSON) -> Undo:
        restored = connection.execute(
            text("""
                UPDATE tally SET amount = amount - :amount, version = version + 1
                WHERE name = :name AND version = :version"""),
            {**plan, **result},
        ).rowcount
        return Undo(superseded=restored == 0, report={"restored": restored})


@dataclass(frozen=True)
class Tally:
    """The table that `Add` adds to."""

    engine: Engine

    def create(self) -> None:
        """Creates it with one row, `stock`."""
        with self.engine.begin() as connection:
            connection.execute(
                text("CREATE TABLE tally (name text PRIMARY KEY, amount int, version int)")
            )
            connection.execute(text("INSERT INTO tally VALUES ('stock', 0, 1)"))

    def drop(self) -> None:
        """Drops it."""
        with self.engine.begin() as connection:
            connection.execute(text("DROP TABLE tally"))

    def amount(self) -> int:
        """Returns what `stock` amounts to."""
        with self.engine.connect() as connection:
            return int(connection.execute(text("SELECT amount FROM tally")).scalar_one())

    def change_by_somebody_else(self) -> None:
        """Sets `stock` to 1000."""
        with self.engine.begin() as connection:
            connection.execute(text("UPDATE tally SET amount = 1000, version = version + 1"))


def steps(shop: Shop) -> Steps:
    """Returns all steps of these tests by name."""
    return {step.name: step for step in (Reserve(shop), ReserveSealed(shop), Add())}


class Always(random.Random):
    """Draws the same number each time."""

    def __init__(self, drawn: float) -> None:
        super().__init__()
        self._drawn = drawn

    def random(self) -> float:
        return self._drawn
