"""What waits for a person, in words: what is wrong, what to do, what to type.

The same words stand in `status`, in `sagas show` and in Dagster's asset checks.
Does not belong here: the details of one saga (`saga_report`).
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from commerce_pipelines.saga.parked import ParkedStep, count_parked, list_parked
from commerce_pipelines.services.areas import PRODUCTS, Area, kinds_of, topics_of
from commerce_pipelines.services.brand_sync import CreateBrands
from commerce_pipelines.services.erp_product_sync import StorePage
from commerce_pipelines.services.product_steps import UpsertProducts
from commerce_pipelines.services.product_update_steps import UpdateStoreProduct
from commerce_pipelines.store.inbox_health import (
    DeadMessage,
    count_dead,
    list_dead,
    measure_backlog,
)

MOST_TOLD = 20
MOST_WAITING = 10_000
LONGEST_WAIT_SECONDS = 600.0
LONGEST_ERROR = 400
# The steps that change the store's products.
IN_CATALOG = frozenset({UpsertProducts.name, StorePage.name, UpdateStoreProduct.name})
DECISIONS = {
    "retry": "the cause is gone: try the undo again",
    "accept": "what is there now is right: leave it as it is",
    "resolve": "you have undone it by hand, for instance with the requests printed",
}
# Of a saga past its point of no return, which goes forward unless a person says that it cannot.
FORWARD_DECISIONS = {
    "retry": "the cause is gone, or you have done it by hand: go on",
    "accept": "it will never be done: leave it, and undo what came before it",
    "resolve": "you have undone it by hand: undo what came before it too",
}


@dataclass(frozen=True)
class Concern:
    """One thing that waits for a person.

    Attributes:
        about: The system that the step changed, or `inbox`.
        ids: Which saga and step, or which message.
        problem: What is wrong, as one line.
        advice: What to do, as one line.
        commands: What to type, and when.
        run_id: The run to look at.
    """

    about: str
    ids: dict[str, str | int]
    problem: str
    advice: str
    commands: dict[str, str]
    run_id: str | None = None

    @property
    def told(self) -> str:
        """Returns all of it as lines."""
        commands = [f"  {command}" for command in self.commands]
        return "\n".join([self.problem, f"To do: {self.advice}", *commands])

    def as_json(self) -> dict[str, Any]:
        """Returns it for a program."""
        known = asdict(self)
        return {**known.pop("ids"), **known, "text": self.told}


@dataclass(frozen=True)
class Concerns:
    """What waits of one kind.

    Attributes:
        count: How many there are.
        told: The first of them.
    """

    count: int
    told: list[Concern]

    @property
    def text(self) -> str:
        """Returns them one below the other; empty when there are none."""
        more = self.count - len(self.told)
        lines = [*(each.told for each in self.told), *([f"… and {more} more."] if more > 0 else [])]
        return "\n\n".join(lines)


def parked_concerns(
    connection: Connection, limit: int = MOST_TOLD, area: Area | None = None
) -> Concerns:
    """Returns the parked steps, of one area if asked for one."""
    kinds = kinds_of(area)
    parked = list_parked(connection, limit, *kinds)
    count = len(parked) if len(parked) < limit else count_parked(connection, *kinds)
    return Concerns(count, [concern_of_step(step) for step in parked])


def dead_concerns(
    connection: Connection, limit: int = MOST_TOLD, area: Area | None = None
) -> Concerns:
    """Returns the dead messages, of one area if asked for one."""
    topics = topics_of(area)
    dead = list_dead(connection, limit, *topics)
    count = len(dead) if len(dead) < limit else count_dead(connection, *topics)
    return Concerns(count, [_concern_of_message(message) for message in dead])


def backlog_concerns(connection: Connection, limit: int = 1, area: Area = PRODUCTS) -> Concerns:
    """Returns one concern when the inbox is not drained; the words do not change with the time."""
    backlogs = [measure_backlog(connection, topic, MOST_WAITING + 1) for topic in area.topics]
    oldest_seconds = max(backlog.oldest_seconds or 0.0 for backlog in backlogs)
    told = []
    if sum(backlog.count for backlog in backlogs) > MOST_WAITING:
        told.append(f"More than {MOST_WAITING:,} {area.about} wait.")
    if oldest_seconds > LONGEST_WAIT_SECONDS:
        minutes = f"{LONGEST_WAIT_SECONDS / 60:.0f} minutes or more"
        told.append(f"One of the {area.about} has waited for {minutes}.")
    if not told:
        return Concerns(0, [])
    sensors = f"its sensor{'s' if len(area.sensors) > 1 else ''} {' and '.join(area.sensors)}"
    concern = Concern(
        about="inbox",
        ids={},
        problem=" ".join(told),
        advice=f"Look whether {area.work} fail, and whether Dagster's daemon and {sensors} run.",
        commands={"commerce-pipelines messages list": "see what waits, and its last error"},
    )
    return Concerns(1, [concern][:limit])


def concern_of_step(step: ParkedStep) -> Concern:
    """Returns what a person must know of a parked step."""
    tries = f" after {step.tries + 1} tries" if step.tries else ""
    return Concern(
        about=system_of(step.name),
        ids={"saga_id": step.saga_id, "step": step.seq},
        problem=f"Saga {step.saga_id} is parked: step {step.seq} ({step.name}) could not be "
        f"{'finished' if step.pivoted else 'undone'} at {step.since:%Y-%m-%d %H:%M:%SZ}{tries}: "
        f"{brief(step.error)}",
        advice=_advice(step),
        commands={
            f"commerce-pipelines sagas show {step.saga_id}": "see what is there, what finishes it",
            **decisions(step.saga_id, step.pivoted),
        },
        run_id=step.run_id,
    )


def decisions(saga_id: str, pivoted: bool = False) -> dict[str, str]:
    """Returns the commands that decide about a parked saga, and when each is right."""
    return {
        f'commerce-pipelines sagas {name} {saga_id} --reason "…"': meaning
        for name, meaning in (FORWARD_DECISIONS if pivoted else DECISIONS).items()
    }


def system_of(step_name: str) -> str:
    """Returns the system that a step changes, the first part of its name."""
    return step_name.partition(".")[0]


def name_of(system: str) -> str:
    """Returns what a system is called in a sentence."""
    return _NAMES.get(system, system)


def brief(error: str) -> str:
    """Returns an error as one line: of an answer's body only the sentence, and no statement."""
    line = " ".join(error.partition("\n[SQL")[0].split())
    before, body, rest = line.partition(": {")
    sentence = _SENTENCE.search(rest) if body else None
    if sentence:
        line = f"{before}: {sentence[1]}".replace('\\"', '"')
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 1]}…"


