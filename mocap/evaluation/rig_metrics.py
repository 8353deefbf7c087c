"""A calibrated rig against the true one, camera by camera and by what both say about points in the working volume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Intrinsics, Rig
from calibration.transforms import RigidTransform, nearest_rotation
from calibration.triangulation import triangulate_dlt
from mocap.core.config import Config, Report
from mocap.core.errors import InputError
from mocap.evaluation.alignment import fit_similarity
from mocap.evaluation.distribution import Distribution, distribution, number

GRID = (33, 21)
"""Pixels across and down at which two lenses are compared; the corners are among them."""

THIN = 0.1
"""Cameras whose centres spread less than this share of their length aside stand on a line: an error of 10 mm in one of
them would turn the rig by more than its own orientations are off."""


class RigAlignment(StrEnum):
    """How the found rig is put into the true world first.

    none: both have the same world. rigid: a rotation and a translation. similarity: and a scale, as for a calibration
    without a measured length.
    """

    NONE = "none"
    RIGID = "rigid"
    SIMILARITY = "similarity"


class WorkingVolume(Config):
    """A box of the world (m) and how many points along each of its sides."""

    low_m: tuple[float, float, float] = (-1.0, -1.0, 0.0)
    high_m: tuple[float, float, float] = (1.0, 1.0, 2.0)
    points: tuple[int, int, int] = (7, 7, 7)


class CameraError(Report):
    """One camera after alignment. Signed figures are found less true.

    position_mm: between optical centres. rotation_deg: geodesic angle. focal_percent: of fx and fy. principal_point_px:
    distance. distortion_px: largest shift over the image if the true camera had the found distortion; lens_px: if it
    had the found intrinsics altogether. reprojection_px: points of the volume in the true image, found pixel against
    true one.
    """

    position_mm: float
    rotation_deg: float
    focal_percent: tuple[float, float]
    principal_point_px: float
    distortion_px: float | None
    lens_px: float | None
    reprojection_px: Distribution


class RigReport(Report):
    """fitted_on: "centres" or, where these do not fix the rotation, "orientations"; "nothing" without alignment.

    scale_percent: by how much the found rig is too large, from the camera centres whatever the alignment; None where
    there is no distance between them. triangulation_mm: points of the volume that at least two cameras see, projected
    by the true rig and triangulated by the found one, against where they are.
    """

    alignment: RigAlignment
    fitted_on: str
    cameras: dict[str, CameraError]
    position_mm: Distribution
    rotation_deg: Distribution
    reprojection_px: Distribution
    triangulation_mm: Distribution
    scale_percent: float | None
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class WorldTransform:
    """true_from_found: x_true = scale * R @ x_found + t, and what it was fitted on."""

    scale: float
    R: Float[np.ndarray, "3 3"]
    t: Float[np.ndarray, "3"]
    fitted_on: str

    def apply_to(self, camera: Camera) -> Camera:
        """The camera in the true world: the same pixels of points that are moved with it."""
        R = camera.cam_from_world.R @ self.R.T
        center = self.scale * self.R @ camera.center + self.t
        return replace(camera, cam_from_world=RigidTransform(R, -R @ center))


def volume_points(volume: WorkingVolume | None = None) -> Float[np.ndarray, "N 3"]:
    """A regular grid over the volume, its corners included, m."""
    volume = volume or WorkingVolume()
    axes = [np.linspace(*side) for side in zip(volume.low_m, volume.high_m, volume.points, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


def align_rigs(found: Rig, true: Rig, alignment: RigAlignment = RigAlignment.SIMILARITY) -> WorldTransform:
    """From the cameras that both have, by name.

    Least squares on the optical centres (Umeyama 1991). Where these do not fix the rotation (fewer than three, or
    THIN), the rotation nearest to those of all cameras (chordal mean, Hartley et al. 2013), then scale and translation
    on the centres; scale 1 for a single camera.
    """
    names = _shared_names(found, true)
    if alignment is RigAlignment.NONE:
        return WorldTransform(1.0, np.eye(3), np.zeros(3), "nothing")
    a, b = found.subset(names), true.subset(names)
    fitted = fit_similarity(a.centers, b.centers, scale=alignment is RigAlignment.SIMILARITY)
    length, width, *_ = np.linalg.svd(b.centers - b.centers.mean(0), compute_uv=False).tolist() + [0.0]
    if fitted.determined and width >= THIN * length:
        return WorldTransform(float(fitted.scale), fitted.R, fitted.t, "centres")
    turns = [true[n].cam_from_world.R.T @ found[n].cam_from_world.R for n in names]
    R = nearest_rotation(np.sum(turns, axis=0))
    source, target = a.centers - a.centers.mean(0), b.centers - b.centers.mean(0)
    extent = float((source**2).sum())
    scale = float(((source @ R.T) * target).sum() / extent) if alignment is RigAlignment.SIMILARITY and extent else 1.0
    if scale <= 0:
        raise InputError("the cameras' orientations and places contradict each other: no scale fits")
    return WorldTransform(scale, R, b.centers.mean(0) - scale * R @ a.centers.mean(0), "orientations")


def rig_report(
    found: Rig,
    true: Rig,
    *,
    alignment: RigAlignment = RigAlignment.SIMILARITY,
    points: Float[np.ndarray, "N 3"] | None = None,
) -> RigReport:
    """All figures over the cameras that both have, by name. points: true world, m; by default `volume_points()`."""
    names = _shared_names(found, true)
    transform = align_rigs(found, true, alignment)
    moved = Rig(tuple(transform.apply_to(found[name]) for name in names))
    truth = true.subset(names)
    points = volume_points() if points is None else points
    px = _in_image(truth, truth.project(points))
    reprojection = np.linalg.norm(moved.project(points) - px, axis=-1)
    cameras = {
        name: _camera_error(moved[name], truth[name], distribution(reprojection[i])) for i, name in enumerate(names)
    }
    return RigReport(
        alignment=alignment,
        fitted_on=transform.fitted_on,
        cameras=cameras,
        position_mm=distribution(np.array([c.position_mm for c in cameras.values()])),
        rotation_deg=distribution(np.array([c.rotation_deg for c in cameras.values()])),
        reprojection_px=distribution(reprojection),
        triangulation_mm=_triangulation_mm(moved, points, px),
        scale_percent=_scale_percent(found.subset(names), truth),
        missing=tuple(name for name in true.names if name not in names),
        surplus=tuple(name for name in found.names if name not in names),
    )


def lens_shift_px(found: Intrinsics, true: Intrinsics) -> Float[np.ndarray, "H W"]:
    """Over a grid of the image: where the found lens puts the ray that the true lens puts there, px; NaN for none."""
    if found.image_size != true.image_size:
        raise InputError(
            "images of {} x {} px against {} x {} px of the truth".format(*found.image_size, *true.image_size),
            remedy="Bring the intrinsics to the same size with `resized` first.",
        )
    width, height = true.image_size
    x, y = np.meshgrid(np.linspace(0, width - 1, GRID[0]), np.linspace(0, height - 1, GRID[1]))
    px = np.stack([x, y], axis=-1)
    return np.linalg.norm(found.project(true.ray(px)) - px, axis=-1)


def _shared_names(found: Rig, true: Rig) -> tuple[str, ...]:
    names = tuple(name for name in true.names if name in found.names)
    if not names:
        raise InputError(
            f"no camera is in both rigs: {', '.join(found.names)} and {', '.join(true.names)}",
            remedy="Cameras are compared by name; rename those of one rig.",
        )
    return names


def _camera_error(found: Camera, true: Camera, reprojection: Distribution) -> CameraError:
    K, true_K = found.intrinsics.K, true.intrinsics.K
    turn = RigidTransform(found.cam_from_world.R @ true.cam_from_world.R.T, np.zeros(3))
    focal = 100 * (np.diag(K)[:2] / np.diag(true_K)[:2] - 1)
    return CameraError(
        position_mm=float(1000 * np.linalg.norm(found.center - true.center)),
        rotation_deg=float(np.rad2deg(np.linalg.norm(turn.rotvec))),
        focal_percent=(float(focal[0]), float(focal[1])),
        principal_point_px=float(np.linalg.norm(K[:2, 2] - true_K[:2, 2])),
        distortion_px=_largest(lens_shift_px(replace(found.intrinsics, K=true_K), true.intrinsics)),
        lens_px=_largest(lens_shift_px(found.intrinsics, true.intrinsics)),
        reprojection_px=reprojection,
    )


def _largest(values: Float[np.ndarray, "H W"]) -> float | None:
    return number(np.asarray(values[np.isfinite(values)].max(initial=-np.inf)))


def _in_image(rig: Rig, px: Float[np.ndarray, "C N 2"]) -> Float[np.ndarray, "C N 2"]:
    """NaN for pixels outside of their image."""
    size = np.array([camera.intrinsics.image_size for camera in rig], dtype=np.float64)[:, None]
    inside = np.all((px >= -0.5) & (px <= size - 0.5), axis=-1, keepdims=True)
    return np.where(inside, px, np.nan)


def _triangulation_mm(found: Rig, points: Float[np.ndarray, "N 3"], px: Float[np.ndarray, "C N 2"]) -> Distribution:
    seen_twice = np.isfinite(px).all(-1).sum(0) >= 2
    again = triangulate_dlt(found, np.moveaxis(px, 0, -2))
    error = 1000 * np.linalg.norm(again - points, axis=-1)
    return distribution(np.where(seen_twice, error, np.nan), seen_twice)


def _scale_percent(found: Rig, true: Rig) -> float | None:
    """From the extents of the centres about their mean, which no rotation changes."""
    extents = [float(np.linalg.norm(rig.centers - rig.centers.mean(0))) for rig in (found, true)]
    return 100 * (extents[0] / extents[1] - 1) if extents[1] > 0 else None
