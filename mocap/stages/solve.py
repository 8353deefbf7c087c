"""Keypoints in space to a moving skeleton: one subject's lengths, then all frames in one solve."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor

from mocap.core.config import Config, Report
from mocap.core.errors import InputError, NoPersonError
from mocap.core.keypoints import Keypoints3D
from mocap.core.markers import JointPriors, MarkerSet, load_markers
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.pose_model import Pose, PoseModel, local_rotations, place, pose_model
from mocap.geometry.pose_quality import (
    angular_acceleration,
    jitter,
    joint_distances,
    limit_hits,
    marker_distances,
    shown_joints,
)
from mocap.geometry.pose_solver import Observations, PosePrior, PoseProblem, SolverOptions, SolverTrace, solve_poses
from mocap.geometry.pose_start import start_pose
from mocap.geometry.subject import Subject, SubjectModel, first_guess, refine_subject, subject_model
from mocap.geometry.threads import one_thread

_ROUGH = SolverOptions(stages=(20.0, 6.0), tolerance=1e-2, max_iterations=10)


class SolveConfig(Config):
    """noise: factor on how far keypoints are believed to stray (see the marker set); larger follows them less.

    smoothness: factor on the resistance to accelerations; 0 makes frames independent. robust_scale: residuals beyond
    that many times the noise lose their weight. fit_lengths: the subject's own segment lengths, else the skeleton's.
    keyframes: how many frames the lengths are estimated from. window, overlap: frames solved at once in long takes, and
    how many of them look ahead and are solved again with the next window. min_keypoints: a frame with fewer is not
    observed. min_share: a keypoint in a smaller share of the observed frames is left out; a limb would whip after it.
    """

    markers: str = "humanoid"
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

    keypoint_mm: mean and median. mean_joint_mm: to the joint itself, of keypoints that name one. keypoints_left_out:
    seen too rarely; frames_not_observed: too few keypoints; joints_not_observed: no keypoint ever shows how they turn.
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
    keypoints_left_out: list[str]
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
class _Solved:
    sizes: SubjectModel
    subject: Subject
    model: PoseModel
    measured: Bool[np.ndarray, "S"]
    pose: Pose
    trace: SolverTrace


@dataclass(frozen=True, eq=False)
class _Seen:
    observations: Observations
    frames: Bool[Tensor, "T"]
    left_out: list[str]


def solve(
    points: Keypoints3D, skeleton: SkeletonDefinition, config: SolveConfig
) -> tuple[tuple[Motion, ...], SolveReport]:
    """One motion a person, finite in every frame; its skeleton carries the subject's bone lengths."""
    markers = load_markers(config.markers, skeleton).select(points.keypoint_set.names)
    if not len(markers):
        raise InputError(f"keypoint set {points.keypoint_set.name!r} has no keypoint of the skeleton's markers")
    motions, reports, absent = [], [], []
    for p in range(points.n_people):
        name = f"person_{p + 1}" if points.n_people > 1 else "person"
        seen = _seen(points, markers, p, config)
        if not seen.frames.any():
            absent.append(name)
            continue
        with one_thread():
            solved = _solve_person(seen, (skeleton, markers), points.fps, config)
            own = _sized_skeleton(skeleton, solved)
            rotations = local_rotations(solved.model, solved.pose).numpy()
            reports.append(_report(name, solved, (own, markers), seen, points.fps))
        motions.append(Motion(own, solved.pose.translation.numpy(), rotations, points.fps, name))
    if not motions:
        raise NoPersonError(
            f"no frame of {points.n_frames} has {config.min_keypoints} keypoints of the skeleton in space",
            remedy="Check that people are seen by at least two cameras and that the calibration belongs to the videos",
        )
    sentences = tuple(sentence for report in reports for sentence in _sentences(report, points.n_frames))
    return tuple(motions), SolveReport(
        frames=points.n_frames, people=reports, people_without_frames=absent, sentences=sentences
    )