def _advice(step: ParkedStep) -> str:
    if any(sign in step.error for sign in _SIGNS_OF_UNKNOWN):
        return _UNKNOWN_STEP
    system = system_of(step.name)
    if step.name in IN_CATALOG:
        return _PRODUCTS
    if step.name == CreateBrands.name:
        return _NEW_BRANDS
    kind = step.error.removeprefix("A late effect: ").partition(":")[0]
    advice = _BY_SYSTEM.get(system, {}).get(kind)
    refused = _IN_STORE if system == "store" else _REFUSED
    general = _FORWARD.get(kind, _STUCK) if step.pivoted else _BY_ERROR.get(kind, refused)
    return advice or general.format(system=name_of(system))


def _concern_of_message(message: DeadMessage) -> Concern:
    return Concern(
        about="inbox",
        ids={"message_id": message.id},
        problem=f"Message {message.id} from {message.source} is dead since "
        f"{message.since:%Y-%m-%d %H:%M:%SZ} after {_times(message.tries)}: "
        f"{brief(message.error)}",
        advice="Mend the cause, then replay it; newer words about the same things stay.",
        commands={
            f"commerce-pipelines messages show {message.id}": "see what it brought, and its run",
            f'commerce-pipelines messages replay {message.id} --reason "…"': "the cause is gone",
        },
        run_id=message.run_id,
    )


def _times(tries: int) -> str:
    return "1 try" if tries == 1 else f"{tries} tries"


# How Sanity and gateways say in JSON what is wrong.
_SENTENCE = re.compile(r'"(?:description|message)": ?"((?:[^"\\]|\\.)+)"')

_SIGNS_OF_UNKNOWN = ("No undo is known", "Nobody knows how to look", "Nobody knows how to finish")

_UNKNOWN_STEP = (
    "This version does not know the step: deploy the one that does, then retry; or undo by hand "
    "what the plan says, then resolve."
)
_PRODUCTS = (
    "Take away what the error names, then retry; or leave that product as it is with the SQL "
    "printed, then retry."
)
_IN_STORE = (
    "Take away what the error names, then retry; or undo it with the SQL printed, then resolve."
)
_NEW_BRANDS = (
    "Give the products that have the new brands another one, then retry; or accept, and the new "
    "brands stay; or leave one of them with the SQL printed, then retry."
)
_PERSON = "Have that changed in {system}, then retry; or accept, and it stays as it is."
_RIGHTS = "Have the rights of our credentials restored in {system}, then retry."
_SETTINGS = "Set what the error names to what it was, restart; then retry."
_ADDRESS = "Set the address of {system} to what it was, restart; then retry."
_SILENT = (
    "When {system} answers again: retry. Or undo it by hand with what is printed, then resolve."
)
_REFUSED = (
    "The undo is refused for what is in it: put back by hand what stood there before, then "
    "resolve; or accept what is there now."
)
_SILENT_FORWARD = (
    "When {system} answers again, and what the error names is mended: retry. Or finish it by hand "
    "with what is printed, then retry."
)
_STUCK = (
    "Have what the error names mended, in {system} or in the store, then retry; or accept: what "
    "came before it is undone, and its message comes again."
)
_BY_ERROR = {
    "NeedsPerson": _PERSON,
    "ConfigurationError": _SETTINGS,
    "Unauthorised": _RIGHTS,
    "NotFound": _ADDRESS,
    "Unavailable": _SILENT,
    "Unknown": _SILENT,
    "Busy": _SILENT,
}
# Of a saga past its point of no return.
_FORWARD = {
    "ConfigurationError": _SETTINGS,
    "Unauthorised": _RIGHTS,
    "Unavailable": _SILENT_FORWARD,
    "Unknown": _SILENT_FORWARD,
    "Busy": _SILENT_FORWARD,
}
_NAMES = {"brands": "the brand system", "erp": "the ERP"}
_IN_SANITY = {
    "Unauthorised": "Give the token in SANITY_SECRET_TOKEN the right to read, write and delete, "
    "or set another one and restart; then retry.",
    "NotFound": "Set SANITY_PROJECT_ID and SANITY_DATASET to what they were, restart; then retry.",
}
_IN_BRANDS = {
    "Unauthorised": "Set the key of the brand system in BRANDS_API_KEY, restart; then retry.",
    "NotFound": "Set BRANDS_URL to what it was, restart; then retry.",
}
_IN_ERP = {"Unauthorised": "Set the key of the ERP in ERP_API_KEY, restart; then retry."}
_BY_SYSTEM = {"sanity": _IN_SANITY, "brands": _IN_BRANDS, "erp": _IN_ERP}
