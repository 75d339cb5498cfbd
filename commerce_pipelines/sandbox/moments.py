"""Moments as the imitated systems write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


def moment_text(moment: datetime) -> str:
    """Returns a moment in UTC with microseconds; later ones sort later as text."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def later_than(latest: str, now: datetime) -> str:
    """Returns now, or the next moment after the latest one if that is not before."""
    text = moment_text(now)
    if text > latest:
        return text
    return moment_text(datetime.fromisoformat(latest) + timedelta(microseconds=1))
