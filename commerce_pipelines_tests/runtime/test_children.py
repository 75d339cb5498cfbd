"""The stack as its caller sees it."""

import http.server
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.runtime.children import Service, Stack
from commerce_pipelines.runtime.failures import StackError
from commerce_pipelines.runtime.leftovers import MARK
from commerce_pipelines.runtime.ports import free_port
from commerce_pipelines.runtime.protocol import Event
from commerce_pipelines.runtime.readiness import answers_http, answers_port
from commerce_pipelines_tests.runtime.programs import (
    LEAVE_ORPHAN,
    SLEEP,
    STUBBORN,
    is_here,
    orphan_of,
    python,
    running,
    until,
)


class Listener(list[Event]):
    """Keeps the events it is told."""

    def kinds(self, service: str) -> list[str]:
        return [event.kind for event in self if event.service == service]

    def detail(self, kind: str, service: str) -> str:
        return next(e.detail for e in reversed(self) if (e.kind, e.service) == (kind, service))


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


@contextmanager
def stack_with(home: Path, *services: Service) -> Iterator[tuple[Stack, Listener]]:
    listener = Listener()
    with Stack(home, on_event=listener.append) as stack:
        stack.start(services)
        yield stack, listener


def heard(stack: Stack, listener: Listener, kind: str, service: str) -> bool:
    def check() -> bool:
        stack.poll()
        return kind in listener.kinds(service)

    return until(check)


def test_services_run_until_the_end_of_the_block(home: Path, token: str) -> None:
    first, second = (Service(name, python(SLEEP, token)) for name in ("first", "second"))

    with stack_with(home, first, second) as (_, listener):
        assert len(running(token)) == 2
        assert listener.kinds("first") == ["started", "ready"]

    assert running(token) == []
    assert listener[-1].kind == "stopped"


def test_a_stubborn_service_is_killed(home: Path, token: str) -> None:
    with stack_with(home, Service("deaf", python(STUBBORN, token), ready=is_here(home, "deaf"))):
        assert running(token)

    assert running(token) == []


def test_an_orphan_in_a_session_of_its_own_is_ended_too(home: Path, token: str) -> None:
    program = python(LEAVE_ORPHAN, SLEEP, token)

    with stack_with(home, Service("parent", program, ready=is_here(home, "parent"))):
        assert os.getsid(orphan_of(token).pid) == orphan_of(token).pid

    assert running(token) == []


def test_an_orphan_that_hides_its_mark_is_ended_too(home: Path, token: str) -> None:
    hide = "import os, sys; os.execve(sys.executable, [sys.executable, '-c', *sys.argv[1:]], {})"
    program = python(LEAVE_ORPHAN, hide, SLEEP, token)

    with stack_with(home, Service("parent", program, ready=is_here(home, "parent"))):
        assert MARK not in orphan_of(token).environ()

    assert running(token) == []


def test_a_service_that_signals_its_group_harms_no_other(home: Path, token: str) -> None:
    plain = Service("plain", python(SLEEP, token))
    rude = "import os, signal; os.killpg(0, signal.SIGKILL)"

    with stack_with(home, plain) as (stack, listener):
        with pytest.raises(StackError, match="rude ended before it was ready, signal 9"):
            stack.start([Service("rude", python(rude), ready=lambda: False)])

        assert heard(stack, listener, "restarted", "rude")
        assert len(running(token)) == 1


def test_a_service_gets_our_environment_and_its_own(home: Path, token: str) -> None:
    program = "import os, time; print(os.environ['PATH'], os.environ['SHOP'])"
    shop = Service("shop", python(f"{program}; {SLEEP}", token), {"SHOP": "open"})
    log = home / "logs" / "shop.log"

    with stack_with(home, shop):
        assert until(lambda: log.read_text() == f"{os.environ['PATH']} open\nhere\n")


def test_a_services_environment_is_not_shown() -> None:
    assert "whsec_" not in repr(Service("endpoint", ["true"], {"SECRET": "whsec_abc"}))


def test_a_service_that_dies_is_restarted(home: Path, token: str) -> None:
    with stack_with(home, Service("mortal", python(SLEEP, token))) as (stack, listener):
        (before,) = running(token)
        before.kill()
        assert heard(stack, listener, "restarted", "mortal")
        (after,) = running(token)

        assert listener.detail("died", "mortal") == "signal 9"
        assert listener.detail("restarted", "mortal") == str(after.pid)
        assert after.pid != before.pid


