"""Keypoints in space to a moving skeleton: one subject's lengths, then all frames in one solve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from mocap.core.config import Config, Report
from mocap.core.errors import InputError, NoPersonError
from mocap.core.keypoints import Keypoints3D
from mocap.core.markers import MarkerSet, load_markers
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.camera_trust import SUSPECT, relative_errors, trust
from mocap.geometry.marker_views import SeenInViews, views_of
from mocap.geometry.pose_model import Placement, Pose, PoseModel, local_rotations, place, pose_model
from mocap.geometry.pose_prior import keyframes, pose_prior
from mocap.geometry.pose_quality import (
    angular_acceleration,
    jitter,
    limit_hits,
    marker_distances,
    shown_joints,
)
from mocap.geometry.pose_solver import (
    Anchors,
    Evidence,
    Observations,
    PoseProblem,
    SolverOptions,
    SolverTrace,
    solve_poses,
)
from mocap.geometry.pose_start import start_pose
from mocap.geometry.pose_uncertainty import joint_spread
from mocap.geometry.pose_windows import Windows, solve_in_windows
from mocap.geometry.reprojection import Views
from mocap.geometry.subject import Subject, first_guess, refine_subject, subject_model
from mocap.geometry.threads import one_thread

_ROUGH = SolverOptions(stages=(20.0, 6.0), tolerance=1e-2, max_iterations=10)

_SHARE = 1 / 9
"""Weight of a view's report: its error lasts (0.96 of its square for half a second; `measured/blazepose.toml`), so that
neighbouring frames say little more than one. With 1, motions shake twice as much as true ones and are no nearer."""
_UNFILTERED = 2.0
"""Factor on the smoothness where views are fitted: they were not filtered in time, as points in space are."""
_SPREADS_PER_S = 10
"""Moments a second at which the uncertainty of the joints is found; it changes slowly."""
_STANDING_SD_M = 0.01
"""How far a standing foot may be from where it stands, against the keypoints of one frame."""
_PERSON_SD_M = 0.008
"""What is added to it for the sizes of the subject, and for where the detector sees this body's keypoints."""


class SolveConfig(Config):
    """evidence: "views" (what every view shows, where the views are known; points in space only start it) or "points".

    detector_habits: read keypoints as those of the network that the keypoint set belongs to, where it was measured.
    noise: factor on how far keypoints are believed to stray (see the marker set); larger follows them less.

    smoothness: factor on the resistance to accelerations; 0 makes frames independent. robust_scale: residuals beyond
    that many times the noise lose their weight. fit_lengths: the subject's own segment lengths, else the skeleton's.
    keyframes: how many frames the lengths are estimated from. window, overlap: frames solved at once in long takes, and
    how many of them look ahead and are solved again with the next window. min_keypoints: a frame with fewer is not
    observed. min_share: a keypoint in a smaller share of the observed frames is left out; a limb would whip after it.
    """

    markers: str = "humanoid"
    evidence: Literal["views", "points"] = "views"
    detector_habits: bool = True
    noise: float = Field(default=1.0, gt=0)
    smoothness: float = Field(default=1.0, ge=0)
    robust_scale: float = Field(default=3.0, gt=0)
    fit_lengths: bool = True
    keyframes: int = Field(default=40, ge=1)
    window: int = Field(default=160, ge=8)
    overlap: int = Field(default=24, ge=2)
    min_keypoints: int = Field(default=4, ge=1)
    min_share: float = Field(default=0.05, ge=0, lt=1)
    tolerance: float = Field(default=3e-4, gt=0)
    max_iterations: int = Field(default=40, ge=1)


class PersonSolveReport(Report):
    """Distances are from seen keypoints, whatever their confidence, to their markers on the solved skeleton.

    keypoint_mm: mean and median. mean_joint_mm: of keypoints that name a joint.
    median_reprojection_px: of the same in all views that saw them, none where no views are known. keypoints_left_out:
    seen too rarely; cameras_off: by how many times the middle camera's error, those that are off as a whole and were
    believed less; frames_not_observed: too few keypoints; joints_not_observed: no keypoint ever shows how they turn.
    limit_hits: frames in which an axis of the joint rests against its limit. jitter_mm: root mean square over joints
    and frames of the third difference of position. max_angular_acceleration_at: joint and frame of the largest.
    """

    person: str
    bone_lengths_m: dict[str, float]
    segment_scales: dict[str, float]
    segments_from_others: list[str]
    keypoint_mm: dict[str, tuple[float, float]]
    mean_keypoint_mm: float
    median_keypoint_mm: float
    mean_joint_mm: float | None
    median_reprojection_px: float | None = None
    keypoints_left_out: list[str]
    cameras_off: dict[str, float] = Field(default_factory=dict)
    frames_not_observed: list[int]
    joints_not_observed: list[str]
    limit_hits: dict[str, int]
    iterations: int
    cost: float
    converged: bool
    jitter_mm: float
    max_angular_acceleration_rad_s2: float
    max_angular_acceleration_at: tuple[str, int]


