"""From keypoints in all views to points in space: robust over views, undistortion inside, a reason for what is missing.

Limits are given in millimetres at the subject and turned into pixels per camera and frame by its distance: the noise
of 2D networks grows with the size of the person in the image, and so must what is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from calibration.camera import Rig
from mocap.core.config import Config, Report
from mocap.core.errors import InputError, NoPersonError
from mocap.core.heatmaps import HeatmapSource
from mocap.core.keypoints import Keypoints2D, Keypoints3D
from mocap.geometry.projection import CameraTensors, camera_tensors, project
from mocap.geometry.refinement import Kernel
from mocap.geometry.threads import one_thread
from mocap.geometry.triangulation import (
    Outcome,
    Triangulated,
    triangulate_dlt,
    triangulate_linear,
    triangulate_ransac,
    triangulate_robust,
)
from mocap.models.learned_triangulation import (
    Answer,
    LearnedConfig,
    LearnedNet,
    LearnedPoints,
    Progress,
    SeenPeople,
    learned_points,
    network_of,
    why_not,
)

Method = Literal["dlt", "ransac", "robust", "algebraic", "volumetric"]
METHODS: tuple[Method, ...] = get_args(Method)
LEAST_CONFIDENCE = 1e-3
"""Of a point that is there; 0 means missing."""


class TriangulateConfig(Config):
    """How views become points.

    method: "dlt" (linear, all views alike), "ransac" (the pair of views most others agree with, then least squares over
    those), "robust" (the best pair, then all views under `kernel`, which bends at `noise_mm`), or one that was learned
    from synthetic people: "algebraic" (how much each view is to be believed about each keypoint) and "volumetric" (what
    all heatmaps say of the space around each keypoint). Learned methods leave to "robust" what they cannot answer.
    max_error_mm: a view farther off, measured at the subject's distance, does not agree. min_views: points on which
    fewer views agree are missing. min_confidence: keypoints below it are not used.
    """

    method: Method = "robust"
    kernel: Kernel = "cauchy"
    noise_mm: float = Field(default=16.0, gt=0)
    max_error_mm: float = Field(default=90.0, gt=0)
    min_views: int = Field(default=2, ge=2)
    min_confidence: float = Field(default=0.0, ge=0, le=1)
    learned: LearnedConfig = LearnedConfig()

    @property
    def reads_heatmaps(self) -> bool:
        """Whether the method looks at heatmaps where there are any."""
        return self.method == "volumetric" or (self.method == "algebraic" and self.learned.shapes)


class ViewFit(Report):
    """One camera: reprojection error (full L2, px) of all it saw of points that are there, and its place in them.

    seen: keypoints it showed; dropped: share of those that did not agree with the point.
    """

    median_px: float | None
    p95_px: float | None
    seen: int
    dropped: float


class KeypointFit(Report):
    """One keypoint: reprojection error (px) over all views and frames, and the share of frames without a point."""

    median_px: float | None
    lost: float


class LearnedShare(Report):
    """How far a learned method got. frames: of all people together; asked: those it was asked about.

    points: that it gave; points_from_robust: where the views disagree with it, or it was not asked. few_views, small,
    no_place: frames it was not asked about, and why. outside: frames in which its points were not believed.
    """

    frames: int
    asked: int
    points: int
    points_from_robust: int
    few_views: int
    small: int
    no_place: int
    outside: int = 0


class TriangulateReport(Report):
    """median_body_px: over the body keypoints in all views that saw them, agreeing or not. Lost are points that two
    views at least have seen; unseen those that fewer have. frames_without_points: frames with no point at all."""

    method: str
    median_body_px: float | None
    p95_body_px: float | None
    cameras: dict[str, ViewFit]
    keypoints: dict[str, KeypointFit]
    points: int
    unseen: int
    lost_views_disagree: int
    lost_parallel_rays: int
    frames_without_points: int
    learned: LearnedShare | None = None
    sentences: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Evidence:
    """What learned methods need besides keypoints: heatmaps, and a network if not the one that comes along."""

    heatmaps: HeatmapSource | None = None
    network: LearnedNet | None = None
    progress: Progress | None = None


def triangulate(
    points: Keypoints2D, rig: Rig, config: TriangulateConfig, evidence: Evidence | None = None
) -> tuple[Keypoints3D, TriangulateReport]:
    """Points in space for every person, frame and keypoint; NaN where fewer than `min_views` views agree."""
    cameras = rig.subset(points.cameras)
    if len(cameras) < 2:
        raise InputError("one camera is not enough for points in space", remedy="Add the videos of another camera.")
    confidence = np.where(points.confidence >= config.min_confidence, points.confidence, 0.0)
    px = torch.tensor(np.swapaxes(points.xy, 2, 3))
    weight = torch.tensor(np.swapaxes(confidence, 2, 3))
    with one_thread():
        tensors = camera_tensors(cameras)
        body = list(points.keypoint_set.indices(points.keypoint_set.body or points.keypoint_set.names))
        px_per_m = _pixels_per_metre(tensors, px[:, :, body], weight[:, :, body])
        found = _solve(tensors, px, weight, px_per_m, config)
    answered = _learned(SeenPeople(tensors, px, weight, found.xyz), points, config, evidence or Evidence())
    if answered.points is not None:
        limit = (config.max_error_mm / 1000 * px_per_m)[:, :, None].expand_as(weight)
        found, sure = _with_learned(found, answered.points, (tensors, px, weight, limit), config)
        answered = replace(answered, sure=sure)
    enough = found.used.sum(-1) >= config.min_views
    enough = enough if answered.sure is None else enough | (answered.sure > 0)
    result = _points(points, found, weight, enough)
    if answered.sure is not None:
        result = replace(result, confidence=np.where(answered.sure > 0, answered.sure, result.confidence))
    if not np.isfinite(result.xyz).any():
        raise NoPersonError(
            "no keypoint is seen alike by two cameras",
            remedy="Check that the calibration belongs to these videos and that they start at the same moment.",
        )
    return result, _report(points, found, enough.numpy(), config, answered)


def _solve(
    cameras: CameraTensors,
    px: Float[Tensor, "T P J C 2"],
    weight: Float[Tensor, "T P J C"],
    px_per_m: Float[Tensor, "T P C"],
    config: TriangulateConfig,
) -> Triangulated:
    scale = (config.noise_mm / 1000 * px_per_m)[:, :, None].expand_as(weight)
    limit = (config.max_error_mm / 1000 * px_per_m)[:, :, None].expand_as(weight)
    if config.method == "dlt":
        return triangulate_linear(cameras, px, weight, inlier_px=limit)
    if config.method == "ransac":
        return triangulate_ransac(cameras, px, weight, inlier_px=limit)
    return triangulate_robust(cameras, px, weight, scale_px=scale, inlier_px=limit, kernel=config.kernel)


@dataclass(frozen=True, eq=False)
class _Answered:
    """What a learned method gave: nothing for other methods; a reason where it could not be used on the take at all.

    sure: its confidence where its points were taken, 0 elsewhere.
    """

    points: LearnedPoints | None = None
    refused: str | None = None
    sure: Float[Tensor, "T P J"] | None = None


def _learned(people: SeenPeople, points: Keypoints2D, config: TriangulateConfig, evidence: Evidence) -> _Answered:
    if config.method != "algebraic" and config.method != "volumetric":
        return _Answered()
    net = evidence.network or network_of(config.method, config.learned)
    refused = why_not(net, points.keypoint_set, evidence.heatmaps)
    if refused is not None:
        return _Answered(refused=refused)
    found = learned_points(net, people, evidence.heatmaps, config.learned, progress=evidence.progress)
    return _Answered(points=found)


def _with_learned(
    found: Triangulated,
    learned: LearnedPoints,
    views: tuple[CameraTensors, Float[Tensor, "T P J C 2"], Float[Tensor, "T P J C"], Float[Tensor, "T P J C"]],
    config: TriangulateConfig,
) -> tuple[Triangulated, Float[Tensor, "T P J"]]:
    """Learned points in place of robust ones where views agree with them, or where the network is confident.

    views: cameras, px, confidence, and the limit of agreement (px).
    """
    cameras, px, weight, limit = views
    error = torch.where(weight > 0, (project(cameras, learned.xyz) - px).norm(dim=-1), torch.nan)
    used = error < limit
    certain = learned.confidence >= config.learned.min_confidence
    taken = ~learned.xyz.isnan().any(-1) & (certain | (used.sum(-1) >= config.min_views))
    wide = taken[..., None]
    merged = Triangulated(
        xyz=torch.where(wide, learned.xyz, found.xyz),
        error_px=torch.where(wide, error, found.error_px),
        used=torch.where(wide, used, found.used),
        covariance=torch.where(wide[..., None], torch.nan, found.covariance),
        outcome=torch.where(taken, int(Outcome.AGREED), found.outcome),
    )
    return merged, torch.where(taken, learned.confidence.clamp(LEAST_CONFIDENCE, 1.0), 0.0)


def _pixels_per_metre(
    cameras: CameraTensors, px: Float[Tensor, "T P J C 2"], weight: Float[Tensor, "T P J C"]
) -> Float[Tensor, "T P C"]:
    """Focal length over the subject's distance, in every camera and frame.

    The distance is the median over the body of plain linear points: rough is good enough. Frames without take their
    neighbours'; someone who is never seen by two views gets the middle between the cameras, and no points anyway.
    """
    rough = triangulate_dlt(cameras, px, weight)
    centre = rough.nanmedian(dim=2).values.numpy()
    middle = cameras.centers.mean(0).numpy()
    for person in range(centre.shape[1]):
        centre[:, person] = _filled(centre[:, person], middle)
    depth = (torch.from_numpy(centre)[:, :, None] - cameras.centers).norm(dim=-1)
    focal = (cameras.K[:, 0, 0] * cameras.K[:, 1, 1]).sqrt()
    return focal / depth


def _filled(track: Float[np.ndarray, "T 3"], otherwise: Float[np.ndarray, "3"]) -> Float[np.ndarray, "T 3"]:
    known = np.flatnonzero(np.isfinite(track[:, 0]))
    if not len(known):
        return np.broadcast_to(otherwise, track.shape)
    return np.stack([np.interp(np.arange(len(track)), known, axis) for axis in track[known].T], axis=-1)


def _points(
    points: Keypoints2D, found: Triangulated, weight: Float[Tensor, "T P J C"], enough: Bool[Tensor, "T P J"]
) -> Keypoints3D:
    """Confidence: the mean of the views that agree, times their share of the confidence of all that saw the point."""
    used = found.used & enough[..., None]
    n_views = used.sum(-1)
    agreeing, seen = (weight * used).sum(-1), torch.where(found.error_px.isnan(), 0.0, weight).sum(-1)
    confidence = agreeing / n_views.clamp(min=1) * agreeing / torch.where(seen > 0, seen, 1.0)
    confidence = torch.where(enough, confidence.clamp(LEAST_CONFIDENCE, 1.0), 0.0)
    error = torch.where(used, found.error_px, 0.0).sum(-1) / n_views.clamp(min=1)
    return Keypoints3D(
        keypoint_set=points.keypoint_set,
        xyz=torch.where(enough[..., None], found.xyz, torch.nan).numpy(),
        confidence=confidence.numpy(),
        reprojection_px=torch.where(enough & (n_views > 0), error, torch.nan).numpy(),
        n_views=n_views.numpy(),
        fps=points.fps,
    )


def _report(
    points: Keypoints2D,
    found: Triangulated,
    enough: Bool[np.ndarray, "T P J"],
    config: TriangulateConfig,
    answered: _Answered,
) -> TriangulateReport:
    error = np.where(enough[..., None], found.error_px.numpy(), np.nan)
    dropped = np.isfinite(error) & ~found.used.numpy()
    keypoint_set = points.keypoint_set
    body = keypoint_set.indices(keypoint_set.body or keypoint_set.names)
    outcome = found.outcome.numpy()
    views = {name: _view_fit(error[..., c], dropped[..., c]) for c, name in enumerate(points.cameras)}
    share = _learned_share(answered, enough)
    by_robust = config.method == "robust" or answered.refused is not None
    return TriangulateReport(
        method=f"robust ({config.kernel})" if by_robust else config.method,
        median_body_px=_percentile(error[:, :, body], 50.0),
        p95_body_px=_percentile(error[:, :, body], 95.0),
        cameras=views,
        keypoints={
            name: KeypointFit(median_px=_percentile(error[:, :, j], 50.0), lost=float((~enough[:, :, j]).mean()))
            for j, name in enumerate(keypoint_set.names)
        },
        points=int(enough.sum()),
        unseen=int((outcome == Outcome.TOO_FEW_VIEWS).sum()),
        lost_views_disagree=int(((outcome == Outcome.VIEWS_DISAGREE) | (outcome == Outcome.AGREED) & ~enough).sum()),
        lost_parallel_rays=int((outcome == Outcome.PARALLEL_RAYS).sum()),
        frames_without_points=int((~enough.any((1, 2))).sum()),
        learned=share,
        sentences=(*_sentences(views), *_learned_sentences(config.method, answered.refused, share)),
    )


def _learned_share(answered: _Answered, enough: Bool[np.ndarray, "T P J"]) -> LearnedShare | None:
    if answered.points is None or answered.sure is None:
        return None
    count = {answer: int((answered.points.answer == int(answer)).sum()) for answer in Answer}
    given = answered.sure.numpy() > 0
    return LearnedShare(
        frames=int(answered.points.answer.numel()),
        asked=count[Answer.GIVEN],
        points=int(given.sum()),
        points_from_robust=int((enough & ~given).sum()),
        few_views=count[Answer.FEW_VIEWS],
        small=count[Answer.SMALL],
        no_place=count[Answer.NO_PLACE],
        outside=count[Answer.OUTSIDE],
    )


def _learned_sentences(method: str, refused: str | None, share: LearnedShare | None) -> tuple[str, ...]:
    """Why the robust method stood in, for the take or in some frames."""
    if refused is not None:
        return (f"the {method} method was not used, the robust one was: {refused}",)
    if share is None or share.asked == share.frames:
        return ()
    reasons = {
        "fewer than two views show the subject": share.few_views,
        "the subject is too small in all views but one": share.small,
        "nobody knows roughly where the subject is": share.no_place,
        "it puts the subject outside the cube around it": share.outside,
    }
    told = ", ".join(f"{reason} ({count})" for reason, count in reasons.items() if count)
    return (f"in {share.frames - share.asked} of {share.frames} frames the {method} method was not used: {told}",)


def _view_fit(error: Float[np.ndarray, "T P J"], dropped: Bool[np.ndarray, "T P J"]) -> ViewFit:
    seen = int(np.isfinite(error).sum())
    share = float(dropped.sum()) / seen if seen else 0.0
    return ViewFit(median_px=_percentile(error, 50.0), p95_px=_percentile(error, 95.0), seen=seen, dropped=share)


def _percentile(values: Float[np.ndarray, "*batch"], percent: float) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.percentile(known, percent)) if len(known) else None


def _sentences(views: dict[str, ViewFit]) -> tuple[str, ...]:
    """Cameras that stand out: their calibration has moved, or their clock is off."""
    medians = {name: view.median_px for name, view in views.items() if view.median_px is not None}
    told = []
    for name, median in medians.items():
        others = [value for other, value in medians.items() if other != name]
        if len(others) >= 2 and median > 3 * float(np.median(others)) and median > 5:
            told.append(
                f"{name} is {median:.0f} px off where the other cameras are {float(np.median(others)):.0f} px off: "
                "it may have moved since the calibration, or started at another moment"
            )
    told += [
        f"{name} disagrees about {view.dropped:.0%} of what it shows"
        for name, view in views.items()
        if view.dropped > 0.3
    ]
    return tuple(told)
