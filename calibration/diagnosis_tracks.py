"""The board's way through space as each camera sees it: are these ways one and the same, at the same time?

Two cameras whose poses before each other do not change see tracks that differ by a rotation and a shift. A mirrored
picture makes it a reflection, clips that do not run together make it a shift in time too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_pose import board_poses
from calibration.camera import Intrinsics
from calibration.observations import BoardObservations

ROUNDS = 6
"""Of re-weighting; the median settles in four."""
LEAST_SHARED = 8
"""Moments that two tracks must share to be compared."""
FARTHEST = 240
"""Moments by which clips are shifted against each other at most, or half of the recording."""
COARSE = 4
"""Step of the first search; boards move for longer than that in one direction."""
PARTS = (0.25, 0.5, 0.75)
"""Of a moment: between two, a track is taken to be straight."""
COARSE_MOMENTS = 120
"""Moments of a track that the first search looks at."""


@dataclass(frozen=True, eq=False)
class Tracks:
    """Four corners of the board in the axes of each camera, m, at the M moments from the first to the last.

    place: (C, M, 4, 3), NaN where unseen. front: share of a camera's views in which it sees the board's front.
    rms_px: (C,) median over views of how well the lens fits them. interval_s: between moments.
    """

    place: Float[np.ndarray, "C M 4 3"]
    front: Float[np.ndarray, "C"]
    rms_px: Float[np.ndarray, "C"]
    interval_s: float


@dataclass(frozen=True, eq=False)
class Alignment:
    """How well one track lies on another: median distance by the distance from the camera; inf where they share too
    little. n: moments shared."""

    misfit: Float[np.ndarray, "S"]
    n: Int[np.ndarray, "S"]


def tracks_of(it: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> Tracks:
    """Of cameras that all have intrinsics."""
    poses = board_poses(it, intrinsics)
    low, high = it.points.min(axis=0), it.points.max(axis=0)
    outline = np.array([[low[0], low[1], 0.0], [high[0], low[1], 0], [high[0], high[1], 0], [low[0], high[1], 0]])
    corners = outline @ np.swapaxes(poses.R, -1, -2) + poses.t[:, None]
    first = int(it.view_moment.min()) if it.n_views else 0
    place = np.full((len(it.cameras), int(np.ptp(it.view_moment)) + 1 if it.n_views else 0, 4, 3), np.nan)
    place[it.view_camera[poses.known], it.view_moment[poses.known] - first] = corners[poses.known]
    facing = (poses.R[:, :, 2] * poses.center).sum(axis=-1) > 0
    front, rms = np.full(len(it.cameras), np.nan), np.full(len(it.cameras), np.nan)
    for camera in range(len(it.cameras)):
        mine = poses.known & (it.view_camera == camera)
        if mine.any():
            front[camera], rms[camera] = facing[mine].mean(), np.median(poses.rms_px[mine])
    return Tracks(place, front, rms, _interval(it))


def _interval(it: BoardObservations) -> float:
    """Seconds between moments."""
    order = np.lexsort((it.view_moment, it.view_camera))
    steps, seconds = np.diff(it.view_moment[order]), np.diff(it.view_time_s[order])
    next_one = (np.diff(it.view_camera[order]) == 0) & (steps > 0)
    return float(np.median(seconds[next_one] / steps[next_one])) if next_one.any() else float("nan")


def aligned(
    one: Float[np.ndarray, "M 4 3"],
    two: Float[np.ndarray, "N 4 3"],
    shifts: Int[np.ndarray, "S"],
    *,
    mirrored: bool = False,
) -> Alignment:
    """One track on the other, for several shifts in time at once: `two` at moment m + shift is `one` at m.

    Robust least squares over rotations and shifts, or reflections (Kabsch 1976), each corner of the board a point.
    """
    at = np.arange(len(one)) + shifts[:, None]
    inside = (at >= 0) & (at < len(two))
    there = two[np.clip(at, 0, len(two) - 1)]
    seen = inside & np.isfinite(there[..., 0, 0]) & np.isfinite(one[:, 0, 0])
    n = seen.sum(axis=1)
    a = np.where(seen[..., None, None], one, 0.0).reshape(len(shifts), -1, 3)
    b = np.where(seen[..., None, None], there, 0.0).reshape(len(shifts), -1, 3)
    weight = np.repeat(seen.astype(np.float64), 4, axis=1)
    valid, misfit = weight > 0, np.full(len(shifts), np.inf)
    for _ in range(ROUNDS):
        apart = _distances(a, b, weight, mirrored)
        misfit = _medians(apart, valid)
        weight = valid / (1 + (apart / np.maximum(misfit, 1e-9)[:, None]) ** 2)
    depth = _medians(np.linalg.norm(b, axis=-1), valid)
    enough = n >= LEAST_SHARED
    return Alignment(np.where(enough, misfit / np.where(enough, depth, 1.0), np.inf), n)


def _distances(a: np.ndarray, b: np.ndarray, weight: Float[np.ndarray, "S N"], mirrored: bool) -> np.ndarray:
    total = np.maximum(weight.sum(axis=1), 1e-12)[:, None]
    a0, b0 = ((weight[..., None] * x).sum(axis=1) / total for x in (a, b))
    a, b = a - a0[:, None], b - b0[:, None]
    u, _, vt = np.linalg.svd(np.swapaxes(b * weight[..., None], -1, -2) @ a)
    sign = np.linalg.det(u @ vt) * (-1.0 if mirrored else 1.0)
    u[:, :, 2] *= sign[:, None]
    return np.linalg.norm(a @ np.swapaxes(u @ vt, -1, -2) - b, axis=-1)


def _medians(values: Float[np.ndarray, "S N"], valid: Bool[np.ndarray, "S N"]) -> Float[np.ndarray, "S"]:
    ordered = np.sort(np.where(valid, values, np.inf), axis=1)
    middle = np.maximum(valid.sum(axis=1) - 1, 0) // 2
    return ordered[np.arange(len(values)), middle]


def best_shift(one: Float[np.ndarray, "M 4 3"], two: Float[np.ndarray, "M 4 3"]) -> tuple[float, float, float]:
    """By how many moments `two` is late against `one`, the misfit then, and the misfit of tracks as they are."""
    far = min(FARTHEST, len(one) // 2)
    coarse = np.arange(-(far // COARSE), far // COARSE + 1) * COARSE
    rough = aligned(_thinned(one), two, coarse)
    best = int(coarse[np.argmin(_penalised(rough))])
    fine = np.unique(np.append(best + np.arange(-COARSE, COARSE + 1), 0))
    result = aligned(one, two, fine)
    at = int(np.argmin(_penalised(result)))
    ends = [(float(result.misfit[at]), float(fine[at]))]
    for part in PARTS:
        around = fine[at] + np.array([-1, 0])
        between = aligned(one, (1 - part) * two[:-1] + part * two[1:], around)
        ends += list(zip(between.misfit.tolist(), (around + part).tolist(), strict=True))
    misfit, shift = min(ends)
    return shift, misfit, float(result.misfit[fine == 0][0])


def _thinned(track: Float[np.ndarray, "M 4 3"]) -> Float[np.ndarray, "M 4 3"]:
    """Without most moments, where there are many."""
    seen = np.flatnonzero(np.isfinite(track[:, 0, 0]))
    kept = np.full_like(track, np.nan)
    some = seen[:: max(len(seen) // COARSE_MOMENTS, 1)]
    kept[some] = track[some]
    return kept


def _penalised(it: Alignment) -> Float[np.ndarray, "S"]:
    """Few moments fit by chance: the fewer of the most are shared, the worse."""
    return it.misfit / np.sqrt(np.maximum(it.n, 1) / max(int(it.n.max(initial=1)), 1))
