"""One camera alone: where must it stand, or how late must it be, for known points to fall where it saw them?"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from calibration.board_motion import rotvecs_to_matrices
from calibration.camera_check_fit import Fit, pose_jacobian, robust_cost, robust_weight
from calibration.camera_check_views import Poses, Sights, errors_px

ANNEALING = (27.0, 9.0, 3.0, 1.0)
"""Scales of the loss, in those of the noise, one after the other: from far away everything is an outlier."""
STEPS = 8
SETTLED = 1e-4
"""Relative fall of the cost; the joint fit that follows goes to the end."""
MIN_POINTS = 6
LEAST_TRACKED = 0.5
"""Share of a camera's views that must have a track at another time for that to be judged."""
LEAST_AHEAD = 0.1
"""Cosine to the axis of rays that a plane of the picture holds: 84°."""


def located(sights: Sights, poses: Poses, points: Float[np.ndarray, "P 3"], camera: int, *, scale_px: float) -> Poses:
    """The poses with that camera where known points (NaN: unknown) put it: from where it is, and from the pose that
    all points together determine without a start (SQPnP, Terzakis & Lourakis 2020); the better end counts."""
    seen = np.flatnonzero((sights.weight[:, camera] > 0) & np.isfinite(points).all(axis=-1))
    if len(seen) < MIN_POINTS:
        return poses
    alone, points = sights.of(seen).of_camera(camera), points[seen]
    starts = [poses.of_camera(camera), *_without_start(alone, points)]
    ends = [_refined(alone, start, points, scale_px) for start in starts]
    best = min(ends, key=lambda end: _cost(alone, end, points, scale_px))
    return poses.with_pose(camera, best.R[0], best.center[0])


def _without_start(alone: Sights, points: Float[np.ndarray, "P 3"]) -> list[Poses]:
    ray = alone.ray[:, 0]
    ahead = ray[:, 2] > LEAST_AHEAD
    if ahead.sum() < MIN_POINTS:
        return []
    flat = np.ascontiguousarray(ray[ahead, :2] / ray[ahead, 2:])
    found, rotvec, t = cv2.solvePnP(points[ahead], flat, np.eye(3), np.zeros(0), flags=cv2.SOLVEPNP_SQPNP)
    if not found or not (np.isfinite(rotvec).all() and np.isfinite(t).all()):
        return []
    R = rotvecs_to_matrices(np.asarray(rotvec, dtype=np.float64)[:, 0])
    return [Poses(R[None], -(R.T @ t)[None, :, 0])]


def _refined(alone: Sights, pose: Poses, points: np.ndarray, scale_px: float) -> Poses:
    for factor in ANNEALING:
        damping, scale = 1e-4, factor * scale_px
        cost = _cost(alone, pose, points, scale)
        for _ in range(STEPS):
            tried = pose.moved(0, _step(alone, pose, points, scale=scale, damping=damping))
            cost_there = _cost(alone, tried, points, scale)
            if cost_there > cost:
                damping *= 10
                continue
            settled = cost - cost_there <= SETTLED * cost
            pose, cost, damping = tried, cost_there, damping / 10
            if settled:
                break
    return pose


def _step(alone: Sights, pose: Poses, points: np.ndarray, *, scale: float, damping: float) -> Float[np.ndarray, "6"]:
    error = errors_px(alone, pose, points)
    J = pose_jacobian(alone, Fit(pose, points, error, 0.0), 0)
    weight = alone.weight[:, 0] * robust_weight(error[:, 0], scale)
    heavy = (weight[:, None, None] * J).reshape(-1, 6)
    normal = heavy.T @ J.reshape(-1, 6)
    normal += np.diag((damping + 1e-12) * np.diag(normal) + 1e-300)
    return -np.linalg.solve(normal, heavy.T @ error[:, 0].reshape(-1))


def _cost(alone: Sights, pose: Poses, points: np.ndarray, scale: float) -> float:
    error = errors_px(alone, pose, points)[:, 0]
    return float((alone.weight[:, 0] * robust_cost(error, scale)).sum())


def delay(
    sights: Sights,
    now: Fit,
    camera: int,
    px: Float[np.ndarray, "T J 2"],
    *,
    scale_px: float,
    most_frames: int = 15,
) -> tuple[float, float]:
    """By how many frames a camera's pictures are late against known points (negative: early), and the mean robust cost
    (px²) of its views then. px: what it saw in all frames.

    Its tracks are read at other times, linearly between frames; points without a track there do not count.
    """
    error, weight = now.error[:, camera], sights.weight[:, camera]
    if not weight.any():
        return 0.0, np.inf

    def cost(late: float) -> float:
        there = _track_at(px, sights.frame + late, sights.joint) - sights.px[:, camera]
        known = np.where(np.isfinite(there[:, 0]), weight, 0.0)
        if known.sum() < LEAST_TRACKED * weight.sum():
            return np.inf
        return float((known * robust_cost(error - np.nan_to_num(there), scale_px)).sum() / known.sum())

    coarse = np.arange(-most_frames, most_frames + 1, dtype=np.float64)
    best = coarse[int(np.argmin([cost(late) for late in coarse]))]
    for width in (0.5, 0.25, 0.1, 0.05):
        around = best + width * np.arange(-2, 3)
        best = around[int(np.argmin([cost(late) for late in around]))]
    return float(best), cost(best)


def _track_at(
    px: Float[np.ndarray, "T J 2"], frame: Float[np.ndarray, "P"], joint: np.ndarray
) -> Float[np.ndarray, "P 2"]:
    """NaN outside of the frames and beside missing pictures."""
    before = np.floor(frame).astype(int)
    share = (frame - before)[:, None]
    inside = (before >= 0) & (before + (share[:, 0] > 0) < len(px))
    first = np.clip(before, 0, len(px) - 1)
    second = np.clip(before + 1, 0, len(px) - 1)
    value = np.where(share > 0, (1 - share) * px[first, joint] + share * px[second, joint], px[first, joint])
    return np.where(inside[:, None], value, np.nan)
