"""Reading answers within bounds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from commerce_pipelines.connectors.answer import (
    MAX_EXCERPT_CHARACTERS,
    one_line,
    parse_json,
    parse_retry_after,
)

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("inf", None),
        ("nan", None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(
    header: str | None, seconds: float | None
) -> None:
    assert parse_retry_after(header, NOW) == seconds


def test_an_excerpt_is_one_short_printable_line_without_tags_and_secrets() -> None:
    page = "<html><b>Bad\x1b[31m</b>\r\n gateway for s3cret</html>" + "x" * 10_000
    line = one_line(page, ["s3cret"])
    assert line.startswith("Bad [31m gateway for *** xxx")
    assert len(line) == MAX_EXCERPT_CHARACTERS


def test_json_of_any_depth_never_raises() -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    assert parse_json(deep, "application/json") == (None, "JSON that is broken or cut off")


def test_an_empty_body_is_no_fault() -> None:
    assert parse_json(b"", "") == (None, None)
