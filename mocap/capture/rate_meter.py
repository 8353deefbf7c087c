"""Rates, jitter and losses of a camera from the times and numbers of its pictures."""

from __future__ import annotations

import threading
from collections import deque

import numpy as np

from mocap.capture.source import SourceFrame

WINDOW_S = 2.0
LEAST = 8
"""Intervals from which a usual one can be told."""
GAP = 1.6
"""Intervals this much longer than usual hide a lost picture: half-way to two, and some jitter."""
CHANGED = 3
"""So many of them in a row are not losses: the camera has changed its rate, as in the dark."""


class RateMeter:
    """received: all pictures; lost: those missing between them, by number, else by stamps that have a steady beat."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times: deque[float] = deque(maxlen=1024)
        self._before: SourceFrame | None = None
        self._steps: deque[float] = deque(maxlen=30)
        self._streak: list[int] = []
        self.received = 0
        self.lost = 0

    def restarted(self) -> None:
        """Numbers and stamps begin anew."""
        with self._lock:
            self._before = None
            self._steps.clear()
            self._streak.clear()

    def add(self, frame: SourceFrame) -> None:
        """Take note of a picture."""
        with self._lock:
            self.received += 1
            self._times.append(frame.time_s)
            if self._before is not None:
                self.lost += self._missing(self._before, frame)
            self._before = frame

    def rate(self, now_s: float) -> tuple[float, float]:
        """Pictures a second, and the standard deviation (s) of their intervals, over the last two seconds."""
        with self._lock:
            times = np.array([t for t in self._times if t > now_s - WINDOW_S])
        if len(times) < 2:
            return 0.0, 0.0
        steps = np.diff(times)
        return (len(steps) / float(times[-1] - times[0]) if times[-1] > times[0] else 0.0), float(steps.std())

    def _missing(self, before: SourceFrame, frame: SourceFrame) -> int:
        if before.number is not None and frame.number is not None:
            return max(0, frame.number - before.number - 1)
        if before.stamp_s is None or frame.stamp_s is None:
            return 0
        step = frame.stamp_s - before.stamp_s
        usual = float(np.median(self._steps)) if len(self._steps) >= LEAST else 0.0
        self._steps.append(step)
        if not usual or step <= GAP * usual:
            self._streak.clear()
            return 0
        self._streak.append(round(step / usual) - 1)
        if len(self._streak) < CHANGED:
            return self._streak[-1]
        taken_back = sum(self._streak[:-1])
        self._streak.clear()
        self._steps.clear()
        return -taken_back
