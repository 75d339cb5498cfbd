"""The operating system's user that PostgreSQL runs as.

Belongs here: choosing it and asking what it may reach. PostgreSQL refuses to
run as root, so root lends it a user that already exists; none is ever created.
Does not belong here: where the files are.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from commerce_pipelines.errors import ConfigurationError

_CANDIDATES = ("postgres", "nobody")


@dataclass(frozen=True)
class Account:
    """A user of the operating system, perhaps ourselves."""

    uid: int
    gid: int

    @property
    def is_us(self) -> bool:
        """Tells whether we are this user ourselves."""
        return self.uid == os.geteuid()

    def own(self, path: Path) -> None:
        """Gives a file that we made to this user; a link itself, not its target."""
        if not self.is_us:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_enter(self, directory: Path) -> bool:
        """Returns whether the user can reach the directory and what is in it."""
        return self._succeeds(["test", "-x", str(directory)])

    def can_run(self, program: Path) -> bool:
        """Returns whether the user can start a program that knows `--version`."""
        return self._succeeds([str(program), "--version"])

    def spawn(
        self,
        command: Sequence[str],
        output: int | IO[bytes],
        before_exec: Callable[[], None] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Starts a program as this user, in a session and an environment of its own.

        Raises:
            ConfigurationError: The system does not let us start it.
        """
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # The caller's directory may be out of the user's reach.
                cwd="/",
                # PGPORT, PGDATA and their like would change what the server does.
                env={"PATH": os.defpath, "LC_ALL": "C"},
                user=None if self.is_us else self.uid,
                group=None if self.is_us else self.gid,
                extra_groups=None if self.is_us else [],
                umask=0o077,
                start_new_session=True,
                preexec_fn=before_exec,  # noqa: PLW1509 - see `tethered`
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise ConfigurationError(
                f"{command[0]} does not start as user {self.uid}: {error}. "
                "Set POSTGRES_URL to use a PostgreSQL of your own."
            ) from error

    def _succeeds(self, command: Sequence[str]) -> bool:
        try:
            with self.spawn(command, subprocess.DEVNULL) as attempt:
                return attempt.wait() == 0
        except ConfigurationError:
            return False


def account_for(room: Path) -> Account:
    """Returns the user that PostgreSQL runs as.

    Args:
        room: The directory with the server's files. If it exists, its owner is
            taken, so that an existing database stays readable.

    Raises:
        ConfigurationError: We are root and there is no unprivileged user.
    """
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    if room.exists() and room.stat().st_uid != 0:
        owner = room.stat()
        return Account(owner.st_uid, owner.st_gid)
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _CANDIDATES:
        if name in known:
            return Account(known[name].pw_uid, known[name].pw_gid)
    raise ConfigurationError(
        "PostgreSQL does not run as root, and there is neither a user postgres nor nobody: "
        "set POSTGRES_URL, or start as another user."
    )
