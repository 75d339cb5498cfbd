"""What the sandbox keeps across a restart.

Belongs here: named values in SQLite, written before a request is answered. Does
not belong here: what the values mean. Written data reach the operating system,
so killing the sandbox loses nothing it acknowledged; a power cut may.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

_TABLE = """
CREATE TABLE IF NOT EXISTS kept (
    bucket text NOT NULL, key text NOT NULL, body text NOT NULL,
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID
"""


class StateFile:
    """Values by bucket and key; without a path nothing is kept.

    Args:
        path: SQLite file, made with its directory if missing.
    """

    def __init__(self, path: Path | None) -> None:
        self._connection: sqlite3.Connection | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        # The server's thread is not always the one that opened the file; there is only ever one.
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute(_TABLE)

    def load(self, bucket: str) -> dict[str, Any]:
        """Returns all values of a bucket by key."""
        if self._connection is None:
            return {}
        rows = self._connection.execute("SELECT key, body FROM kept WHERE bucket = ?", [bucket])
        return {key: json.loads(body) for key, body in rows}

    def save(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """Keeps all these values or none.

        Args:
            changes: By bucket, then by key; None removes the value.
        """
        if self._connection is None:
            return
        put = [
            (bucket, key, json.dumps(body, ensure_ascii=False, separators=(",", ":")))
            for bucket, values in changes.items()
            for key, body in values.items()
            if body is not None
        ]
        gone = [
            (bucket, key)
            for bucket, values in changes.items()
            for key, body in values.items()
            if body is None
        ]
        with closing(self._connection.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            try:
                cursor.executemany("INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", put)
                cursor.executemany("DELETE FROM kept WHERE bucket = ? AND key = ?", gone)
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def clear(self, *buckets: str) -> None:
        """Removes all values of these buckets."""
        if self._connection is not None:
            for bucket in buckets:
                self._connection.execute("DELETE FROM kept WHERE bucket = ?", [bucket])

    def close(self) -> None:
        """Closes the file; what was kept stays kept."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
