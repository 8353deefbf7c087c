"""Points in several views as rays: what a check of cameras computes with, free of lenses.

A view of a point is the unit ray of its pixel in camera axes and a (2, 3) matrix that turns another direction nearby
into pixels away from it. Errors are in pixels of the distorted picture to first order, for every lens, beyond 90° too.
Leading letters: P points, C cameras.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from calibration.board_motion import rotvecs_to_matrices
from calibration.camera import Camera, Intrinsics, Rig
from calibration.transforms import RigidTransform
from calibration.triangulation import triangulate_dlt

RAY_STEP = 1e-5
"""Rad: half the base of the central differences of a lens; their error is 1e-10 of its curvature."""


@dataclass(frozen=True, eq=False)
class Sights:
    """px: as seen, NaN where not. ray: unit, camera axes. px_per_ray @ direction: px from that pixel; 0 where unseen.
    weight: 0 where unseen. frame, joint: which point it is."""

    px: Float[np.ndarray, "P C 2"]
    ray: Float[np.ndarray, "P C 3"]
    px_per_ray: Float[np.ndarray, "P C 2 3"]
    weight: Float[np.ndarray, "P C"]
    frame: Int[np.ndarray, "P"]
    joint: Int[np.ndarray, "P"]

    def __len__(self) -> int:
        return len(self.frame)

    def without(self, camera: int) -> Sights:
        """The same points, unseen by one camera."""
        weight = self.weight.copy()
        weight[:, camera] = 0.0
        return replace(self, weight=weight)

    def of(self, keep: np.ndarray) -> Sights:
        """Some points (mask or indices)."""
        names = ("px", "ray", "px_per_ray", "weight", "frame", "joint")
        return Sights(**{name: getattr(self, name)[keep] for name in names})

    def of_camera(self, camera: int) -> Sights:
        """All points, one camera."""
        names, only = ("px", "ray", "px_per_ray", "weight"), slice(camera, camera + 1)
        return replace(self, **{name: getattr(self, name)[:, only] for name in names})


@dataclass(frozen=True, eq=False)
class Poses:
    """R: cam_from_world; center: world, m."""

    R: Float[np.ndarray, "C 3 3"]
    center: Float[np.ndarray, "C 3"]

    @staticmethod
    def of_rig(rig: Rig) -> Poses:
        return Poses(np.stack([camera.cam_from_world.R for camera in rig]), rig.centers)

    def moved(self, camera: int, step: Float[np.ndarray, "6"]) -> Poses:
        """One camera turned by exp(step[:3]) (its own axes, rad) and carried by step[3:] (world, m)."""
        turned = rotvecs_to_matrices(step[:3]) @ self.R[camera]
        return self.with_pose(camera, turned, self.center[camera] + step[3:])

    def with_pose(self, camera: int, R: Float[np.ndarray, "3 3"], center: Float[np.ndarray, "3"]) -> Poses:
        """One camera somewhere else."""
        every_R, every_center = self.R.copy(), self.center.copy()
        every_R[camera], every_center[camera] = R, center
        return Poses(every_R, every_center)

    def of_camera(self, camera: int) -> Poses:
        """That camera alone."""
        return Poses(self.R[camera : camera + 1], self.center[camera : camera + 1])

    def camera(self, rig: Rig, index: int) -> Camera:
        """A camera of the rig at its place here."""
        R = self.R[index]
        return replace(rig.cameras[index], cam_from_world=RigidTransform(R, -R @ self.center[index]))


def sights_of(rig: Rig, px: Float[np.ndarray, "T C J 2"], weight: Float[np.ndarray, "T C J"]) -> Sights:
    """Every point that two cameras see at least, frame by frame."""
    flat = np.moveaxis(px, 2, 1).reshape(-1, len(rig), 2).astype(np.float64)
    weights = np.moveaxis(weight, 2, 1).reshape(-1, len(rig)).astype(np.float64)
    frame, joint = np.divmod(np.arange(len(flat)), px.shape[2])
    weights = np.where(np.isfinite(flat).all(axis=-1) & (weights > 0), weights, 0.0)
    several = (weights > 0).sum(axis=1) >= 2
    flat, weights, frame, joint = flat[several], weights[several], frame[several], joint[several]
    ray, px_per_ray = np.empty((*weights.shape, 3)), np.empty((*weights.shape, 2, 3))
    for c, camera in enumerate(rig):
        ray[:, c], px_per_ray[:, c] = _linearised(camera.intrinsics, flat[:, c])
    imaged = np.isfinite(ray).all(axis=-1) & np.isfinite(px_per_ray).all(axis=(-1, -2)) & (weights > 0)
    sights = Sights(
        px=flat,
        ray=np.where(imaged[..., None], ray, 0.0),
        px_per_ray=np.where(imaged[..., None, None], px_per_ray, 0.0),
        weight=np.where(imaged, weights, 0.0),
        frame=frame,
        joint=joint,
    )
    return sights.of(imaged.sum(axis=1) >= 2)


def _linearised(lens: Intrinsics, px: Float[np.ndarray, "P 2"]) -> tuple[np.ndarray, np.ndarray]:
    """Rays (P, 3) and px per direction (P, 2, 3), by central differences across the ray."""
    ray = lens.ray(px)
    least = np.eye(3)[np.argmin(np.nan_to_num(np.abs(ray)), axis=-1)]
    one = np.cross(ray, least)
    one /= np.linalg.norm(one, axis=-1, keepdims=True)
    across = np.stack([one, np.cross(ray, one)], axis=-2)
    ahead = lens.project(ray[:, None] + RAY_STEP * across)
    behind = lens.project(ray[:, None] - RAY_STEP * across)
    slope = (ahead - behind) / (2 * RAY_STEP)
    return ray, np.einsum("pka,pkb->pab", slope, across)


def directions(poses: Poses, points: Float[np.ndarray, "P 3"]) -> tuple[np.ndarray, np.ndarray]:
    """Unit directions (P, C, 3) of points in camera axes, and their distances (P, C), m."""
    away = points[:, None] - poses.center
    distance = np.maximum(np.linalg.norm(away, axis=-1), 1e-9)
    return _each(poses.R, away / distance[..., None]), distance


def _each(matrix: Float[np.ndarray, "*some i j"], vector: Float[np.ndarray, "*all j"]) -> Float[np.ndarray, "*all i"]:
    return (matrix @ vector[..., None])[..., 0]


def errors_px(sights: Sights, poses: Poses, points: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, "P C 2"]:
    """From where a point was seen to where it should be; zero where unseen. What lies behind a camera is as far off as
    what lies across its view."""
    there, _ = directions(poses, points)
    ahead = (there * sights.ray).sum(axis=-1) > 0
    error = _each(sights.px_per_ray, there)
    across = np.linalg.norm(sights.px_per_ray, axis=(-1, -2))
    return np.where(ahead[..., None], error, np.stack([across, 0 * across], axis=-1))


def first_points(rig: Rig, poses: Poses, sights: Sights) -> Float[np.ndarray, "P 3"]:
    """Linear points from all views with weight; NaN where there are not two with some parallax."""
    there = Rig(tuple(poses.camera(rig, i) for i in range(len(rig))))
    px = np.where((sights.weight > 0)[..., None], sights.px, np.nan)
    return triangulate_dlt(there, px, sights.weight)