class SolveReport(Report):
    """One entry a person; people without a usable frame are named and have no motion."""

    frames: int
    people: list[PersonSolveReport]
    people_without_frames: list[str]
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Prepared:
    """What is known before all frames are solved. off: (C,) of each camera, see `camera_trust`."""

    skeleton: SkeletonDefinition
    subject: Subject
    measured: Bool[np.ndarray, "S"]
    off: Float[Tensor, "C"]
    problem: PoseProblem
    start: Pose


@dataclass(frozen=True, eq=False)
class _Solved:
    prepared: _Prepared
    pose: Pose
    trace: SolverTrace


@dataclass(frozen=True, eq=False)
class _Seen:
    observations: Observations
    views: Views | None
    shown: Float[Tensor, "T M"]
    frames: Bool[Tensor, "T"]
    left_out: list[str]
    fits_views: bool
    cameras: tuple[str, ...]

    @property
    def evidence(self) -> Evidence:
        """What motions are fitted to."""
        return self.views if self.views is not None and self.fits_views else self.observations


def solve(
    points: Keypoints3D,
    skeleton: SkeletonDefinition,
    config: SolveConfig,
    views: SeenInViews | None = None,
    *,
    standing: Callable[[Motion], Anchors | None] | None = None,
) -> tuple[tuple[Motion, ...], SolveReport]:
    """One motion a person, finite in every frame; its skeleton carries the subject's bone lengths.

    With `views` the points only start the solution, which then fits what every view shows. standing: where points of a
    motion's feet stand; the motion is then solved once more with them held there as surely as keypoints hold it.
    """
    detector = points.keypoint_set.name if config.detector_habits else None
    markers = load_markers(config.markers, skeleton, detector).select(points.keypoint_set.names)
    if markers.rest_offsets is not None:
        skeleton = replace(skeleton, rest_offsets=markers.rest_offsets)
    if not len(markers):
        raise InputError(f"keypoint set {points.keypoint_set.name!r} has no keypoint of the skeleton's markers")
    motions, reports, absent = [], [], []
    for p in range(points.n_people):
        name = f"person_{p + 1}" if points.n_people > 1 else "person"
        seen = _seen(points, views, markers, p, config)
        if not seen.frames.any():
            absent.append(name)
            continue
        with one_thread():
            prepared = _prepared(seen, (skeleton, markers), points.fps, config)
            solved, motion = _solved(prepared, points.fps, name, config, standing)
            reports.append(_report(solved, motion, markers, seen))
        motions.append(motion)
    if not motions:
        raise NoPersonError(
            f"no frame of {points.n_frames} has {config.min_keypoints} keypoints of the skeleton in space",
            remedy="Check that people are seen by at least two cameras and that the calibration belongs to the videos",
        )
    sentences = tuple(sentence for report in reports for sentence in _sentences(report, points.n_frames))
    return tuple(motions), SolveReport(
        frames=points.n_frames, people=reports, people_without_frames=absent, sentences=sentences
    )


def _seen(
    points: Keypoints3D, views: SeenInViews | None, markers: MarkerSet, person: int, config: SolveConfig
) -> _Seen:
    """A person's evidence, without keypoints that are hardly ever seen."""
    columns = points.keypoint_set.indices(markers.keypoints)
    sure = torch.from_numpy(points.confidence[:, person, columns].copy())
    seen_by = None if views is None else views_of(views, markers, person, noise=config.noise, share=_SHARE)
    fits_views = seen_by is not None and config.evidence == "views"
    shown = torch.maximum(sure, seen_by.confidence.amax(-1)) if seen_by is not None and fits_views else sure
    frames = (shown > 0).sum(-1) >= config.min_keypoints
    share = (shown[frames] > 0).double().mean(0) if frames.any() else shown.new_zeros(len(markers))
    rare = (share < config.min_share) & (shown > 0).any(0)
    sure[:, rare] = 0
    shown = torch.where(rare, 0.0, shown)
    if seen_by is not None:
        seen_by = replace(seen_by, confidence=torch.where(rare[:, None], 0.0, seen_by.confidence))
    observations = Observations(
        torch.from_numpy(np.nan_to_num(points.xyz[:, person, columns])),
        sure,
        torch.from_numpy(markers.noise * config.noise),
    )
    frames = (shown > 0).sum(-1) >= config.min_keypoints
    left_out = [markers.keypoints[m] for m in torch.nonzero(rare)[:, 0]]
    cameras = () if views is None else views.points.cameras
    return _Seen(observations, seen_by, shown, frames, left_out, fits_views, cameras)


