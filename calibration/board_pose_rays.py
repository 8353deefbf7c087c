"""What corners say once their lenses are known: rays, and how pictures change with them.

Residuals are those of the picture to first order about the seen ray, which is exact enough for any residual that is no
outlier (a pixel of 1000 px focal length is a mrad), and needs no lens inside the loops that place boards and cameras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.camera import Intrinsics
from calibration.errors import CalibrationError
from calibration.observations import BoardObservations

FLAT = 1e-9
"""Metres out of the plane z = 0: more than rounding is no board."""


@dataclass(frozen=True, eq=False)
class CornerRays:
    """What corners say once their lenses are known, one row per view, padded: `mask` tells which slots hold one.

    point: (V, 3, S) m from the board's middle. ray: (V, 3, S) unit, camera axes. px_from_ray: (V, 3, 2, S), how far
    the picture's x and y move (px) with each component of the ray; slots come last because they are many. row: (V, S)
    the corner's row in the observations. middle: (3,) m, the board's middle in its own frame.
    """

    point: Float[np.ndarray, "V 3 S"]
    ray: Float[np.ndarray, "V 3 S"]
    px_from_ray: Float[np.ndarray, "V 3 2 S"]
    mask: Bool[np.ndarray, "V S"]
    row: Int[np.ndarray, "V S"]
    middle: Float[np.ndarray, "3"]

    def residual_px(
        self, R: Float[np.ndarray, "V 3 3"], center: Float[np.ndarray, "V 3"]
    ) -> Float[np.ndarray, "V 2 S"]:
        """Projected minus seen, to first order about the seen ray; inf behind it, 0 in empty slots."""
        return residuals(self, R, center)[0]

    def of(self, views: Int[np.ndarray, "W"] | Bool[np.ndarray, "V"]) -> CornerRays:
        """Some views, in this order."""
        return CornerRays(
            self.point[views],
            self.ray[views],
            self.px_from_ray[views],
            self.mask[views],
            self.row[views],
            self.middle,
        )


def corner_rays(observations: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> CornerRays:
    """Rays of all corners, gathered by view. Corners whose pixel no ray reaches are left out."""
    points = np.asarray(observations.points, dtype=np.float64)
    if np.abs(points[:, 2]).max(initial=0.0) > FLAT:
        raise CalibrationError("the board's points do not lie in its plane z = 0")
    ray, px_from_ray = _rays_of_corners(observations, intrinsics)
    usable = np.flatnonzero(np.isfinite(px_from_ray).all(axis=(-2, -1)))
    order = usable[np.argsort(observations.view[usable], kind="stable")]
    view = observations.view[order]
    count = np.bincount(view, minlength=observations.n_views)
    slot = np.arange(len(order)) - (np.cumsum(count) - count)[view]
    shape = (observations.n_views, int(count.max(initial=1)))
    row, mask = np.zeros(shape, dtype=int), np.zeros(shape, dtype=bool)
    row[view, slot], mask[view, slot] = order, True
    middle = points.mean(axis=0)

    def padded(values: np.ndarray) -> np.ndarray:
        table = np.zeros((*shape, *values.shape[1:]))
        table[view, slot] = values[order]
        return np.ascontiguousarray(np.moveaxis(table, 1, -1))

    seen_point = points[observations.corner] - middle
    return CornerRays(padded(seen_point), padded(ray), padded(px_from_ray), mask, row, middle)


def _rays_of_corners(
    observations: BoardObservations, intrinsics: Mapping[str, Intrinsics]
) -> tuple[Float[np.ndarray, "N 3"], Float[np.ndarray, "N 3 2"]]:
    ray = np.full((observations.n_corners, 3), np.nan)
    px_from_ray = np.full((observations.n_corners, 3, 2), np.nan)
    camera = observations.camera
    for index, name in enumerate(observations.cameras):
        mine = camera == index
        if mine.any():
            lens = lens_of(name, observations.image_sizes[index], intrinsics)
            ray[mine] = lens.ray(observations.xy[mine])
            px_from_ray[mine] = _px_from_ray(lens, ray[mine])
    return ray, px_from_ray


def lens_of(name: str, image_size: tuple[int, int], intrinsics: Mapping[str, Intrinsics]) -> Intrinsics:
    """The intrinsics of a camera, refused where they are missing or belong to pictures of another size."""
    if name not in intrinsics:
        raise CalibrationError(
            f"there are no intrinsics of camera {name}",
            remedy=f"Calibrate its lens first; there are {', '.join(intrinsics) or 'none at all'}.",
        )
    lens = intrinsics[name]
    if lens.image_size != image_size:
        raise CalibrationError(
            f"the intrinsics of camera {name} are for pictures of {lens.image_size}, these are of {image_size}",
            remedy="Resize or crop the intrinsics the way the pictures were.",
        )
    return lens


def _px_from_ray(lens: Intrinsics, ray: Float[np.ndarray, "N 3"]) -> Float[np.ndarray, "N 3 2"]:
    """Central differences of the projection along two directions across the ray; 1e-5 rad is exact to 1e-9."""
    step = 1e-5
    sideways = np.zeros_like(ray)
    np.put_along_axis(sideways, np.abs(ray).argmin(axis=1)[:, None], 1.0, axis=1)
    u = np.cross(ray, sideways)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    across = np.stack([u, np.cross(ray, u)], axis=1)
    stepped = ray[:, None, None] + step * np.array([1.0, -1.0])[:, None] * across[:, :, None]
    px = lens.project(stepped)
    return np.swapaxes(across, -1, -2) @ ((px[:, :, 0] - px[:, :, 1]) / (2 * step))


def residuals(
    rays: CornerRays, R: Float[np.ndarray, "V 3 3"], center: Float[np.ndarray, "V 3"]
) -> tuple[Float[np.ndarray, "V 2 S"], Float[np.ndarray, "V 3 S"], Float[np.ndarray, "V S"]]:
    """Residuals (px; inf behind the camera, 0 in empty slots), the turned points and the depths along the rays."""
    turned = R @ rays.point
    place = turned + center[..., None]
    depth = (place * rays.ray).sum(axis=1)
    ahead = rays.mask & (depth > 0)
    depth = np.where(ahead, depth, 1.0)
    # px_from_ray takes nothing along the ray itself, so that the ray needs no subtraction.
    residual = (rays.px_from_ray * place[:, :, None]).sum(axis=1) / depth[:, None]
    behind = rays.mask & ~ahead
    if behind.any():
        residual = np.where(behind[:, None], np.inf, residual)
    return residual, turned, depth


def jacobian(
    rays: CornerRays,
    residual: Float[np.ndarray, "V 2 S"],
    turned: Float[np.ndarray, "V 3 S"],
    depth: Float[np.ndarray, "V S"],
) -> Float[np.ndarray, "V 6 S2"]:
    """Of the residuals, by a turn about the board's middle and a shift, both in camera axes; px/rad and px/m."""
    J = np.empty((len(residual), 6, *residual.shape[1:]))
    finite = np.where(np.isfinite(residual), residual, 0.0)
    shift = J[:, 3:]
    np.multiply(finite[:, None], rays.ray[:, :, None], out=shift)
    np.subtract(rays.px_from_ray, shift, out=shift)
    shift /= depth[:, None, None]
    # d(w x p) = -[p]x w: row g of the shift times -[p]x is p x g.
    x, y, z = (turned[:, i, None] for i in range(3))
    J[:, 0] = y * shift[:, 2] - z * shift[:, 1]
    J[:, 1] = z * shift[:, 0] - x * shift[:, 2]
    J[:, 2] = x * shift[:, 1] - y * shift[:, 0]
    return J.reshape(len(J), 6, 2 * depth.shape[1])


