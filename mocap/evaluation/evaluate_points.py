"""Named points of people against the true ones: names and people are matched, then every metric is taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.angle_metrics import LimbAngleReport, limb_angle_report
from mocap.evaluation.contact_metrics import FootReport, detect_contacts, foot_report
from mocap.evaluation.distribution import Distribution, known_mean
from mocap.evaluation.motion_metrics import BoneReport, MotionReport, bone_report, motion_report
from mocap.evaluation.people_metrics import (
    PeopleReport,
    assign_tracks,
    match_people,
    people_report,
    person_distances_mm,
    take_matched,
)
from mocap.evaluation.pose_metrics import Alignment, PoseReport, joint_errors_mm, pose_report
from mocap.evaluation.protocols import ProtocolReport, evaluate_protocol

LIMB_PARTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
LIMBS = tuple(f"{side}_{part}" for part in LIMB_PARTS for side in ("left", "right"))
"""The twelve joints that headlines are taken over: `KeypointSet.body` of every set."""

N_WORST = 10
"""Frames listed as the worst."""

WORST_APART_S = 0.5
"""Frames listed as the worst are at least so far apart."""


@dataclass(frozen=True, eq=False)
class NamedPoints:
    """People's points in the world. xyz: (T, P, J, 3) m, NaN where missing. edges: pairs of names, for drawing.

    scores: (T, P) of whole people, None where there are none. of_joints: centres of a skeleton's joints, not keypoints.
    """

    names: tuple[str, ...]
    xyz: Float[np.ndarray, "T P J 3"]
    fps: float
    people: tuple[str, ...]
    edges: tuple[tuple[str, str], ...] = ()
    scores: Float[np.ndarray, "T P"] | None = None
    of_joints: bool = False

    def select(self, names: Sequence[str]) -> NamedPoints:
        """The points of some names, in their order."""
        kept = set(names)
        edges = tuple((a, b) for a, b in self.edges if a in kept and b in kept)
        columns = [self.names.index(name) for name in names]
        return replace(self, names=tuple(names), xyz=self.xyz[:, :, columns], edges=edges)


@dataclass(frozen=True, eq=False)
class Feet:
    """Foot points of people, `FOOT_POINTS` each, m. found: (T, Q, 4, 3), of each true person; contact: (T, Q, 4).

    rest_found_m, rest_true_m: (Q, 4) height of each point where the foot stands on the floor.
    """

    found: Float[np.ndarray, "T Q 4 3"]
    true: Float[np.ndarray, "T Q 4 3"]
    contact: Bool[np.ndarray, "T Q 4"]
    rest_found_m: Float[np.ndarray, "Q 4"]
    rest_true_m: Float[np.ndarray, "Q 4"]


@dataclass(frozen=True, eq=False)
class MatchedPoints:
    """What figures are taken of and plots are drawn from: found and true points of the same true people and names.

    found: of each true person, by frame; NaN where nobody is near. tracks: (Q,) the one prediction of the whole take.
    """

    names: tuple[str, ...]
    people: tuple[str, ...]
    fps: float
    found: Float[np.ndarray, "T Q J 3"]
    true: Float[np.ndarray, "T Q J 3"]
    tracks: Int[np.ndarray, "Q"]
    edges: tuple[tuple[str, str], ...]
    feet: Feet | None = None

    @property
    def limbs(self) -> tuple[int, ...]:
        """Columns of the limb joints; all where there are none of these."""
        known = tuple(self.names.index(name) for name in LIMBS if name in self.names)
        return known or tuple(range(len(self.names)))

    @property
    def errors_mm(self) -> Float[np.ndarray, "T Q J"]:
        """Absolute distances."""
        return joint_errors_mm(self.found, self.true)


class BadFrame(Report):
    """One of the worst frames: mean error of the limbs of a person, and the limb that is farthest off."""

    frame: int
    person: str
    error_mm: float
    worst: str
    worst_mm: float


class PointsEvaluation(Report):
    """One set of points against the truth.

    headline_mm: absolute error of the limb joints (`headline_names`), so that its mean is the MPJPE. limbs: all
    figures over those; all_points: over all common names. Frames are compared up to the shorter of the two.
    """

    frames: int
    fps: float
    people: tuple[str, ...]
    predicted_people: int
    names: tuple[str, ...]
    only_predicted: tuple[str, ...]
    only_true: tuple[str, ...]
    headline_names: tuple[str, ...]
    headline_mm: Distribution
    limbs: PoseReport
    all_points: PoseReport
    motion: MotionReport
    angles: LimbAngleReport
    bones: dict[str, BoneReport]
    feet: dict[str, FootReport]
    true_feet: dict[str, FootReport]
    crowd: PeopleReport | None
    worst_frames: tuple[BadFrame, ...]
    protocol: ProtocolReport | None = None


def common_names(prediction: NamedPoints, truth: NamedPoints) -> tuple[str, ...]:
    """Names of points that both have, in the order of the prediction. A name that the truth never has is not common."""
    known = {
        n for n, column in zip(truth.names, np.moveaxis(truth.xyz, 2, 0), strict=True) if np.isfinite(column).any()
    }
    names = tuple(name for name in prediction.names if name in known)
    if not names:
        raise InputError(
            f"no point has the same name in both: {_few(prediction.names)} and {_few(sorted(known))}",
            remedy="Points are compared by name; rename those of one file.",
        )
    return names


def match_points(prediction: NamedPoints, truth: NamedPoints) -> MatchedPoints:
    """Who is who, over the limb joints: one person against one is that person; several, frame by frame (500 mm)."""
    names = common_names(prediction, truth)
    n_frames = min(len(prediction.xyz), len(truth.xyz))
    if not n_frames:
        raise InputError("there are no frames to compare")
    found, true = prediction.select(names), truth.select(names)
    found_xyz, true_xyz = found.xyz[:n_frames], true.xyz[:n_frames]
    if found_xyz.shape[1] == true_xyz.shape[1] == 1:
        matches, tracks = np.zeros((n_frames, 1), dtype=np.int64), np.zeros(1, dtype=np.int64)
    else:
        limbs = [names.index(name) for name in LIMBS if name in names] or list(range(len(names)))
        distances = person_distances_mm(found_xyz[:, :, limbs], true_xyz[:, :, limbs])
        matches, tracks = match_people(distances), assign_tracks(distances)
    return MatchedPoints(
        names=names,
        people=truth.people,
        fps=prediction.fps,
        found=take_matched(found_xyz, matches),
        true=true_xyz,
        tracks=tracks,
        edges=found.edges or true.edges,
    )


def evaluate_points(
    prediction: NamedPoints,
    truth: NamedPoints,
    *,
    feet: Callable[[MatchedPoints], Feet | None] | None = None,
    protocol: str | None = None,
) -> tuple[PointsEvaluation, MatchedPoints]:
    """Every figure of points that are in one world and on one clock, frame by frame. feet: those of matched people."""
    matched = match_points(prediction, truth)
    matched = matched if feet is None else replace(matched, feet=feet(matched))
    names, limbs = matched.names, list(matched.limbs)
    limb_names = tuple(names[j] for j in limbs)
    pairs = side_pairs(names)
    of_limbs = pose_report(matched.found[:, :, limbs], matched.true[:, :, limbs], names=limb_names, pairs=pairs)
    whole = (Alignment.ABSOLUTE, Alignment.ROOT, Alignment.PROCRUSTES)
    n_frames = len(matched.true)
    several = prediction.xyz.shape[1] != 1 or truth.xyz.shape[1] != 1
    report = PointsEvaluation(
        frames=n_frames,
        fps=matched.fps,
        people=matched.people,
        predicted_people=prediction.xyz.shape[1],
        names=names,
        only_predicted=tuple(n for n in prediction.names if n not in names),
        only_true=tuple(n for n in truth.names if n not in names),
        headline_names=limb_names,
        headline_mm=of_limbs.alignments["absolute"].errors_mm,
        limbs=of_limbs,
        all_points=pose_report(matched.found, matched.true, names=names, pairs=pairs, alignments=whole),
        motion=motion_report(matched.found[:, :, limbs], matched.true[:, :, limbs], names=limb_names, fps=matched.fps),
        angles=limb_angle_report(matched.found, matched.true, names),
        bones={p: bone_report(matched.found[:, q], names, matched.true[:, q]) for q, p in enumerate(matched.people)},
        feet=_foot_reports(matched, matched.feet, true=False),
        true_feet=_foot_reports(matched, matched.feet, true=True),
        crowd=_crowd(prediction.select(limb_names), truth.select(limb_names), n_frames) if several else None,
        worst_frames=worst_frames(matched),
        protocol=None if protocol is None else _protocol(protocol, prediction, truth, n_frames),
    )
    return report, matched


def side_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(left, right) of all names that have a twin: `left_hip` and `right_hip`, `mouth_left`, `LeftArm`."""
    twins = [(name, name.replace("left", "right").replace("Left", "Right")) for name in names]
    return tuple((name, twin) for name, twin in twins if name != twin and twin in names)


