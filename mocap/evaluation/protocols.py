"""Published evaluation protocols by name: which joints, in which order, and which figures over them.

A protocol's joint is a combination of our keypoints, the first of several choices that a set of names has. Where no
keypoint of ours is that joint, the combination is marked as approximate; compare such figures with care.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.distribution import number
from mocap.evaluation.limb_metrics import Limb, pcp_report
from mocap.evaluation.people_metrics import (
    match_people,
    panoptic_figures,
    person_distances_mm,
    present_people,
    take_matched,
)
from mocap.evaluation.pose_metrics import Alignment, aligned, auc, joint_errors_mm, known_points, mpjpe_mm, pck

FIGURES = {
    "mpjpe_absolute_mm": "MPJPE in the world",
    "mpjpe_relative_mm": "MPJPE relative to the root, which counts among the joints with its error of 0",
    "mpjpe_procrustes_mm": "PA-MPJPE",
    "pck_150": "share of joints within 150 mm, relative to the root",
    "auc_150": "mean of that share at 0, 5, … 150 mm",
    "panoptic": "AP at 25, 50, … 150 mm and their mean, recall at 500 mm, MPJPE of the matched",
    "pcp": "correct parts of each actor, their mean over actors, and by group of parts",
}
"""Kinds of figures and what they are."""

EVERYBODY_MM = 1e9
"""Protocols of one person have no threshold: whoever is nearest is the person."""

Weight = float | tuple[float, float, float]
"""Of a keypoint in a combination; three are for x, y and z of the world."""


@dataclass(frozen=True)
class Combination:
    """Weighted sum of keypoints. exact: this is the protocol's own joint, as far as keypoints are."""

    terms: Mapping[str, Weight]
    exact: bool = True


@dataclass(frozen=True)
class ProtocolJoint:
    """A joint of the published skeleton, and the choices of how to make it of our keypoints."""

    name: str
    choices: tuple[Combination, ...]


@dataclass(frozen=True, eq=False)
class ProtocolPoints:
    """points: (..., J, 3) in the protocol's order, NaN for absent joints. approximate, absent: names of joints."""

    points: Float[np.ndarray, "... J 3"]
    approximate: tuple[str, ...]
    absent: tuple[str, ...]


@dataclass(frozen=True)
class Protocol:
    """figures: what is computed (kinds of FIGURES). root: joint that relative figures are relative to. counted: joints
    that PCK and AUC are taken over, all where empty."""

    name: str
    paper: str
    joints: tuple[ProtocolJoint, ...]
    figures: tuple[str, ...]
    root: str | None = None
    limbs: tuple[Limb, ...] = ()
    counted: tuple[str, ...] = ()

    @property
    def joint_names(self) -> tuple[str, ...]:
        return tuple(joint.name for joint in self.joints)

    def select(self, points: Float[np.ndarray, "*batch K 3"], names: Sequence[str]) -> ProtocolPoints:
        """The protocol's joints from named points of ours; points with the protocol's own names stay as they are."""
        column = {name: k for k, name in enumerate(names)}
        own = set(self.joint_names) <= set(names)
        chosen = np.full((*points.shape[:-2], len(self.joints), 3), np.nan)
        approximate, absent = [], []
        for j, joint in enumerate(self.joints):
            choices = (Combination({joint.name: 1.0}),) if own else joint.choices
            choice = next((c for c in choices if set(c.terms) <= set(column)), None)
            if choice is None:
                absent.append(joint.name)
                continue
            chosen[..., j, :] = sum(points[..., column[n], :] * np.array(w) for n, w in choice.terms.items())
            if not choice.exact:
                approximate.append(joint.name)
        return ProtocolPoints(chosen, tuple(approximate), tuple(absent))


class ProtocolReport(Report):
    """figures: by name with the unit at its end, shares in [0, 1]; None where nothing could be compared.

    joints: those that were compared; absent: those that the prediction or the truth cannot give, so that the figures
    are not the published ones; approximate: those that are near the published joint only.
    """

    protocol: str
    figures: dict[str, float | None]
    joints: tuple[str, ...]
    absent: tuple[str, ...]
    approximate: tuple[str, ...]


def protocol(name: str) -> Protocol:
    """A protocol by its name."""
    try:
        return PROTOCOLS[name]
    except KeyError:
        raise InputError(f"no protocol {name!r}; there are {', '.join(PROTOCOLS)}") from None


