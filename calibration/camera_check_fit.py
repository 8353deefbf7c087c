"""Points, and the poses of some cameras, that views agree on best: robust least squares, points eliminated.

The loss is Cauchy's, s²/2 log(1 + e²/s²), by iteratively re-weighted Gauss-Newton steps (Triggs et al. 2000, 4.3 and
6.1). What points cannot tell (few views) falls out with the elimination.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from calibration.camera_check_views import Poses, Sights, directions, errors_px

CAUCHY = 3.0
"""The loss bends at so many deviations of one coordinate: 2.4 would be 95 % efficient for a single one."""
STEPS = 25
SETTLED = 1e-5
"""Relative fall of the cost below which a fit has ended."""
LEAST_SCALE_PX = 0.02


@dataclass(frozen=True, eq=False)
class Fit:
    """error (P, C, 2) px. cost: of all views, in squares of px."""

    poses: Poses
    points: Float[np.ndarray, "P 3"]
    error: Float[np.ndarray, "P C 2"]
    cost: float


def fit(
    sights: Sights,
    poses: Poses,
    points: Float[np.ndarray, "P 3"],
    *,
    free: tuple[int, ...] = (),
    scale_px: float,
    steps: int = STEPS,
) -> Fit:
    """Points and the poses of the `free` cameras of least robust cost, from a start."""
    bend = CAUCHY * scale_px
    now = _at(sights, poses, points, bend)
    damping = 1e-4
    for _ in range(steps):
        move = _step(sights, now, free, bend, damping)
        tried = _at(sights, _moved(now.poses, free, move[0]), now.points + move[1], bend)
        if tried.cost > now.cost:
            damping = min(damping * 10, 1e6)
            if damping >= 1e6:
                break
            continue
        settled = now.cost - tried.cost <= SETTLED * now.cost
        now, damping = tried, max(damping / 10, 1e-9)
        if settled:
            break
    return now


def noise_px(sights: Sights, error: Float[np.ndarray, "P C 2"]) -> float:
    """Standard deviation of one coordinate, from the median over points of three views and more.

    A point takes 3 of the 2 k freedoms of its k views.
    """
    seen = sights.weight > 0
    views = seen.sum(axis=1)
    several = seen & (views >= 3)[:, None]
    if not several.any():
        several, views = seen, np.maximum(views, 2)
    inflated = np.linalg.norm(error, axis=-1) * np.sqrt(2 * views / np.maximum(2 * views - 3, 1))[:, None]
    return max(float(np.median(inflated[several])) / np.sqrt(2 * np.log(2)), LEAST_SCALE_PX)


def robust_weight(error: Float[np.ndarray, "*batch 2"], scale_px: float) -> Float[np.ndarray, "*batch"]:
    """What a view of that error counts, of 1."""
    return 1 / (1 + (error**2).sum(axis=-1) / (CAUCHY * scale_px) ** 2)


def robust_cost(error: Float[np.ndarray, "*batch 2"], scale_px: float) -> Float[np.ndarray, "*batch"]:
    """Cauchy's loss, px²."""
    square = (CAUCHY * scale_px) ** 2
    return square / 2 * np.log1p((error**2).sum(axis=-1) / square)


def pose_jacobian(sights: Sights, now: Fit, camera: int) -> Float[np.ndarray, "P 2 6"]:
    """d error / d (rotation in camera axes, rad; centre, world, m) of one camera."""
    u, distance = (part[:, camera] for part in directions(now.poses, now.points))
    M, R = sights.px_per_ray[:, camera], now.poses.R[camera]
    by_turn = np.cross(u[:, None], M)  # M (w x u) = (u x M rows) . w
    by_center = -(M - (M @ u[..., None]) * u[:, None]) @ R / distance[:, None, None]
    return np.concatenate([by_turn, by_center], axis=-1)


def point_jacobian(sights: Sights, now: Fit) -> Float[np.ndarray, "P C 2 3"]:
    """d error / d point, world."""
    u, distance = directions(now.poses, now.points)
    M = sights.px_per_ray
    across = M - (M @ u[..., None]) * u[..., None, :]
    return across @ now.poses.R / distance[..., None, None]


def _at(sights: Sights, poses: Poses, points: np.ndarray, bend: float) -> Fit:
    error = errors_px(sights, poses, points)
    loss = bend**2 / 2 * np.log1p((error**2).sum(axis=-1) / bend**2)
    return Fit(poses, points, error, float((sights.weight * loss).sum()))