def worst_frames(matched: MatchedPoints) -> tuple[BadFrame, ...]:
    """The frames of the largest mean error of the limbs, apart from each other."""
    limbs = list(matched.limbs)
    errors = matched.errors_mm[:, :, limbs]
    mean = known_mean(errors, -1)
    apart = max(round(WORST_APART_S * matched.fps), 1)
    listed: list[BadFrame] = []
    for place in np.argsort(-np.nan_to_num(mean, nan=-1.0), axis=None, kind="stable"):
        frame, person = (int(i) for i in np.unravel_index(place, mean.shape))
        if len(listed) == N_WORST or not np.isfinite(mean[frame, person]):
            break
        if all(abs(frame - other.frame) >= apart for other in listed):
            worst = int(np.nanargmax(errors[frame, person]))
            listed.append(
                BadFrame(
                    frame=frame,
                    person=matched.people[person],
                    error_mm=float(mean[frame, person]),
                    worst=matched.names[limbs[worst]],
                    worst_mm=float(errors[frame, person, worst]),
                )
            )
    return tuple(listed)


def contacts_or_found(
    contact: Bool[np.ndarray, "T Q 4"], true: Float[np.ndarray, "T Q 4 3"], fps: float
) -> Bool[np.ndarray, "T Q 4"]:
    """Those that the truth tells; where it tells of none, those that its motion shows."""
    if contact.any():
        return contact
    return np.stack([detect_contacts(true[:, q], fps) for q in range(true.shape[1])], axis=1)


