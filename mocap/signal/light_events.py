"""Flashes and switched lights in the mean brightness of frames, to a fraction of a frame.

A frame shows the light's mean over its exposure. When a light goes on within an exposure, the frame is as much brighter
as the part of the exposure that came after: that part dates the instant. Rows of a rolling shutter expose one after the
other; for the mean of all rows this is an exposure that is longer by the read-out. A light that changes between
exposures is dated to the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import median_filter

from mocap.signal.clock_fit import CRYSTAL_PPM, MAD, LineFit

DEVIATIONS = 8.0
"""By so many standard deviations of the brightness's own flicker a change stands out."""
LEAST_CHANGE = 1.0
"""Levels of 255."""
PARTLY = (0.05, 0.95)
"""A frame in between by more than this has seen the change itself."""
STEADY = 4
"""Frames before and after a change that its two levels are taken from."""
SOFT_S = 0.001
"""Of the edges of what is possible: stamps jitter."""
CHANCE = 0.02
"""Share of matched changes that are not the same one."""
GRID = 801


@dataclass(frozen=True, eq=False)
class LightEvents:
    """Changes of the light, ascending. time_s: (n,) on the camera's stamps (those of the middle of the exposure).
    change: (n,) levels, positive where it gets brighter. half_s: (n,) it happened within so long of time_s."""

    time_s: Float[np.ndarray, "n"]
    change: Float[np.ndarray, "n"]
    half_s: Float[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.time_s)


def light_events(brightness: Float[np.ndarray, "F"], stamp_s: Float[np.ndarray, "F"]) -> LightEvents:
    """Where the brightness jumps from one level to another, or flashes for a frame or two. NaN frames are left out."""
    known = np.isfinite(brightness)
    level, stamp = brightness[known], stamp_s[known]
    if len(level) < 4:
        return LightEvents(np.zeros(0), np.zeros(0), np.zeros(0))
    period = float(np.median(np.diff(stamp)))
    starts, stops = _changes(level)
    rows = [_dated(level, stamp, int(a), int(b), period) for a, b in zip(starts, stops, strict=True)]
    time, change, half = np.array(rows).reshape(-1, 3).T
    return LightEvents(time, change, half)


def _changes(level: Float[np.ndarray, "F"]) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """The last frame of the old level and the first of the new one. Steps of one sign that follow each other are one
    change of two frames at most; a flash gives two changes."""
    step = np.diff(level)
    calm = step - median_filter(step, size=9, mode="nearest")
    noise = MAD * float(np.median(np.abs(calm))) + 1e-3
    local = median_filter(np.abs(calm), size=31, mode="nearest") * MAD
    big = np.abs(calm) > np.maximum(DEVIATIONS * np.maximum(noise, local), LEAST_CHANGE)
    starts, stops = [], []
    at = 0
    while at < len(step):
        if not big[at]:
            at += 1
            continue
        end = at + 1
        if end < len(step) and np.sign(step[end]) == np.sign(step[at]) and abs(step[end]) > 0.03 * abs(step[at]):
            end += bool(big[end] or abs(step[end]) > 3 * noise)
        begin = at
        if begin > 0 and np.sign(step[begin - 1]) == np.sign(step[at]) and end == at + 1:
            begin -= bool(abs(step[begin - 1]) > 3 * noise and abs(step[begin - 1]) > 0.03 * abs(step[at]))
        starts.append(begin)
        stops.append(end)
        at = end
    return np.array(starts, dtype=np.int64), np.array(stops, dtype=np.int64)


def _dated(
    level: Float[np.ndarray, "F"], stamp: Float[np.ndarray, "F"], last: int, first: int, period: float
) -> tuple[float, float, float]:
    """(time, change, half) of a change that begins after frame `last` and is complete in frame `first`.

    The exposure is anything up to a period. A frame that is brighter by a share of the change has seen the instant:
    the part after it, `share` of the exposure, ends half an exposure after the stamp.
    """
    old = float(np.median(level[max(0, last - STEADY + 1) : last + 1])) if last else float(level[0])
    new = float(level[first])
    if first - last == 2 and new != old:
        share = float(np.clip((level[last + 1] - old) / (new - old), 0, 1))
        if PARTLY[0] < share < PARTLY[1]:
            off = (0.5 - share) * 0.5 * period
            return float(stamp[last + 1]) + off, new - old, abs(off) + 0.02 * period
    return 0.5 * float(stamp[last] + stamp[first]), new - old, 0.5 * float(stamp[first] - stamp[last])


