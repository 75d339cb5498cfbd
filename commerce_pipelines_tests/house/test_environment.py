"""The environment is read in one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from commerce_pipelines_tests.house.sources import Source, sources

READERS = {"settings"}
# They start programs, which get our environment whole; a single variable they may not read.
PASS_IT_ON = {"runtime", "cli"}
_NODES = (ast.Attribute, ast.ImportFrom)
_NAMES = {"environ", "environb", "getenv", "getenvb"}


def uses(source: Source) -> list[str]:
    """Returns the lines of a file that use the environment and may not."""
    if source.part in READERS:
        return []
    allowed = set(_writes(source.tree))
    if source.part in PASS_IT_ON:
        allowed |= set(_passed_whole(source.tree))
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, _NODES)]
    return [
        source.line(node.lineno)
        for node in nodes
        if _is_environment(node) and id(node) not in allowed
    ]


def _is_environment(node: ast.Attribute | ast.ImportFrom) -> bool:
    if isinstance(node, ast.Attribute):
        return node.attr in _NAMES and isinstance(node.value, ast.Name) and node.value.id == "os"
    return node.module == "os" and any(name.name in _NAMES for name in node.names)


def _writes(tree: ast.Module) -> Iterator[int]:
    """Yields `os.environ["NAME"] = …`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store):
            yield id(node.value)


def _passed_whole(tree: ast.Module) -> Iterator[int]:
    """Yields `{**os.environ, …}`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            yield from (
                id(value) for key, value in zip(node.keys, node.values, strict=True) if key is None
            )


def test_only_the_settings_read_the_environment() -> None:
    lines = [line for source in sources() for line in uses(source)]

    assert not lines, "\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("store/engine.py", "import os\nurl = os.environ['POSTGRES_URL']", 1),
        ("store/engine.py", "import os\nurl = os.getenv('POSTGRES_URL')", 1),
        ("store/engine.py", "from os import environ", 1),
        ("store/engine.py", "import os\nstart({**os.environ})", 1),
        ("runtime/child.py", "import os\nurl = os.environ.get('POSTGRES_URL')", 1),
        ("runtime/child.py", "import os\nstart({**os.environ, 'A': 'b'})", 0),
        ("flows/hooks.py", "import os\nos.environ['A'] = 'b'", 0),
        ("settings.py", "import os\nhome = os.environ.get('COMMERCE_HOME')", 0),
    ],
)
def test_a_reader_is_found(path: str, text: str, found: int) -> None:
    assert len(uses(Source(path, text))) == found
