"""Asset checks: what waits for a person is red in the catalogue, with the words of `status`.

Evaluated by a sensor that asks the tables a few times a minute and reports only
what has changed, so no run is needed; by hand they run like any other check.
What fails them: parked steps, dead messages; a full inbox only warns. May run
beside everything, itself included: they only look.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import dagster as dg
from sqlalchemy import Connection

from commerce_pipelines.flows.pim_import import DOCUMENTS, PRODUCTS
from commerce_pipelines.flows.resources import StoreResource
from commerce_pipelines.services.attention import (
    Concern,
    Concerns,
    backlog_concerns,
    dead_concerns,
    parked_concerns,
)

LOOK_SECONDS = 20
MOST_TOLD = 10


class Check(NamedTuple):
    """A question about an asset, which passes when nothing is told.

    Attributes:
        look: Asks the tables.
        severity: How bad it is when it fails.
    """

    key: dg.AssetCheckKey
    description: str
    look: Callable[[Connection, int], Concerns]
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


_PARKED: Final = "No saga is parked: none waits for a person before it is undone on both sides."

CHECKS: Final = (
    Check(dg.AssetCheckKey(PRODUCTS, "no_parked_sagas"), _PARKED, parked_concerns),
    Check(dg.AssetCheckKey(DOCUMENTS, "no_parked_sagas"), _PARKED, parked_concerns),
    Check(
        dg.AssetCheckKey(PRODUCTS, "no_dead_messages"),
        "No message was given up after its tries.",
        dead_concerns,
    ),
    Check(
        dg.AssetCheckKey(PRODUCTS, "inbox_is_drained"),
        "Messages do not wait for long, nor pile up.",
        backlog_concerns,
        dg.AssetCheckSeverity.WARN,
    ),
)


def evaluate(connection: Connection, check: Check) -> dg.AssetCheckEvaluation:
    """Answers a check from the tables."""
    concerns = check.look(connection, MOST_TOLD)
    text = concerns.text
    return dg.AssetCheckEvaluation(
        asset_key=check.key.asset_key,
        check_name=check.key.name,
        passed=not concerns.count,
        severity=check.severity,
        description=text or "Nothing waits for a person.",
        metadata={"count": concerns.count, **_links(concerns.told), **_told(text)},
    )


def _told(text: str) -> dict[str, dg.MetadataValue]:
    return {"what to do": dg.MetadataValue.md(f"```\n{text}\n```")} if text else {}


def _links(concerns: list[Concern]) -> dict[str, dg.MetadataValue]:
    """Returns links to the runs, by the saga or message that they worked on."""
    return {
        f"run of {next(iter(one.ids.values()))}": dg.MetadataValue.dagster_run(one.run_id)
        for one in concerns
        if one.run_id and one.ids
    }


def _by_hand(check: Check) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=check.key.asset_key, name=check.key.name, description=check.description)
    def by_hand(store: StoreResource) -> dg.AssetCheckResult:
        """Evaluates the check in a run of its own."""
        with store.engine.connect() as connection:
            found = evaluate(connection, check)
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=found.severity,
            description=found.description,
            metadata=found.metadata,
        )

    return by_hand


asset_checks: Final = [_by_hand(check) for check in CHECKS]


@dg.sensor(
    name="health",
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Turns the asset checks red when something waits for a person, and green after.",
)
def sensor(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> dg.SensorResult | dg.SkipReason:
    """Asks the tables, and reports what Dagster does not show yet."""
    with store.engine.connect() as connection:
        found = [evaluate(connection, check) for check in CHECKS]
    news = [each for each in found if not _is_shown(context.instance, each)]
    if not news:
        return dg.SkipReason("The checks show how things are.")
    return dg.SensorResult(asset_events=news)


def _is_shown(instance: dg.DagsterInstance, found: dg.AssetCheckEvaluation) -> bool:
    """Tells whether the catalogue says the same, whoever made it say so.

    It forgets what was found before an asset's last materialization.
    """
    record = instance.get_latest_asset_check_evaluation_record(found.asset_check_key)
    shown = record.evaluation if record else None
    if not (record and record.event and isinstance(shown, dg.AssetCheckEvaluation)):
        return False
    made = instance.get_latest_materialization_event(found.asset_key)
    is_newest = made is None or made.timestamp < record.event.timestamp
    return is_newest and (shown.passed, shown.description) == (found.passed, found.description)
