"""A processed synthetic take, stage by stage, against its `truth.npz`.

Results hold one entry for each frame; which moment that was is what the reference camera (the take's first) says:
entry i is compared with the bodies at the scene time of its picture i, or where the cameras were put on one clock, at
the i-th common time (`result_times`). Points in pictures are compared with the truth of the very same picture, points
at common times with where they would have shown then.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.core.config import Config, Report
from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints3D
from mocap.core.motion import Motion
from mocap.core.session import Take
from mocap.core.truth import TakeTruth
from mocap.evaluation.angle_metrics import RotationReport, rotation_report
from mocap.evaluation.evaluate_feet import feet_of_keypoints, feet_of_motions
from mocap.evaluation.evaluate_motions import moved_motion, named_joints
from mocap.evaluation.evaluate_pictures import (
    MatchedViews,
    ViewEvaluation,
    evaluate_pictures,
    match_associated,
    match_detections,
)
from mocap.evaluation.evaluate_points import MatchedPoints, NamedPoints, PointsEvaluation, evaluate_points, match_points
from mocap.evaluation.evaluate_truth import OffsetReport, TrueBodies, TrueMoments, find_offset
from mocap.evaluation.protocols import protocol
from mocap.evaluation.result_times import ResultTimes, result_times, truth_at
from mocap.evaluation.rig_metrics import (
    RigAlignment,
    RigReport,
    WorkingVolume,
    WorldTransform,
    align_rigs,
    rig_report,
    volume_points,
)
from mocap.io.artefacts import load_detections, load_keypoints2d, load_keypoints3d, load_motions
from mocap.io.take_videos import probe_take
from mocap.io.truth_file import load_truth
from mocap.io.video_fit import fit_rig_to_videos, rig_of_cameras

POINT_STAGES = {"triangulated": "triangulate.h5", "smoothed": "smooth.h5", "solved": "solve.h5"}
SETTLED = "feet.h5"
"""The solved motions with their feet held: what is exported, where that stage has run."""
PICTURE_STAGES = {"detections": "detect.h5", "associated": "associate.h5"}

HEADLINE_ORDER = ("smoothed", "triangulated", "solved")
"""The stage that offsets are found by and worst frames are drawn of: the first that is there."""


class TakeOptions(Config):
    """align: how results are put into the true world by the cameras of both rigs. offset_ms: how much later than the
    reference camera's pictures the truth is taken; None looks for the best. protocol: a published one besides."""

    align: RigAlignment = RigAlignment.NONE
    offset_ms: float | None = 0.0
    protocol: str | None = None


class TakeEvaluation(Report):
    """headline_mm: MPJPE over the limb joints by stage. offset: what the search found, None where none was made.

    rig: the calibration that was used, after `align`; rig_fitted: after a similarity, so that a shifted world does not
    count. rotations: of solved joints, by person.
    """

    take: str
    session: str | None
    reference_camera: str
    people: tuple[str, ...]
    headline_mm: dict[str, float | None]
    align: RigAlignment
    offset_ms: float
    offset: OffsetReport | None
    pictures: dict[str, dict[str, ViewEvaluation]]
    points: dict[str, PointsEvaluation]
    rotations: dict[str, RotationReport]
    rig: RigReport | None
    rig_fitted: RigReport | None
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class TakeEvidence:
    """What figures were taken of: for plots. rig: the found one, in the true world as far as `align` puts it there.
    pictures: camera -> number of the picture that shows each entry best (T,)."""

    take: Take
    truth: TakeTruth
    rig: Rig | None
    points: dict[str, MatchedPoints]
    views: dict[str, MatchedViews]
    time_s: Float[np.ndarray, "T"]
    pictures: dict[str, Int[np.ndarray, "T"]]


@dataclass(frozen=True, eq=False)
class _Results:
    """A take's results as they lie on disk, in the true world as far as that was asked for."""

    keypoints: dict[str, Keypoints3D]
    motions: tuple[Motion, ...]
    rig: Rig | None
    found_rig: Rig | None

    def points(self, stage: str) -> NamedPoints:
        """Of one stage that is there."""
        if stage == "solved":
            return named_joints(self.motions)
        return named_keypoints(self.keypoints[stage])

    @property
    def stages(self) -> tuple[str, ...]:
        """What there is to evaluate, by the stage that made it."""
        return (*self.keypoints, *(("solved",) if self.motions else ()))