def evaluate_protocol(
    name: str,
    prediction: tuple[Float[np.ndarray, "T P K 3"], Sequence[str]],
    truth: tuple[Float[np.ndarray, "T Q L 3"], Sequence[str]],
    *,
    scores: Float[np.ndarray, "T P"] | None = None,
) -> ProtocolReport:
    """Figures of a protocol. prediction, truth: points (m) of people and the names of their keypoints; scores of the
    predictions, for CMU Panoptic's AP. Protocols of one person take the prediction nearest to each true one."""
    how = protocol(name)
    found, true = how.select(*prediction), how.select(*truth)
    absent = [n for n in how.joint_names if n in found.absent or n in true.absent]
    used = [j for j, n in enumerate(how.joint_names) if n not in absent]
    joints = tuple(how.joint_names[j] for j in used)
    if not joints:
        raise InputError(f"none of the joints of {name} is among {', '.join(prediction[1])}")
    a, b = found.points[:, :, used], true.points[:, :, used]
    figures = _person_figures(how, a, b, joints)
    if "panoptic" in how.figures:
        figures |= _panoptic(a, b, scores)
    if "pcp" in how.figures:
        figures |= _pcp(how, a, b, joints)
    return ProtocolReport(
        protocol=name,
        figures={key: None if value is None else number(value) for key, value in figures.items()},
        joints=joints,
        absent=tuple(absent),
        approximate=tuple(n for n in joints if n in found.approximate or n in true.approximate),
    )


def _person_figures(
    how: Protocol, found: Float[np.ndarray, "T P J 3"], true: Float[np.ndarray, "T Q J 3"], joints: tuple[str, ...]
) -> dict[str, float | None]:
    """Of one person; root-relative ones are None where the root is absent."""
    wanted = [kind for kind in how.figures if kind not in ("panoptic", "pcp")]
    if not wanted:
        return {}
    found = take_matched(found, match_people(person_distances_mm(found, true, min_common=0.0), EVERYBODY_MM))
    figures: dict[str, float | None] = dict.fromkeys(wanted)
    figures["mpjpe_absolute_mm"] = mpjpe_mm(found, true)
    figures["mpjpe_procrustes_mm"] = mpjpe_mm(found, true, Alignment.PROCRUSTES)
    if how.root in joints:
        a, b = aligned(found, true, Alignment.ROOT, [joints.index(how.root)])
        figures["mpjpe_relative_mm"] = mpjpe_mm(a, b)
        counted = [j for j, n in enumerate(joints) if n in (how.counted or joints)]
        errors, expected = joint_errors_mm(a, b)[..., counted], known_points(b)[..., counted]
        figures |= {"pck_150": pck(errors, expected), "auc_150": auc(errors, expected)}
    return {kind: figures[kind] for kind in wanted}


def _panoptic(
    found: Float[np.ndarray, "T P J 3"], true: Float[np.ndarray, "T Q J 3"], scores: Float[np.ndarray, "T P"] | None
) -> dict[str, float | None]:
    distances = person_distances_mm(found, true)
    figures = panoptic_figures(distances, present_people(found), present_people(true), scores)
    ap = {f"ap_{threshold}": value for threshold, value in figures.ap.items()}
    return ap | {"map": figures.map, "recall_500mm": figures.recall_500mm, "mpjpe_mm": figures.mpjpe_mm}


def _pcp(
    how: Protocol, found: Float[np.ndarray, "T P J 3"], true: Float[np.ndarray, "T Q J 3"], joints: tuple[str, ...]
) -> dict[str, float | None]:
    limbs = [limb for limb in how.limbs if {*limb.start, *limb.end} <= set(joints)]
    report = pcp_report(found, true, names=joints, limbs=limbs)
    figures = {f"pcp_actor_{q}": share for q, share in enumerate(report.per_actor, start=1)}
    for group, shares in report.per_group.items():
        known = [share for share in shares if share is not None]
        figures[f"pcp_{group}"] = float(np.mean(known)) if known else None
    return figures | {"pcp_average": report.average, "recall_500mm": report.recall_500mm}


def _joint(name: str, *choices: Combination) -> ProtocolJoint:
    """By default our keypoint of the same name."""
    return ProtocolJoint(name, choices or (Combination({name: 1.0}),))


def _near(**terms: Weight) -> Combination:
    return Combination(terms, exact=False)


_HIP = (Combination({"hip": 1.0}), Combination({"left_hip": 0.5, "right_hip": 0.5}))
_NECK = (_near(neck=1.0), _near(left_shoulder=0.5, right_shoulder=0.5))
_SPINE = (
    _near(hip=0.5, neck=0.5),
    _near(left_hip=0.25, right_hip=0.25, left_shoulder=0.25, right_shoulder=0.25),
)
_HEAD_TOP = Combination({"head": 1.0})
_HEAD = (_near(left_ear=0.5, right_ear=0.5), _near(nose=1.0))

