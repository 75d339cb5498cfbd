"""The package's source files as syntax trees."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import commerce_pipelines

PACKAGE = "commerce_pipelines"
ROOT = Path(commerce_pipelines.__file__).parent


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes:
        path: Below the package, `store/engine.py`.
    """

    path: str
    text: str

    @property
    def part(self) -> str:
        """The folder at the top of the package, or the module itself."""
        return self.path.split("/")[0].removesuffix(".py")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    def line(self, number: int) -> str:
        """Returns a line as it is shown in a failure."""
        return f"{self.path}:{number}: {self.text.splitlines()[number - 1].strip()}"


@cache
def sources() -> tuple[Source, ...]:
    """Returns all files of the package."""
    found = sorted(ROOT.rglob("*.py"))
    assert len(found) > 50, f"the package is not in {ROOT}"
    return tuple(Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in found)


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Yields the line and the module of each import, wherever it stands."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module == PACKAGE:
                yield from ((node.lineno, f"{module}.{name.name}") for name in node.names)
            else:
                yield node.lineno, "." * node.level + module