def _prepared(seen: _Seen, body: tuple[SkeletonDefinition, MarkerSet], fps: float, config: SolveConfig) -> _Prepared:
    """The subject's sizes and how far each camera is to be believed, from some frames."""
    skeleton, markers = body
    points = seen.observations
    template = pose_model(skeleton, markers)
    sizes = subject_model(skeleton, markers, template)
    smoothness = config.smoothness * (_UNFILTERED if seen.fits_views else 1.0)
    prior = pose_prior(markers.priors, template, fps, smoothness)
    subject, measured = first_guess(sizes, markers, points.targets, points.confidence)
    if not config.fit_lengths:
        subject, measured = Subject(torch.ones_like(subject.scales), subject.shifts), np.zeros_like(measured)
    start = start_pose(sizes.sized(subject), markers, prior.rest, points.targets, points.confidence)
    frames = keyframes(seen.shown, seen.frames, config.keyframes)
    alone = PoseProblem(sizes.sized(subject), points.frames(frames), prior.without_time())
    rough, _ = solve_poses(alone, start.frames(frames), _ROUGH)
    views, off = _trusted(seen, frames, alone.model, rough)
    seen = replace(seen, views=views)
    if config.fit_lengths:
        about = seen.evidence.frames(frames).placed(alone.model, place(alone.model, rough))
        subject = refine_subject(sizes, subject, about, alone.prior, rough)
    problem = PoseProblem(sizes.sized(subject), seen.evidence, prior)
    own = _sized_skeleton(skeleton, problem.model, subject.scales[sizes.body].numpy())
    return _Prepared(own, subject, measured, off, problem, start)


def _solved(
    prepared: _Prepared,
    fps: float,
    person: str,
    config: SolveConfig,
    standing: Callable[[Motion], Anchors | None] | None,
) -> tuple[_Solved, Motion]:
    """All frames; where feet stand, twice."""
    problem, windows = prepared.problem, Windows(config.window, config.overlap)
    stages = max(20.0, config.robust_scale), max(6.0, config.robust_scale), config.robust_scale
    options = SolverOptions(stages, config.tolerance, config.max_iterations)
    first = options if standing is None else replace(options, tolerance=10 * options.tolerance)
    pose, trace = solve_in_windows(problem, prepared.start, first, windows)
    motion = _motion(prepared, pose, fps, person)
    if standing is not None:
        anchors = standing(motion)
        if anchors is not None:
            problem = replace(problem, anchors=replace(anchors, precision=anchors.precision / _STANDING_SD_M**2))
        pose, trace = solve_in_windows(problem, pose, replace(options, stages=stages[-1:]), windows)
        motion = _motion(prepared, pose, fps, person)
    stride = max(1, round(fps / _SPREADS_PER_S))
    spread = joint_spread(problem.placed(pose), pose, scale=config.robust_scale, stride=stride)
    spread = spread.square().add(_PERSON_SD_M**2).sqrt()
    return _Solved(prepared, pose, trace), replace(motion, joint_sd_m=spread.numpy())


def _motion(prepared: _Prepared, pose: Pose, fps: float, person: str) -> Motion:
    rotations = local_rotations(prepared.problem.model, pose).numpy()
    return Motion(prepared.skeleton, pose.translation.numpy(), rotations, fps, person)


def _trusted(seen: _Seen, frames: Tensor, model: PoseModel, pose: Pose) -> tuple[Views | None, Float[Tensor, "C"]]:
    """The views with cameras believed as they agree with `pose` of some frames, and how far each is off, 1 is usual."""
    if seen.views is None or not seen.fits_views:
        return seen.views, torch.ones(0, dtype=torch.float64)
    placement = place(model, pose)
    off = relative_errors(seen.views.frames(frames).placed(model, placement).typical_errors(placement.markers))
    return replace(seen.views, trust=trust(off)), off


