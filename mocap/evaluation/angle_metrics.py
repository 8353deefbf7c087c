"""Angles: between true and found rotations of joints, and between limbs where there are only points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.evaluation.distribution import Distribution, distribution, known_mean, number
from mocap.evaluation.motion_metrics import BONES
from mocap.evaluation.pose_metrics import require_names

BENDS: dict[str, tuple[str, str, str]] = {
    "left_elbow_flexion": ("left_shoulder", "left_elbow", "left_wrist"),
    "right_elbow_flexion": ("right_shoulder", "right_elbow", "right_wrist"),
    "left_knee_flexion": ("left_hip", "left_knee", "left_ankle"),
    "right_knee_flexion": ("right_hip", "right_knee", "right_ankle"),
    "left_hip_bend": ("left_shoulder", "left_hip", "left_knee"),
    "right_hip_bend": ("right_shoulder", "right_hip", "right_knee"),
    "left_ankle_bend": ("left_knee", "left_ankle", "left_big_toe"),
    "right_ankle_bend": ("right_knee", "right_ankle", "right_big_toe"),
    "left_shoulder_bend": ("left_hip", "left_shoulder", "left_elbow"),
    "right_shoulder_bend": ("right_hip", "right_shoulder", "right_elbow"),
}
"""Three keypoints, the middle one the joint. Elbows and knees are hinges, so that this is their flexion; a `bend` of
the others is the angle between the two limbs, whichever way it goes. Straight is 0, so a hanging arm is at 180."""


class RotationReport(Report):
    """Geodesic angle (degrees) between found and true rotation, over the joints that both skeletons have by name.

    local: parent_from_joint, for joints whose parent is the same in both; world: world_from_joint (MPJAE). The axes of
    a joint are the world's in the T-pose, so that skeletons of different lengths compare.
    """

    frames: int
    local_deg: Distribution
    world_deg: Distribution
    per_joint_local_deg: dict[str, float | None]
    per_joint_world_deg: dict[str, float | None]
    joints_without_counterpart: tuple[str, ...]


class BendError(Report):
    """One angle: absolute error, and mean of found less true (positive: bent more)."""

    error_deg: Distribution
    bias_deg: float | None


class LimbAngleReport(Report):
    """Angles from keypoints: bends at joints, and how far each limb's direction in the world is off (degrees)."""

    bends: dict[str, BendError]
    all_bends_deg: Distribution
    directions: dict[str, Distribution]
    all_directions_deg: Distribution


def rotation_angles_deg(
    a: Float[np.ndarray, "*batch 4"], b: Float[np.ndarray, "*batch 4"]
) -> Float[np.ndarray, "*batch"]:
    """Angle of the rotation between two quaternions, 0 to 180; q and -q are the same. NaN for NaN and for length 0.

    4 atan2(|a - b|, |a + b|) with b on the side of a: exact at small and at large angles, unlike an arc cosine.
    """
    a, b = _unit(a), _unit(b)
    b = np.where((a * b).sum(-1, keepdims=True) < 0, -b, b)
    angle = 4 * np.arctan2(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1))
    return np.asarray(np.rad2deg(angle))


def world_rotations(
    local: Float[np.ndarray, "*batch J 4"], parents: Int[np.ndarray, "J"]
) -> Float[np.ndarray, "*batch J 4"]:
    """world_from_joint of parent_from_joint (wxyz), parents before children."""
    world = np.array(local, dtype=np.float64)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            world[..., joint, :] = _product(world[..., parent, :], world[..., joint, :])
    return world


