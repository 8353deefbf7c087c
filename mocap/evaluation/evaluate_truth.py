"""The truth at the moments of a camera's pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import minimize_scalar

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.truth import PersonTruth, TakeTruth
from mocap.evaluation.distribution import known_mean
from mocap.evaluation.pose_metrics import joint_errors_mm
from mocap.signal.resample_motion import poses_at
from mocap.synthetic.posing import joint_transforms

LOOKS = 60
"""Frames at which the joint that a keypoint moves with is found."""

SEARCH_S = 0.5
"""How far an offset in time is looked for, both ways."""

LEAST_OVERLAP = 0.5
"""Share of the points that must be left to compare at an offset."""


class OffsetReport(Report):
    """The shift of the truth at which its distance to the prediction is least: positive where the prediction shows what
    happened later than its frames say. error_mm: mean absolute error of the limbs there; unshifted_mm: without."""

    offset_ms: float
    error_mm: float
    unshifted_mm: float


@dataclass(frozen=True, eq=False)
class TrueMoments:
    """People at some moments of a take. keypoints_m: (T, P, K, 3) with the truth's names, NaN outside the take."""

    time_s: Float[np.ndarray, "T"]
    names: tuple[str, ...]
    keypoints_m: Float[np.ndarray, "T P K 3"]
    motions: tuple[Motion, ...]
    contact: Bool[np.ndarray, "T P 4"]
    inside: Bool[np.ndarray, "T"]


def reference_times(truth: TakeTruth, camera: str, n_frames: int) -> Float[np.ndarray, "T"]:
    """Scene time of the first `n_frames` pictures of the camera that results are timed by; no more than it has."""
    return truth.view(camera).time_s[:n_frames]


def truth_at(
    truth: TakeTruth, time_s: Float[np.ndarray, "T"], *, fps: float, names: Sequence[str] | None = None
) -> TrueMoments:
    """Bodies at scene times. Joints turn at a constant rate between the samples of the truth, as they do in the
    pictures; a keypoint is carried by the joint in whose frame it moves least. fps: of the motions that come out."""
    columns = [c for c, n in enumerate(truth.keypoint_names) if names is None or n in set(names)]
    inside = np.asarray((time_s >= -1 / truth.fps) & (time_s <= truth.n_frames / truth.fps))
    shape = (len(time_s), len(truth.people), len(columns), 3)
    points = np.full(shape, np.nan)
    for number, person in enumerate(truth.people):
        points[:, number] = _carried(person, truth.keypoints_m[:, number][:, columns], time_s)
    points[~inside] = np.nan
    sample = np.clip(np.rint(time_s * truth.fps).astype(np.int64), 0, truth.n_frames - 1)
    contact = (
        np.stack([p.contact[sample] for p in truth.people], 1) if truth.people else np.zeros((*shape[:2], 4), bool)
    )
    return TrueMoments(
        time_s=time_s,
        names=tuple(truth.keypoint_names[c] for c in columns),
        keypoints_m=points,
        motions=tuple(_moved(p.motion, time_s, fps) for p in truth.people),
        contact=contact,
        inside=inside,
    )


def find_offset(
    prediction: Float[np.ndarray, "T *people J 3"],
    truth_after: Callable[[float], Float[np.ndarray, "T *people J 3"]],
    step_s: float,
) -> OffsetReport:
    """Search over ±SEARCH_S, in steps and then between them. truth_after: the truth so many seconds later."""
    n_known = max(int(np.isfinite(joint_errors_mm(prediction, truth_after(0.0))).sum()), 1)

    def error(offset_s: float) -> float:
        errors = joint_errors_mm(prediction, truth_after(float(offset_s)))
        enough = np.isfinite(errors).sum() >= LEAST_OVERLAP * n_known
        return float(known_mean(errors)) if enough else np.inf

    steps = np.arange(-np.floor(SEARCH_S / step_s), np.floor(SEARCH_S / step_s) + 1) * step_s
    coarse = np.array([error(s) for s in steps])
    if not np.isfinite(coarse).any():
        raise InputError("there are no points in common to find an offset in time by")
    best = float(steps[np.nanargmin(coarse)])
    fine = minimize_scalar(error, bounds=(best - step_s, best + step_s), method="bounded", options={"xatol": 1e-6})
    offset = float(fine.x) if fine.fun < coarse.min() else best
    return OffsetReport(offset_ms=1000 * offset, error_mm=error(offset), unshifted_mm=error(0.0))


def _moved(motion: Motion, time_s: np.ndarray, fps: float) -> Motion:
    rotations, root = poses_at(motion, time_s)
    return replace(motion, local_rotations=rotations, root_translation=root, fps=fps)


def _carried(
    person: PersonTruth, points: Float[np.ndarray, "T K 3"], time_s: Float[np.ndarray, "N"]
) -> Float[np.ndarray, "N K 3"]:
    """Points at other times, exactly themselves at the samples."""
    if not points.size or not len(time_s):
        return np.full((len(time_s), *points.shape[1:]), np.nan)
    transforms = joint_transforms(person.motion)
    looks = np.unique(np.linspace(0, len(points) - 1, LOOKS).astype(np.int64))
    seen = _local(points[looks][:, :, None], transforms[looks][:, None])
    joint = np.nan_to_num(np.ptp(seen, axis=0).max(-1), nan=np.inf).argmin(-1)
    local = _local(points, transforms[:, joint])
    sample = np.clip(time_s * person.motion.fps, 0, len(points) - 1)
    low = np.floor(sample).astype(np.int64)
    share = (sample - low)[:, None, None]
    high = np.minimum(low + 1, len(points) - 1)
    between = np.where(share > 0, (1 - share) * local[low] + share * local[high], local[low])
    carrier = joint_transforms(person.motion, time_s)[:, joint]
    return np.einsum("nkab,nkb->nka", carrier[..., :3], between) + carrier[..., 3]


def _local(points: Float[np.ndarray, "*a 3"], transforms: Float[np.ndarray, "*b 3 4"]) -> Float[np.ndarray, "*c 3"]:
    """In the T-pose of the joint that they are taken to move with."""
    return np.einsum("...ba,...b->...a", transforms[..., :3], points - transforms[..., 3])
