"""How many exposures lie between frames of a file that only counts them, by what moves in it.

Where an exposure was lost, everything has gone as far to the next frame as it otherwise does in two. Two witnesses:
the points of people, whose steps are compared with those beside them, and the pictures, whose difference to the frame
before is compared with the differences that frames two, three and four apart have there and then. Both give the
logarithm of the likelihood of every count; a step is counted by their sum (`mocap.signal.step_counts`).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.signal.clock_fit import MAD

MOST_STEPS = 30
LAGS = 4
"""Pictures are compared with so many before them."""
FREEDOM = 6.0
"""Degrees of Student's t that errors have: bodies and detectors jerk now and then."""
LOCAL_FRAMES = 31
"""Errors are as large as they are in the whole clip or around a frame, whichever is more."""
LEAST_CONTRAST = 0.15
"""Of the logarithms of differences over two steps and over one; with less, nothing moves enough to tell them apart."""
LEAST_SD = 0.04
"""Of the logarithm of a picture's difference: nothing moves more evenly."""
SPEED_SHARE = 0.1
"""Deviation of a step by changes of speed, in steps."""
DARK = 0.05
"""Levels: differences below are nothing."""


def step_ratios(
    tracks: Float[np.ndarray, "F K D"], noise: float, steps: Int[np.ndarray, "G"] | None = None
) -> tuple[Float[np.ndarray, "F-1"], Float[np.ndarray, "F-1"]]:
    """(ratio, sd) of every step of moving points to what the steps beside it lead one to expect.

    1: an ordinary step; 0: the frame shows the same moment again; 2: one exposure is missing; 3: two. tracks: points
    over the frames as counted, NaN where unseen. noise: standard deviation of a coordinate. The expected step is that
    of the nearest two on either side, so that a change of speed at an even rate cancels; steps: exposures that those
    are thought to hold. The ratio is the median of the points' own, weighted by how far they go, so that a point that
    jumps says nothing. sd is infinite where nothing moves.
    """
    step = np.diff(tracks, axis=0)
    beside = _two_either_side(step)
    known = np.logical_and(np.isfinite(step).all(-1), np.isfinite(beside).all((0, -1)))
    if steps is None:
        expected = np.median(beside, axis=0)
    else:
        count = _two_either_side(steps.astype(np.float64)).sum(0)
        expected = beside.sum(0) / np.where(count > 0, count, np.nan)[:, None, None]
        known = np.logical_and(known, (count > 0)[:, None])
    expected, taken = (np.where(known[..., None], x, 0.0) for x in (expected, step))
    power = (expected**2).sum(-1)
    # The mean of four steps has a fourth of a step's variance, which is 2 noise².
    moving = np.maximum(power.sum(-1) - known.sum(-1) * tracks.shape[-1] * noise**2 / 2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.where(power > 0, (expected * taken).sum(-1) / power, 0.0)
        sd = np.where(moving > 0, noise * np.sqrt(2.5 / moving), np.inf)
    return np.where(moving > 0, _weighted_median(own, power), np.nan), sd


def _two_either_side(x: Float[np.ndarray, "N *rest"]) -> Float[np.ndarray, "4 N *rest"]:
    ends = np.full((2, *x.shape[1:]), np.nan)
    padded = np.concatenate([ends, x, ends])
    return np.stack([padded[:-4], padded[1:-3], padded[3:-1], padded[4:]])


def _weighted_median(value: Float[np.ndarray, "N K"], weight: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "N"]:
    order = np.argsort(value, axis=1)
    value, weight = (np.take_along_axis(x, order, axis=1) for x in (value, weight))
    middle = np.cumsum(weight, axis=1) - weight / 2
    beyond = (middle < weight.sum(1, keepdims=True) / 2).sum(1).clip(max=value.shape[1] - 1)
    return value[np.arange(len(value)), beyond]


def whitened(tracks: Float[np.ndarray, "F K D"]) -> Float[np.ndarray, "F K D"]:
    """Points in deviations of their own noise, which their third differences show: what moves smoothly is not in them,
    and they have 20 times a coordinate's variance. NaN for points that are hardly seen."""
    third = np.diff(tracks, 3, axis=0)
    known = np.isfinite(third).all(-1).sum(0) > 10
    noise = np.full(tracks.shape[1], np.nan)
    if known.any():
        noise[known] = MAD * np.nanmedian(np.abs(third[:, known]), axis=(0, 2)) / np.sqrt(20)
    return tracks / np.maximum(noise, 1e-3)[:, None]


def motion_likelihood(
    tracks: Float[np.ndarray, "F K D"], noise: float, steps: Int[np.ndarray, "G"]
) -> Float[np.ndarray, "G N"]:
    """Logarithm of the likelihood of 0 … MOST_STEPS exposures in each step of moving points, 0 where they tell nothing.

    tracks, noise: as of `step_ratios`. steps: what is thought of the steps yet.
    """
    ratio, sd = step_ratios(tracks, noise, steps)
    counts = np.arange(MOST_STEPS + 1)
    known = np.isfinite(ratio) & np.isfinite(sd) & (sd < 0.5)
    ratio, sd = np.where(known, ratio, 1.0), np.where(known, np.hypot(sd, SPEED_SHARE), 1.0)
    usual = known & (steps == 1)
    wide = sd * np.maximum(_spread((ratio - 1) / sd, usual), 1.0)
    width = np.hypot(wide[:, None], SPEED_SHARE * counts)
    return np.where(known[:, None], _student(ratio[:, None] - counts, width), 0.0)


def picture_likelihood(
    change: Float[np.ndarray, "F 4"], unclear: Bool[np.ndarray, "F"], steps: Int[np.ndarray, "G"]
) -> Float[np.ndarray, "G N"]:
    """The same by pictures. change: of each to the 1, 2, 3 and 4 before it, levels, NaN where unknown.

    unclear: pictures that change by more than what moves in them (keyframes, flashes). None is said of repeats: no
    step of exactly nothing is told from a very small one here (`mocap.signal.frame_gaps.repeated_pictures`).
    """
    size = np.log(np.maximum(change, DARK))
    odd = np.concatenate([[True], steps != 1]) | unclear
    for lag in range(1, LAGS + 1):
        spans = np.convolve(odd, np.ones(lag), mode="full")[: len(odd)] > 0
        size[spans, lag - 1] = np.nan
    usual = np.stack([_beside(size[:, lag - 1], lag) for lag in range(1, LAGS + 1)], axis=1)[1:]
    further = np.maximum.accumulate(np.nan_to_num(usual - usual[:, :1], nan=0.0), axis=1)
    taken = np.log(np.maximum(change[1:, 0], DARK)) - usual[:, 0]
    known = np.isfinite(taken) & ~unclear[1:] & (further[:, 1] > LEAST_CONTRAST)
    taken = np.where(known, taken, 0.0)
    width = np.maximum(_spread(taken, known & (steps == 1)), LEAST_SD)[:, None]
    expected = further[:, np.clip(np.arange(MOST_STEPS + 1) - 1, 0, LAGS - 1)]
    return np.where(known[:, None], _student(taken[:, None] - expected, width), 0.0)


def _beside(size: Float[np.ndarray, "F"], lag: int) -> Float[np.ndarray, "F"]:
    """For the step to each picture, the median of what spans of `lag` steps right before and after it show; NaN where
    one side is unknown."""
    padded = np.concatenate([[np.nan] * 2, size, [np.nan] * (lag + 1)])
    n = len(size)
    before, after = np.stack([padded[:n], padded[1 : n + 1]]), np.stack([padded[lag + 2 :][:n], padded[lag + 3 :][:n]])
    both = np.isfinite(before).any(0) & np.isfinite(after).any(0)
    four = np.where(both, np.concatenate([before, after]), 0.0)
    return np.where(both, np.nanmedian(four, axis=0), np.nan)


def _spread(off: Float[np.ndarray, "G"], usual: Bool[np.ndarray, "G"]) -> Float[np.ndarray, "G"]:
    """Deviation of what should be 0, around each step and in all, whichever is more; from `usual` steps."""
    if not usual.any():
        return np.full(len(off), np.inf)
    away = np.where(usual, np.abs(off), np.nan)
    padded = np.pad(away, LOCAL_FRAMES // 2, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, LOCAL_FRAMES)
    some = np.isfinite(windows).sum(-1) >= LOCAL_FRAMES // 3
    local = np.zeros(len(off))
    local[some] = np.nanmedian(windows[some], axis=-1)
    return MAD * np.maximum(local, np.nanmedian(away))


def _student(off: Float[np.ndarray, "G N"], width: Float[np.ndarray, "G _"]) -> Float[np.ndarray, "G N"]:
    """Logarithm of Student's density but for a constant."""
    return -(FREEDOM + 1) / 2 * np.log1p((off / width) ** 2 / FREEDOM) - np.log(width)