def evaluate_take(
    take: Take, derived: Path, *, rig_path: Path | None = None, options: TakeOptions | None = None
) -> tuple[TakeEvaluation, TakeEvidence]:
    """derived: the folder of the take's stage artefacts. rig_path: the calibration that they were made with."""
    options = options or TakeOptions()
    if options.protocol is not None:
        protocol(options.protocol)
    truth = truth_of_take(take)
    results = _results(take, derived, truth, rig_path=rig_path, align=options.align)
    when = result_times(take, derived, truth)
    offset = _offset(results, truth, when) if options.offset_ms is None else None
    shift_ms = offset.offset_ms if offset is not None else options.offset_ms or 0.0
    points, evidence = _all_points(results, truth, when, shift_ms=shift_ms, protocol_name=options.protocol)
    views = _views(derived, truth, when)
    rig, fitted = _rig_reports(results, truth, options.align)
    n_frames = None if when.counted else max(len(results.points(stage).xyz) for stage in results.stages)
    times = when.of(truth, n_frames) + shift_ms / 1000
    rotations = _rotations(results, evidence, truth, times)
    report = TakeEvaluation(
        take=take.name,
        session=None if take.session_root is None else take.session_root.resolve().name,
        reference_camera=when.reference,
        people=tuple(person.motion.person for person in truth.people),
        headline_mm={stage: found.headline_mm.mean for stage, found in points.items()},
        align=options.align,
        offset_ms=shift_ms,
        offset=offset,
        pictures={stage: evaluate_pictures(matched) for stage, matched in views.items()},
        points=points,
        rotations=rotations,
        rig=rig,
        rig_fitted=fitted,
        notes=_notes(take, truth, points, results),
    )
    drawn = truth if when.counted else truth_at(truth, times)
    return report, TakeEvidence(take, drawn, results.rig, evidence, views, times, when.pictures(truth, times))


def truth_of_take(take: Take) -> TakeTruth:
    """The truth beside a take, with a sentence where there is none."""
    path = take.root / "truth.npz"
    if not path.is_file():
        raise InputError(
            "has no truth.npz to compare with",
            where=take.root,
            remedy="Synthetic takes have one (mocap synth); compare other results with mocap evaluate points.",
        )
    truth = load_truth(path)
    if not truth.people:
        raise InputError("there are no people in this truth", where=path, remedy="It is of a calibration clip.")
    return truth


def rig_of_take(take: Take, rig_path: Path) -> Rig:
    """The calibration as the pipeline uses it: the take's names and order, in the pixels of its videos."""
    rig = read_calibration(rig_path)
    if take.videos:
        return fit_rig_to_videos(rig, probe_take(take).infos)[0]
    return rig_of_cameras(rig, take.cameras)[0]


def named_keypoints(points: Keypoints3D) -> NamedPoints:
    """An artefact's points; a person's score is the mean confidence of the points that are there."""
    there = points.confidence > 0
    scores = points.confidence.sum(-1) / np.maximum(there.sum(-1), 1)
    people = tuple(f"person {number}" for number in range(points.n_people))
    known = points.keypoint_set
    return NamedPoints(known.names, np.array(points.xyz), points.fps, people, known.edges, scores)


def true_points(moments: TrueMoments, stage: str, fps: float) -> NamedPoints:
    """What a stage is compared with: keypoints, or the joints of the true skeletons."""
    if stage == "solved":
        joints = named_joints(moments.motions)
        return replace(joints, xyz=np.where(moments.inside[:, None, None, None], joints.xyz, np.nan))
    people = tuple(motion.person for motion in moments.motions)
    return NamedPoints(moments.names, moments.keypoints_m, fps, people)


def _results(take: Take, derived: Path, truth: TakeTruth, *, rig_path: Path | None, align: RigAlignment) -> _Results:
    there = {stage: derived / name for stage, name in POINT_STAGES.items() if (derived / name).is_file()}
    if "solved" in there and (derived / SETTLED).is_file():
        there["solved"] = derived / SETTLED
    if not there:
        raise InputError(
            "is not processed yet: there are no results to evaluate",
            where=take.root,
            remedy=f"Run mocap process {take.root} first.",
        )
    keypoints = {stage: load_keypoints3d(path) for stage, path in there.items() if stage != "solved"}
    motions = load_motions(there["solved"]) if "solved" in there else ()
    rig = None if rig_path is None else rig_of_take(take, rig_path)
    if align is RigAlignment.NONE:
        return _Results(keypoints, motions, rig, rig)
    if rig is None:
        raise InputError("there is no calibration to align by", where=take.root, remedy="Name it with --rig.")
    move = align_rigs(rig, truth.rig, align)
    moved = {stage: replace(points, xyz=_moved(move, points.xyz)) for stage, points in keypoints.items()}
    in_truth = Rig(tuple(move.apply_to(camera) for camera in rig))
    return _Results(moved, tuple(moved_motion(m, move.scale, move.R, move.t) for m in motions), in_truth, rig)