_BOTTOM_HEAD = _near(left_shoulder=0.25, right_shoulder=0.25, nose=0.375, left_ear=0.0625, right_ear=0.0625)
_TOP_HEAD = _near(
    left_shoulder=(0.03125, 0.03125, -0.25),
    right_shoulder=(0.03125, 0.03125, -0.25),
    nose=(0.5625, 0.5625, 1.125),
    left_ear=0.1875,
    right_ear=0.1875,
)
"""What VoxelPose makes of COCO's keypoints for Shelf and Campus, as one weighted sum. With the middle of the shoulders
m, the nose n and the middle of the ears e, the bottom is 0.75 (m + n) / 2 + 0.25 (m + e) / 2, the top is
0.75 (m + f (n - m)) + 0.25 (1.5 e - 0.5 m), where f = 0.75, 0.75, 1.5. Z is up there as here."""

_HUMAN36M = (
    *(_joint(n) for n in ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle")),
    *(_joint("pelvis", *_HIP), _joint("spine", *_SPINE), _joint("thorax", *_NECK), _joint("head_top", _HEAD_TOP)),
    *(_joint(n) for n in ("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist")),
    _joint("neck_nose", _near(nose=1.0)),
)
_PANOPTIC = (
    *(_joint("neck", Combination({"neck": 1.0}), *_NECK[1:]), _joint("nose"), _joint("hip", *_HIP)),
    *(_joint(f"left_{n}") for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")),
    *(_joint(f"right_{n}") for n in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")),
)
_MPI_INF_3DHP = (
    *(_joint("head_top", _HEAD_TOP), _joint("neck", *_NECK)),
    *(_joint(f"right_{n}") for n in ("shoulder", "elbow", "wrist")),
    *(_joint(f"left_{n}") for n in ("shoulder", "elbow", "wrist")),
    *(_joint(f"right_{n}") for n in ("hip", "knee", "ankle")),
    *(_joint(f"left_{n}") for n in ("hip", "knee", "ankle")),
    *(_joint("pelvis", *_HIP), _joint("spine", *_SPINE), _joint("head", *_HEAD)),
)
_SHELF = (
    *(_joint(n) for n in ("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle")),
    *(_joint(n) for n in ("right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow", "left_wrist")),
    *(_joint("bottom_head", _BOTTOM_HEAD), _joint("top_head", _HEAD_TOP, _TOP_HEAD)),
)
_SHELF_LIMBS = (
    *(Limb("lower_legs", (f"{side}_ankle",), (f"{side}_knee",)) for side in ("right", "left")),
    *(Limb("upper_legs", (f"{side}_knee",), (f"{side}_hip",)) for side in ("right", "left")),
    *(Limb("lower_arms", (f"{side}_wrist",), (f"{side}_elbow",)) for side in ("right", "left")),
    *(Limb("upper_arms", (f"{side}_elbow",), (f"{side}_shoulder",)) for side in ("right", "left")),
    Limb("head", ("bottom_head",), ("top_head",)),
    Limb("torso", ("right_hip", "left_hip"), ("bottom_head",)),
)

PROTOCOLS: dict[str, Protocol] = {
    "human36m": Protocol(
        name="human36m",
        paper="Ionescu et al. 2014; joints and both figures as in Iskakov et al. 2019 (relative to joint 6 of 17)",
        joints=_HUMAN36M,
        figures=("mpjpe_absolute_mm", "mpjpe_relative_mm", "mpjpe_procrustes_mm"),
        root="pelvis",
    ),
    "cmu_panoptic": Protocol(
        name="cmu_panoptic",
        paper="Joo et al. 2015; 15 joints and figures as in Tu et al. 2020 (VoxelPose)",
        joints=_PANOPTIC,
        figures=("panoptic",),
        root="hip",
    ),
    "shelf": Protocol(
        name="shelf",
        paper="Belagiannis et al. 2014; 10 parts as in Tu et al. 2020, who average the first three of four actors",
        joints=_SHELF,
        figures=("pcp",),
        limbs=_SHELF_LIMBS,
    ),
    "campus": Protocol(
        name="campus",
        paper="Belagiannis et al. 2014; 10 parts as in Tu et al. 2020, three actors",
        joints=_SHELF,
        figures=("pcp",),
        limbs=_SHELF_LIMBS,
    ),
    "mpi_inf_3dhp": Protocol(
        name="mpi_inf_3dhp",
        paper="Mehta et al. 2017; 17 joints, of which PCK and AUC take the first 14",
        joints=_MPI_INF_3DHP,
        figures=("pck_150", "auc_150", "mpjpe_relative_mm"),
        root="pelvis",
        counted=tuple(joint.name for joint in _MPI_INF_3DHP[:14]),
    ),
}
"""By name."""
