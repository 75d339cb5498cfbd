"""When waiting messages are worth a run, and what that run is called.

The endpoint and the sensor ask the same question and give the same key, so that
one of them being late, or both at once, does not start two runs for the same work.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from commerce_pipelines.store.message_claims import oldest_due

BUCKET_SECONDS = 10


def drain_key(connection: Connection, topic: str, now: datetime) -> str | None:
    """Returns the key of the run that should drain a topic; None when nothing is due.

    The key names the oldest due message and its tries, and a moment: a run of the same key
    is never started again, not even after it failed.

    Args:
        connection: The store.
        topic: The kind of work.
        now: The moment, aware.
    """
    due = oldest_due(connection, topic)
    if due is None:
        return None
    bucket = int(now.timestamp() // BUCKET_SECONDS)
    return f"drain:{topic}:{bucket}:{due.id}:{due.tries}"