def normals_of(
    J: Float[np.ndarray, "V 6 S2"], residual: Float[np.ndarray, "V 2 S"], weight: Float[np.ndarray, "V S"]
) -> tuple[Float[np.ndarray, "V 6 6"], Float[np.ndarray, "V 6"]]:
    """Weighted normal matrices and gradients."""
    weighted = J * np.concatenate([weight, weight], axis=1)[:, None]
    finite = np.where(np.isfinite(residual), residual, 0.0).reshape(len(J), J.shape[2], 1)
    return weighted @ np.swapaxes(J, -1, -2), (weighted @ finite)[..., 0]


def pose_normals(
    rays: CornerRays, R: Float[np.ndarray, "V 3 3"], center: Float[np.ndarray, "V 3"], loss_px: float | int = 3.0
) -> tuple[Float[np.ndarray, "V 6 6"], Float[np.ndarray, "V 6"], Float[np.ndarray, "V"]]:
    """Normal matrices, gradients and losses (Cauchy of that scale) of every view, by a turn about the board's middle
    and a shift, both in camera axes."""
    residual, turned, depth = residuals(rays, R, center)
    square = (residual**2).sum(axis=1) / loss_px**2
    normal, gradient = normals_of(jacobian(rays, residual, turned, depth), residual, rays.mask / (1 + square))
    return normal, gradient, np.log1p(square).sum(axis=-1)