def _seen(points: Keypoints3D, markers: MarkerSet, person: int, config: SolveConfig) -> _Seen:
    columns = points.keypoint_set.indices(markers.keypoints)
    confidence = points.confidence[:, person, columns].copy()
    frames = (confidence > 0).sum(-1) >= config.min_keypoints
    share = (confidence[frames] > 0).mean(0) if frames.any() else np.zeros(len(markers))
    rare = (share < config.min_share) & (confidence > 0).any(0)
    confidence[:, rare] = 0
    frames = (confidence > 0).sum(-1) >= config.min_keypoints
    observations = Observations(
        torch.from_numpy(np.nan_to_num(points.xyz[:, person, columns])),
        torch.from_numpy(confidence),
        torch.from_numpy(markers.noise * config.noise),
    )
    return _Seen(observations, torch.from_numpy(frames), [markers.keypoints[m] for m in np.flatnonzero(rare)])


def _solve_person(seen: _Seen, body: tuple[SkeletonDefinition, MarkerSet], fps: float, config: SolveConfig) -> _Solved:
    skeleton, markers = body
    observations = seen.observations
    template = pose_model(skeleton, markers)
    sizes = subject_model(skeleton, markers, template)
    prior = _prior(markers.priors, template, fps, config)
    subject, measured = first_guess(sizes, markers, observations.targets, observations.confidence)
    if not config.fit_lengths:
        subject, measured = Subject(torch.ones_like(subject.scales), subject.shifts), np.zeros_like(measured)
    start = start_pose(sizes.sized(subject), markers, prior.rest, observations.targets, observations.confidence)
    if config.fit_lengths:
        frames = _keyframes(observations.confidence, seen.frames, config.keyframes)
        subject = _refined(sizes, subject, observations.frames(frames), prior, start.frames(frames))
    model = sizes.sized(subject)
    pose, trace = _solve_in_windows(PoseProblem(model, observations, prior), start, config)
    return _Solved(sizes, subject, model, measured, pose, trace)


def _prior(priors: JointPriors, model: PoseModel, fps: float, config: SolveConfig) -> PosePrior:
    """Precisions by angle; those of second differences from the densities of acceleration (see the marker set)."""
    joint, axis = model.joint.numpy(), model.axis.numpy()
    precision = np.diag(priors.rest_sd[joint, axis] ** -2.0)
    for (a, b), spread in zip(priors.shares, priors.share_sd, strict=True):
        for i in range(3):
            first, second = (np.flatnonzero((joint == j) & (axis == i)) for j in (a, b))
            if len(first) and len(second):
                pair = np.array([first[0], second[0]])
                precision[np.ix_(pair, pair)] += spread**-2.0 * np.array([[1, -1], [-1, 1]])
    still, per_frame = config.smoothness**2 * fps, config.smoothness**2 * fps**3
    return PosePrior(
        rest=model.clamped(torch.from_numpy(priors.rest[joint, axis])[None])[0],
        precision=torch.from_numpy(precision),
        upright=priors.upright_sd**-2.0,
        translation=(still / priors.root_drift[0] ** 2, per_frame / priors.root_acceleration**2),
        root=(still / priors.root_drift[1] ** 2, per_frame / float(priors.acceleration[0]) ** 2),
        angles=per_frame / torch.from_numpy(priors.acceleration[joint]) ** 2,
    )


def _refined(sizes: SubjectModel, guess: Subject, observations: Observations, prior: PosePrior, start: Pose) -> Subject:
    """A subject's sizes from some frames, first posed as the guess of its sizes allows."""
    alone = prior.without_time()
    pose, _ = solve_poses(PoseProblem(sizes.sized(guess), observations, alone), start, _ROUGH)
    return refine_subject(sizes, guess, observations, alone, pose)


def _keyframes(confidence: Float[Tensor, "T M"], observed: Bool[Tensor, "T"], count: int) -> Tensor:
    """From equal parts of the observed frames, the one of each that was seen best."""
    frames = torch.nonzero(observed)[:, 0]
    best = [part[confidence[part].sum(-1).argmax()] for part in torch.tensor_split(frames, min(count, len(frames)))]
    return torch.stack(best)


