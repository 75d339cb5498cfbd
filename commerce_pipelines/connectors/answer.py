"""What another system answered, read within bounds.

Belongs here: status, parsed body, a short excerpt fit for people, how long we were
asked to wait. Does not belong here: what an answer means (`http`).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MAX_EXCERPT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer.

    Attributes:
        request: Method and path, for messages.
        status: HTTP status.
        body: The parsed JSON; None where there is none or it cannot be read.
        fault: Why the body cannot be read, if so.
        excerpt: The beginning of the body in one line, without our secrets.
        retry_after_seconds: How long the other side asked us to wait, if it did.
    """

    request: str
    status: int
    body: Any = None
    fault: str | None = None
    excerpt: str = ""
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        reason = self.fault or self.excerpt or "an empty body"
        return f"{self.request} answered {self.status}: {reason}"


def parse_json(raw: bytes, content_type: str) -> tuple[Any, str | None]:
    """Returns the parsed body and, where it cannot be read, why."""
    if not raw:
        return None, None
    if "json" not in content_type.lower():
        return None, f"not JSON but {one_line(content_type, ()) or 'of no type'}"
    try:
        return json.loads(raw), None
    except (ValueError, RecursionError):
        return None, "JSON that is broken or cut off"


def one_line(text: str, secrets: Iterable[str]) -> str:
    """Returns the beginning of a text or HTML page in one line, without tags and secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    # Far more than is shown, so that a huge page costs nothing.
    text = re.sub(r"<[^<>]*>", " ", text[: 20 * MAX_EXCERPT_CHARACTERS])
    printable = "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(printable.split())
    return line if len(line) <= MAX_EXCERPT_CHARACTERS else line[: MAX_EXCERPT_CHARACTERS - 1] + "…"


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Returns the seconds of a `Retry-After` header, number or date; None if it has none.

    Follows RFC 9110, section 10.2.3.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = _seconds_until(value, now or datetime.now(UTC))
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()
