"""CMU Panoptic as Learnable Triangulation evaluates on it (Iskakov et al., ICCV 2019, table 3): absolute MPJPE over
frames with one person, four HD cameras, the 17 joints that the labels share with COCO.

Which sequences the paper tests on is not in it; figures over others are of other data. Boxes are those of the true
joints. Cameras: 1, 2, 10 and 13, which later papers name for the four views.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.evaluation.human36m import frame_errors
from mocap.evaluation.pose_metrics import joint_errors_mm
from mocap.io.human36m_files import JOINTS as HUMAN36M_JOINTS
from mocap.io.panoptic_files import JOINTS, PanopticPerson, PanopticSequence, panoptic_sequences
from mocap.io.published_crops import MultiviewFrame

CAMERAS = ("00_01", "00_02", "00_10", "00_13")
PAPER_MM = {"ransac": 39.5, "algebraic": 21.3, "volumetric": 13.7}
"""Absolute, 4 views."""
NOT_COMPARED = ("spine", "thorax", "head_top", "nose")
"""Joints of Human3.6M's networks that joints19 do not have, or have elsewhere, as the one between neck and nose."""


@dataclass(frozen=True)
class NetworkJoints:
    """names: of the network's outputs, ours where the labels have the joint. pelvis: whose mean is the pelvis."""

    names: tuple[str, ...]
    pelvis: tuple[int, ...]


def network_joints(kind: str) -> NetworkJoints:
    """Joints of networks by the data they were trained on: coco17, panoptic19 or human36m."""
    if kind == "coco17":
        names = load_keypoint_set("coco17").names
        return NetworkJoints(names, (names.index("left_hip"), names.index("right_hip")))
    if kind == "panoptic19":
        return NetworkJoints(JOINTS, (JOINTS.index("hip"),))
    if kind == "human36m":
        known = {"pelvis": "hip"} | {name: f"{name} of Human3.6M" for name in NOT_COMPARED}
        names = tuple(known.get(name, name) for name in HUMAN36M_JOINTS)
        return NetworkJoints(names, (names.index("hip"),))
    raise InputError(f"no network joints {kind!r}", remedy="There are coco17, panoptic19 and human36m.")


class PanopticErrors(Report):
    """MPJPE, mm. lost: people without an answer, in no figure. paper_mm: absolute, of the paper's own split."""

    method: str
    people: int
    lost: int
    absolute_mm: float | None
    relative_mm: float | None
    by_sequence_mm: dict[str, float | None]
    by_joint_mm: dict[str, float | None]
    paper_mm: float | None


class PanopticPeople:
    """People of several sequences by number: what `run_frames` loads."""

    def __init__(
        self, root: Path, joints: NetworkJoints, *, sequences: Sequence[str] = (), cameras: Sequence[str] = CAMERAS
    ) -> None:
        self.joints = joints
        self.sequences = tuple(PanopticSequence(folder, cameras) for folder in panoptic_sequences(root, sequences))
        self.listed: list[tuple[int, PanopticPerson]] = []

    def list_people(self, *, every: int = 1) -> Int[np.ndarray, "N"]:
        """Their numbers: people who are alone in every n-th labelled frame."""
        self.listed = [(i, who) for i, seq in enumerate(self.sequences) for who in seq.people(every=every)]
        if not self.listed:
            raise InputError("no frame has exactly one person", where=self.sequences[0].folder.parent)
        return np.arange(len(self.listed))

    def loader(self, size: tuple[int, int]) -> Callable[[int], MultiviewFrame]:
        """Frames by number, pictures of `size`."""

        def load(row: int) -> MultiviewFrame:
            sequence, person = self.listed[row]
            return self.sequences[sequence].load(person, names=self.joints.names, size=size)

        return load

    @property
    def truth(self) -> Float[np.ndarray, "N J 3"]:
        """True joints (m) in the network's order; NaN for joints that have none."""
        columns = [JOINTS.index(name) if name in JOINTS else -1 for name in self.joints.names]
        xyz = np.stack([person.xyz for _, person in self.listed])
        return np.where(np.array(columns)[:, None] >= 0, xyz[:, columns], np.nan)

    def close(self) -> None:
        """Let go of all videos."""
        for sequence in self.sequences:
            sequence.close()


def evaluate_panoptic(
    people: PanopticPeople, xyz: Mapping[str, Float[np.ndarray, "N J 3"]]
) -> tuple[PanopticErrors, ...]:
    """Figures of every method's points (m) for the listed people."""
    truth, names = people.truth, people.joints.names
    sequence = np.array([i for i, _ in people.listed])
    compared = [j for j, name in enumerate(names) if name in JOINTS]
    reports = []
    for method, points in xyz.items():
        absolute, relative = frame_errors(points, truth, people.joints.pelvis)
        each = joint_errors_mm(points, truth)
        reports.append(
            PanopticErrors(
                method=method,
                people=len(truth),
                lost=int(np.isnan(absolute).sum()),
                absolute_mm=_mean(absolute),
                relative_mm=_mean(relative),
                by_sequence_mm={s.name: _mean(absolute[sequence == i]) for i, s in enumerate(people.sequences)},
                by_joint_mm={names[j]: _mean(each[:, j]) for j in compared},
                paper_mm=PAPER_MM.get(method),
            )
        )
    return tuple(reports)


def _mean(errors: Float[np.ndarray, "N"]) -> float | None:
    known = errors[np.isfinite(errors)]
    return float(known.mean()) if len(known) else None
