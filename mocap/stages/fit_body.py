"""Keypoints of a take to a parametric body in motion: one shape a person, and the pose of every frame.

Anny (free to use) by default; SMPL, SMPL-H or SMPL-X with the file that a user brings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from mocap.core.body_motion import BodyModelName, BodyMotion, Gender
from mocap.core.config import Config, Report
from mocap.core.errors import ConfigError, InputError, NoPersonError
from mocap.core.keypoints import Keypoints3D
from mocap.core.markers import MarkerSet, load_markers
from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.geometry.marker_views import SeenInViews, views_of
from mocap.geometry.pose_model import Placement, local_rotations, place
from mocap.geometry.pose_prior import pose_prior
from mocap.geometry.pose_solver import Observations
from mocap.geometry.threads import one_thread
from mocap.models.body_evidence import BodyEvidence
from mocap.models.body_family import BodyFamily, body_markers
from mocap.models.body_feet import no_soles, standing_soles
from mocap.models.body_fit import BodyFit, FitOptions, fit_body_to
from mocap.models.body_sizes import SizedBodies, sized_bodies, torso_length

SHARE = 0.1
"""Weight of a view's report, as errors last over some ten frames."""


class FitBodyConfig(Config):
    """model: which body. model_file: of the SMPL family, .npz or .pkl, from the makers' site. betas: how many of its
    shape parameters are fitted.

    habits: take out what is known of where the detector puts keypoints. views: fit what cameras saw, not only the
    points made of it. floor: feet that stand are on the world's floor, where the keypoints do not say that it is
    elsewhere. lasting: factor on how far keypoints are believed to be reported beside their places, in
    every frame alike. Other values as in SolveConfig.
    """

    model: BodyModelName = "anny"
    model_file: Path | None = None
    gender: Gender = "neutral"
    betas: int = Field(default=10, ge=1, le=300)
    markers: str = "humanoid"
    habits: bool = True
    floor: bool = True
    views: bool = True
    noise: float = Field(default=1.0, gt=0)
    smoothness: float = Field(default=1.0, ge=0)
    lasting: float = Field(default=1.0, gt=0)
    robust_scale: float = Field(default=3.0, gt=0)
    keyframes: int = Field(default=40, ge=1)
    window: int = Field(default=160, ge=8)
    overlap: int = Field(default=24, ge=2)
    min_keypoints: int = Field(default=4, ge=1)
    min_share: float = Field(default=0.05, ge=0, lt=1)
    tolerance: float = Field(default=3e-4, gt=0)
    max_iterations: int = Field(default=40, ge=1)


class PersonFitReport(Report):
    """height_m: of the skin, from the soles to the crown. keypoint_mm: mean distance of seen keypoints in space to the
    body's. reprojection_px: mean distance of what views show to the body's keypoints, None without views."""

    person: str
    model: str
    shape: dict[str, float]
    height_m: float
    keypoint_mm: float
    reprojection_px: float | None
    keypoints_left_out: list[str]
    frames_not_observed: int
    iterations: int
    converged: bool


class FitBodyReport(Report):
    """One entry a person; people without a usable frame are named and have no body."""

    frames: int
    people: list[PersonFitReport]
    people_without_frames: list[str]
    sentences: tuple[str, ...]


def body_family(config: FitBodyConfig) -> BodyFamily:
    """The bodies that the configuration names; reads the user's file."""
    if config.model == "anny":
        from mocap.synthetic.anny_body import anny_bodies

        return anny_bodies()
    from mocap.io.body_files_smpl import read_smpl_file
    from mocap.models.smpl_body import SmplBodies

    if config.model_file is None:
        raise ConfigError(
            f"model {config.model!r} needs its file",
            where="fit_body.model_file",
            remedy="Give the .npz or .pkl that its makers gave you, or fit model 'anny', which needs none.",
        )
    arrays = read_smpl_file(config.model_file)
    if arrays.model != config.model:
        raise ConfigError(f"holds {arrays.model}, not {config.model}", where=config.model_file)
    return SmplBodies(arrays, config.gender, min(config.betas, arrays.shapedirs.shape[-1]))


def fit_body(
    points: Keypoints3D, family: BodyFamily, config: FitBodyConfig, *, seen: SeenInViews | None = None
) -> tuple[tuple[BodyMotion, ...], FitBodyReport]:
    """One body a person, finite in every frame. seen: of the same people and frames, for the reprojection."""
    markers = _markers(points, family, config)
    if seen is not None and (seen.points.n_frames, seen.points.n_people) != (points.n_frames, points.n_people):
        raise InputError("what cameras saw is not of the frames and people of the points in space")
    fitted, reports, absent = [], [], []
    for p in range(points.n_people):
        name = f"person_{p + 1}" if points.n_people > 1 else "person"
        known = _known(points, seen if config.views else None, markers, p, config)
        if not known.observed.any():
            absent.append(name)
            continue
        with one_thread():
            bodies = sized_bodies(family, markers, _habits(markers, family))
            prior = pose_prior(markers.priors, bodies.template, points.fps, config.smoothness)
            fit = fit_body_to(bodies, known.evidence, observed=known.observed, prior=prior, options=_options(config))
            motion = _motion(bodies, fit, points.fps, name)
            fitted.append(_body_motion(family, fit, motion))
            reports.append(_report(family, fit, known, motion))
    if not fitted:
        raise NoPersonError(
            f"no frame of {points.n_frames} has {config.min_keypoints} keypoints of the body in space",
            remedy="Check that people are seen by at least two cameras and that the calibration belongs to the videos",
        )
    sentences = tuple(sentence for report in reports for sentence in _sentences(report, points.n_frames))
    return tuple(fitted), FitBodyReport(
        frames=points.n_frames, people=reports, people_without_frames=absent, sentences=sentences
    )


