"""From keypoints in all views to points in space: robust over views, undistortion inside, a reason for what is missing.

Limits are given in millimetres at the subject and turned into pixels per camera and frame by its distance: the noise
of 2D networks grows with the size of the person in the image, and so must what is allowed.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from calibration.camera import Rig
from mocap.core.config import Config, Report
from mocap.core.errors import InputError, NoPersonError
from mocap.core.keypoints import Keypoints2D, Keypoints3D
from mocap.geometry.projection import CameraTensors, camera_tensors
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

LEAST_CONFIDENCE = 1e-3
"""Of a point that is there; 0 means missing."""


class TriangulateConfig(Config):
    """How views become points.

    method: "dlt" (linear, all views alike), "ransac" (the pair of views most others agree with, then least squares over
    those) or "robust" (the best pair, then all views under `kernel`, which bends at `noise_mm`). max_error_mm: a view
    farther off, measured at the subject's distance, does not agree. min_views: points on which fewer views agree are
    missing. min_confidence: keypoints below it are not used.
    """

    method: Literal["dlt", "ransac", "robust"] = "robust"
    kernel: Kernel = "cauchy"
    noise_mm: float = Field(default=16.0, gt=0)
    max_error_mm: float = Field(default=90.0, gt=0)
    min_views: int = Field(default=2, ge=2)
    min_confidence: float = Field(default=0.0, ge=0, le=1)


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
    sentences: tuple[str, ...]


def triangulate(points: Keypoints2D, rig: Rig, config: TriangulateConfig) -> tuple[Keypoints3D, TriangulateReport]:
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
    enough = found.used.sum(-1) >= config.min_views
    result = _points(points, found, weight, enough)
    if not np.isfinite(result.xyz).any():
        raise NoPersonError(
            "no keypoint is seen alike by two cameras",
            remedy="Check that the calibration belongs to these videos and that they start at the same moment.",
        )
    return result, _report(points, found, enough.numpy(), config)


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
        reprojection_px=torch.where(enough, error, torch.nan).numpy(),
        n_views=n_views.numpy(),
        fps=points.fps,
    )


def _report(
    points: Keypoints2D, found: Triangulated, enough: Bool[np.ndarray, "T P J"], config: TriangulateConfig
) -> TriangulateReport:
    error = np.where(enough[..., None], found.error_px.numpy(), np.nan)
    dropped = np.isfinite(error) & ~found.used.numpy()
    keypoint_set = points.keypoint_set
    body = keypoint_set.indices(keypoint_set.body or keypoint_set.names)
    outcome = found.outcome.numpy()
    views = {name: _view_fit(error[..., c], dropped[..., c]) for c, name in enumerate(points.cameras)}
    return TriangulateReport(
        method=config.method if config.method != "robust" else f"robust ({config.kernel})",
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
        sentences=_sentences(views),
    )


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