def _solve_in_windows(problem: PoseProblem, start: Pose, config: SolveConfig) -> tuple[Pose, SolverTrace]:
    """All frames, in windows that begin with the last two frames of the one before, held fixed."""
    options = SolverOptions(_stages(config), config.tolerance, config.max_iterations)
    n_frames = len(start)
    translation, root, angles = (a.clone() for a in (start.translation, start.root, start.angles))
    traces, begin = [], 0
    while True:
        end = n_frames if n_frames - begin <= config.window + config.overlap else begin + config.window
        fixed = min(2, begin)
        rows = slice(begin - fixed, end)
        part = replace(problem, observations=problem.observations.frames(rows), fixed=fixed)
        pose, trace = solve_poses(part, Pose(translation[rows], root[rows], angles[rows]), options)
        translation[rows], root[rows], angles[rows] = pose.translation, pose.root, pose.angles
        traces.append(trace)
        if end == n_frames:
            break
        begin = end - min(config.overlap, config.window // 2)
    total = SolverTrace(
        max(t.iterations for t in traces), sum(t.cost for t in traces), all(t.converged for t in traces)
    )
    return Pose(translation, root, angles), total


def _stages(config: SolveConfig) -> tuple[float, ...]:
    return max(20.0, config.robust_scale), max(6.0, config.robust_scale), config.robust_scale


def _sized_skeleton(skeleton: SkeletonDefinition, solved: _Solved) -> SkeletonDefinition:
    """The subject's skeleton, standing on the floor in the T-pose."""
    offsets = solved.model.rest_offsets.numpy().copy()
    tall, usual = (_hip_height(skeleton.parents, rest) for rest in (offsets, skeleton.rest_offsets))
    offsets[0] = skeleton.rest_offsets[0] * tall / usual
    scales = solved.subject.scales[solved.sizes.body].numpy()
    return replace(skeleton, rest_offsets=offsets, tips=skeleton.tips * scales[:, None])


def _hip_height(parents: Int[np.ndarray, "J"], rest_offsets: Float[np.ndarray, "J 3"]) -> float:
    """How far the lowest joint of the T-pose is under the root, m."""
    height = np.zeros(len(parents))
    for j in range(1, len(parents)):
        height[j] = height[parents[j]] + rest_offsets[j, 2]
    return float(-height.min())


def _report(
    name: str,
    solved: _Solved,
    body: tuple[SkeletonDefinition, MarkerSet],
    seen: _Seen,
    fps: float,
) -> PersonSolveReport:
    skeleton, markers = body
    observations = seen.observations
    names = skeleton.joint_names
    placement = place(solved.model, solved.pose)
    distances = 1000 * marker_distances(placement, observations).numpy()
    to_joint = 1000 * joint_distances(solved.model, placement, observations).numpy()[:, ~markers.offsets.any(-1)]
    there = np.isfinite(distances)
    scales = solved.subject.scales.tolist()
    hits = limit_hits(solved.model, solved.pose)
    peak = angular_acceleration(solved.model, solved.pose, fps)
    return PersonSolveReport(
        person=name,
        bone_lengths_m={names[j]: float(skeleton.bone_lengths[j]) for j in range(1, len(names))},
        segment_scales={s.name: scale for s, scale in zip(markers.segments, scales, strict=True)},
        segments_from_others=[markers.segments[s].name for s in np.flatnonzero(~solved.measured)],
        keypoint_mm={
            markers.keypoints[m]: (float(distances[there[:, m], m].mean()), float(np.nanmedian(distances[:, m])))
            for m in np.flatnonzero(there.any(0))
        },
        mean_keypoint_mm=float(distances[there].mean()),
        median_keypoint_mm=float(np.median(distances[there])),
        mean_joint_mm=float(np.nanmean(to_joint)) if np.isfinite(to_joint).any() else None,
        keypoints_left_out=seen.left_out,
        frames_not_observed=torch.nonzero(~seen.frames)[:, 0].tolist(),
        joints_not_observed=[names[j] for j in torch.nonzero(~shown_joints(solved.model, observations))[:, 0]],
        limit_hits={names[j]: int(hits[j]) for j in torch.nonzero(hits)[:, 0]},
        iterations=solved.trace.iterations,
        cost=solved.trace.cost,
        converged=solved.trace.converged,
        jitter_mm=1000 * jitter(placement),
        max_angular_acceleration_rad_s2=peak.largest,
        max_angular_acceleration_at=(names[peak.joint], peak.frame),
    )


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
    if not report.converged:
        sentences.append(f"{report.person}: the solver stopped after {report.iterations} steps before it had settled.")
    return sentences