def _moved(poses: Poses, free: tuple[int, ...], step: Float[np.ndarray, "F"]) -> Poses:
    for i, camera in enumerate(free):
        poses = poses.moved(camera, step[6 * i : 6 * i + 6])
    return poses


@dataclass(frozen=True, eq=False)
class Reduced:
    """Equations of the free poses once the points are eliminated.

    normal (F, F), gradient (P, F) of every point. back: how points follow the poses, (P, 3, F), and their own step.
    """

    normal: Float[np.ndarray, "F F"]
    gradient: Float[np.ndarray, "P F"]
    back: Float[np.ndarray, "P 3 F"]
    own_step: Float[np.ndarray, "P 3"]


def reduced(sights: Sights, now: Fit, free: tuple[int, ...], *, scale_px: float, damping: float = 0.0) -> Reduced:
    """Schur's complement over the points."""
    weight = sights.weight * robust_weight(now.error, scale_px)
    J = point_jacobian(sights, now)
    weighted = weight[..., None, None] * J
    stacked = (len(sights), 2 * J.shape[1])
    turned = np.swapaxes(weighted.reshape(*stacked, 3), -1, -2)
    H = turned @ J.reshape(*stacked, 3)
    g = (turned @ now.error.reshape(*stacked, 1))[..., 0]
    ridge = (1e-9 + damping) * np.trace(H, axis1=-2, axis2=-1) + 1e-12
    inverse = np.linalg.inv(H + ridge[:, None, None] * np.eye(3))
    n = 6 * len(free)
    normal, gradient, cross = np.zeros((n, n)), np.zeros((len(sights), n)), np.zeros((len(sights), 3, n))
    for i, camera in enumerate(free):
        own = slice(6 * i, 6 * i + 6)
        Jc = pose_jacobian(sights, now, camera)
        heavy = weight[:, camera, None, None] * Jc
        normal[own, own] = heavy.reshape(-1, 6).T @ Jc.reshape(-1, 6)
        gradient[:, own] = (now.error[:, camera, None] @ heavy)[:, 0]
        cross[:, :, own] = np.swapaxes(J[:, camera], -1, -2) @ heavy
    back = inverse @ cross
    rows = 3 * len(sights)
    normal -= cross.reshape(rows, n).T @ back.reshape(rows, n)
    gradient -= (g[:, None] @ back)[:, 0]
    return Reduced(normal, gradient, back, -(inverse @ g[..., None])[..., 0])


def _step(
    sights: Sights, now: Fit, free: tuple[int, ...], bend: float, damping: float
) -> tuple[np.ndarray, np.ndarray]:
    equations = reduced(sights, now, free, scale_px=bend / CAUCHY, damping=damping)
    if not free:
        return np.zeros(0), equations.own_step
    diagonal = np.diag(equations.normal)
    normal = equations.normal + np.diag(damping * diagonal + 1e-12 * diagonal.max() + 1e-300)
    step = -np.linalg.solve(normal, equations.gradient.sum(axis=0))
    return step, equations.own_step - equations.back @ step


def pose_covariance(sights: Sights, now: Fit, camera: int, *, scale_px: float) -> Float[np.ndarray, "6 6"]:
    """Of (rotation in camera axes, rad; centre, m), points being free: a sandwich over clusters.

    Errors of 2D networks repeat: the same joint is off alike in every frame, and a frame like the next. Sums over the
    points of a joint, and over those of a stretch of time, count as one each (Cameron, Gelbach & Miller 2011, without
    the subtracted term: never too small).
    """
    equations = reduced(sights, now, (camera,), scale_px=scale_px)
    inverse = np.linalg.pinv(equations.normal, hermitian=True)
    seen = sights.weight[:, camera] > 0
    middle = np.zeros((6, 6))
    for label in clusters(sights.frame, sights.joint):
        count = len(np.unique(label[seen]))
        sums = np.zeros((label.max(initial=0) + 1, 6))
        np.add.at(sums, label, equations.gradient)
        middle += sums.T @ sums * (count / max(count - 1, 1))
    return inverse @ middle @ inverse


MIN_CLUSTERS = 8


def clusters(frame: np.ndarray, joint: np.ndarray) -> list[np.ndarray]:
    """By joint, and by stretch of time; only such as are many enough to tell."""
    joints = np.unique(joint, return_inverse=True)[1]
    frames, row = np.unique(frame, return_inverse=True)
    stretches = row * min(max(len(frames) // 5, MIN_CLUSTERS), 24) // max(len(frames), 1)
    found = [labels for labels in (joints, stretches) if len(np.unique(labels)) >= MIN_CLUSTERS]
    return found or [np.arange(len(frame))]
