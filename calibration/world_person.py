"""The world from a person: people stand upright, and on the floor."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from calibration.camera import Rig
from calibration.errors import CalibrationError
from calibration.transforms import RigidTransform
from calibration.world_frame import WorldFrame, standing_frame

UPRIGHT_SHARE = 0.95
"""Moments at which head and feet are at least this share of their farthest (95th percentile) apart: legs and back are
straight then."""

MIN_MOMENTS = 5
WALKED_M = 1.0
"""Feet that covered this much floor in both directions (four standard deviations) tell its tilt: 20 mm of noise in a
keypoint, a few dozen steps, 0.3°; a standing body leans by one degree or two."""

MAX_LEAN = np.radians(10.0)
STANDING_LEAN = np.radians(1.5)
"""How far the line from feet to head of somebody who stands is from the vertical, typically."""


def from_standing_person(
    rig: Rig,
    head: Float[np.ndarray, "T 3"],
    feet: Float[np.ndarray, "T F 3"],
    *,
    foot_height_m: float | int = 0.0,
    body_height_m: float | int | None = None,
) -> WorldFrame:
    """Up from feet to head at the moments of standing, the floor `foot_height_m` below the lowest feet (0 for soles and
    toes, 0.08 for ankles), the origin between the feet, +x away from the first camera.

    head, feet: triangulated keypoints in rig coordinates, NaN where unseen. body_height_m: distance from the soles to
    `head` (top of the head, or nose, as was triangulated), when the rig's scale is to be taken from it. Where the
    person walked about, the lowest feet of all moments correct the tilt.
    """
    apart = np.linalg.norm(head - _middle(feet), axis=-1)
    known = np.isfinite(apart)
    if known.sum() < MIN_MOMENTS:
        raise CalibrationError(
            f"head and feet of the person were found together at {int(known.sum())} moments, {MIN_MOMENTS} are needed",
            remedy="Let somebody stand upright for some seconds where two cameras at least see head and feet.",
        )
    upright = known & (apart >= UPRIGHT_SHARE * np.quantile(apart[known], 0.95))
    up, lean = _mean_direction((head - _middle(feet))[upright])
    up, sentences, tilt_std = _levelled(up, lean, feet, upright)
    low = _lowest(np.matmul(feet, up))
    floor = float(np.median(low[upright])) - foot_height_m
    scale = _scale(head[upright] @ up - floor, body_height_m)
    origin = np.median(_middle(feet)[upright], axis=0)
    origin = origin + up * (floor - float(origin @ up))
    pose = standing_frame(up, rig.cameras[0].cam_from_world.R[2], origin)
    scaled = RigidTransform(pose.R, scale * pose.t)
    return WorldFrame(scaled, scale, f"from a person standing ({int(upright.sum())} moments)", sentences, tilt_std)


def _middle(feet: Float[np.ndarray, "T F 3"]) -> Float[np.ndarray, "T 3"]:
    """Mean of the feet that were seen; NaN where none was."""
    seen = np.asarray(np.isfinite(feet).all(axis=2))
    count = seen.sum(axis=1)
    total = np.where(seen[..., None], feet, 0.0).sum(axis=1)
    return total / np.where(count > 0, count, np.nan)[:, None]


def _mean_direction(vectors: Float[np.ndarray, "n 3"]) -> tuple[Float[np.ndarray, "3"], float]:
    """Geometric median of directions (Weiszfeld), and their median angle (rad) from it."""
    unit = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    mean = np.median(unit, axis=0)
    for _ in range(20):
        weight = 1 / np.maximum(np.linalg.norm(unit - mean, axis=-1), 1e-6)
        mean = (weight[:, None] * unit).sum(axis=0) / weight.sum()
    mean /= np.linalg.norm(mean)
    return mean, float(np.median(np.linalg.norm(unit - mean, axis=-1)))


def _lowest(height: Float[np.ndarray, "T F"]) -> Float[np.ndarray, "T"]:
    lowest = np.min(np.where(np.isfinite(height), height, np.inf), axis=1)
    return np.where(np.isfinite(lowest), lowest, np.nan)


def _levelled(
    up: Float[np.ndarray, "3"], lean: float, feet: Float[np.ndarray, "T F 3"], upright: Bool[np.ndarray, "T"]
) -> tuple[Float[np.ndarray, "3"], tuple[str, ...], float]:
    """Up from the plane of the lowest feet where they covered enough floor, otherwise as the body says."""
    height = np.matmul(feet, up)
    seen = np.isfinite(height).any(axis=1)
    which = np.where(np.isfinite(height), height, np.inf).argmin(axis=1)
    stance = feet[np.arange(len(feet)), which][seen]
    normal, spread, error = _plane(stance, up)
    if spread >= WALKED_M and np.arccos(np.clip(normal @ up, -1, 1)) < MAX_LEAN:
        return normal, (f"The floor's tilt is that of the steps, to ± {np.degrees(error):.1f}°.",), error
    tilt = float(np.hypot(STANDING_LEAN, lean / np.sqrt(upright.sum())))
    sentence = (
        f"Up is the way the person stood, which is good to about {np.degrees(tilt):.1f}°; walking about tells more."
    )
    return up, (sentence,), tilt


def _plane(points: Float[np.ndarray, "n 3"], up: Float[np.ndarray, "3"]) -> tuple[Float[np.ndarray, "3"], float, float]:
    """Normal of a robust plane (feet in the air lie above it and count less), the smaller extent of the points in it
    (four standard deviations, m), and the normal's standard deviation (rad)."""
    level = standing_frame(up, np.eye(3)[int(np.abs(up).argmin())], np.median(points, axis=0))
    local = level.apply(points)
    A = np.column_stack([local[:, :2], np.ones(len(local))])
    weight, solution, scale = np.ones(len(local)), np.zeros(3), 0.0
    for _ in range(15):
        normal_matrix = A.T @ (weight[:, None] * A) + 1e-9 * np.eye(3)
        solution = np.linalg.solve(normal_matrix, A.T @ (weight * local[:, 2]))
        off = local[:, 2] - A @ solution
        scale = 1.4826 * float(np.median(np.abs(off))) + 1e-6
        weight = 1 / (1 + (off / np.where(off > 0, scale, 2 * scale)) ** 2)
    normal = level.R.T @ np.array([-solution[0], -solution[1], 1.0])
    flat = np.linalg.svd(local[:, :2] - local[:, :2].mean(axis=0), compute_uv=False)
    spread = 4 * float(flat[-1]) / np.sqrt(len(local))
    # A foot stays down for a while: about ten pictures tell what one does.
    error = scale / max(spread / 4, 1e-9) / np.sqrt(max(len(local) / 10, 1.0))
    return normal / np.linalg.norm(normal), spread, float(error)


def _scale(height: Float[np.ndarray, "n"], body_height_m: float | int | None) -> float:
    if body_height_m is None:
        return 1.0
    if not (np.isfinite(body_height_m) and body_height_m > 0):
        raise CalibrationError(f"a body height of {body_height_m:g} m is none", remedy="Give it in metres.")
    return float(body_height_m / np.median(height))
