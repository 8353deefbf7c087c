"""From the stamps of a stream to `time.monotonic()`, without what the network adds.

A picture that the sender stamps s arrives at a = rate * s + offset + delay. The delay is never less than the fastest
way through encoder and network, so the line that lies below all points (s, a) and closest to them is the sender's clock
but for that fastest delay, which nobody can know from here: a few ms in a local network. Moon, Skelly, Towsley,
"Estimation and removal of clock skew from network delay measurements", INFOCOM 1999: the edge of the lower convex hull
below the mean stamp minimises the sum of distances.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

WINDOW_S = 60.0
BIN_S = 0.5
DRIFT_AFTER_S = 10.0
"""Stamps must span that much before a drift is believed; 1 ms of error then is 100 ppm at most."""
LARGEST_DRIFT = 5e-4
"""Ten times what computer clocks do; more than that are stamps that were made up."""
JUMP_S = 2.0
"""The sender has set its clock, or stamps wrapped around."""
LEAST_STEP = 0.25
"""Of the stamps' own step: when the line moves to earlier times, pictures come this close together until it is met."""


class StreamClock:
    """Feed it every stamp with its arrival, in order."""

    def __init__(self) -> None:
        self._bins: deque[tuple[float, float]] = deque()
        self._rate = 1.0
        self._offset_s = 0.0
        self._stamp_s: float | None = None
        self._time_s = 0.0

    @property
    def rate(self) -> float:
        """Seconds of ours in a second of the sender's."""
        return self._rate

    def time_s(self, stamp_s: float, arrival_s: float) -> float:
        """When the picture was stamped, on our clock; later than that of every stamp before it."""
        if self._stamp_s is None or self._jumped(stamp_s, arrival_s):
            self._bins.clear()
            self._rate, self._stamp_s = 1.0, None
        self._note(stamp_s, arrival_s - stamp_s)
        time_s = self._rate * stamp_s + self._offset_s
        if self._stamp_s is not None:
            time_s = max(time_s, self._time_s + LEAST_STEP * (stamp_s - self._stamp_s))
        self._stamp_s, self._time_s = stamp_s, time_s
        return time_s

    def _jumped(self, stamp_s: float, arrival_s: float) -> bool:
        assert self._stamp_s is not None
        early = self._rate * stamp_s + self._offset_s - arrival_s
        return stamp_s <= self._stamp_s or early > JUMP_S or stamp_s - self._stamp_s > WINDOW_S

    def _note(self, stamp_s: float, delay_s: float) -> None:
        """Keep the least delay of every half second of stamps; fit again when one ended or lies below the line."""
        below = not self._bins or delay_s < (self._rate - 1) * stamp_s + self._offset_s
        same = bool(self._bins) and int(self._bins[-1][0] / BIN_S) == int(stamp_s / BIN_S)
        if same and delay_s < self._bins[-1][1]:
            self._bins[-1] = (stamp_s, delay_s)
        elif not same:
            self._bins.append((stamp_s, delay_s))
            while stamp_s - self._bins[0][0] > WINDOW_S:
                self._bins.popleft()
        if below or not same:
            self._fit()

    def _fit(self) -> None:
        points = list(self._bins)
        slope = _slope_below(points) if points[-1][0] - points[0][0] > DRIFT_AFTER_S else 0.0
        slope = min(max(slope, -LARGEST_DRIFT), LARGEST_DRIFT)
        self._rate, self._offset_s = 1 + slope, min(delay - slope * stamp for stamp, delay in points)


def _slope_below(points: list[tuple[float, float]]) -> float:
    """Of the lower hull's edge at the mean of the stamps."""
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) > 1 and _turns_right(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    mean = sum(stamp for stamp, _ in points) / len(points)
    for (s0, d0), (s1, d1) in pairwise(hull):
        if s1 >= mean:
            return (d1 - d0) / (s1 - s0)
    return 0.0


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0
