"""How points move: velocity, acceleration and jerk by finite differences, and bones that should not change length.

A difference is NaN where any frame that it is taken over is missing; nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.distribution import Distribution, distribution, known_mean, number
from mocap.evaluation.pose_metrics import known_points, require_names

BONES: dict[str, tuple[str, str]] = {
    "shoulders": ("left_shoulder", "right_shoulder"),
    "hips": ("left_hip", "right_hip"),
    "left_trunk": ("left_shoulder", "left_hip"),
    "right_trunk": ("right_shoulder", "right_hip"),
    "left_upper_arm": ("left_shoulder", "left_elbow"),
    "right_upper_arm": ("right_shoulder", "right_elbow"),
    "left_forearm": ("left_elbow", "left_wrist"),
    "right_forearm": ("right_elbow", "right_wrist"),
    "left_thigh": ("left_hip", "left_knee"),
    "right_thigh": ("right_hip", "right_knee"),
    "left_shank": ("left_knee", "left_ankle"),
    "right_shank": ("right_knee", "right_ankle"),
}
"""Pairs of keypoints that a bone, or a pelvis or a chest, holds apart."""

FLEXIBLE = ("shoulders", "left_trunk", "right_trunk")
"""Lengths that change by themselves when shrugging and bending: in no mean over bones."""


class MotionReport(Report):
    """Differences from frame to frame, at `fps` frames a second.

    velocity_error_mm_s: length of the difference of velocities, x[t+1] - x[t] (MPJVE of Pavllo et al. 2019, there in mm
    a frame). acceleration_error_mm_s2, _mm_frame2: that of x[t-1] - 2 x[t] + x[t+1] (Kanazawa et al. 2019; "Accel" is
    printed in either unit). jitter_*_m_s3: length of the jerk x[t+3] - 3 x[t+2] + 3 x[t+1] - x[t], of one motion alone
    (Yi et al. 2021, TransPose, prints 100 m/s³; Shin et al. 2024, WHAM, 10 m/s³). White noise of s m an axis has a
    mean jerk of 7.1 s fps³.
    """

    fps: float
    velocity_error_mm_s: Distribution
    acceleration_error_mm_s2: Distribution
    acceleration_error_mm_frame2: Distribution
    jitter_prediction_m_s3: Distribution
    jitter_truth_m_s3: Distribution
    per_joint_acceleration_error_mm_s2: dict[str, float | None]


class BoneLength(Report):
    """One bone over the frames: mean, standard deviation (of the population) and coefficient of variation (sd / mean).

    error_mm: mean length less the truth's, over the frames that both have; None without a truth.
    """

    frames: int
    mean_mm: float | None
    sd_mm: float | None
    coefficient: float | None
    error_mm: float | None


class BoneReport(Report):
    """Lengths of one person's bones. mean_coefficient: over the bones that are rigid (all but FLEXIBLE).

    asymmetry: by name without the side, |left - right| of the mean lengths as a share of their mean.
    """

    bones: dict[str, BoneLength]
    mean_coefficient: float | None
    asymmetry: dict[str, float]


def velocities(points: Float[np.ndarray, "T *rest"], fps: float) -> Float[np.ndarray, "I *rest"]:
    """Per second, between neighbouring frames: I = T - 1."""
    return np.diff(points, axis=0) * _rate(fps)


def accelerations(points: Float[np.ndarray, "T *rest"], fps: float) -> Float[np.ndarray, "I *rest"]:
    """Per second squared, about every inner frame: I = T - 2."""
    return np.diff(points, n=2, axis=0) * _rate(fps) ** 2


def jerks(points: Float[np.ndarray, "T *rest"], fps: float) -> Float[np.ndarray, "I *rest"]:
    """Per second cubed, over four neighbouring frames: I = T - 3."""
    return np.diff(points, n=3, axis=0) * _rate(fps) ** 3


def velocity_errors_mm_s(
    prediction: Float[np.ndarray, "T *batch 3"], truth: Float[np.ndarray, "T *batch 3"], fps: float
) -> Float[np.ndarray, "I *batch"]:
    """Length of the difference of velocities, mm/s; entry t lies between the frames t and t + 1."""
    return 1000.0 * np.linalg.norm(velocities(prediction, fps) - velocities(truth, fps), axis=-1)


def acceleration_errors_mm_s2(
    prediction: Float[np.ndarray, "T *batch 3"], truth: Float[np.ndarray, "T *batch 3"], fps: float
) -> Float[np.ndarray, "I *batch"]:
    """Length of the difference of accelerations, mm/s²; entry t is about frame t + 1."""
    return 1000.0 * np.linalg.norm(accelerations(prediction, fps) - accelerations(truth, fps), axis=-1)


def jitter_m_s3(points: Float[np.ndarray, "T *batch 3"], fps: float) -> Float[np.ndarray, "I *batch"]:
    """Length of the jerk, m/s³; entry t is about the middle of the frames t + 1 and t + 2."""
    return np.linalg.norm(jerks(points, fps), axis=-1)


def motion_report(
    prediction: Float[np.ndarray, "T *people J 3"],
    truth: Float[np.ndarray, "T *people J 3"],
    *,
    names: Sequence[str],
    fps: float,
) -> MotionReport:
    """All figures of matched people, unaligned; differences over too few frames have n = 0."""
    require_names(names, truth)
    velocity = velocity_errors_mm_s(prediction, truth, fps)
    acceleration = acceleration_errors_mm_s2(prediction, truth, fps)
    jerky = jitter_m_s3(truth, fps)
    moving = known_points(accelerations(truth, fps))
    return MotionReport(
        fps=fps,
        velocity_error_mm_s=distribution(velocity, known_points(velocities(truth, fps))),
        acceleration_error_mm_s2=distribution(acceleration, moving),
        acceleration_error_mm_frame2=distribution(acceleration / fps**2, moving),
        jitter_prediction_m_s3=distribution(jitter_m_s3(prediction, fps), np.isfinite(jerky)),
        jitter_truth_m_s3=distribution(jerky),
        per_joint_acceleration_error_mm_s2={n: number(known_mean(acceleration[..., j])) for j, n in enumerate(names)},
    )


def bone_lengths_m(
    points: Float[np.ndarray, "*batch J 3"], names: Sequence[str]
) -> dict[str, Float[np.ndarray, "*batch"]]:
    """Length of every bone of BONES whose two keypoints are among `names`; NaN where one is missing."""
    require_names(names, points)
    column = {name: j for j, name in enumerate(names)}
    return {
        bone: np.asarray(np.linalg.norm(points[..., column[a], :] - points[..., column[b], :], axis=-1))
        for bone, (a, b) in BONES.items()
        if a in column and b in column
    }


def bone_report(
    points: Float[np.ndarray, "T J 3"], names: Sequence[str], truth: Float[np.ndarray, "T J 3"] | None = None
) -> BoneReport:
    """How constant and how symmetric one person's bones are."""
    true_lengths = {} if truth is None else bone_lengths_m(truth, names)
    bones = {bone: _bone(m, true_lengths.get(bone)) for bone, m in bone_lengths_m(points, names).items()}
    rigid = [b.coefficient for name, b in bones.items() if name not in FLEXIBLE and b.coefficient is not None]
    asymmetry = {}
    for name, left in bones.items():
        right = bones.get(f"right_{name.removeprefix('left_')}") if name.startswith("left_") else None
        if right is not None and left.mean_mm is not None and right.mean_mm is not None:
            mean = (left.mean_mm + right.mean_mm) / 2
            if mean > 0:
                asymmetry[name.removeprefix("left_")] = abs(left.mean_mm - right.mean_mm) / mean
    return BoneReport(bones=bones, mean_coefficient=float(np.mean(rigid)) if rigid else None, asymmetry=asymmetry)


def _bone(lengths_m: Float[np.ndarray, "T"], truth_m: Float[np.ndarray, "T"] | None) -> BoneLength:
    known = lengths_m[np.isfinite(lengths_m)] * 1000.0
    if not known.size:
        return BoneLength(frames=0, mean_mm=None, sd_mm=None, coefficient=None, error_mm=None)
    mean, sd = float(known.mean()), float(known.std())
    error = None if truth_m is None else number(1000.0 * known_mean(lengths_m - truth_m))
    return BoneLength(
        frames=known.size, mean_mm=mean, sd_mm=sd, coefficient=sd / mean if mean > 0 else None, error_mm=error
    )


def _rate(fps: float) -> float:
    if not np.isfinite(fps) or fps <= 0:
        raise InputError(f"{fps} frames a second is not a frame rate")
    return fps
