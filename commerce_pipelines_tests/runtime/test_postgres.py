import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.runtime.account import account_for
from commerce_pipelines.runtime.failures import StackError
from commerce_pipelines.runtime.postgres import EmbeddedPostgres, server_url
from commerce_pipelines_tests.runtime.programs import until, working_in


@contextmanager
def server(home: Path, *, durable: bool = False) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(home, durable=durable) as postgres:
        yield postgres


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server for the tests that neither stop it nor look at its files."""
    with server(tmp_path_factory.mktemp("shared")) as postgres:
        yield postgres
    postgres.destroy()


def ask(url: str, question: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(question).fetchone()
    return row and row[0]


def write_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")


def cluster_of(home: Path) -> Path:
    return (home / "postgres").resolve() / "data"


def test_it_starts_empty_and_keeps_what_is_written(home: Path) -> None:
    with server(home) as postgres:
        write_row(postgres.url())
    with server(home) as postgres:
        assert ask(postgres.url(), "SELECT number FROM kept") == 42


@pytest.mark.parametrize(
    "name", ["a path with spaces", "quote ' \" and, comma", "ü" * 60, "/".join(["deep" * 20] * 5)]
)
def test_any_path_will_do(home: Path, name: str) -> None:
    with server(home / name) as postgres:
        assert ask(postgres.url(), "SELECT 1") == 1
    EmbeddedPostgres(home / name).destroy()


def test_a_relative_path_is_taken_from_where_we_are(home: Path) -> None:
    with server(Path(os.path.relpath(home))) as postgres:
        assert ask(postgres.url(), "SELECT 1") == 1


def test_commits_are_safe_unless_told_otherwise(home: Path) -> None:
    with server(home, durable=True) as postgres:
        assert ask(postgres.url(), "SHOW fsync") == "on"
        assert ask(postgres.url(), "SHOW synchronous_commit") == "on"
    with server(home, durable=False) as postgres:
        assert ask(postgres.url(), "SHOW fsync") == "off"


def test_nobody_reaches_it_but_through_its_private_socket(home: Path) -> None:
    with server(home) as postgres:
        assert ask(postgres.url(), "SHOW listen_addresses") == ""
        assert postgres.socket_directory.stat().st_mode & 0o777 == 0o700
        assert cluster_of(home).stat().st_mode & 0o777 == 0o700


def test_it_knows_all_letters(shared: EmbeddedPostgres) -> None:
    assert ask(shared.url(), "SELECT lower('ÄÉÐ')") == "äéð"
    assert ask(shared.url(), "SHOW server_encoding") == "UTF8"


@pytest.mark.parametrize("driver", ["postgresql+psycopg", "postgresql+psycopg2"])
def test_its_address_suits_both_drivers(shared: EmbeddedPostgres, driver: str) -> None:
    engine = create_engine(make_url(shared.url()).set(drivername=driver))
    with engine.connect() as connection:
        assert connection.execute(text("SELECT current_database()")).scalar() == "commerce"
    engine.dispose()


def test_an_address_quotes_what_needs_it() -> None:
    url = server_url(Path("/tmp/a b&c"), "my db")

    assert url == "postgresql://postgres@/my%20db?host=/tmp/a%20b%26c&port=5432"


def test_a_database_is_copied_from_a_template(shared: EmbeddedPostgres) -> None:
    shared.create_database("pattern")
    write_row(shared.url("pattern"))
    shared.create_database("copy", template="pattern")

    assert ask(shared.url("copy"), "SELECT number FROM kept") == 42


def test_a_database_is_ensured_twice(shared: EmbeddedPostgres) -> None:
    shared.ensure_database("dagster")
    shared.ensure_database("dagster")

    assert ask(shared.url("dagster"), "SELECT current_database()") == "dagster"


def test_stopping_ends_open_connections_and_leaves_nothing(home: Path) -> None:
    with server(home) as postgres:
        sockets = postgres.socket_directory
        connection = psycopg.connect(postgres.url())

    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    assert not sockets.exists()
    assert not os.path.lexists(home / "postgres-socket")
    assert until(lambda: not working_in(cluster_of(home)))


def test_stopping_twice_does_no_harm(home: Path) -> None:
    with server(home) as postgres:
        postgres.stop()


def test_a_stopped_server_has_no_address(home: Path) -> None:
    with server(home) as postgres:
        pass
    with pytest.raises(StackError, match="not started"):
        postgres.url()


def test_two_owners_of_one_home_are_refused(home: Path) -> None:
    with server(home) as postgres:
        with pytest.raises(ConfigurationError, match="already running"):
            EmbeddedPostgres(home).start()

        assert ask(postgres.url(), "SELECT 1") == 1


def test_a_killed_server_starts_again_at_the_same_address(home: Path) -> None:
    with server(home, durable=True) as postgres:
        url = postgres.url()
        write_row(url)
        postmaster = postgres.start()
        postmaster.kill()
        postmaster.wait()
        postgres.start()

        assert postgres.url() == url
        assert ask(url, "SELECT number FROM kept") == 42


@pytest.mark.parametrize("ending", [None, signal.SIGKILL, signal.SIGSTOP])
def test_what_a_dead_owner_left_is_cleared(home: Path, ending: signal.Signals | None) -> None:
    """The owner leaves a running, a killed or a frozen postmaster, and its sockets."""
    owner = EmbeddedPostgres(home)
    postmaster = owner.start()
    stale_sockets = owner.socket_directory
    write_row(owner.url())
    owner._lock.release()  # as the kernel does when the owner dies
    if ending is not None:
        postmaster.send_signal(ending)

    with server(home, durable=True) as postgres:
        assert ask(postgres.url(), "SELECT number FROM kept") == 42
        assert postgres.socket_directory != stale_sockets
        assert not stale_sockets.exists()
    assert postmaster.wait() is not None


def test_a_pid_that_went_to_a_stranger_is_left_alone(home: Path) -> None:
    with server(home):
        pass
    account = account_for(home / "postgres")
    pid_file = cluster_of(home) / "postmaster.pid"
    stranger = account.spawn(["sleep", "600"], subprocess.DEVNULL)
    pid_file.write_text(f"{stranger.pid}\n{cluster_of(home)}\n")

    try:
        with server(home) as postgres:
            assert ask(postgres.url(), "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_an_empty_pid_file_is_no_obstacle(home: Path) -> None:
    with server(home):
        pass
    (cluster_of(home) / "postmaster.pid").touch()

    with server(home) as postgres:
        assert ask(postgres.url(), "SELECT 1") == 1


def test_a_killed_first_start_is_begun_anew(home: Path) -> None:
    with server(home):
        pass
    cluster_of(home).rename(cluster_of(home).with_name("data.partial"))
    (cluster_of(home).with_name("data.partial") / "global" / "pg_control").unlink()

    with server(home) as postgres:
        assert ask(postgres.url(), "SELECT 1") == 1


def test_a_broken_database_is_reported_with_the_log(home: Path) -> None:
    with server(home):
        pass
    (cluster_of(home) / "PG_VERSION").unlink()

    with pytest.raises(StackError, match="PG_VERSION"):
        EmbeddedPostgres(home).start()


def test_a_home_that_is_a_file_is_a_configuration_error(home: Path) -> None:
    home.write_text("not a directory")

    with pytest.raises(ConfigurationError, match="cannot be used"):
        EmbeddedPostgres(home).start()
    home.unlink()


def test_destroying_removes_the_databases(home: Path) -> None:
    with server(home) as postgres:
        room = (home / "postgres").resolve()
    postgres.destroy()

    assert not room.exists()
    assert not os.path.lexists(home / "postgres")


def test_a_server_that_somebody_else_runs_is_not_destroyed(home: Path) -> None:
    with server(home) as postgres:
        with pytest.raises(ConfigurationError, match="already running"):
            EmbeddedPostgres(home).destroy()

        assert ask(postgres.url(), "SELECT 1") == 1


def test_destroying_ends_what_a_dead_owner_left(home: Path) -> None:
    owner = EmbeddedPostgres(home)
    postmaster = owner.start()
    owner._lock.release()  # as the kernel does when the owner dies
    EmbeddedPostgres(home).destroy()

    assert postmaster.poll() is not None
    assert not owner.socket_directory.exists()
    assert not os.path.lexists(home / "postgres")
