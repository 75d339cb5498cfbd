"""Files stay short, and everything public says what it is."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from statistics import median

from commerce_pipelines_tests.house.sources import Source, sources

MOST_LINES = 300
MEDIAN_FUNCTION_LINES = 10

Function = ast.FunctionDef | ast.AsyncFunctionDef
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def undocumented(source: Source) -> list[str]:
    """Returns the lines of public modules, classes and functions without a docstring."""
    lines = [] if ast.get_docstring(source.tree) else [f"{source.path}:1: the module"]
    return lines + [
        source.line(node.lineno) for node in _public(source.tree) if not ast.get_docstring(node)
    ]


def _public(parent: ast.Module | ast.ClassDef) -> Iterator[Function | ast.ClassDef]:
    for node in parent.body:
        if isinstance(node, _DEFINITIONS) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from _public(node)


def test_no_file_is_too_long() -> None:
    lengths = {source.path: len(source.text.splitlines()) for source in sources()}

    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_functions_are_short() -> None:
    lengths = [
        (node.end_lineno or node.lineno) - node.body[0].lineno
        for source in sources()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]

    assert median(lengths) < MEDIAN_FUNCTION_LINES


def test_everything_public_says_what_it_is() -> None:
    lines = [line for source in sources() for line in undocumented(source)]

    assert not lines, "\n" + "\n".join(lines)


def test_what_says_nothing_is_found() -> None:
    text = '"""A module."""\n\nclass A:\n    """A class."""\n\n    def b(self): ...\n'

    assert undocumented(Source("a.py", text)) == ["a.py:6: def b(self): ..."]
    assert undocumented(Source("a.py", "_x = 1\n")) == ["a.py:1: the module"]