def _moved(move: WorldTransform, xyz: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3"]:
    return move.scale * xyz @ move.R.T + move.t


def _offset(results: _Results, truth: TakeTruth, when: ResultTimes) -> OffsetReport:
    stage = next(stage for stage in HEADLINE_ORDER if stage in results.stages)
    prediction = results.points(stage)
    times = when.of(truth, len(prediction.xyz))

    whole = true_points(TrueBodies(truth, prediction.names).at(times, fps=prediction.fps), stage, prediction.fps)
    matched = match_points(prediction, whole)
    columns = list(matched.limbs)
    limbs, found = [matched.names[j] for j in columns], matched.found[:, :, columns]
    bodies = TrueBodies(truth, limbs)

    def after(shift_s: float) -> Float[np.ndarray, "T Q J 3"]:
        moments = bodies.at(times + shift_s, fps=prediction.fps)
        return true_points(moments, stage, prediction.fps).select(limbs).xyz[: len(found)]

    return find_offset(found, after, 1 / prediction.fps)


def _all_points(
    results: _Results, truth: TakeTruth, when: ResultTimes, *, shift_ms: float, protocol_name: str | None
) -> tuple[dict[str, PointsEvaluation], dict[str, MatchedPoints]]:
    figures: dict[str, PointsEvaluation] = {}
    evidence: dict[str, MatchedPoints] = {}
    bodies = TrueBodies(truth)
    for stage in results.stages:
        prediction = results.points(stage)
        times = when.of(truth, len(prediction.xyz)) + shift_ms / 1000
        moments = bodies.at(times, fps=prediction.fps)
        n = min(len(times), len(prediction.xyz))
        figures[stage], evidence[stage] = evaluate_points(
            prediction,
            true_points(moments, stage, prediction.fps),
            feet=lambda matched, moments=moments, stage=stage, n=n: (
                feet_of_motions(matched, results.motions, moments.motions, moments.contact[:n])
                if stage == "solved"
                else feet_of_keypoints(matched, moments.contact[:n])
            ),
            protocol=protocol_name if stage != "solved" else None,
        )
    return figures, evidence


def _views(derived: Path, truth: TakeTruth, when: ResultTimes) -> dict[str, MatchedViews]:
    views: dict[str, MatchedViews] = {}
    if (derived / PICTURE_STAGES["detections"]).is_file():
        views["detections"] = match_detections(load_detections(derived / PICTURE_STAGES["detections"]), truth)
    if (derived / PICTURE_STAGES["associated"]).is_file():
        points = load_keypoints2d(derived / PICTURE_STAGES["associated"])
        at = truth if when.counted else truth_at(truth, when.of(truth, points.n_frames))
        views["associated"] = match_associated(points, at)
    return views


def _rotations(
    results: _Results, evidence: dict[str, MatchedPoints], truth: TakeTruth, times: Float[np.ndarray, "T"]
) -> dict[str, RotationReport]:
    if not results.motions:
        return {}
    matched, fps = evidence["solved"], results.motions[0].fps
    moments = TrueBodies(truth, ()).at(times[: len(matched.true)], fps=fps)
    found = {}
    for motion, track in zip(moments.motions, matched.tracks, strict=True):
        if track >= 0:
            frames = moments.inside
            found[motion.person] = rotation_report(_frames(results.motions[track], frames), _frames(motion, frames))
    return found


def _frames(motion: Motion, kept: Bool[np.ndarray, "T"]) -> Motion:
    rotations, root = motion.local_rotations[: len(kept)][kept], motion.root_translation[: len(kept)][kept]
    return replace(motion, local_rotations=rotations, root_translation=root, joint_sd_m=None)


def _rig_reports(results: _Results, truth: TakeTruth, align: RigAlignment) -> tuple[RigReport | None, RigReport | None]:
    if results.found_rig is None:
        return None, None
    seen = truth.keypoints_m.reshape(-1, 3)
    low, high = np.nanmin(seen, axis=0).tolist(), np.nanmax(seen, axis=0).tolist()
    points = volume_points(WorkingVolume(low_m=tuple(low), high_m=tuple(high)))
    as_used = rig_report(results.found_rig, truth.rig, alignment=align, points=points)
    return as_used, rig_report(results.found_rig, truth.rig, alignment=RigAlignment.SIMILARITY, points=points)


def _notes(take: Take, truth: TakeTruth, points: dict[str, PointsEvaluation], results: _Results) -> tuple[str, ...]:
    notes = []
    lengths = {len(results.points(stage).xyz) for stage in points}
    compared = {found.frames for found in points.values()}
    if lengths != compared:
        notes.append(f"results have {max(lengths)} frames, the reference camera's truth {min(compared)}: these count")
    faulty = [view.camera for view in truth.views if view.repeated.any()]
    if faulty:
        notes.append(f"pictures are repeated in {', '.join(faulty)}")
    missing = [name for name in truth.rig.names if name not in take.cameras]
    if missing:
        notes.append(f"the truth's {', '.join(missing)} has no pictures in this take")
    if results.rig is None:
        notes.append("no calibration was found: the rig is not judged")
    return tuple(notes)