def _sized_skeleton(
    skeleton: SkeletonDefinition, model: PoseModel, scales: Float[np.ndarray, "J"]
) -> SkeletonDefinition:
    """The subject's skeleton, standing on the floor in the T-pose."""
    offsets = model.rest_offsets.numpy().copy()
    tall, usual = (_hip_height(skeleton.parents, rest) for rest in (offsets, skeleton.rest_offsets))
    offsets[0] = skeleton.rest_offsets[0] * tall / usual
    return replace(skeleton, rest_offsets=offsets, tips=skeleton.tips * scales[:, None])


def _hip_height(parents: Int[np.ndarray, "J"], rest_offsets: Float[np.ndarray, "J 3"]) -> float:
    """How far the lowest joint of the T-pose is under the root, m."""
    height = np.zeros(len(parents))
    for j in range(1, len(parents)):
        height[j] = height[parents[j]] + rest_offsets[j, 2]
    return float(-height.min())


def _report(solved: _Solved, motion: Motion, markers: MarkerSet, seen: _Seen) -> PersonSolveReport:
    skeleton, prepared, pose = motion.skeleton, solved.prepared, solved.pose
    model, observations = prepared.problem.model, seen.observations
    names = skeleton.joint_names
    placement = place(model, pose)
    distances = 1000 * marker_distances(placement, observations).numpy()
    to_joint = distances[:, markers.means_joint]
    there = np.isfinite(distances)
    scales = prepared.subject.scales.tolist()
    hits = limit_hits(model, pose)
    peak = angular_acceleration(model, pose, motion.fps)
    return PersonSolveReport(
        person=motion.person,
        bone_lengths_m={names[j]: float(skeleton.bone_lengths[j]) for j in range(1, len(names))},
        segment_scales={s.name: scale for s, scale in zip(markers.segments, scales, strict=True)},
        segments_from_others=[markers.segments[s].name for s in np.flatnonzero(~prepared.measured)],
        keypoint_mm={
            markers.keypoints[m]: (float(distances[there[:, m], m].mean()), float(np.nanmedian(distances[:, m])))
            for m in np.flatnonzero(there.any(0))
        },
        mean_keypoint_mm=float(distances[there].mean()),
        median_keypoint_mm=float(np.median(distances[there])),
        mean_joint_mm=float(np.nanmean(to_joint)) if np.isfinite(to_joint).any() else None,
        median_reprojection_px=_reprojection_px(model, placement, markers, seen),
        keypoints_left_out=seen.left_out,
        cameras_off={
            seen.cameras[c]: float(prepared.off[c]) for c in torch.nonzero(prepared.off > SUSPECT)[:, 0].tolist()
        },
        frames_not_observed=torch.nonzero(~seen.frames)[:, 0].tolist(),
        joints_not_observed=[names[j] for j in torch.nonzero(~shown_joints(model, observations))[:, 0]],
        limit_hits={names[j]: int(hits[j]) for j in torch.nonzero(hits)[:, 0]},
        iterations=solved.trace.iterations,
        cost=solved.trace.cost,
        converged=solved.trace.converged,
        jitter_mm=1000 * jitter(placement),
        max_angular_acceleration_rad_s2=peak.largest,
        max_angular_acceleration_at=(names[peak.joint], peak.frame),
    )


def _reprojection_px(model: PoseModel, placement: Placement, markers: MarkerSet, seen: _Seen) -> float | None:
    if seen.views is None:
        return None
    views = seen.views.placed(model, placement)
    away = views.residuals_px(placement.markers)[:, torch.from_numpy(markers.means_joint)]
    return float(away.nanmedian()) if torch.isfinite(away).any() else None


def _sentences(report: PersonSolveReport, n_frames: int) -> list[str]:
    """What a user should know about one person's motion."""
    sentences = []
    unseen = len(report.frames_not_observed)
    if unseen:
        sentences.append(
            f"{report.person}: {unseen} of {n_frames} frames show too few keypoints; the motion there is a guess."
        )
    if report.joints_not_observed:
        sentences.append(f"{report.person}: no keypoint shows {', '.join(report.joints_not_observed)}; kept at rest.")
    if report.keypoints_left_out:
        sentences.append(f"{report.person}: seen too rarely to be used: {', '.join(report.keypoints_left_out)}.")
    sentences += [
        f"{report.person}: camera {camera} was believed less, as it is off as a whole, {times:.1f} times as far as the "
        "others; mocap calibrate SESSION --check TAKE says whether it has moved."
        for camera, times in report.cameras_off.items()
    ]
    if not report.converged:
        sentences.append(f"{report.person}: the solver stopped after {report.iterations} steps before it had settled.")
    return sentences
