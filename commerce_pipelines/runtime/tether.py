"""What Linux offers so that no process outlives the one that answers for it.

Belongs here: the two `prctl` settings, see prctl(2). Elsewhere than on Linux
both do nothing. Does not belong here: finding and ending processes.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose own parent ends."""
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def tethered(ending: signal.Signals) -> Callable[[], None]:
    """Returns a `preexec_fn`: the kernel sends the child this signal when we are gone.

    The kernel goes by the *thread* that starts the child, and forking is safe in
    a process of one thread only, so only such a process may use it.
    """
    parent = os.getpid()

    def tie() -> None:
        if _libc is None:
            return
        # Until it has become another program the child has our own handlers.
        if ending != signal.SIGKILL:
            signal.signal(ending, signal.SIG_DFL)
        _libc.prctl(_PR_SET_PDEATHSIG, ending, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie
