"""How soon a child that has died lives again."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import pytest

from commerce_pipelines.runtime.child import Child


@dataclass
class Lives:
    """A child that ends when it is told to, in a time that passes when it is told to."""

    now: float = 0.0
    child: Child = field(init=False)
    _process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.child = Child("child", self._launch, restart=True, clock=lambda: self.now)
        self.child.start()

    def _launch(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "input()"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        return self._process

    def die(self, after_seconds: float) -> float:
        """Lets it die after so long; returns how long it was dead."""
        self.now += after_seconds
        self.end()
        died = self.child.check()
        assert died is not None
        assert died.kind == "died"
        died_at = self.now
        while (event := self.child.check()) is None:
            self.now += 0.25
        assert event.kind == "restarted"
        return self.now - died_at

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def lives() -> Lives:
    return Lives()


def test_who_dies_early_again_and_again_waits_longer_each_time(lives: Lives) -> None:
    waited = [lives.die(after_seconds=2) for _ in range(9)]
    lives.end()

    assert waited == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_who_was_at_work_is_back_at_once_however_often_it_is_killed(lives: Lives) -> None:
    waited = [lives.die(after_seconds=20) for _ in range(9)]
    lives.end()

    assert waited == [0.5] * 9
