"""The Human3.6M protocol of Learnable Triangulation (Iskakov et al., ICCV 2019, tables 1 and 2).

The error of a frame is the mean over its joints of the L2 distance (mm); figures are means over frames, not over
actions. Relative: the pelvis (joint 6) is subtracted from both, and counts among the joints with its error of 0.
Table 1 is relative over all scenes of S9 and S11, table 2 absolute without the damaged scenes of S9. The two trials of
an action are taken together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.pose_metrics import joint_errors_mm, known_points
from mocap.io.human36m_files import JOINTS, MM_PER_M, Human36mLabels

PELVIS = JOINTS.index("pelvis")
JOINT_COUNTS = (16, 17)
"""Networks of the paper have 17 joints; older ones lack the last."""
PAPER_MM = {"ransac": (27.4, 22.8), "algebraic": (22.4, 19.2), "volumetric": (20.4, 17.7)}
"""Relative over all scenes and absolute without the damaged ones, with 4 views; volumetric is by softmax."""


class SceneErrors(Report):
    """MPJPE over some scenes, mm; by action and by subject too. lost: frames without an answer, in no figure."""

    frames: int
    lost: int
    absolute_mm: float | None
    relative_mm: float | None
    absolute_by_action_mm: dict[str, float | None]
    relative_by_action_mm: dict[str, float | None]
    absolute_by_subject_mm: dict[str, float | None]
    relative_by_subject_mm: dict[str, float | None]


class Human36mReport(Report):
    """One method. paper_*: what the paper reports for it, of table 1 (relative, all) and 2 (absolute, undamaged)."""

    method: str
    joints: int
    all_scenes: SceneErrors
    undamaged: SceneErrors
    paper_relative_mm: float | None
    paper_absolute_mm: float | None


def chosen_rows(labels: Human36mLabels, subjects: Sequence[str], every: int = 1) -> Int[np.ndarray, "N"]:
    """Moments of the subjects, every n-th of them, as the published evaluation picks them."""
    rows = np.flatnonzero(labels.of_subjects(subjects))[::every]
    if not len(rows):
        raise InputError(f"the labels have no moment of {', '.join(subjects)}")
    return rows


def evaluate_human36m(
    labels: Human36mLabels, rows: Int[np.ndarray, "N"], xyz: Mapping[str, Float[np.ndarray, "N J 3"]]
) -> tuple[Human36mReport, ...]:
    """Figures of every method's points (m, in the labels' order of joints) for some moments."""
    reports = []
    for method, points in xyz.items():
        joints = points.shape[1]
        if joints not in JOINT_COUNTS:
            raise InputError(
                f"{joints} joints; Human3.6M's networks have {JOINT_COUNTS[1]}",
                remedy="Give the weights that were trained on Human3.6M.",
            )
        absolute, relative = frame_errors(points, labels.xyz_mm[rows, :joints] / MM_PER_M)
        undamaged = ~labels.damaged[rows]
        paper = PAPER_MM.get(method, (None, None))
        reports.append(
            Human36mReport(
                method=method,
                joints=joints,
                all_scenes=_scenes(labels, rows, absolute, relative),
                undamaged=_scenes(labels, rows[undamaged], absolute[undamaged], relative[undamaged]),
                paper_relative_mm=paper[0],
                paper_absolute_mm=paper[1],
            )
        )
    return tuple(reports)


def frame_errors(
    points: Float[np.ndarray, "N J 3"], truth: Float[np.ndarray, "N J 3"], root: Sequence[int] = (PELVIS,)
) -> tuple[Float[np.ndarray, "N"], Float[np.ndarray, "N"]]:
    """Mean error over the joints of each frame (m in, mm out), absolute and relative to the mean of `root`.

    Joints that the truth lacks (NaN) are left out; NaN for a frame of which the points lack a joint, or without truth.
    """
    counted = known_points(truth)
    middles = [values[:, list(root)].mean(1, keepdims=True) for values in (points, truth)]
    relative = joint_errors_mm(points - middles[0], truth - middles[1])
    return _mean_over(joint_errors_mm(points, truth), counted), _mean_over(relative, counted)


def _mean_over(errors: Float[np.ndarray, "N J"], counted: Bool[np.ndarray, "N J"]) -> Float[np.ndarray, "N"]:
    number = counted.sum(-1)
    total = np.where(counted, errors, 0.0).sum(-1)
    return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def _scenes(
    labels: Human36mLabels,
    rows: Int[np.ndarray, "N"],
    absolute: Float[np.ndarray, "N"],
    relative: Float[np.ndarray, "N"],
) -> SceneErrors:
    known = np.isfinite(absolute) & np.isfinite(relative)
    actions = np.array([name.rpartition("-")[0] or name for name in labels.action_names])
    by_action = {str(name): actions[labels.action[rows]] == name for name in dict.fromkeys(actions)}
    by_subject = {name: labels.subject[rows] == i for i, name in enumerate(labels.subject_names)}
    by_subject = {name: mask for name, mask in by_subject.items() if mask.any()}
    return SceneErrors(
        frames=len(rows),
        lost=int((~known).sum()),
        absolute_mm=_mean(absolute, known),
        relative_mm=_mean(relative, known),
        absolute_by_action_mm={name: _mean(absolute, known & mask) for name, mask in by_action.items()},
        relative_by_action_mm={name: _mean(relative, known & mask) for name, mask in by_action.items()},
        absolute_by_subject_mm={name: _mean(absolute, known & mask) for name, mask in by_subject.items()},
        relative_by_subject_mm={name: _mean(relative, known & mask) for name, mask in by_subject.items()},
    )


def _mean(errors: Float[np.ndarray, "N"], mask: Bool[np.ndarray, "N"]) -> float | None:
    return float(errors[mask].mean()) if mask.any() else None