@dataclass(frozen=True, eq=False)
class _Known:
    evidence: BodyEvidence
    observed: Bool[Tensor, "T"]
    left_out: list[str]


def _markers(points: Keypoints3D, family: BodyFamily, config: FitBodyConfig) -> MarkerSet:
    """Those that were looked for and that the body has."""
    has = family.rest(family.space.usual).keypoints
    names = tuple(name for name in points.keypoint_set.names if name in has)
    detector = points.keypoint_set.name if config.habits else None
    markers = load_markers(config.markers, load_skeleton(), detector).select(names)
    if not len(markers):
        raise InputError(f"keypoint set {points.keypoint_set.name!r} has no keypoint of the body")
    return markers


def _known(
    points: Keypoints3D, seen: SeenInViews | None, markers: MarkerSet, person: int, config: FitBodyConfig
) -> _Known:
    columns = points.keypoint_set.indices(markers.keypoints)
    confidence = points.confidence[:, person, columns].copy()
    frames = (confidence > 0).sum(-1) >= config.min_keypoints
    share = (confidence[frames] > 0).mean(0) if frames.any() else np.zeros(len(markers))
    rare = (share < config.min_share) & (confidence > 0).any(0)
    confidence[:, rare] = 0
    frames = (confidence > 0).sum(-1) >= config.min_keypoints
    noise = torch.from_numpy(markers.noise * config.noise)
    targets = torch.from_numpy(np.nan_to_num(points.xyz[:, person, columns]))
    in_space = Observations(targets, torch.from_numpy(confidence), noise)
    views = None
    if seen is not None:
        kept = np.where(rare, 0.0, 1.0)
        views = views_of(seen, markers, person, noise=config.noise, share=SHARE)
        views = replace(views, confidence=views.confidence * torch.from_numpy(kept)[:, None])
    left_out = [markers.keypoints[m] for m in np.flatnonzero(rare)]
    standing = standing_soles(in_space, markers, points.fps) if config.floor else no_soles(points.n_frames)
    return _Known(BodyEvidence(in_space, standing, views), torch.from_numpy(frames), left_out)


def _habits(markers: MarkerSet, family: BodyFamily) -> Float[np.ndarray, "M 3"]:
    """Where the detector, if it was measured, reports keypoints against where they are on the usual body, in torso
    lengths along the joints' axes."""
    if markers.rest_offsets is None:
        return np.zeros((len(markers), 3))
    usual = family.rest(family.space.usual)
    return (markers.offsets - body_markers(markers, usual, load_skeleton().parents).offsets) / torso_length(usual)


def _options(config: FitBodyConfig) -> FitOptions:
    return FitOptions(**{name: getattr(config, name) for name in FitOptions.__dataclass_fields__})


def _motion(bodies: SizedBodies, fit: BodyFit, fps: float, name: str) -> Motion:
    rotations = local_rotations(fit.model, fit.pose).numpy()
    return Motion(bodies.family.skeleton(fit.sizes.shape), fit.pose.translation.numpy(), rotations, fps, name)


def _body_motion(family: BodyFamily, fit: BodyFit, motion: Motion) -> BodyMotion:
    return BodyMotion(
        model=family.model,
        gender=family.gender,
        shape_names=family.space.names,
        shape=fit.sizes.shape,
        motion=motion,
        root_rest=family.root_rest(fit.sizes.shape),
    )


def _report(family: BodyFamily, fit: BodyFit, known: _Known, motion: Motion) -> PersonFitReport:
    placement = place(fit.model, fit.pose)
    points = known.evidence.points
    away = (placement.markers[:, : points.targets.shape[1]] - points.targets).norm(dim=-1)[points.confidence > 0]
    return PersonFitReport(
        person=motion.person,
        model=family.model,
        shape={name: float(value) for name, value in zip(family.space.names, fit.sizes.shape, strict=True)},
        height_m=family.mesh(fit.sizes.shape).height_m,
        keypoint_mm=1000 * float(away.mean()),
        reprojection_px=_reprojection(known, fit, placement),
        keypoints_left_out=known.left_out,
        frames_not_observed=int((~known.observed).sum()),
        iterations=fit.trace.iterations,
        converged=fit.trace.converged,
    )


def _reprojection(known: _Known, fit: BodyFit, placement: Placement) -> float | None:
    if known.evidence.views is None:
        return None
    return float(known.evidence.placed(fit.model, placement).residuals_px(placement).nanmean())


def _sentences(report: PersonFitReport, n_frames: int) -> list[str]:
    sentences = []
    if report.frames_not_observed:
        sentences.append(
            f"{report.person}: {report.frames_not_observed} of {n_frames} frames show too few keypoints; "
            "the body there is a guess."
        )
    if not report.converged:
        sentences.append(f"{report.person}: the fit stopped after {report.iterations} steps before it had settled.")
    return sentences
