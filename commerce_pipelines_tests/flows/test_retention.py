"""Retention in Dagster: every night, or by hand, also where no Sanity is configured."""

from __future__ import annotations

import os
from collections.abc import Iterator

import dagster as dg
import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.definitions import build_defs
from commerce_pipelines.services.pim_import import deliver


@pytest.fixture(autouse=True)
def configured(postgres_url: str) -> Iterator[None]:
    """Points the store at this test's database, and keeps bodies for two days only."""
    wanted = {"POSTGRES_URL": postgres_url, "BODIES_KEPT_DAYS": "2"}
    os.environ.update(wanted)
    yield
    for name in wanted:
        del os.environ[name]


def test_a_run_shows_what_it_deleted(engine: Engine) -> None:
    _receive_done(engine, "old", days=3)
    _receive_done(engine, "young", days=1)

    result = _run()

    assert result.success
    (output,) = result.filter_events(lambda event: event.is_successful_output)
    counts = {name: value.value for name, value in output.step_output_data.metadata.items()}
    assert counts == {
        "answers": 0,
        "carts": 0,
        "bodies": 1,
        "messages": 0,
        "steps": 0,
        "revisions": 0,
        "sagas": 0,
        "events": 0,
    }
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT webhook_id FROM message WHERE body IS NOT NULL"))
        assert list(kept.scalars()) == ["young"]


def test_without_sanity_it_fails_only_where_a_seal_has_to_be_deleted(engine: Engine) -> None:
    _receive_done(engine, "old", days=3)
    with engine.begin() as connection:
        for statement in _SEALED_SAGA:
            connection.execute(text(statement))

    result = _run()

    assert not result.success
    with engine.connect() as connection:
        assert connection.execute(text("SELECT body FROM message")).scalar_one() is None


def test_it_runs_every_night_without_being_asked() -> None:
    repository = build_defs().get_repository_def()
    schedule = repository.get_schedule_def("daily_retention")

    assert schedule.job_name == "retention"
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.cron_schedule == "30 3 * * *"


def _run() -> dg.ExecuteInProcessResult:
    job = build_defs().resolve_job_def("retention")
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(instance=instance, raise_on_error=False)


def _receive_done(engine: Engine, webhook_id: str, days: int) -> None:
    with engine.begin() as connection:
        deliver(connection, "pim", webhook_id, [{"title": "Mug"}])
        connection.execute(
            text("""
                UPDATE message SET state = 'done',
                    finished_at = now() - make_interval(days => :days),
                    received_at = now() - make_interval(days => :days)
                WHERE webhook_id = :id"""),
            {"id": webhook_id, "days": days},
        )


_SEALED_SAGA = (
    "INSERT INTO saga (saga_id, kind, lock_key) VALUES ('s', 'pim_import', 's')",
    """
    INSERT INTO saga_step (saga_id, seq, name, label, idem_key, transactional, state, plan,
                           intent_epoch, settle_at)
    VALUES ('s', 1, 'sanity.write_documents', '', 's-1', false, 'absent', '{"documents": []}', 1,
            now())""",
    "UPDATE saga SET status = 'aborting'",
    """
    UPDATE saga SET status = 'compensated', finished_at = now() - interval '31 days',
        holder = NULL, lease_until = NULL""",
)
