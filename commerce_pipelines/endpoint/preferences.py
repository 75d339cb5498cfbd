"""How a caller wants to be answered: waiting or not, and under which key.

Belongs here: the headers `Prefer` and `Idempotency-Key` of requests that leave a
message. Does not belong here: what is answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Request

from commerce_pipelines.endpoint.signatures import LONGEST_ID
from commerce_pipelines.errors import InvalidInput

# As long as usual clients and proxies wait for an answer, and no longer.
WAIT_SECONDS: Final = 30.0

PREFER: Final[dict[str, Any]] = {
    "name": "Prefer",
    "in": "header",
    "schema": {"type": "string"},
    "description": "`respond-async` answers 202 at once, `wait=5` after so many "
    f"seconds; {WAIT_SECONDS:g} is the most. (RFC 7240)",
}
IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": "^[ -~]+$"},
}


def idempotency_key(request: Request) -> str | None:
    """Returns the key of a request; None without one.

    Raises:
        InvalidInput: It is none, or there are several.
    """
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    key = keys[0]
    if len(keys) > 1 or not (0 < len(key) <= LONGEST_ID and key.isascii() and key.isprintable()):
        raise InvalidInput(f"Idempotency-Key must be 1 to {LONGEST_ID} printable characters, once.")
    return key


def preferences(request: Request) -> dict[str, str]:
    """Returns the preferences of RFC 7240 by name; the first of a name counts."""
    stated = ",".join(request.headers.getlist("prefer")).lower().split(",")
    pairs = [preference.partition(";")[0].partition("=") for preference in reversed(stated)]
    return {name.strip(): value.strip() for name, _, value in pairs}


def patience_seconds(preferred: Mapping[str, str]) -> float:
    """Returns how long a caller wants to be kept waiting, at most `WAIT_SECONDS`."""
    wait = preferred.get("wait", "")
    known = wait.isascii() and wait.isdigit() and len(wait) < 10
    return min(float(wait), WAIT_SECONDS) if known else WAIT_SECONDS
