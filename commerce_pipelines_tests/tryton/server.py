"""A real Tryton on the embedded PostgreSQL: initialised, seeded, served, reset, stopped.

Initialising takes minutes, so the seeded database is kept as a dump beside Tryton's
environment; another seed is another dump, and so is another month, for a seed has a
fiscal year.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

import psycopg
import requests

from commerce_pipelines.runtime.ports import free_port
from commerce_pipelines.runtime.room import wheel_binaries
from commerce_pipelines_tests.tryton.installed import MODULES

_SEED: Final = Path(__file__).with_name("seed.py")
_START_PATIENCE_SECONDS: Final = 60.0
_GRACE_SECONDS: Final = 3

# The kernel ends the server when this process is gone; gunicorn's workers follow it.
_TETHERED: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class TrytonServer:
    """One Tryton with one database.

    Args:
        environment: Where Tryton is installed.
        home: A directory of its own for configuration and logs.
        server_url: Any database of the PostgreSQL server.

    Attributes:
        seeded: What `seed.py` printed.
        seconds: How long each part of the start took.
    """

    def __init__(self, environment: Path, home: Path, server_url: str) -> None:
        self._environment = environment
        self._database = f"tryton_{uuid4().hex[:12]}"
        self._template = f"{self._database}_seeded"
        self._home = home
        self._server_url = server_url
        self._configuration = home / "trytond.conf"
        self._program: subprocess.Popen[bytes] | None = None
        self._port = 0
        self.seeded: dict[str, Any] = {}
        self.seconds: dict[str, float] = {}

    @property
    def url(self) -> str:
        """Returns what `ERP_URL` has to be."""
        return f"http://127.0.0.1:{self._port}/{self._database}"

    @property
    def postgres_url(self) -> str:
        """Returns the address of Tryton's database."""
        return urlsplit(self._server_url)._replace(path=f"/{self._database}").geturl()

    def start(self) -> None:
        """Makes a seeded database, keeps a copy of it and serves it."""
        self._configure()
        dump = self._dump_path()
        if not dump.exists():
            self._timed("initialise", self._initialise)
            self._timed("seed", self._seed)
            self._timed("dump", lambda: self._dump(dump))
        else:
            self._timed("restore", lambda: self._restore(dump))
        self._timed("copy", lambda: self._copy(self._database, self._template))
        self._timed("serve", self._serve)

    def reset(self) -> None:
        """Puts the database back to how it was seeded; the server finds its way back by itself."""
        self._sql(f"DROP DATABASE {self._database} WITH (FORCE)")
        self._copy(self._template, self._database)

    def stop(self) -> None:
        """Ends the server and drops its databases."""
        if self._program is not None:
            self._program.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._program.wait(4 * _GRACE_SECONDS)
            # A worker that hangs outlives its parent.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._program.pid, signal.SIGKILL)
            self._program.wait()
        for database in (self._database, self._template):
            self._sql(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def _configure(self) -> None:
        host = parse_qs(urlsplit(self._server_url).query)["host"][0]
        uri = f"postgresql://postgres@/?host={quote(host, safe='')}&port=5432"
        self._sql(f"CREATE DATABASE {self._database}")
        self._configuration.write_text(
            f"[database]\nuri = {uri}\npath = {self._home}\nlist = False\n[request]\ntimeout = 60\n"
        )

    def _dump_path(self) -> Path:
        wanted = f"{_SEED.read_text()} {MODULES} {date.today():%Y-%m}"
        return self._environment / f"{hashlib.sha256(wanted.encode()).hexdigest()[:12]}.dump"

    def _dump(self, path: Path) -> None:
        partial = path.with_suffix(f".{self._database}")
        self._postgres("pg_dump", "--format=custom", f"--file={partial}", self.postgres_url)
        path.with_suffix(".json").write_text(json.dumps(self.seeded))
        partial.rename(path)

    def _restore(self, path: Path) -> None:
        self._postgres("pg_restore", "--jobs=2", f"--dbname={self.postgres_url}", str(path))
        self.seeded = json.loads(path.with_suffix(".json").read_text())

    def _postgres(self, program: str, *arguments: str) -> None:
        command = [str(wheel_binaries() / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{done.stderr[-3000:]}")

    def _initialise(self) -> None:
        self._run(
            [
                *("trytond-admin", "-c", str(self._configuration), "-d", self._database),
                *("-u", *MODULES, "--activate-dependencies", "-l", "en"),
                *("--email", "admin@example.com"),
            ]
        )

    def _seed(self) -> None:
        printed = self._run(["python", str(_SEED), str(self._configuration), self._database])
        self.seeded = json.loads(printed.splitlines()[-1])

    def _run(self, command: Sequence[str]) -> str:
        password = self._home / "password"
        password.write_text(secrets.token_urlsafe(12))
        done = subprocess.run(
            [str(self._environment / "bin" / command[0]), *command[1:]],
            env={**os.environ, "TRYTONPASSFILE": str(password)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{done.stderr[-3000:]}")
        return done.stdout

    def _serve(self) -> None:
        self._port = free_port(0)
        command = [
            *(sys.executable, "-c", _TETHERED, str(self._environment / "bin" / "gunicorn")),
            *("--bind", f"127.0.0.1:{self._port}", "--workers", "2", "--threads", "4"),
            *("--worker-class", "gthread", "--timeout", "120"),
            *("--graceful-timeout", str(_GRACE_SECONDS), "--no-control-socket"),
            "trytond.application:app",
        ]
        # Not TRYTOND_DATABASE_NAMES: a worker that opens its database while it boots refuses
        # to, now and then, because a thread of its connections has not ended yet.
        settings = {"TRYTOND_CONFIG": str(self._configuration), "TRYTOND_LOGGING_LEVEL": "40"}
        with (self._home / "server.log").open("ab") as log:
            self._program = subprocess.Popen(
                command,
                env={**os.environ, **settings},
                cwd=self._home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_ready()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_PATIENCE_SECONDS
        while True:
            try:
                # Not JSON's protocol: without a key it is refused, and that is an answer.
                if requests.get(f"{self.url}/rest/model/web.shop", timeout=30).status_code == 401:
                    return
            except requests.ConnectionError:
                pass
            if time.monotonic() > deadline or (self._program and self._program.poll() is not None):
                raise RuntimeError((self._home / "server.log").read_text()[-3000:])
            time.sleep(0.1)

    def _copy(self, source: str, target: str) -> None:
        self._sql(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
            f"WHERE datname = '{source}'"
        )
        self._sql(f"CREATE DATABASE {target} TEMPLATE {source} STRATEGY FILE_COPY")

    def _sql(self, statement: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def _timed(self, name: str, part: Any) -> None:
        started = time.monotonic()
        part()
        self.seconds[name] = round(time.monotonic() - started, 1)
