"""Samples of keypoint-only truth as networks of heatmaps see them: undistorted maps around a person, and matrices.

The heatmaps of `mocap.synthetic.samples` lie over distorted pictures. These are drawn straight into a pinhole camera
that looks at the person from the same place, which is what becomes of real heatmaps before they are lifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.geometry.projection import CameraTensors, normalise
from mocap.synthetic.camera_batch import CameraBatch
from mocap.synthetic.capsules import inside_image
from mocap.synthetic.heatmaps import HeatmapConfig, Sighted, make_heatmaps, person_boxes, rivals_of
from mocap.synthetic.samples import SampleBlock

UNITS = 1000.0
"""Of the pinhole camera's picture, per unit of its plane: boxes are never smaller than some pixels."""
LEAST_AHEAD = 0.2
"""Cosine between a ray and the camera's axis."""
ELSEWHERE = 0.3
"""Share of second peaks that are neither of the twin nor of another person."""
ELSEWHERE_REACH = 0.2
"""Their spread, in sizes of the box."""


@dataclass(frozen=True, eq=False)
class DrawnViews:
    """heatmaps in cells that projections map world m to. seen: which views have the person at all. truth: m, NaN for
    keypoints that a body lacks. center, side: of a cube about the person, as a first triangulation would give them."""

    heatmaps: Float[Tensor, "N C K H W"]
    projections: Float[Tensor, "N C 3 4"]
    seen: Bool[Tensor, "N C"]
    center: Float[Tensor, "N 3"]
    side: Float[Tensor, "N"]
    truth: Float[Tensor, "N K 3"]


def drawn_views(
    block: SampleBlock,
    config: HeatmapConfig,
    rng: np.random.Generator,
    *,
    mirror: np.ndarray,
    cube_jitter_m: float = 0.04,
) -> DrawnViews:
    """A block of samples without heatmaps as drawn ones. mirror: the twin of every keypoint."""
    inside = inside_image(block.record.believed[:, 0], block.cameras.image_size[:, :, None])
    believed = np.where(inside[..., None], block.record.believed[:, 0], np.nan)
    lenses = flat_cameras(block.cameras)
    around = directions(lenses, believed)
    axes = _axes(around)
    boxes = person_boxes(_plane(around, axes), config, rng)
    in_cameras = block.xyz[:, None] @ np.swapaxes(block.cameras.R, -1, -2) + block.cameras.t[:, :, None]
    exact = _plane(in_cameras / np.linalg.norm(in_cameras, axis=-1, keepdims=True), axes)
    rivals = rivals_of(exact, mirror, None, rng)
    span = (boxes[..., 2] - boxes[..., 0])[..., None, None]
    away = exact + ELSEWHERE_REACH * span * rng.standard_normal(exact.shape)
    rivals = np.where(rng.random(rivals.shape[:-1])[..., None] < ELSEWHERE, away, rivals)
    xy = _plane(directions(lenses, block.xy), axes)
    confidence = np.where(np.isfinite(xy).all(-1), block.confidence, 0.0)
    heatmaps = make_heatmaps(Sighted(xy, confidence, boxes, rivals), config, rng)
    low, high = np.nanmin(block.xyz, axis=1), np.nanmax(block.xyz, axis=1)
    center = (low + high) / 2 + cube_jitter_m * rng.standard_normal((len(block), 3))
    return DrawnViews(
        heatmaps,
        torch.from_numpy(_matrices(block.cameras, axes, boxes, config.size)).float(),
        torch.from_numpy((confidence > 0).any(-1)),
        torch.from_numpy(center).float(),
        torch.from_numpy(1.3 * (high - low).max(-1)).float(),
        torch.from_numpy(block.xyz).float(),
    )


def flat_cameras(cameras: CameraBatch) -> CameraTensors:
    """All cameras of all rigs as one row, in camera axes: neither turned nor moved."""
    count = cameras.fisheye.size
    K = np.zeros((count, 3, 3))
    K[:, 0, 0], K[:, 1, 1] = cameras.focal.reshape(-1, 2).T
    K[:, :2, 2], K[:, 2, 2] = cameras.principal.reshape(-1, 2), 1.0
    distortion = np.zeros((count, 8))
    distortion[:, :5] = cameras.distortion.reshape(-1, 5)
    fisheye = cameras.fisheye.reshape(-1)
    return CameraTensors(
        R=torch.eye(3, dtype=torch.float64).expand(count, 3, 3),
        t=torch.zeros(count, 3, dtype=torch.float64),
        K=torch.from_numpy(K),
        distortion=torch.from_numpy(distortion),
        fisheye=torch.from_numpy(fisheye),
        image_size=torch.from_numpy(cameras.image_size.reshape(-1, 2)).double(),
        fold=torch.from_numpy(cameras.fold.reshape(-1)),
        has_brown=bool((~fisheye).any()),
        has_fisheye=bool(fisheye.any()),
    )


def directions(cameras: CameraTensors, px: Float[np.ndarray, "N C K 2"]) -> Float[np.ndarray, "N C K 3"]:
    """Unit vectors in camera axes of distorted px, N C cameras with K pixels each; NaN where there are none."""
    flat = px.reshape(-1, *px.shape[-2:])
    ideal = normalise(cameras, torch.from_numpy(np.ascontiguousarray(np.swapaxes(flat, 0, 1)))).numpy()
    ahead = np.swapaxes(np.concatenate([ideal, np.ones_like(ideal[..., :1])], axis=-1), 0, 1)
    ahead = ahead / np.linalg.norm(ahead, axis=-1, keepdims=True)
    return ahead.reshape(*px.shape[:-1], 3)


def _axes(around: Float[np.ndarray, "N C K 3"]) -> Float[np.ndarray, "N C 3 3"]:
    """Of pinhole cameras that look at the middle of what is seen, as upright as the real ones (rows, camera axes);
    straight ahead where nothing is seen."""
    ahead = np.nansum(around, axis=2)
    length = np.linalg.norm(ahead, axis=-1, keepdims=True)
    ahead = np.where(length > 0, ahead / np.where(length > 0, length, 1.0), [0.0, 0.0, 1.0])
    down = np.cross(ahead, [1.0, 0.0, 0.0])
    down = down / np.linalg.norm(down, axis=-1, keepdims=True)
    return np.stack([np.cross(down, ahead), down, ahead], axis=-2)


def _plane(rays: Float[np.ndarray, "N C K 3"], axes: Float[np.ndarray, "N C 3 3"]) -> Float[np.ndarray, "N C K 2"]:
    """Rays to the pictures of those pinhole cameras; NaN for what is far off their axes."""
    seen = rays @ np.swapaxes(axes, -1, -2)
    ahead = seen[..., 2:] > LEAST_AHEAD
    return UNITS * np.where(ahead, seen[..., :2] / np.where(ahead, seen[..., 2:], 1.0), np.nan)


def _matrices(
    cameras: CameraBatch,
    axes: Float[np.ndarray, "N C 3 3"],
    boxes: Float[np.ndarray, "N C 4"],
    size: tuple[int, int],
) -> Float[np.ndarray, "N C 3 4"]:
    """World m to cells of maps over the boxes."""
    scale = np.array(size) / (boxes[..., 2:] - boxes[..., :2])
    K = np.zeros((*boxes.shape[:-1], 3, 3))
    K[..., 0, 0], K[..., 1, 1] = UNITS * scale[..., 0], UNITS * scale[..., 1]
    K[..., :2, 2], K[..., 2, 2] = -boxes[..., :2] * scale - 0.5, 1.0
    return K @ axes @ np.concatenate([cameras.R, cameras.t[..., None]], axis=-1)
