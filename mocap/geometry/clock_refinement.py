"""Clocks of all cameras of a rig at once, from people who move: Gauss–Newton on the epipolar error of all pairs.

Unknown of each camera but the reference: offset (s) and drift of its stamps, stamp = time + offset + drift (time -
middle), where time is the reference's stamp. The residuals are the z of `epipolar_sync` for every pair of cameras,
at even times, under the Geman–McClure kernel whose scale shrinks from stage to stage.

How a residual changes with the stamps comes from the tracks' own rates, which are noisy. Where a point rests they are
nothing but noise, and a long take of somebody who hardly moves would be a search for chance likenesses of noise. The
rates tell themselves what of them is noise: moved by the same time, both cameras leave z where it is, so that the two
slopes differ in sign alone and their sum is noise. Half their difference is what is used, less where the sum is as
large (Wiener's gain).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import uniform_filter1d

from mocap.geometry.ray_tracks import RayTracks

BLOCK_S = 1.0
"""Errors of detectors last: stretches this long are taken for one observation when uncertainty is estimated."""
LONGEST_STEP_S = 0.1
"""Of one iteration."""
UNDERSTATED = 2.0
"""Errors of detectors depend on how a body stands to the camera, and so last longer than blocks: with this factor the
true errors of 72 clocks over 60 s and 84 over 20 s are as large (RMS) as is told; `tools/measure_sync_motion.py`."""
SLOW_S = 1.0
"""Errors that last longer than about this are taken out of the residuals: a keypoint may lie off the joint."""
GAIN_S = 1.0
"""Stretch in which the slopes' noise is told from what moves."""
TAIL = 6.0
"""A drift of so many times its prior deviation doubles the prior's variance."""


@dataclass(frozen=True, eq=False)
class ClockFit:
    """offset_s (C,): at the reference's stamp `middle_s`. drift (C,): rate less one. covariance (2C, 2C): of offsets,
    then drifts. cost: mean robust cost in [0, 1]; share: mean weight of the residuals; typical_z: median |z|."""

    middle_s: float
    offset_s: Float[np.ndarray, "C"]
    drift: Float[np.ndarray, "C"]
    covariance: Float[np.ndarray, "n n"]
    cost: float
    typical_z: float


@dataclass(frozen=True, eq=False)
class _Equations:
    """Of one linearisation: normal matrix (n, n), gradient of every block of time (B, n), and how it fits."""

    normal: Float[np.ndarray, "n n"]
    gradient: Float[np.ndarray, "B n"]
    cost: float
    typical_z: float


def refine_clocks(
    tracks: Sequence[RayTracks],
    times_s: Float[np.ndarray, "T"],
    offset_s: Float[np.ndarray, "C"],
    *,
    scales: Sequence[float],
    drift_sd: float,
) -> ClockFit:
    """From a start within about a tenth of a second. Camera 0 is the reference. scales: of the kernel, in deviations
    of the noise, one iteration each. drift_sd: what clocks usually drift; more is believed where the motion insists."""
    middle, n = float(times_s.mean()), len(tracks)
    x = np.concatenate([offset_s, np.zeros(n)])
    free = np.concatenate([np.arange(1, n), np.arange(n + 1, 2 * n)])
    for scale in scales:
        found = _equations(tracks, times_s, middle, x, scale)
        solved = _solve(found, x, free, drift_sd)
        step = np.clip(solved[0], -LONGEST_STEP_S, LONGEST_STEP_S)
        x[free] += step
    found = _equations(tracks, times_s, middle, x, scales[-1])
    covariance = np.zeros((len(x), len(x)))
    covariance[np.ix_(free, free)] = _solve(found, x, free, drift_sd)[1]
    return ClockFit(middle, x[:n], x[n:], covariance, found.cost, found.typical_z)


def _solve(
    found: _Equations, x: Float[np.ndarray, "n"], free: Int[np.ndarray, "m"], drift_sd: float
) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m m"]]:
    """The step, and Huber's covariance from blocks of time that are taken to be independent of each other.

    The prior of a drift has tails: its deviation grows with the drift.
    """
    normal, gradient = found.normal[np.ix_(free, free)], found.gradient[:, free]
    normal = normal + np.diag(1e-9 * np.diag(normal) + 1e-12 * max(float(np.diag(normal).max()), 1.0))
    n_offsets = len(free) // 2
    blocks = int((gradient != 0).any(1).sum())
    spread = gradient.T @ gradient * (blocks / max(blocks - n_offsets, 1))
    # How much less the residuals say than as many independent ones would: errors of detectors last.
    inflation = max(float(np.median(np.diag(spread)[:n_offsets] / np.diag(normal)[:n_offsets])), 1e-6)
    inflation, spread = inflation * UNDERSTATED**2, spread * UNDERSTATED**2
    drift = x[free[n_offsets:]]
    prior = np.concatenate([np.zeros(n_offsets), 1 / (drift_sd**2 + (drift / TAIL) ** 2)])
    inverse = np.linalg.inv(normal + inflation * np.diag(prior))
    step = -inverse @ (gradient.sum(0) + inflation * prior * x[free])
    return step, inverse @ (spread + inflation**2 * np.diag(prior)) @ inverse


