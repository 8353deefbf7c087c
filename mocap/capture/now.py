"""The clock that all capture times are of."""

from __future__ import annotations

import sys
import time

COARSE = sys.platform == "win32" and sys.version_info < (3, 13)
"""Where `time.monotonic()` ticks 64 times a second: half a picture."""


def _edge_s() -> float:
    """How far `time.monotonic()` is ahead of `time.perf_counter()`, at the moment of a tick."""
    before = time.monotonic()
    while (now := time.monotonic()) == before:
        pass
    return now - time.perf_counter()


_AHEAD_S = _edge_s() if COARSE else 0.0


def now_s() -> float:
    """`time.monotonic()`, with microseconds on Windows too."""
    return time.perf_counter() + _AHEAD_S if COARSE else time.monotonic()
