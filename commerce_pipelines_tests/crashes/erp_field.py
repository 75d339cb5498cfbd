"""Where the cases of the flows with an ERP are done, several at once."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from commerce_pipelines.connectors.erp.rest import RestErp
from commerce_pipelines.sandbox.server import Addresses, RunningSandbox, SandboxOptions
from commerce_pipelines_tests.crashes.erp_ground import Ground
from commerce_pipelines_tests.databases import Databases

AT_ONCE = 3
# The points with different states outside the process.
OUTSIDE = ("after", "no answer", "before GET", "before POST", "before PUT")

G = TypeVar("G", bound=Ground)
P = TypeVar("P")


@dataclass(frozen=True)
class _Place:
    """A sandbox and a database, for one case at a time."""

    addresses: Addresses
    postgres_url: str
    directory: Path
    grounds: dict[tuple[type[Ground], type[RestErp]], Ground] = field(default_factory=dict)

    def restored(self, kind: type[G], adapter: type[RestErp]) -> G:
        """Returns ground as it is before a case."""
        if (kind, adapter) not in self.grounds:
            made = kind(adapter, self.addresses, self.postgres_url, self.directory)
            self.grounds[kind, adapter] = made
        ground = self.grounds[kind, adapter]
        assert isinstance(ground, kind)
        ground.restore()
        return ground

    def close(self) -> None:
        """Closes what was opened for its grounds."""
        for ground in self.grounds.values():
            ground.close()


@dataclass(frozen=True)
class ErpField:
    """Lends ground for cases."""

    _free: queue.Queue[_Place] = field(default_factory=queue.Queue)

    @contextmanager
    def ground(self, kind: type[G], adapter: type[RestErp] = RestErp) -> Iterator[G]:
        """Lends ground for one case, whose ERP is spoken with by an adapter."""
        place = self._free.get()
        try:
            yield place.restored(kind, adapter)
        finally:
            self._free.put(place)

    def add(self, place: _Place) -> None:
        """Has one more case done at once."""
        self._free.put(place)


@contextmanager
def open_erp_field(databases: Databases, directory: Path) -> Iterator[ErpField]:
    """Opens as many places as cases are done at once."""
    with ExitStack() as stack:
        opened = ErpField()
        for _ in range(AT_ONCE):
            sandbox = stack.enter_context(RunningSandbox(SandboxOptions(port=0, rate_limit=False)))
            url = stack.enter_context(databases.migrated())
            place = _Place(sandbox.addresses, url, directory)
            stack.callback(place.close)
            opened.add(place)
        yield opened


def numbered(points: Sequence[str], *beginnings: str) -> dict[int, str]:
    """Returns the points by number; only those with such a beginning, if any is given."""
    return {
        number: name
        for number, name in enumerate(points, 1)
        if not beginnings or name.startswith(beginnings)
    }


def each(points: Mapping[P, str], case: Callable[[P], list[str]]) -> list[str]:
    """Does a case at each of the points, several at once; returns what was violated where."""

    def one(point: P) -> list[str]:
        return [f"point {point} ({points[point]}): {seen}" for seen in case(point)]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return [seen for found in pool.map(one, points) for seen in found]
