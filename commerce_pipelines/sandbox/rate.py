"""How many requests a second an imitated system lets in.

Belongs here: counting. Does not belong here: which requests count, and what the
others are answered.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable


class Rate:
    """A limit on the requests of any second.

    Args:
        per_second: So many.
        clock: Seconds that only go forward.
    """

    def __init__(self, per_second: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=per_second)

    def take(self) -> bool:
        """Lets one more request in; False, and not counted, if it is one too many."""
        now = self._clock()
        if len(self._recent) == self._per_second and now - self._recent[0] < 1.0:
            return False
        self._recent.append(now)
        return True
