"""Exposures that cameras lost though their stamps count on, from how the rays of all cameras meet: joint Viterbi.

A lost exposure is a stair of one period in a camera's time, for all that comes after. The counts of all cameras
together are one state, of those within a band around the best one so far; they never fall, a step costs what it is
unlikely, and the rays of all pairs say what every state is worth at every moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int

from mocap.geometry.ray_tracks import RayTracks
from mocap.geometry.stair_evidence import SLOW_S, Pair, misfit_costs, tied

MOST_TOGETHER = 4
"""Cameras: more have too many states."""
BAND = 7
"""Counts of each camera that are thought of at any moment."""
CHUNK = 15
"""Moments after which the bands are moved."""
RARER = 2.0
"""Nats for each further exposure lost at once."""
BURST = 3
"""Exposures lost in one moment, at most."""
STRAY = 0.1
"""Nats for each squared period by which the clocks that are known before may be wrong at the beginning."""


@dataclass(frozen=True, eq=False)
class CountedCamera:
    """One camera: what it sees at its own stamps, stamp = time + offset_s before any loss, and the nats by which a
    lost exposure is unlikely in any one frame; infinite where its stamps are known to be right."""

    tracks: RayTracks
    offset_s: float
    period_s: float
    step_nats: float


def lost_counts(
    cameras: Sequence[CountedCamera],
    links: Mapping[tuple[int, int], tuple[list[int], list[int]]],
    times_s: Float[np.ndarray, "T"],
    *,
    correlated: float,
) -> Int[np.ndarray, "T C"]:
    """Exposures lost before each moment, from any number on: only its steps mean something.

    links: of pairs of cameras, the people that are the same in both. times_s: even. correlated: so many misfits say as
    much as one would if errors were independent.
    """
    n = len(cameras)
    if n > MOST_TOGETHER:
        raise ValueError(f"{n} cameras have too many states")
    pairs = {
        (a, b): _pair(cameras[a], cameras[b], links[a, b], times_s)
        for a, b in combinations(range(n), 2)
        if links.get((a, b), ([], []))[0]
    }
    step = float(times_s[1] - times_s[0])
    nats = [c.step_nats - np.log(step / c.period_s) for c in cameras]
    search = _Search(_first(n), np.array(nats), np.zeros(n, dtype=np.int64))
    margin = round(SLOW_S / step)
    for start in range(0, len(times_s), CHUNK):
        end = min(start + CHUNK, len(times_s))
        first = max(0, start - margin)
        search.centred()
        costs = _costs(cameras, pairs, times_s[first : end + margin], search.centre)
        search.go_on(costs[start - first : end - first] / correlated)
    return search.path()


def _pair(
    a: CountedCamera, b: CountedCamera, people: tuple[list[int], list[int]], times_s: Float[np.ndarray, "T"]
) -> Pair:
    own = times_s[None] + a.offset_s
    shifted = times_s + b.offset_s - _around(0)[:, None] * b.period_s
    step = float(times_s[1] - times_s[0])
    return tied(a.tracks.people(people[0]), b.tracks.people(people[1]), own, shifted, step)


def _around(centre: int) -> Int[np.ndarray, "B"]:
    return centre + np.arange(BAND) - BAND // 2


def _first(n: int) -> Float[np.ndarray, "..."]:
    """What the states are worth before anything is seen; the first camera's count is the one all others start from."""
    worth = np.zeros((BAND,) * n)
    for axis in range(1, n):
        worth -= _along(STRAY * _around(0) ** 2, axis, n)
    other = np.arange(BAND) != BAND // 2
    worth[other] = -np.inf
    return worth


def _along(x: Float[np.ndarray, "B"], axis: int, n: int) -> Float[np.ndarray, "..."]:
    return x.reshape([BAND if k == axis else 1 for k in range(n)])


def _costs(
    cameras: Sequence[CountedCamera],
    pairs: Mapping[tuple[int, int], Pair],
    times_s: Float[np.ndarray, "T"],
    centre: Int[np.ndarray, "C"],
) -> Float[np.ndarray, "T *states"]:
    n = len(cameras)
    stamps = [
        times_s + c.offset_s - _around(int(k))[:, None] * c.period_s for c, k in zip(cameras, centre, strict=True)
    ]
    total = np.zeros((len(times_s), *[BAND] * n))
    for (a, b), pair in pairs.items():
        cost = misfit_costs(pair, stamps[a], stamps[b], float(times_s[1] - times_s[0]))
        total += np.moveaxis(cost, 2, 0).reshape(len(times_s), *[BAND if k in (a, b) else 1 for k in range(n)])
    return total


class _Search:
    """The forward pass with its way back. worth: of every state (B, …, B), nats."""

    def __init__(
        self, worth: Float[np.ndarray, "..."], step_nats: Float[np.ndarray, "C"], centre: Int[np.ndarray, "C"]
    ) -> None:
        self.worth, self.step_nats, self.centre = worth, step_nats, centre
        self._steps: list[Int[np.ndarray, "..."]] = []
        self._centres: list[Int[np.ndarray, "C"]] = []

    def centred(self) -> None:
        """Move the bands so that the best state is in their middle."""
        if not self._steps:
            return
        best = np.array(np.unravel_index(np.argmax(self.worth), self.worth.shape)) - BAND // 2
        for axis, by in enumerate(best.tolist()):
            self.worth = _moved(self.worth, axis, -by)
        self.centre = self.centre + best

    def go_on(self, costs: Float[np.ndarray, "T *states"]) -> None:
        """Through so many moments with the bands where they are."""
        for cost in costs:
            steps = np.zeros((self.worth.ndim, *self.worth.shape), dtype=np.int8)
            for axis in range(self.worth.ndim) if self._steps else ():
                self._stepped(axis, steps[axis])
            self.worth = self.worth - cost
            self._steps.append(steps)
            self._centres.append(self.centre)

    def _stepped(self, axis: int, steps: Int[np.ndarray, "..."]) -> None:
        before = best = self.worth
        for lost in range(1, BURST + 1):
            worth = _moved(before, axis, lost) - self.step_nats[axis] - RARER * (lost - 1)
            steps[worth > best] = lost
            best = np.maximum(best, worth)
        self.worth = best

    def path(self) -> Int[np.ndarray, "T C"]:
        """The counts of the best way."""
        count = np.array(np.unravel_index(np.argmax(self.worth), self.worth.shape)) - BAND // 2 + self.centre
        found = np.zeros((len(self._steps), len(count)), dtype=np.int64)
        for moment in range(len(found) - 1, -1, -1):
            found[moment] = count
            state = count - self._centres[moment] + BAND // 2
            for axis in range(len(count) - 1, -1, -1):
                state[axis] -= self._steps[moment][axis][tuple(state)]
            count = state + self._centres[moment] - BAND // 2
        return found


def _moved(worth: Float[np.ndarray, "..."], axis: int, by: int) -> Float[np.ndarray, "..."]:
    """Every state's worth `by` counts further; nothing comes in from outside."""
    if by == 0:
        return worth
    moved = np.full(worth.shape, -np.inf)
    to, source = np.moveaxis(moved, axis, 0), np.moveaxis(worth, axis, 0)
    if by > 0:
        to[by:] = source[:-by]
    else:
        to[:by] = source[-by:]
    return moved
