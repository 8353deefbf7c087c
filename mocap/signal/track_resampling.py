"""Points that were seen at uneven times, at the times of a common grid.

Between two sightings points move on a cubic (Hermite) whose slope at a sighting is that of the parabola through it and
its neighbours, whatever their distances in time: Catmull-Rom's where those are equal. (Akima's slopes, which an outlier
spoils less, are off by three times as much on a waving arm: they are of a lower order where the curvature changes.)
Beyond the first and last sighting of a track points go on straight for half an interval, so that tracks which follow
each other leave no hole between them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class CommonTimes:
    """The moments start_s + k / fps, k from 0 to n_frames - 1."""

    start_s: float
    fps: float
    n_frames: int

    @property
    def time_s(self) -> Float[np.ndarray, "T"]:
        """All moments."""
        return self.start_s + np.arange(self.n_frames) / self.fps


@dataclass(frozen=True, eq=False)
class Sightings:
    """R sightings of one camera. time_s: (R,). track: (R,) rows of one track are one person. xy: (R, J, 2) px, NaN
    where missing. values: (R, V) what else goes along, straight between two sightings, such as the box."""

    time_s: Float[np.ndarray, "R"]
    track: Int[np.ndarray, "R"]
    xy: Float[np.ndarray, "R J 2"]
    confidence: Float[np.ndarray, "R J"]
    values: Float[np.ndarray, "R V"]


@dataclass(frozen=True, eq=False)
class Resampled:
    """N sightings at common times. moment: (N,) number of the moment. row: (N,) the given sighting nearest in time.
    same: (N,) taken over as it was, because it was seen at that very moment. xy, confidence, values: as given."""

    moment: Int[np.ndarray, "N"]
    row: Int[np.ndarray, "N"]
    same: Bool[np.ndarray, "N"]
    xy: Float[np.ndarray, "N J 2"]
    confidence: Float[np.ndarray, "N J"]
    values: Float[np.ndarray, "N V"]


@dataclass(frozen=True)
class ResamplingRules:
    """All in seconds. same_s: a sighting so near to a moment is of that moment. max_gap_s: nothing is put between
    sightings farther apart. half_s: how far a track reaches beyond its ends."""

    same_s: float
    max_gap_s: float
    half_s: float


def resample_sightings(seen: Sightings, times: CommonTimes, rules: ResamplingRules) -> Resampled:
    """The tracks of one camera at common times; a keypoint is there where both sightings about the moment have it."""
    if not len(seen.time_s):
        nothing = np.zeros(0, dtype=np.int64)
        return Resampled(nothing, nothing, nothing > 0, seen.xy, seen.confidence, seen.values)
    order = np.lexsort((seen.time_s, seen.track))
    time, track = seen.time_s[order], seen.track[order]
    linked = (np.diff(track) == 0) & (np.diff(time) <= rules.max_gap_s) & (np.diff(time) > 0)
    after, before = np.append(linked, False), np.insert(linked, 0, False)
    ahead = np.append(time[1:], np.inf)
    begin = time - np.where(before, rules.same_s, rules.half_s)
    end = np.where(after, ahead - rules.same_s, time + rules.half_s)
    row, moment = _moments_within(begin, end, times)
    row, moment = _one_each(row, moment, track)
    away = times.time_s[moment] - time[row]
    between = after[row] & (away > rules.same_s)
    same = np.abs(away) <= rules.same_s
    next_row = np.minimum(row + 1, len(time) - 1)
    share = np.where(between, away / np.where(between, time[next_row] - time[row], 1.0), 0.0)
    slopes = _slopes(seen.xy[order], time, linked)
    xy = _moved(seen.xy[order], slopes, time, (row, next_row, share, away))
    confidence = _straight(seen.confidence[order], row, next_row, share)
    there = np.isfinite(xy).all(-1) & (confidence > 0)
    own = order[np.where(share > 0.5, next_row, row)]
    there = np.where(same[:, None], seen.confidence[own] > 0, there)
    return Resampled(
        moment=moment,
        row=own,
        same=same,
        xy=np.where(there[..., None], np.where(same[:, None, None], seen.xy[own], xy), np.nan),
        confidence=np.where(there, np.where(same[:, None], seen.confidence[own], confidence), 0.0),
        values=np.where(same[:, None], seen.values[own], _straight(seen.values[order], row, next_row, share)),
    )


def _moments_within(
    begin: Float[np.ndarray, "R"], end: Float[np.ndarray, "R"], times: CommonTimes
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """(row, moment) for every moment in [begin, end) of a row."""
    first = np.clip(np.ceil((begin - times.start_s) * times.fps), 0, times.n_frames).astype(np.int64)
    stop = np.clip(np.ceil((end - times.start_s) * times.fps), 0, times.n_frames).astype(np.int64)
    count = np.maximum(stop - first, 0)
    row = np.repeat(np.arange(len(begin)), count)
    within = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, first[row] + within


def _one_each(
    row: Int[np.ndarray, "N"], moment: Int[np.ndarray, "N"], track: Int[np.ndarray, "R"]
) -> tuple[Int[np.ndarray, "N"], Int[np.ndarray, "N"]]:
    """Of one track at one moment the earlier sighting; ends of a track's pieces may overlap by a little."""
    order = np.lexsort((row, moment, track[row]))
    row, moment = row[order], moment[order]
    again = (np.diff(track[row]) == 0) & (np.diff(moment) == 0)
    keep = np.insert(~again, 0, True) if len(row) else np.zeros(0, dtype=bool)
    return row[keep], moment[keep]


