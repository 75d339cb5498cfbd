"""The embedded PostgreSQL server.

Belongs here: starting and stopping the server as a child of this process, also
after a crash. Does not belong here: where its files are (`room`), as whom it
runs (`account`), what is in its databases.

The wheel's own starter is not used: it fails on a path with a space, creates a
system user, and opens every parent directory for everybody when root starts it.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg
from psycopg import sql

from commerce_pipelines.errors import ConfigurationError
from commerce_pipelines.runtime.account import Account, account_for
from commerce_pipelines.runtime.failures import StackError
from commerce_pipelines.runtime.leftovers import clear_crash
from commerce_pipelines.runtime.lock import OwnerLock
from commerce_pipelines.runtime.logs import last_lines, log_path, open_log
from commerce_pipelines.runtime.room import (
    PORT,
    close_socket_directory,
    open_room,
    open_socket_directory,
    reachable_binaries,
    remove_room,
    wheel_binaries,
)
from commerce_pipelines.runtime.tether import tethered

DATABASE = "commerce"
USER = "postgres"

_SETTINGS = {"listen_addresses": "", "max_connections": "200", "shared_buffers": "128MB"}
_CARELESS_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# The built-in locale sorts and folds alike on every system and needs none installed.
_INITDB_OPTIONS = (
    f"--username={USER}",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-sync",
)
# After a crash the server replays its log before it takes connections.
_START_PATIENCE_SECONDS = 120.0
_STOP_PATIENCE_SECONDS = 10.0


def server_url(socket_directory: Path, database: str = DATABASE) -> str:
    """Returns the libpq address of a database behind a Unix socket.

    The port is named because `PGPORT` in the caller's environment would win otherwise.
    """
    host = quote(str(socket_directory), safe="/")
    return f"postgresql://{USER}@/{quote(database)}?host={host}&port={PORT}"


class EmbeddedPostgres:
    """A PostgreSQL server on a private Unix socket, with its data in `home/postgres`.

    Args:
        home: The stack's directory.
        durable: Whether a commit survives a crash of the machine; only tests do without.
        tether: Let the kernel stop the server when this process dies. Only for a
            process of one thread, see `tether`.
        binaries: The directory of `postgres` and `initdb`; the wheel's by default.
    """

    def __init__(
        self,
        home: Path,
        *,
        durable: bool = True,
        tether: bool = False,
        binaries: Path | None = None,
    ) -> None:
        self._home = home.absolute()
        self._settings = _SETTINGS if durable else _SETTINGS | _CARELESS_SETTINGS
        self._tether = tether
        self._binaries = binaries
        self._socket_directory: Path | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._lock = OwnerLock(self._home / "postgres.lock")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def socket_directory(self) -> Path:
        """The directory with the server's socket; stays the same over a restart.

        Raises:
            StackError: The server is not started.
        """
        if self._socket_directory is None:
            raise StackError(f"PostgreSQL in {self._home} is not started.")
        return self._socket_directory

    def url(self, database: str = DATABASE) -> str:
        """Returns a database's address, `postgresql://postgres@/commerce?host=…&port=5432`.

        Raises:
            StackError: The server is not started.
        """
        return server_url(self.socket_directory, database)

    def start(self) -> subprocess.Popen[bytes]:
        """Starts the server, after clearing up what a crash has left, and returns it.

        Returns when the database `commerce` takes connections. Called again after
        the server has died, it starts it at the same address.

        Raises:
            ConfigurationError: Somebody else runs it, or the system does not let us.
            StackError: It does not come up; the text ends with its log.
        """
        if self._server is not None and self._server.poll() is None:
            return self._server
        restart = self._socket_directory is not None
        try:
            self._own_home()
            return self._start()
        except BaseException as error:
            self._stop_server()
            if not restart:
                self.stop()
            if isinstance(error, OSError):
                raise ConfigurationError(f"{self._home} cannot be used: {error}") from error
            raise

    def stop(self) -> None:
        """Ends all connections and stops the server; does nothing if it is not running."""
        self._stop_server()
        if self._socket_directory is not None:
            close_socket_directory(self._home)
            self._socket_directory = None
        self._lock.release()

    def clear(self) -> None:
        """Ends and removes what a crash has left of the server, but keeps the data.

        `start` does the same, so this is for who does not start it again.

        Raises:
            ConfigurationError: Somebody else runs it.
        """
        if (self._home / "postgres").exists():
            self._own_home()
            clear_crash(self._cluster())
            close_socket_directory(self._home)
            self._lock.release()

    def destroy(self) -> None:
        """Stops the server and deletes its databases.

        Raises:
            ConfigurationError: Somebody else runs it.
        """
        self.stop()
        self.clear()
        remove_room(self._home)

    def create_database(self, name: str, template: str | None = None) -> None:
        """Creates a database.

        Args:
            name: Its name.
            template: A database without connections to copy; an empty one by default.
        """
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name))
        if template is not None:
            statement += sql.SQL(" TEMPLATE {}").format(sql.Identifier(template))
        with self._connect() as connection:
            connection.execute(statement)

    def ensure_database(self, name: str) -> None:
        """Creates a database unless it exists."""
        with self._connect() as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", [name])
            missing = found.fetchone() is None
        if missing:
            self.create_database(name)

    def _start(self) -> subprocess.Popen[bytes]:
        account = account_for(self._home / "postgres")
        room = open_room(self._home, account)
        cluster = self._cluster()
        clear_crash(cluster)
        binaries = reachable_binaries(self._binaries or wheel_binaries(), room, account)
        if self._socket_directory is None:
            self._socket_directory = open_socket_directory(self._home, account)
        with open_log(self._home, "postgres") as log:
            if not cluster.exists():
                self._initialise(account, binaries, cluster, log.fileno())
            command = [str(binaries / "postgres"), *self._arguments(cluster)]
            self._server = account.spawn(command, log, self._tie(signal.SIGINT))
        self._await_ready(self._server)
        self.ensure_database(DATABASE)
        return self._server

    def _cluster(self) -> Path:
        return (self._home / "postgres").resolve() / "data"

    def _own_home(self) -> None:
        self._home.mkdir(parents=True, exist_ok=True)
        if not self._lock.acquire():
            raise ConfigurationError(f"PostgreSQL is already running in {self._home}.")

    def _arguments(self, cluster: Path) -> list[str]:
        quoted = str(self._socket_directory).replace('"', '""')
        settings = {**self._settings, "port": str(PORT), "unix_socket_directories": f'"{quoted}"'}
        options = [part for item in settings.items() for part in ("-c", "=".join(item))]
        return ["-D", str(cluster), *options]

    def _initialise(self, account: Account, binaries: Path, cluster: Path, output: int) -> None:
        # An initdb that was killed leaves half a database, so it gets its name at the end.
        partial = cluster.with_name("data.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700)
        account.own(partial)
        command = [str(binaries / "initdb"), "-D", str(partial), *_INITDB_OPTIONS]
        with account.spawn(command, output, self._tie(signal.SIGKILL)) as initdb:
            initdb.wait()
        if initdb.returncode != 0:
            raise self._failure(f"initdb ended with exit code {initdb.returncode}")
        partial.rename(cluster)

    def _await_ready(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_PATIENCE_SECONDS
        while True:
            if server.poll() is not None:
                raise self._failure(f"PostgreSQL ended with exit code {server.returncode}")
            try:
                self._connect().close()
            except psycopg.OperationalError as error:
                if time.monotonic() > deadline:
                    raise self._failure("PostgreSQL takes no connections") from error
                time.sleep(0.02)
            else:
                return

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url("postgres"), autocommit=True)

    def _failure(self, what: str) -> StackError:
        lines = last_lines(log_path(self._home, "postgres"))
        return StackError(f"{what} in {self._home}:\n{lines}")

    def _tie(self, ending: signal.Signals) -> Callable[[], None] | None:
        return tethered(ending) if self._tether else None

    def _stop_server(self) -> None:
        # Fast, then immediate shutdown: https://www.postgresql.org/docs/18/server-shutdown.html
        for ending in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            if self._server is None:
                return
            self._server.send_signal(ending)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._server.wait(_STOP_PATIENCE_SECONDS)
                self._server = None