def _foot_reports(matched: MatchedPoints, feet: Feet | None, *, true: bool) -> dict[str, FootReport]:
    if feet is None:
        return {}
    points, rest = (feet.true, feet.rest_true_m) if true else (feet.found, feet.rest_found_m)
    return {
        person: foot_report(points[:, q], feet.contact[:, q], fps=matched.fps, rest_height_m=rest[q])
        for q, person in enumerate(matched.people)
        if np.isfinite(feet.true[:, q]).any()
    }


def _crowd(prediction: NamedPoints, truth: NamedPoints, n_frames: int) -> PeopleReport:
    scores = None if prediction.scores is None else prediction.scores[:n_frames]
    return people_report(prediction.xyz[:n_frames], truth.xyz[:n_frames], scores=scores)


def _protocol(name: str, prediction: NamedPoints, truth: NamedPoints, n_frames: int) -> ProtocolReport:
    scores = None if prediction.scores is None else prediction.scores[:n_frames]
    found, true = prediction.xyz[:n_frames], truth.xyz[:n_frames]
    return evaluate_protocol(name, (found, prediction.names), (true, truth.names), scores=scores)


def by_alignment(report: PoseReport) -> Mapping[str, float | None]:
    """The MPJPE of every alignment, mm."""
    return {name: figures.errors_mm.mean for name, figures in report.alignments.items()}


def _few(names: Sequence[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")
