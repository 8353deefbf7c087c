"""How badly the rays of two cameras meet when frames of one, the other or both were lost before a moment.

The misfit of a pair of rays is the z of `epipolar_sync`. What lasts is taken out of it (a keypoint may lie off the
joint, a calibration be wrong), and it is divided by its own deviation, which differs from point to point.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.ndimage import uniform_filter1d

from mocap.geometry.ray_tracks import RayTracks

MAD = 1.4826
"""From the median of absolute values to the standard deviation of normal errors."""
SLOW_S = 1.0
"""Errors that last longer than about this say nothing of time."""
STEADY_S = 0.23
"""Misfits are averaged over this long: those of neighbouring frames have most of their errors in common."""
FAR = 6.0
"""Deviations of the noise that leave a misfit a quarter of its weight in what lasts."""
SOFT = 1.5
"""Own deviations at which a misfit counts half: gross errors are no evidence."""
STRETCH_S = 3.0
"""Stretch in which cameras are tried against each other to see how well they can agree."""
LEAST_DEVIATION = 0.05


@dataclass(frozen=True, eq=False)
class Pair:
    """Two cameras with the people that both see, in one order, and the deviation (P, J) of their misfit z."""

    a: RayTracks
    b: RayTracks
    deviation: Float[np.ndarray, "P J"]


def tied(
    a: RayTracks, b: RayTracks, stamp_a: Float[np.ndarray, "1 T"], stamp_b: Float[np.ndarray, "B T"], step_s: float
) -> Pair:
    """The pair with deviations from where it agrees best: in each stretch of time at one of the B shifts of b."""
    z = np.abs(_without_slow(_misfit(a, b, stamp_a, stamp_b), step_s)[:, 0])
    parts = np.array_split(np.arange(z.shape[2]), max(1, round(z.shape[2] * step_s / STRETCH_S)))
    spread = np.stack([MAD * _median(z[:, :, part], 2) for part in parts])  # (W, P, B, J)
    worth = np.where(np.isfinite(spread), np.log(np.maximum(spread, LEAST_DEVIATION)), 0.0).sum(-1)
    best = np.take_along_axis(spread, np.argmin(worth, axis=2)[..., None, None], axis=2)[:, :, 0]
    usual = _median(best, 0)
    return Pair(a, b, np.where(np.isfinite(usual), np.maximum(usual, LEAST_DEVIATION), 1.0))


def misfit_costs(
    pair: Pair, stamp_a: Float[np.ndarray, "A T"], stamp_b: Float[np.ndarray, "B T"], step_s: float
) -> Float[np.ndarray, "A B T"]:
    """Robust squares of all misfits at every shift of a and of b, less the least over the shifts of either: a moment
    that fits badly whatever is shifted must not be worth skipping. Half a square is a nat if errors are independent."""
    z = _misfit(pair.a, pair.b, stamp_a, stamp_b)
    z = _without_slow(z / pair.deviation[:, None, None, None].astype(z.dtype), step_s)
    ratio = (z / SOFT) ** 2
    cost = 0.5 * SOFT**2 * ratio / (1 + ratio)
    known = np.isfinite(cost)
    count = known.sum((1, 2), keepdims=True)
    cost = np.where(known, cost, 0.0)
    # A shift at which a point is not seen is as good as the mean of the others.
    cost = np.where(known, cost, cost.sum((1, 2), keepdims=True) / np.maximum(count, 1)).sum((0, 4))
    cost = uniform_filter1d(cost, max(1, round(STEADY_S / step_s)), axis=2, mode="nearest")
    return cost - 0.5 * (cost.min(0, keepdims=True) + cost.min(1, keepdims=True))


def _misfit(
    a: RayTracks, b: RayTracks, stamp_a: Float[np.ndarray, "A T"], stamp_b: Float[np.ndarray, "B T"]
) -> Float[np.ndarray, "P A B T J"]:
    (ray_a, noise_a), (ray_b, noise_b) = _at(a, stamp_a), _at(b, stamp_b)
    baseline = (b.origin - a.origin).astype(np.float32)
    across_a, across_b = np.cross(baseline, ray_a), np.cross(baseline, ray_b)
    var_a, var_b = noise_a[:, :, None, :, None] ** 2, noise_b[:, None, :, :, None] ** 2
    spread = var_a * (across_b**2).sum(-1)[:, None] + var_b * (across_a**2).sum(-1)[:, :, None]
    spread = spread + var_a * var_b * float((baseline**2).sum())
    return np.einsum("patjk,pbtjk->pabtj", across_a, ray_b) / np.sqrt(spread)


def _at(
    track: RayTracks, stamp: Float[np.ndarray, "A T"]
) -> tuple[Float[np.ndarray, "P A T J 3"], Float[np.ndarray, "P A T"]]:
    ray, _, noise = track.at(stamp.ravel())
    people, _, points, _ = ray.shape
    ray = ray.reshape(people, *stamp.shape, points, 3)
    return ray.astype(np.float32), noise.reshape(people, *stamp.shape).astype(np.float32)


def _without_slow(z: Float[np.ndarray, "P A B T J"], step_s: float) -> Float[np.ndarray, "P A B T J"]:
    frames = max(1, round(SLOW_S / step_s))
    known = np.isfinite(z)
    value = np.where(known, z, 0.0)
    weight = np.where(known, 1 / (1 + (value / FAR) ** 2) ** 2, 0.0)
    total = uniform_filter1d(weight, frames, axis=3, mode="constant")
    mean = uniform_filter1d(weight * value, frames, axis=3, mode="constant") / np.where(total > 1e-6, total, 1.0)
    return np.where(known, value - mean, np.nan)


def _median(x: Float[np.ndarray, "..."], axis: int) -> Float[np.ndarray, "..."]:
    """Of the known values; NaN where there is none."""
    ordered = np.sort(x, axis=axis)  # NaN come last
    count = np.isfinite(ordered).sum(axis, keepdims=True)
    middle = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=axis)
    return np.where(count > 0, middle, np.nan).squeeze(axis)