def test_a_service_that_must_not_be_restarted_is_not(home: Path, token: str) -> None:
    once = Service("once", python(SLEEP, token, "once"), restart=False)
    mortal = Service("mortal", python(SLEEP, token, "mortal"))

    with stack_with(home, once, mortal) as (stack, listener):
        for name in ("once", "mortal"):
            next(each for each in running(token) if each.cmdline()[-1] == name).kill()
            assert heard(stack, listener, "died", name)
        assert heard(stack, listener, "restarted", "mortal")

        assert "restarted" not in listener.kinds("once")


def test_a_service_that_dies_before_it_is_ready_is_named_with_its_log(home: Path) -> None:
    broken = Service("endpoint", python("raise SystemExit('no such setting')"), ready=lambda: False)

    message = r"(?s)endpoint ended .*exit code 1.*no such setting"
    with pytest.raises(StackError, match=message), stack_with(home, broken):
        pass


def test_a_service_that_is_never_ready_is_named(home: Path, token: str) -> None:
    slow = Service("daemon", python(SLEEP, token), ready=lambda: False)

    stack = Stack(home, ready_patience_seconds=0.3)
    with pytest.raises(StackError, match="daemon was not ready in time"), stack:
        stack.start([slow])

    assert running(token) == []


def test_a_program_that_is_not_there_is_named(home: Path) -> None:
    missing = Service("webserver", ["no-such-program"])
    message = r"webserver could not be started.*no-such-program"
    with pytest.raises(StackError, match=message), stack_with(home, missing):
        pass


def test_a_service_is_ready_when_it_answers(home: Path) -> None:
    port = free_port(24000)
    url = f"http://127.0.0.1:{port}/"
    server = ["-m", "http.server", "--bind", "127.0.0.1", "--directory", str(home), str(port)]
    web = Service("web", [*python("")[:1], *server], ready=lambda: answers_http(url))

    assert not answers_http(url)
    with stack_with(home, web):
        assert answers_http(url)
        assert answers_port(port)
        assert not answers_http(url + "missing")
    assert not answers_port(port)


def test_a_second_stack_in_one_home_is_refused_and_harms_nothing(home: Path, token: str) -> None:
    with stack_with(home, Service("first", python(SLEEP, token))):
        message = f"already running in {home}"
        with pytest.raises(ConfigurationError, match=message), Stack(home):
            pass

        assert len(running(token)) == 1


def test_two_stacks_with_two_homes_run_side_by_side(home: Path, token: str) -> None:
    with stack_with(home / "1", Service("service", python(SLEEP, token))):
        with stack_with(home / "2", Service("service", python(SLEEP, token))):
            assert len(running(token)) == 2
        assert len(running(token)) == 1


def test_a_home_that_is_a_file_is_a_configuration_error(home: Path) -> None:
    home.write_text("not a directory")

    with pytest.raises(ConfigurationError, match="cannot be used"), Stack(home):
        pass
    home.unlink()


def test_postgres_is_there_and_its_data_are_kept(home: Path) -> None:
    with Stack(home) as stack, psycopg.connect(stack.start_postgres()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    with Stack(home) as stack, psycopg.connect(stack.start_postgres()) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (42,)
        assert stack.postgres_url("dagster").startswith("postgresql://postgres@/dagster?host=/")


def test_postgres_of_a_test_leaves_nothing(home: Path) -> None:
    with Stack(home) as stack:
        with psycopg.connect(stack.start_postgres(keep=False)) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("off",)
        room = (home / "postgres").resolve()

    assert not room.exists()
    assert not os.path.lexists(home / "postgres")


def test_a_killed_postgres_is_restarted_at_the_same_address(home: Path) -> None:
    listener = Listener()
    with Stack(home, on_event=listener.append) as stack:
        url = stack.start_postgres()
        os.kill(int(listener.detail("started", "postgres")), signal.SIGKILL)
        assert heard(stack, listener, "restarted", "postgres")

        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_postgres_that_does_not_come_up_is_reported_with_its_log(home: Path) -> None:
    with Stack(home) as stack:
        stack.start_postgres()
    ((home / "postgres").resolve() / "data" / "PG_VERSION").unlink()

    with pytest.raises(StackError, match="PG_VERSION"), Stack(home) as stack:
        stack.start_postgres()


def test_a_stack_that_is_not_started_says_so(home: Path) -> None:
    with pytest.raises(StackError, match="not started"):
        Stack(home).poll()
    with pytest.raises(StackError, match="not started"):
        Stack(home).postgres_url()


def test_a_readiness_question_does_not_go_through_a_proxy() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert answers_http(f"http://127.0.0.1:{server.server_port}/")
        thread.join()