@dataclass(frozen=True, eq=False)
class LightMatch:
    """line: offset of b's stamps over a's (value at its middle, in a's stamps). matched: (n, 2) pairs of events.
    score, rival: votes for the offset, and for the next best. lags, votes: the curve."""

    line: LineFit
    matched: Int[np.ndarray, "n 2"]
    score: float
    rival: float
    lags: Float[np.ndarray, "m"]
    votes: Float[np.ndarray, "m"]

    @property
    def confidence(self) -> float:
        """One change that both saw may be chance (0.4); many that no other offset explains are not."""
        lead = 1 - self.rival / max(self.score, 1e-9)
        return float(np.clip(lead, 0, 1) * (1 - 0.6 ** len(self.matched)))


def match_events(a: LightEvents, b: LightEvents, *, drift_sd: float = 1e-6 * CRYSTAL_PPM) -> LightMatch | None:
    """The offset at which most changes of the light fall together, with equal signs; None without any.

    Every pair votes for its offset, weighted by the lesser of the two changes among their camera's own: what is a great
    change to one camera is one to the other. The matched pairs then bound the offset, each from both sides.
    """
    if not len(a) or not len(b):
        return None
    lag = b.time_s[None, :] - a.time_s[:, None]
    sd = np.hypot(a.half_s[:, None], b.half_s[None, :]) / np.sqrt(3)
    size = [np.abs(e.change) / np.abs(e.change).max() for e in (a, b)]
    alike = np.sign(a.change[:, None]) == np.sign(b.change[None, :])
    weight = np.where(alike, np.minimum(size[0][:, None], size[1][None, :]), 0.0)
    if not weight.any():
        return None
    wide = 2.0 * float(np.median(sd)) + SOFT_S
    centers = np.sort(lag[weight > 0])
    lags = np.unique(np.concatenate([centers, centers - wide, centers + wide]))
    votes = (weight.reshape(-1) * np.exp(-0.5 * ((lags[:, None] - lag.reshape(-1)) / wide) ** 2)).sum(1)
    best = float(lags[np.argmax(votes)])
    away = np.abs(lags - best) > 6 * wide
    pairs = _pairs(lag - best, weight, 4 * wide)
    i, j = pairs[:, 0], pairs[:, 1]
    line = _bounded(a.time_s[i], lag[i, j], a.half_s[i], b.half_s[j], drift_sd)
    rival = float(votes[away].max()) if away.any() else 0.0
    return LightMatch(line, pairs, float(votes.max()), rival, lags, votes)


def _pairs(away: Float[np.ndarray, "A B"], weight: Float[np.ndarray, "A B"], reach: float) -> Int[np.ndarray, "n 2"]:
    """Events that are each other's nearest within reach."""
    far = np.where((weight > 0) & (np.abs(away) <= reach), np.abs(away), np.inf)
    mutual = (far == far.min(1, keepdims=True)) & (far == far.min(0, keepdims=True))
    return np.argwhere(mutual & np.isfinite(far))


def _bounded(
    at: Float[np.ndarray, "n"],
    lag: Float[np.ndarray, "n"],
    half_a: Float[np.ndarray, "n"],
    half_b: Float[np.ndarray, "n"],
    drift_sd: float,
) -> LineFit:
    """Mean and deviation of offset and drift over a grid of both.

    A difference of two instants that are each spread evenly about their middles has a trapezoid as density; bounds
    that many pairs share are far narrower than the mean of their middles.
    """
    middle = float(at.mean())
    wide, flat = half_a + half_b, np.abs(half_a - half_b)
    slopes = np.linspace(-3, 3, 31) * drift_sd if np.ptp(at) * drift_sd > 0.2 * SOFT_S else np.zeros(1)
    values = float(np.median(lag)) + np.linspace(-1, 1, GRID) * (float(wide.max()) + 5 * SOFT_S)
    off = np.abs(lag - values[:, None, None] - slopes[:, None] * (at - middle))
    edge = np.maximum(wide - flat, 2 * SOFT_S)
    inside = np.clip((0.5 * (wide + flat + edge) - off) / edge, 0, 1) / np.maximum(wide + flat, SOFT_S)
    log = np.log(inside + CHANCE / (2 * float(wide.max()) + SOFT_S)).sum(-1) - 0.5 * (slopes / drift_sd) ** 2
    chance = np.exp(log - log.max())
    chance /= chance.sum()
    over_values, over_slopes = chance.sum(1), chance.sum(0)
    value, slope = float(over_values @ values), float(over_slopes @ slopes)
    value_sd = float(np.sqrt(over_values @ (values - value) ** 2 + (values[1] - values[0]) ** 2))
    slope_sd = float(np.sqrt(over_slopes @ (slopes - slope) ** 2)) if len(slopes) > 1 else drift_sd
    residual = np.abs(lag - value - slope * (at - middle))
    inliers = float((residual <= wide + SOFT_S).mean())
    return LineFit(middle, value, slope, value_sd, slope_sd, float(np.median(residual)), inliers)
