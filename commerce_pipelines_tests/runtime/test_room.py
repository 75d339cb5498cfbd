"""Where the files are when root lends PostgreSQL another user."""

import os
import shutil
from pathlib import Path

import psycopg
import pytest

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.runtime.account import Account, account_for
from commerce_pipelines.runtime.postgres import EmbeddedPostgres
from commerce_pipelines.runtime.room import open_room, wheel_binaries


def permissions(directory: Path) -> list[tuple[int, int, int]]:
    found = [path.stat() for path in (directory, *directory.parents)]
    return [(each.st_mode, each.st_uid, each.st_gid) for each in found]


def answers(postgres: EmbeddedPostgres) -> bool:
    with psycopg.connect(postgres.url()) as connection:
        return connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.usefixtures("as_root")
def test_an_unreachable_home_keeps_its_permissions(open_directory: Path) -> None:
    home = open_directory / "private" / "home"
    home.mkdir(parents=True)
    home.parent.chmod(0o700)
    before = permissions(home)

    postgres = EmbeddedPostgres(home, durable=False)
    with postgres:
        assert answers(postgres)
        assert (home / "postgres").is_symlink()
        assert (home / "postgres").resolve().parent == Path("/var/tmp")
        assert permissions(home) == before
    postgres.destroy()

    assert permissions(home) == before


@pytest.mark.usefixtures("as_root")
def test_an_unreachable_home_finds_its_database_again(open_directory: Path) -> None:
    home = open_directory / "private" / "home"
    home.mkdir(parents=True)
    home.parent.chmod(0o700)

    for _ in range(2):
        with EmbeddedPostgres(home, durable=False) as postgres:
            postgres.ensure_database("kept")
            room = (home / "postgres").resolve()
    postgres = EmbeddedPostgres(home, durable=False)
    with postgres, psycopg.connect(postgres.url("kept")):
        assert (home / "postgres").resolve() == room
    postgres.destroy()


@pytest.mark.usefixtures("as_root")
def test_a_reachable_home_holds_the_database_itself(open_directory: Path) -> None:
    home = open_directory / "home"
    before = permissions(open_directory)

    with EmbeddedPostgres(home, durable=False) as postgres:
        assert answers(postgres)
        assert not (home / "postgres").is_symlink()
        assert (home / "postgres").stat().st_uid != 0
        assert home.stat().st_uid == 0
        assert permissions(open_directory) == before


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_unreachable_binaries_are_copied(open_directory: Path, umask: int) -> None:
    installation = open_directory / "private"
    package = wheel_binaries().parent.parent
    old_umask = os.umask(umask)
    try:
        for source in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(source, installation / source.name)
    finally:
        os.umask(old_umask)
    installation.chmod(0o700)
    binaries = installation / package.name / wheel_binaries().parent.name / "bin"
    before = permissions(binaries)

    postgres = EmbeddedPostgres(open_directory / "home", durable=False, binaries=binaries)
    for _ in range(2):
        with postgres:
            assert answers(postgres)

    assert permissions(binaries) == before


@pytest.mark.usefixtures("as_root")
def test_an_existing_database_is_run_by_its_owner(open_directory: Path) -> None:
    room = open_directory / "postgres"
    room.mkdir()
    os.chown(room, 65534, 65534)

    assert account_for(room) == Account(65534, 65534)


@pytest.mark.usefixtures("as_root")
def test_root_never_runs_it_as_root(home: Path) -> None:
    assert account_for(home / "postgres").uid != 0


@pytest.mark.usefixtures("as_root")
def test_a_database_of_another_user_is_refused(open_directory: Path) -> None:
    (open_directory / "postgres").mkdir()
    os.chown(open_directory / "postgres", 65534, 65534)

    with pytest.raises(ConfigurationError, match="start as its owner"):
        open_room(open_directory, Account(65533, 65533))


def test_an_ordinary_user_runs_it_itself(home: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("only an ordinary user runs PostgreSQL itself")
    with EmbeddedPostgres(home, durable=False) as postgres:
        assert answers(postgres)
        assert not (home / "postgres").is_symlink()
        assert (home / "postgres" / "data").stat().st_uid == os.geteuid()


def test_a_link_to_nowhere_is_reported_not_replaced(home: Path) -> None:
    home.mkdir()
    (home / "postgres").symlink_to("/var/tmp/is-gone")

    with pytest.raises(ConfigurationError, match="is gone"):
        EmbeddedPostgres(home).start()