def _equations(
    tracks: Sequence[RayTracks],
    times_s: Float[np.ndarray, "T"],
    middle_s: float,
    x: Float[np.ndarray, "n"],
    scale: float,
) -> _Equations:
    n = len(tracks)
    since, step = times_s - middle_s, times_s[1] - times_s[0]
    slow, stretch = (max(1, round(length / step)) for length in (SLOW_S, GAIN_S))
    block = ((times_s - times_s[0]) / BLOCK_S).astype(np.int64)
    n_blocks = int(block[-1]) + 1
    seen = [t.at(times_s + x[c] + x[n + c] * since) for c, t in enumerate(tracks)]
    normal, gradient = np.zeros((2 * n, 2 * n)), np.zeros((n_blocks, 2 * n))
    costs, sizes = [], []
    for a, b in combinations(range(n), 2):
        z, slope_a, slope_b = _pair(tracks[a].origin, tracks[b].origin, seen[a], seen[b])
        known = np.isfinite(z)
        ratio = np.where(known, z / scale, 0.0) ** 2
        weight = np.where(known, 1 / (1 + ratio) ** 2, 0.0)
        costs.append(np.where(known, ratio / (1 + ratio), 0.0).sum())
        sizes.append(np.abs(z[known]))
        slope_a, slope_b, z = (np.where(known, part, 0.0) for part in (slope_a, slope_b, z))
        parts = np.stack([_moving(slope_a, slope_b, weight, stretch), z])
        slope, z = parts - _slow(parts, weight, slow)
        _add(normal, gradient, (a, b), (np.stack([-slope, slope]), weight, z), (since, block))
    every = np.concatenate(sizes)
    if not every.size:
        return _Equations(normal, gradient, 1.0, np.inf)
    return _Equations(normal, gradient, float(np.sum(costs) / every.size), float(np.median(every)))


def _pair(
    origin_a: Float[np.ndarray, "3"], origin_b: Float[np.ndarray, "3"], seen_a: tuple, seen_b: tuple
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z (P, T, J) of two cameras and its change with the stamps of each, 1/s. The spread is taken for constant."""
    (a, rate_a, noise_a), (b, rate_b, noise_b) = seen_a, seen_b
    baseline = origin_b - origin_a
    across_a, across_b = np.cross(baseline, a), np.cross(baseline, b)
    var_a, var_b = noise_a[..., None] ** 2, noise_b[..., None] ** 2
    spread = np.sqrt(
        var_a * (across_b**2).sum(-1) + var_b * (across_a**2).sum(-1) + var_a * var_b * (baseline**2).sum()
    )
    z = (across_a * b).sum(-1) / spread
    return z, -(across_b * rate_a).sum(-1) / spread, (across_a * rate_b).sum(-1) / spread


def _moving(
    slope_a: Float[np.ndarray, "P T J"],
    slope_b: Float[np.ndarray, "P T J"],
    weight: Float[np.ndarray, "P T J"],
    frames: int,
) -> Float[np.ndarray, "P T J"]:
    """Change of z with the stamps of b, 1/s, without most of its noise: slopes of a and b are -s + n and s + m."""
    slope, noise = (slope_b - slope_a) / 2, (slope_a + slope_b) / 2
    power, idle = _slow(np.stack([slope**2, noise**2]), weight, frames)
    return slope * np.clip(1 - idle / np.where(power > 0, power, 1.0), 0.0, 1.0)


def _slow(
    parts: Float[np.ndarray, "n P T J"], weight: Float[np.ndarray, "P T J"], frames: int
) -> Float[np.ndarray, "n P T J"]:
    """Weighted mean of the stretch around every time: what a detector is off by for long is not told from motion."""
    total = uniform_filter1d(weight, frames, axis=1, mode="constant")
    mean = uniform_filter1d(parts * weight, frames, axis=2, mode="constant")
    return mean / np.where(total > 0, total, 1.0)


def _add(
    normal: np.ndarray,
    gradient: np.ndarray,
    pair: tuple[int, int],
    residuals: tuple[np.ndarray, np.ndarray, np.ndarray],
    when: tuple[np.ndarray, np.ndarray],
) -> None:
    """The pair's share of the equations: unknowns of camera c are its offset (c) and its drift (C + c)."""
    slopes, weight, z = residuals
    since, block = when
    n = normal.shape[0] // 2
    columns = np.array([pair[0], pair[1], n + pair[0], n + pair[1]])
    power = np.stack([np.ones_like(since), since])
    moment = np.einsum("aptj,bptj,ptj->abt", slopes, slopes, weight)
    part = np.einsum("abt,it,jt->iajb", moment, power, power).reshape(4, 4)
    normal[np.ix_(columns, columns)] += part
    pull = np.einsum("aptj,ptj->at", slopes, weight * z)
    per_time = np.einsum("at,it->iat", pull, power).reshape(4, -1)
    for row, column in zip(per_time, columns, strict=True):
        gradient[:, column] += np.bincount(block, row, minlength=len(gradient))
