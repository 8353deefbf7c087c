"""Many rigs at once: every sample has its own cameras, and all of them project in a few array operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.camera import Camera, Intrinsics, Rig
from calibration.errors import CalibrationError
from calibration.lenses import FARTHEST, Lens, fisheye_fold, fold_radius
from calibration.transforms import RigidTransform

N_COEFFICIENTS = 5
REAL = 1e-9
"""Relative imaginary part up to which a root counts as real."""


@dataclass(frozen=True, eq=False)
class CameraBatch:
    """N rigs of C cameras. R (N, C, 3, 3), t (N, C, 3): x_cam = R x_world + t, m. focal, principal, image_size:
    (N, C, 2) px, no skew. distortion: (N, C, 5) k1 k2 p1 p2 k3, or fisheye k1 k2 k3 k4 0. fisheye: (N, C).

    fold: (N, C) how far from the axis rays are imaged: normalised radius, or for fisheye lenses angle, rad.
    """

    R: Float[np.ndarray, "N C 3 3"]
    t: Float[np.ndarray, "N C 3"]
    focal: Float[np.ndarray, "N C 2"]
    principal: Float[np.ndarray, "N C 2"]
    distortion: Float[np.ndarray, "N C 5"]
    fisheye: Bool[np.ndarray, "N C"]
    image_size: Int[np.ndarray, "N C 2"]
    fold: Float[np.ndarray, "N C"]

    def __len__(self) -> int:
        return len(self.R)

    @property
    def centers(self) -> Float[np.ndarray, "N C 3"]:
        """Optical centres in the world, m."""
        return -np.einsum("ncba,ncb->nca", self.R, self.t)

    def project(self, points: Float[np.ndarray, "N *p 3"]) -> Float[np.ndarray, "N C *p 2"]:
        """World points (m) to distorted pixels in the cameras of their own rig; NaN for what a lens does not image."""
        flat = points.reshape(len(points), 1, -1, 3)
        in_camera = flat @ np.swapaxes(self.R, -1, -2) + self.t[:, :, None]
        xy = _brown(in_camera, self.distortion, self.fold)
        if self.fisheye.any():
            round_ = self.fisheye
            xy[round_] = _equidistant(in_camera[round_], self.distortion[round_], self.fold[round_])
        px = xy * self.focal[:, :, None] + self.principal[:, :, None]
        return px.reshape(*self.R.shape[:2], *points.shape[1:-1], 2)

    def rig(self, sample: int) -> Rig:
        """The cameras of one sample, named cam0, cam1, …"""
        return Rig(tuple(self._camera(sample, c) for c in range(self.R.shape[1])))

    def _camera(self, n: int, c: int) -> Camera:
        K = np.eye(3)
        K[[0, 1], [0, 1]], K[:2, 2] = self.focal[n, c], self.principal[n, c]
        lens = Lens.FISHEYE if self.fisheye[n, c] else Lens.BROWN_CONRADY
        distortion = self.distortion[n, c, : 4 if self.fisheye[n, c] else N_COEFFICIENTS]
        width, height = self.image_size[n, c]
        intrinsics = Intrinsics((int(width), int(height)), K, distortion, lens)
        return Camera(f"cam{c}", intrinsics, RigidTransform(self.R[n, c], self.t[n, c]))


def batch_of_rigs(rigs: Sequence[Rig]) -> CameraBatch:
    """Rigs of equally many cameras, without skew or rational distortion."""
    if len({len(rig) for rig in rigs}) != 1:
        raise CalibrationError("rigs of one batch must have equally many cameras")
    lenses = [[camera.intrinsics for camera in rig] for rig in rigs]
    if any(lens.K[0, 1] != 0 or len(lens.distortion) > N_COEFFICIENTS for row in lenses for lens in row):
        raise CalibrationError("a batch of rigs has no skewed pixels and no rational distortion")
    distortion = [[np.pad(x.distortion, (0, N_COEFFICIENTS - len(x.distortion))) for x in row] for row in lenses]
    return CameraBatch(
        R=np.array([[camera.cam_from_world.R for camera in rig] for rig in rigs]),
        t=np.array([[camera.cam_from_world.t for camera in rig] for rig in rigs]),
        focal=np.array([[np.diag(x.K)[:2] for x in row] for row in lenses]),
        principal=np.array([[x.K[:2, 2] for x in row] for row in lenses]),
        distortion=np.array(distortion),
        fisheye=np.array([[x.lens is Lens.FISHEYE for x in row] for row in lenses]),
        image_size=np.array([[x.image_size for x in row] for row in lenses]),
        fold=np.array([[_fold(x) for x in row] for row in lenses]),
    )


def _fold(lens: Intrinsics) -> float:
    coefficients = tuple(lens.distortion.tolist())
    return fisheye_fold(coefficients)[0] if lens.lens is Lens.FISHEYE else fold_radius(coefficients)


def looking_at(
    centers: Float[np.ndarray, "*b 3"], targets: Float[np.ndarray, "*b 3"], roll: Float[np.ndarray, "*b"]
) -> tuple[Float[np.ndarray, "*b 3 3"], Float[np.ndarray, "*b 3"]]:
    """R and t of `calibration.synthetic.camera_looking_at`. Nobody may look straight up or down."""
    forward = targets - centers
    forward = forward / np.linalg.norm(forward, axis=-1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right, axis=-1, keepdims=True)
    down = np.cross(forward, right)
    c, s = np.cos(roll)[..., None], np.sin(roll)[..., None]
    R = np.stack([c * right + s * down, c * down - s * right, forward], axis=-2)
    return R, -np.einsum("...ab,...b->...a", R, centers)


def folds(distortion: Float[np.ndarray, "*b 5"], fisheye: Bool[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
    """`CameraBatch.fold` from coefficients, as `calibration.lenses` defines it: where the slope of the polynomial has
    its first zero."""
    k1, k2, k3 = distortion[..., 0], distortion[..., 1], distortion[..., 4]
    brown = np.sqrt(_first_root(np.stack([3 * k1, 5 * k2, 7 * k3], axis=-1)))
    if not fisheye.any():
        return brown
    angle = np.sqrt(_first_root(distortion[..., :4] * [3.0, 5.0, 7.0, 9.0]))
    return np.where(fisheye, np.minimum(angle, np.pi), brown)


def _first_root(coefficients: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b"]:
    """First positive zero of 1 + c1 s + c2 s² + …; inf without one. Reciprocal roots are eigenvalues."""
    n = coefficients.shape[-1]
    companion = np.zeros((*coefficients.shape, n))
    companion[..., 0, :] = -coefficients
    companion[..., np.arange(1, n), np.arange(n - 1)] = 1.0
    roots = np.linalg.eigvals(companion)
    real = np.abs(roots.imag) <= REAL * np.abs(roots)
    largest = np.where(real, roots.real, 0.0).max(-1)
    return np.where(largest > 1 / FARTHEST**2, 1 / np.maximum(largest, 1 / FARTHEST**2), np.inf)


def _brown(
    points: Float[np.ndarray, "N C n 3"], distortion: Float[np.ndarray, "N C 5"], fold: Float[np.ndarray, "N C"]
) -> Float[np.ndarray, "N C n 2"]:
    k1, k2, p1, p2, k3 = np.moveaxis(distortion[:, :, None], -1, 0)
    z = np.where(points[..., 2] > 0, points[..., 2], np.nan)
    x, y = points[..., 0] / z, points[..., 1] / z
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    radial[r2 > (fold * fold)[:, :, None]] = np.nan
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def _equidistant(
    points: Float[np.ndarray, "M n 3"], distortion: Float[np.ndarray, "M 5"], fold: Float[np.ndarray, "M"]
) -> Float[np.ndarray, "M n 2"]:
    k1, k2, k3, k4, _ = np.moveaxis(distortion[:, None], -1, 0)
    radius = np.hypot(points[..., 0], points[..., 1])
    theta = np.arctan2(radius, points[..., 2])
    t2 = theta * theta
    distorted = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    on_axis = radius <= 1e-12 * points[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(on_axis, 1 / points[..., 2], distorted / np.where(on_axis, 1.0, radius))
    beyond = (theta > fold[:, None]) | ((radius == 0) & (points[..., 2] <= 0))
    return points[..., :2] * np.where(beyond, np.nan, scale)[..., None]
