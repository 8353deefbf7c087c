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
from mocap.core.truth import TakeTruth
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


class TrueBodies:
    """The people of a truth at any moments. Joints turn at a constant rate between the samples of the truth, as they do
    in the pictures; a keypoint is carried by the joint in whose frame it moves least.
    """

    def __init__(self, truth: TakeTruth, names: Sequence[str] | None = None) -> None:
        """names: keypoints that are wanted, all by default."""
        self._truth = truth
        columns = [c for c, n in enumerate(truth.keypoint_names) if names is None or n in set(names)]
        self._names = tuple(truth.keypoint_names[c] for c in columns)
        points = truth.keypoints_m[:, :, columns]
        self._carried = [_Carried(person.motion, points[:, q]) for q, person in enumerate(truth.people)]

    def at(self, time_s: Float[np.ndarray, "T"], *, fps: float) -> TrueMoments:
        """Bodies at scene times. fps: of the motions that come out."""
        truth = self._truth
        inside = np.asarray((time_s >= -1 / truth.fps) & (time_s <= truth.n_frames / truth.fps))
        points = np.stack([carried.at(time_s) for carried in self._carried], axis=1)
        points[~inside] = np.nan
        sample = np.clip(np.rint(time_s * truth.fps).astype(np.int64), 0, truth.n_frames - 1)
        return TrueMoments(
            time_s=time_s,
            names=self._names,
            keypoints_m=points,
            motions=tuple(_moved(person.motion, time_s, fps) for person in truth.people),
            contact=np.stack([person.contact[sample] for person in truth.people], axis=1),
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
    fine = minimize_scalar(error, bounds=(best - step_s, best + step_s), method="bounded", options={"xatol": 1e-5})
    offset = float(fine.x) if fine.fun < coarse.min() else best
    return OffsetReport(offset_ms=1000 * offset, error_mm=error(offset), unshifted_mm=error(0.0))


def _moved(motion: Motion, time_s: np.ndarray, fps: float) -> Motion:
    rotations, root = poses_at(motion, time_s)
    return replace(motion, local_rotations=rotations, root_translation=root, fps=fps)


class _Carried:
    """A person's keypoints, each in the T-pose frame of its joint: exactly themselves at the samples."""

    def __init__(self, motion: Motion, points: Float[np.ndarray, "T K 3"]) -> None:
        self._motion = motion
        transforms = joint_transforms(motion)
        looks = np.unique(np.linspace(0, len(points) - 1, LOOKS).astype(np.int64))
        seen = _local(points[looks][:, :, None], transforms[looks][:, None])
        self._joint = np.nan_to_num(np.ptp(seen, axis=0).max(-1), nan=np.inf).argmin(-1)
        self._local = _local(points, transforms[:, self._joint])

    def at(self, time_s: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N K 3"]:
        """In the world; held before the first and after the last sample."""
        last = len(self._local) - 1
        sample = np.clip(time_s * self._motion.fps, 0, last)
        low = np.floor(sample).astype(np.int64)
        share = (sample - low)[:, None, None]
        local = self._local[low]
        between = np.where(share > 0, (1 - share) * local + share * self._local[np.minimum(low + 1, last)], local)
        carrier = joint_transforms(self._motion, time_s)[:, self._joint]
        return np.einsum("nkab,nkb->nka", carrier[..., :3], between) + carrier[..., 3]


def _local(points: Float[np.ndarray, "..."], transforms: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Where points (…, 3) lie in the T-pose of joints (…, 3, 4), leading axes broadcast."""
    return np.einsum("...ba,...b->...a", transforms[..., :3], points - transforms[..., 3])
