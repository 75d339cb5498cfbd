"""The run launcher of `dagster.yaml`: it asks the run server, or else does as Dagster does.

Belongs here: what Dagster wants of a launcher. Does not belong here: the words
of the request (`run_request`), and who may execute a run (`run_worker`).
"""

from __future__ import annotations

import dagster as dg
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus

from commerce_pipelines.errors import TransientError
from commerce_pipelines.flows.run_request import DEFINITIONS, RunRequest, ask
from commerce_pipelines.flows.run_worker import claim, worker_of
from commerce_pipelines.settings import Settings


class WarmRunLauncher(dg.DefaultRunLauncher):
    """Starts runs as forks of the run server, and has the code server start all others."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Has the run started, once, by the run server or by the code server."""
        run, settings = context.dagster_run, Settings.load()
        port, secret = settings.run_server_port, settings.run_server_secret
        if port is None or secret is None or not _is_ours(run):
            super().launch_run(context)
            return
        try:
            ask(port, RunRequest(secret=secret.get_secret_value(), run_id=run.run_id))
        except TransientError as error:
            self._leave_to_code_server(context, error)

    def _leave_to_code_server(self, context: LaunchRunContext, error: TransientError) -> None:
        run = context.dagster_run
        # A worker that comes too late finds the run claimed; one that came before has it.
        if claim(self._instance, run.run_id, None) is not None:
            self._instance.report_engine_event(f"{error} The code server starts this run.", run)
            super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        """Interrupts the run's worker, which then ends the run as canceled.

        Returns:
            Whether the run ends; where its worker is gone, it has.
        """
        run = self._instance.get_run_by_id(run_id)
        worker = worker_of(run) if run else None
        if run is None or run.is_finished or worker is None:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        if not worker.interrupt():
            # Nobody else would: Dagster waits for the worker until its own patience ends.
            self._instance.report_run_canceled(run, f"Process {worker.pid} was gone.")
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Lets Dagster's monitoring ask whether a worker lives."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Tells whether the run's worker lives."""
        worker = worker_of(run)
        if worker is None:
            # Any other answer would fail the run; the code server reports these deaths itself.
            return CheckRunHealthResult(WorkerStatus.RUNNING, "The code server answers for it.")
        if worker.find() is None:
            return CheckRunHealthResult(WorkerStatus.FAILED, f"Process {worker.pid} is gone.")
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def _is_ours(run: dg.DagsterRun) -> bool:
    origin = run.job_code_origin
    pointer = origin.repository_origin.code_pointer if origin else None
    return isinstance(pointer, ModuleCodePointer) and pointer.module == DEFINITIONS
