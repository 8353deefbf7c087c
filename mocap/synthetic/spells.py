"""Things that go wrong for a while: states with a given share of time and a given mean length, and errors that last."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.signal import lfilter

LEAST_REST = 0.05
"""Share of time that a state is off, at least, when its length is set; a state that is never off has no length."""


@dataclass(frozen=True, eq=False)
class Spells:
    """active: (T, *rest) whether a state is on. since: (T, *rest) frame in which it was last drawn anew.

    What holds during a spell (a direction, another person) is drawn for every frame and taken from `since`.
    """

    active: Bool[np.ndarray, "T *rest"]
    since: Int[np.ndarray, "T *rest"]

    def held(self, values: np.ndarray) -> np.ndarray:
        """(T, *rest) or (T, *rest, n) values that stay for as long as the spell."""
        index = self.since[..., None] if values.ndim > self.since.ndim else self.since
        return np.take_along_axis(values, index, axis=0)


def draw_spells(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    share: Float[np.ndarray, "*#b"] | float,
    mean_frames: float,
) -> Spells:
    """On in a `share` of all frames (it may change over them), for `mean_frames` on end on average.

    In each frame a state is drawn anew with a fixed chance r, else it stays: spells have geometric lengths of mean
    1 / (r (1 - share)), at least 1 / (1 - share). The share holds exactly in every frame, the first one too. With a
    mean of 1 or less frames are independent. Where shares differ, their mean sets r.
    """
    frame = np.arange(shape[0]).reshape(-1, *(1,) * (len(shape) - 1))
    if not np.any(np.asarray(share) > 0):
        return Spells(np.zeros(shape, dtype=bool), np.broadcast_to(frame, shape))
    drawn = rng.random(shape)
    rate = 1.0 if mean_frames <= 1 else 1 / (mean_frames * max(1 - float(np.mean(share)), LEAST_REST))
    if rate >= 1:
        return Spells(drawn < share, np.broadcast_to(frame, shape))
    fresh = rng.random(shape) < rate
    fresh[0] = True
    since = np.maximum.accumulate(np.where(fresh, frame, 0), axis=0)
    return Spells(np.take_along_axis(drawn, since, axis=0) < share, since)


def lasting_noise(
    rng: np.random.Generator, shape: tuple[int, ...], memory_frames: float
) -> Float[np.ndarray, "T *rest"]:
    """Gaussian of unit spread in every frame, correlated by exp(-1 / memory_frames) from one to the next (AR(1))."""
    fresh = rng.standard_normal(shape)
    if memory_frames <= 0 or shape[0] < 2:
        return fresh
    keep = np.exp(-1 / memory_frames)
    fresh[1:] *= np.sqrt(1 - keep**2)
    return np.asarray(lfilter([1.0], [1.0, -keep], fresh, axis=0))
