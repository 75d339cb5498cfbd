"""Webhooks as another system sends them: signed, retried, with an id that stays.

Belongs here: one delivery and its attempts. Does not belong here: what it is about.
Facts: Standard Webhooks 1.0.0.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import requests
from standardwebhooks import Webhook

TIMEOUT_SECONDS = 10.0
PAUSE_SECONDS = (0.2, 0.5, 1.0)
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})


def new_delivery_id() -> str:
    """Returns an id for a delivery."""
    return "msg_" + secrets.token_hex(12)


def deliver(
    url: str,
    message: Mapping[str, Any],
    *,
    secret: str,
    delivery_id: str,
    attempts: int,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Sends a message until it is taken, refused for good, or attempts run out.

    Returns:
        `id`, `attempts` (how many were made), `status` of the last answer (None without
        one) and `answer` or `error`.
    """
    body = json.dumps(message, ensure_ascii=False)
    outcome: dict[str, Any] = {}
    for attempt in range(1, attempts + 1):
        outcome = _attempt(url, body, secret, delivery_id)
        outcome |= {"id": delivery_id, "attempts": attempt}
        if outcome["status"] is not None and outcome["status"] not in _RETRIED:
            break
        if attempt < attempts:
            sleep(PAUSE_SECONDS[min(attempt, len(PAUSE_SECONDS)) - 1])
    return outcome


def _attempt(url: str, body: str, secret: str, delivery_id: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    headers = {
        "content-type": "application/json",
        "webhook-id": delivery_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(delivery_id, now, body),
    }
    try:
        answer = requests.post(url, body.encode(), headers=headers, timeout=TIMEOUT_SECONDS)
    except requests.RequestException as problem:
        return {"status": None, "error": str(problem)}
    return {"status": answer.status_code, "answer": _content(answer)}


def _content(answer: requests.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return answer.text[:500]
