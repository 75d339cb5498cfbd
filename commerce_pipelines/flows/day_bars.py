"""A small picture of how many discrepancies the last days had, for people in the catalogue."""

import base64
from collections.abc import Sequence
from datetime import date
from typing import Final

WIDTH: Final = 600
HEIGHT: Final = 96
_FLOOR: Final = 72
_CEILING: Final = 16
_RED, _GREEN, _GREY = "#c5221f", "#188038", "#9aa0a6"

Day = tuple[date, int | None]


def day_bars(days: Sequence[Day]) -> str:
    """Returns Markdown with a bar a day: red for how much differs, green for nothing.

    Args:
        days: In order, each with its count; None where nobody has looked.
    """
    picture = base64.b64encode(_svg(days).encode()).decode()
    return f"![discrepancies a day](data:image/svg+xml;base64,{picture})"


def _svg(days: Sequence[Day]) -> str:
    most = max((count or 0 for _, count in days), default=0)
    step = WIDTH / max(len(days), 1)
    bars = [_bar(number * step, step, count, most) for number, (_, count) in enumerate(days)]
    texts = [_text(2, f"most: {most:,}", _CEILING - 4)]
    if days:
        texts += [
            _text(2, f"{days[0][0]}", HEIGHT - 6),
            _text(WIDTH - 2, f"{days[-1][0]}", HEIGHT - 6, "end"),
        ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>{"".join(bars + texts)}</svg>'
    )


def _bar(x: float, step: float, count: int | None, most: int) -> str:
    if count is None:
        middle = x + step / 2
        return f'<circle cx="{middle:.1f}" cy="{_FLOOR - 2}" r="2" fill="{_GREY}"/>'
    # One of many can still be seen.
    height = max(4.0, (_FLOOR - _CEILING) * count / most) if count else 3.0
    colour = _RED if count else _GREEN
    return (
        f'<rect x="{x + 1:.1f}" y="{_FLOOR - height:.1f}" width="{step - 2:.1f}" '
        f'height="{height:.1f}" fill="{colour}"/>'
    )


def _text(x: int, text: str, y: int, anchor: str = "start") -> str:
    return (
        f'<text x="{x}" y="{y}" font-family="sans-serif" font-size="11" fill="#3c4043" '
        f'text-anchor="{anchor}">{text}</text>'
    )