def _slopes(
    xy: Float[np.ndarray, "R J 2"], time: Float[np.ndarray, "R"], linked: Bool[np.ndarray, "R-1"]
) -> Float[np.ndarray, "R J 2"]:
    """px a second at every sighting; 0 where a keypoint is seen neither before nor after it."""
    gap = np.where(linked, np.diff(time), np.nan)[:, None, None]
    step = np.pad(np.diff(xy, axis=0) / gap, ((1, 1), (0, 0), (0, 0)), constant_values=np.nan)
    gap = np.pad(gap, ((1, 1), (0, 0), (0, 0)), constant_values=np.nan)
    parabola = (gap[1:] * step[:-1] + gap[:-1] * step[1:]) / (gap[1:] + gap[:-1])
    one_sided = np.where(np.isnan(step[:-1]), step[1:], step[:-1])
    return np.nan_to_num(np.where(np.isnan(parabola), one_sided, parabola), nan=0.0)


def _moved(
    xy: Float[np.ndarray, "R J 2"],
    slopes: Float[np.ndarray, "R J 2"],
    time: Float[np.ndarray, "R"],
    where: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> Float[np.ndarray, "N J 2"]:
    """On the cubic between two sightings, else straight on from one. where: row, next row, share (0: no next) and
    seconds since the row, each (N,)."""
    row, next_row, share, away = where
    s, h = share[:, None, None], (time[next_row] - time[row])[:, None, None]
    a, b = xy[row], xy[next_row]
    cubic = (1 + 2 * s) * (1 - s) ** 2 * a + s**2 * (3 - 2 * s) * b
    cubic = cubic + h * s * (1 - s) * ((1 - s) * slopes[row] - s * slopes[next_row])
    return np.where(s > 0, cubic, a + slopes[row] * away[:, None, None])


def _straight(
    values: Float[np.ndarray, "R V"],
    row: Int[np.ndarray, "N"],
    next_row: Int[np.ndarray, "N"],
    share: Float[np.ndarray, "N"],
) -> Float[np.ndarray, "N V"]:
    s = share[:, None]
    a, b = values[row], values[next_row]
    return np.where(s > 0, (1 - s) * a + s * b, a)
