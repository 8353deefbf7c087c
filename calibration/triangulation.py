"""Points from pixels of several cameras, in plain numpy: the reference for faster versions.

px (*batch, C, 2) are distorted pixels with the cameras in the order of the rig. A view with a NaN pixel, a pixel that
its lens does not image, or weight 0 has not seen the point.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Bool, Float

from calibration.camera import Rig
from calibration.errors import CalibrationError

MIN_PARALLAX = math.radians(0.5)
"""Rays closer to parallel fix no depth: at 0.5°, 1 px of a 1500 px focal length is 8 % of the distance."""


def triangulate_dlt(
    rig: Rig,
    px: Float[np.ndarray, "*batch C 2"],
    weight: Float[np.ndarray, "*batch C"] | None = None,
    *,
    min_parallax: float = MIN_PARALLAX,
) -> Float[np.ndarray, "*batch 3"]:
    """World points (m) of least weighted algebraic error (Hartley & Zisserman 2004, 12.2).

    With x, y the undistorted normalised pixel and r1 r2 r3 the rows of [R | t], a view contributes
    weight · ((fx (x r3 - r1) X)² + (fy (y r3 - r2) X)²). NaN where fewer than two views have seen the point or no two
    of their rays are `min_parallax` (rad) apart. A point may lie behind a camera when its pixels say so.
    """
    weight = np.ones(px.shape[:-1]) if weight is None else weight
    _check(rig, px, weight)
    xy, directions = _undistorted(rig, px)
    seen = np.logical_and(np.isfinite(xy).all(axis=-1), weight > 0)
    rows = _rows(rig, np.where(seen[..., None], xy, 0.0))
    rows = rows * np.sqrt(np.where(seen, weight, 0.0))[..., None, None]
    homogeneous = np.linalg.svd(rows.reshape(*rows.shape[:-3], -1, 4))[2][..., -1, :]
    solvable = _widest_parallax(directions, seen) >= min_parallax
    scale = np.where(solvable, homogeneous[..., 3], 1.0)
    return np.where(np.expand_dims(solvable, -1), homogeneous[..., :3] / scale[..., None], np.nan)


def reprojection_px(
    rig: Rig, points: Float[np.ndarray, "*batch 3"], px: Float[np.ndarray, "*batch C 2"]
) -> Float[np.ndarray, "*batch C"]:
    """Distance (px) of seen pixels to the images of `points`; NaN where either is missing."""
    return np.linalg.norm(np.moveaxis(rig.project(points), 0, -2) - px, axis=-1)


def _check(rig: Rig, px: np.ndarray, weight: np.ndarray) -> None:
    if px.shape[-2] != len(rig):
        raise CalibrationError(f"pixels of {px.shape[-2]} cameras for a rig of {len(rig)}")
    if np.isnan(weight).any() or (weight < 0).any():
        raise CalibrationError("weights must be numbers from zero upwards; a view that is missing has weight 0")


def _undistorted(
    rig: Rig, px: Float[np.ndarray, "*batch C 2"]
) -> tuple[Float[np.ndarray, "*batch C 2"], Float[np.ndarray, "*batch C 3"]]:
    """Normalised pinhole coordinates and unit ray directions in the world; NaN where a lens images no ray in front."""
    in_camera = np.stack([c.intrinsics.ray(px[..., i, :]) for i, c in enumerate(rig)], axis=-2)
    ahead = np.where(in_camera[..., 2:] > 0, in_camera, np.nan)
    directions = np.stack([ahead[..., i, :] @ c.cam_from_world.R for i, c in enumerate(rig)], axis=-2)
    return ahead[..., :2] / ahead[..., 2:], directions


def _rows(rig: Rig, xy: Float[np.ndarray, "*batch C 2"]) -> Float[np.ndarray, "*batch C 2 4"]:
    poses = np.stack([camera.cam_from_world.matrix[:3] for camera in rig])
    focal = np.stack([np.diag(camera.intrinsics.K)[:2] for camera in rig])
    return focal[..., None] * (xy[..., None] * poses[:, None, 2] - poses[:, :2])


def _widest_parallax(
    directions: Float[np.ndarray, "*batch C 3"], seen: Bool[np.ndarray, "*batch C"]
) -> Float[np.ndarray, "*batch"] | float:
    """Largest angle between two seen rays, rad; 0 where there are not two. Unlike acos, atan2 keeps small angles."""
    one, two = directions[..., :, None, :], directions[..., None, :, :]
    angle = np.arctan2(np.linalg.norm(np.cross(one, two), axis=-1), (one * two).sum(-1))
    both = seen[..., :, None] & seen[..., None, :]
    return np.where(both, angle, 0.0).max((-2, -1))
