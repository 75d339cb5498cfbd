"""Whatever is killed, nothing stays behind and the next start finds the data."""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg
import pytest

from commerce_pipelines.runtime.children import Service, Stack
from commerce_pipelines.runtime.failures import StackError
from commerce_pipelines_tests.runtime.programs import (
    FORKING_FRONT,
    FRONT,
    SLEEP,
    STUBBORN,
    WRITE_AT_END,
    is_here,
    orphan_of,
    python,
    running,
    until,
    working_in,
)

pytestmark = pytest.mark.processes


@dataclass
class Running:
    """A process that has started a stack, as `up` does."""

    front: subprocess.Popen[bytes]
    url: str
    home: Path
    token: str

    def guardian(self) -> psutil.Process:
        (found,) = [
            each
            for each in psutil.Process(self.front.pid).children()
            if "commerce_pipelines.runtime.guardian" in each.cmdline()
        ]
        return found

    def servers(self) -> list[psutil.Process]:
        return working_in((self.home / "postgres").resolve() / "data")

    def everything(self) -> list[psutil.Process]:
        return [*running(str(self.home)), *running(self.token), *self.servers()]


@contextmanager
def started(home: Path, program: str, caller: str = FRONT) -> Iterator[Running]:
    token = uuid.uuid4().hex
    command = python(caller, str(home), program, token)
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as front:
        assert front.stdout is not None
        yield Running(front, front.stdout.readline().decode().strip(), home, token)
        front.kill()


@pytest.fixture
def up(home: Path) -> Iterator[Running]:
    with started(home, SLEEP) as running_stack:
        yield running_stack


@pytest.fixture
def stubborn_up(home: Path) -> Iterator[Running]:
    """Its services do not listen to SIGTERM."""
    with started(home, STUBBORN) as running_stack:
        yield running_stack


def kept_number(home: Path) -> object:
    with Stack(home) as stack, psycopg.connect(stack.start_postgres()) as connection:
        return connection.execute("SELECT number FROM kept").fetchone()


def keep_number(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")


@pytest.mark.parametrize(
    "ending",
    [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL],
    ids=lambda ending: ending.name,
)
def test_nothing_is_left_when_the_caller_gets_a_signal(up: Running, ending: signal.Signals) -> None:
    assert len(running(up.token)) == 4  # the caller, two services, an orphan
    keep_number(up.url)

    os.killpg(up.front.pid, ending)  # as a terminal does

    assert until(lambda: not up.everything())
    assert up.front.wait() != 0
    assert kept_number(up.home) == (42,)


def test_a_caller_that_gets_sigterm_ends_after_its_stack(up: Running) -> None:
    up.front.send_signal(signal.SIGTERM)

    assert up.front.wait() == 128 + signal.SIGTERM
    assert up.everything() == []


def test_a_killed_caller_can_be_started_again_at_once(stubborn_up: Running) -> None:
    keep_number(stubborn_up.url)

    stubborn_up.front.kill()

    assert kept_number(stubborn_up.home) == (42,)


def test_a_killed_guardian_is_noticed_and_cleared_up_after(stubborn_up: Running) -> None:
    stubborn_up.guardian().kill()

    assert stubborn_up.front.wait() == 1
    assert stubborn_up.everything() == []
    assert not os.path.lexists(stubborn_up.home / "postgres-socket")


def test_the_caller_is_told_that_the_guardian_is_gone(home: Path) -> None:
    token = uuid.uuid4().hex
    with pytest.raises(StackError, match=r"has ended.*-9"), Stack(home) as stack:
        stack.start([Service("plain", python(STUBBORN, token), ready=is_here(home, "plain"))])
        (guardian,) = running(str(home))
        guardian.kill()
        stack.wait()

    assert running(token) == []


def test_a_guardian_told_to_end_leaves_nothing(up: Running) -> None:
    os.kill(up.guardian().pid, signal.SIGTERM)

    assert up.front.wait() == 1
    assert up.everything() == []


def test_a_start_after_everything_was_killed_finds_the_data(up: Running) -> None:
    keep_number(up.url)
    everything = up.everything()

    for each in everything:
        if each.is_running():
            each.kill()

    assert up.front.wait() == -signal.SIGKILL
    assert kept_number(up.home) == (42,)
    assert until(lambda: not up.everything())


def test_what_outlived_caller_and_guardian_is_ended_by_the_next_start(stubborn_up: Running) -> None:
    """The orphan ignores SIGTERM, has a session of its own, and nobody watches it."""
    keep_number(stubborn_up.url)
    caller, guardian = psutil.Process(stubborn_up.front.pid), stubborn_up.guardian()
    caller.suspend()
    guardian.kill()
    caller.kill()
    assert running(stubborn_up.token)

    assert kept_number(stubborn_up.home) == (42,)
    assert running(stubborn_up.token) == []


def test_a_killed_postmaster_and_guardian_leave_a_database_that_recovers(up: Running) -> None:
    keep_number(up.url)
    guardian = up.guardian()
    (postmaster,) = [each for each in up.servers() if each.ppid() == guardian.pid]
    for each in (postmaster, guardian, up.front):
        each.kill()

    assert kept_number(up.home) == (42,)


def test_the_guardian_collects_the_orphans_it_adopted(up: Running) -> None:
    orphan = orphan_of(up.token)
    assert orphan.ppid() == up.guardian().pid

    orphan.kill()

    assert until(lambda: not psutil.pid_exists(orphan.pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children of a death")
def test_children_end_by_themselves_with_a_killed_guardian(up: Running) -> None:
    orphan = orphan_of(up.token)
    guardian = up.guardian()
    up.front.send_signal(signal.SIGSTOP)

    guardian.kill()

    assert until(lambda: not up.servers())
    assert until(lambda: {each.pid for each in running(up.token)} == {up.front.pid, orphan.pid})
    up.front.send_signal(signal.SIGCONT)
    assert up.front.wait() == 1
    assert up.everything() == []


def test_a_fork_that_holds_the_pipe_does_not_keep_the_stack(home: Path) -> None:
    with started(home, SLEEP, FORKING_FRONT) as up:
        (fork,) = [
            each
            for each in psutil.Process(up.front.pid).children()
            if "commerce_pipelines.runtime.guardian" not in each.cmdline()
        ]
        up.front.kill()

        assert until(lambda: [each.pid for each in up.everything()] == [fork.pid, fork.pid])
        fork.kill()


def test_services_reach_postgres_until_they_have_ended(home: Path) -> None:
    with Stack(home) as stack:
        writer = python(WRITE_AT_END, stack.start_postgres())
        stack.start([Service("writer", writer, ready=is_here(home, "writer"))])

    assert kept_number(home) == (42,)
