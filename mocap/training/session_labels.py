"""Your own sessions as a data set: where all cameras agree on a keypoint, its projection is a label for each of them.

A network that is wrong in one view is rarely wrong by the same point in space in the others. So a keypoint becomes a
label where at least `min_views` views have seen it and every one of them lies within `agree_mm` of their common point
(the best pair of views, then least squares over those that agree with it). The label is the point's projection, through
the lens, which is steadier than any view's own answer. Where one view disagrees, nobody knows who is right: the
keypoint is masked in all views of that frame. Views that have not seen an agreed keypoint learn it as hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field

from calibration.camera import Rig
from mocap.core.config import Config, Report
from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints2D, KeypointSet
from mocap.geometry.projection import camera_tensors
from mocap.geometry.threads import one_thread
from mocap.geometry.triangulation import triangulate_dlt, triangulate_ransac
from mocap.training.datasets.labelled_people import HIDDEN, SEEN, UNLABELLED

MM_PER_M = 1000.0
PAIR_SLACK = 2.0
"""The point between two views is noisier than that of all, which then decides."""


class SessionLabelConfig(Config):
    """min_views: that have seen a keypoint and agree. agree_mm: how far off a view may be, at the keypoint's distance.

    min_confidence: below it a view has not seen a keypoint.
    least_share: of a person's keypoints in a frame that must be agreed on, else the person may be somebody else and
    nothing is. every: n-th frame only; frames next to each other teach little new. least_keypoints: labels of a person
    in a view that make it a sample.
    """

    min_views: int = Field(default=3, ge=2)
    agree_mm: float = Field(default=50.0, gt=0)
    min_confidence: float = Field(default=0.3, ge=0, le=1)
    least_share: float = Field(default=0.4, ge=0, le=1)
    every: int = Field(default=3, ge=1)
    least_keypoints: int = Field(default=8, ge=1)


class SessionLabelReport(Report):
    """Of keypoints that at least `min_views` views have seen: the share agreed on, by keypoint too. samples: people in
    views with enough labels. shift_px: median distance of labels from what their view had said."""

    candidates: int
    agreed: float | None
    agreed_by_keypoint: dict[str, float | None]
    samples: int
    shift_px: float | None


@dataclass(frozen=True, eq=False)
class SessionLabels:
    """xy: px of the videos, through the lens; NaN where masked. visibility: COCO's flags, by `UNLABELLED`, `HIDDEN` and
    `SEEN`. box: x0 y0 x1 y1 px around all of a person's points, NaN without any. samples: (frame, person, camera).
    """

    cameras: tuple[str, ...]
    keypoint_set: KeypointSet
    xy: Float[np.ndarray, "T P C K 2"]
    visibility: Int[np.ndarray, "T P C K"]
    box: Float[np.ndarray, "T P C 4"]
    samples: Int[np.ndarray, "N 3"]


def session_labels(
    points: Keypoints2D, rig: Rig, config: SessionLabelConfig
) -> tuple[SessionLabels, SessionLabelReport]:
    """Labels of every frame and view from the associated keypoints of a take and its rig."""
    cameras = rig.subset(points.cameras)
    if len(cameras) < config.min_views:
        raise InputError(
            f"{len(cameras)} cameras; labels need {config.min_views} that agree",
            remedy="Use a take with more cameras, or lower min_views (two views agree by chance more often).",
        )
    seen = np.isfinite(points.xy).all(-1) & (points.confidence >= config.min_confidence)
    xyz, error_mm = _points(points, cameras, seen, config)
    candidates = np.asarray((seen.sum(2) >= config.min_views) & np.isfinite(xyz).all(-1))
    agreed = np.asarray(candidates & np.where(seen, error_mm <= config.agree_mm, True).all(2))
    needed = config.least_share * np.maximum(candidates.sum(-1, keepdims=True), 1)
    labelled = np.expand_dims(agreed & (agreed.sum(-1, keepdims=True) >= needed), 2)
    px = np.moveaxis(cameras.project(xyz), 0, 2)
    sizes = np.array([camera.intrinsics.image_size for camera in cameras], dtype=np.float64)[:, None]
    inside = np.asarray(((px > -0.5) & (px < sizes - 0.5)).all(-1))
    shown = labelled & inside
    visibility = np.where(shown, np.where(seen, SEEN, HIDDEN), UNLABELLED)
    labels = SessionLabels(
        cameras=points.cameras,
        keypoint_set=points.keypoint_set,
        xy=np.where(shown[..., None], px, np.nan),
        visibility=visibility,
        box=_boxes(np.where(inside[..., None], px, np.nan)),
        samples=_samples(visibility, config),
    )
    return labels, _report(points, labels, candidates, agreed)


def _points(
    points: Keypoints2D, cameras: Rig, seen: Bool[np.ndarray, "T P C K"], config: SessionLabelConfig
) -> tuple[Float[np.ndarray, "T P K 3"], Float[np.ndarray, "T P C K"]]:
    """Common points (m), and how far each view is from them in its own plane through the point (mm)."""
    px = torch.tensor(np.swapaxes(points.xy, 2, 3))
    weight = torch.tensor(np.swapaxes(np.where(seen, points.confidence, 0.0), 2, 3))
    tensors = camera_tensors(cameras)
    focal = (tensors.K[:, 0, 0] * tensors.K[:, 1, 1]).sqrt()
    with one_thread():
        rough = triangulate_dlt(tensors, px, weight).nanmedian(dim=2).values
        rough = torch.where(rough.isnan(), tensors.centers.mean(0), rough)
        px_per_mm = focal / (rough[..., None, :] - tensors.centers).norm(dim=-1) / MM_PER_M
        per_view = px_per_mm[:, :, None].expand_as(weight)
        found = triangulate_ransac(tensors, px, weight, inlier_px=PAIR_SLACK * config.agree_mm * per_view)
        distance = (found.xyz[..., None, :] - tensors.centers).norm(dim=-1)
        error_mm = found.error_px * distance / focal * MM_PER_M
    return found.xyz.numpy(), np.swapaxes(error_mm.numpy(), 2, 3)


def _boxes(px: Float[np.ndarray, "T P C K 2"]) -> Float[np.ndarray, "T P C 4"]:
    """Around what is known, at least 2 px a side."""
    low, high = np.fmin.reduce(px, axis=-2), np.fmax.reduce(px, axis=-2)
    grown = np.maximum(2.0 - (high - low), 0.0) / 2
    return np.concatenate([low - grown, high + grown], axis=-1)


def _samples(visibility: Int[np.ndarray, "T P C K"], config: SessionLabelConfig) -> Int[np.ndarray, "N 3"]:
    enough = (visibility > UNLABELLED).sum(-1) >= config.least_keypoints
    enough &= (np.arange(len(visibility)) % config.every == 0)[:, None, None]
    return np.argwhere(enough)


def _report(
    points: Keypoints2D,
    labels: SessionLabels,
    candidates: Bool[np.ndarray, "T P K"],
    agreed: Bool[np.ndarray, "T P K"],
) -> SessionLabelReport:
    shift = np.linalg.norm(labels.xy - points.xy, axis=-1)[labels.visibility == SEEN]
    counts, agreements = candidates.sum((0, 1)), agreed.sum((0, 1))
    shares = {
        name: float(agreements[k] / counts[k]) if counts[k] else None
        for k, name in enumerate(points.keypoint_set.names)
    }
    return SessionLabelReport(
        candidates=int(candidates.sum()),
        agreed=float(agreed.sum() / candidates.sum()) if candidates.any() else None,
        agreed_by_keypoint=shares,
        samples=len(labels.samples),
        shift_px=float(np.median(shift)) if len(shift) else None,
    )