def rotation_report(prediction: Motion, truth: Motion) -> RotationReport:
    """Two motions of the same frames; joints are compared by name."""
    if prediction.n_frames != truth.n_frames:
        raise InputError(
            f"{prediction.n_frames} frames against {truth.n_frames} of the truth",
            remedy="Resample one of the motions at the times of the other first.",
        )
    theirs, ours = prediction.skeleton, truth.skeleton
    shared = [name for name in ours.joint_names if name in theirs.joint_names]
    a, b = [theirs.index(n) for n in shared], [ours.index(n) for n in shared]
    world = rotation_angles_deg(
        world_rotations(prediction.local_rotations, theirs.parents)[:, a],
        world_rotations(truth.local_rotations, ours.parents)[:, b],
    )
    local = rotation_angles_deg(prediction.local_rotations[:, a], truth.local_rotations[:, b])
    same = np.array([_parent_name(prediction, i) == _parent_name(truth, j) for i, j in zip(a, b, strict=True)], bool)
    local[:, ~same] = np.nan
    return RotationReport(
        frames=truth.n_frames,
        local_deg=distribution(local),
        world_deg=distribution(world),
        per_joint_local_deg={n: number(known_mean(local[:, k])) for k, n in enumerate(shared)},
        per_joint_world_deg={n: number(known_mean(world[:, k])) for k, n in enumerate(shared)},
        joints_without_counterpart=tuple(sorted(set(ours.joint_names) ^ set(theirs.joint_names))),
    )


def angle_between_deg(
    u: Float[np.ndarray, "*batch 3"], v: Float[np.ndarray, "*batch 3"]
) -> Float[np.ndarray, "*batch"]:
    """0 to 180; NaN where a vector is missing or has no length."""
    lengths = np.linalg.norm(u, axis=-1) * np.linalg.norm(v, axis=-1)
    angle = np.rad2deg(np.arctan2(np.linalg.norm(np.cross(u, v), axis=-1), (u * v).sum(-1)))
    return np.asarray(np.where(lengths > 0, angle, np.nan))


def bends_deg(points: Float[np.ndarray, "*batch J 3"], names: Sequence[str]) -> dict[str, Float[np.ndarray, "*batch"]]:
    """Every angle of BENDS whose keypoints are among `names`: 180 less the angle at the middle point."""
    require_names(names, points)
    column = {name: j for j, name in enumerate(names)}
    found = {}
    for bend, (a, b, c) in BENDS.items():
        if {a, b, c} <= set(column):
            start, joint, end = (points[..., column[name], :] for name in (a, b, c))
            found[bend] = angle_between_deg(joint - start, end - joint)
    return found


def limb_angle_report(
    prediction: Float[np.ndarray, "*batch J 3"], truth: Float[np.ndarray, "*batch J 3"], names: Sequence[str]
) -> LimbAngleReport:
    """Works for keypoints alone; limbs and bends that a set lacks are left out."""
    true_bends, bends = bends_deg(truth, names), {}
    signed = {name: found - true_bends[name] for name, found in bends_deg(prediction, names).items()}
    for name, difference in signed.items():
        error = distribution(np.abs(difference), np.isfinite(true_bends[name]))
        bends[name] = BendError(error_deg=error, bias_deg=number(known_mean(difference)))
    column = {name: j for j, name in enumerate(names)}
    limbs, expected = {}, {}
    for limb, (a, b) in BONES.items():
        if a in column and b in column:
            found, true = (p[..., column[b], :] - p[..., column[a], :] for p in (prediction, truth))
            limbs[limb] = angle_between_deg(found, true)
            expected[limb] = np.asarray(np.isfinite(true).all(-1))
    return LimbAngleReport(
        bends=bends,
        all_bends_deg=_pooled({k: np.abs(v) for k, v in signed.items()}, _finite(true_bends)),
        directions={name: distribution(angle, expected[name]) for name, angle in limbs.items()},
        all_directions_deg=_pooled(limbs, expected),
    )


def _finite(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.asarray(np.isfinite(array)) for name, array in arrays.items()}


def _pooled(values: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> Distribution:
    if not values:
        return distribution(np.zeros(0))
    return distribution(np.stack(list(values.values())), np.stack([expected[name] for name in values]))


def _parent_name(motion: Motion, joint: int) -> str | None:
    parent = motion.skeleton.parents[joint]
    return motion.skeleton.joint_names[parent] if parent >= 0 else None


def _unit(q: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 4"]:
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(length > 0, q / np.where(length > 0, length, 1.0), np.nan)


def _product(a: Float[np.ndarray, "*batch 4"], b: Float[np.ndarray, "*batch 4"]) -> Float[np.ndarray, "*batch 4"]:
    """Hamilton: first b, then a."""
    w = a[..., :1] * b[..., :1] - (a[..., 1:] * b[..., 1:]).sum(-1, keepdims=True)
    v = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + np.cross(a[..., 1:], b[..., 1:])
    return np.concatenate([w, v], axis=-1)
