"""Cameras. Pixels are (x, y) with the centre of the top-left pixel at (0, 0); camera axes are OpenCV's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from calibration.errors import CalibrationError, UnknownCameraError
from calibration.lenses import COEFFICIENT_COUNTS, Lens, distort_direction, fisheye_angle_from_radius, undistort
from calibration.transforms import RigidTransform


def rescale_pixels(
    px: Float[np.ndarray, "*batch 2"], scale: float | int | Float[np.ndarray, "2"]
) -> Float[np.ndarray, "*batch 2"]:
    """Pixel coordinates after an image is resized by `scale`: (x + 0.5) s - 0.5. The one place that does this."""
    return (px + 0.5) * scale - 0.5


@dataclass(frozen=True, eq=False)
class Intrinsics:
    """A lens and a sensor, not yet posed.

    image_size: (width, height) px. K: (3, 3) px. distortion: k1 k2 p1 p2 k3 (5) or with k4 k5 k6 (8) for
    Brown–Conrady, k1 k2 k3 k4 (4) for fisheye; four Brown–Conrady coefficients get k3 = 0.
    """

    image_size: tuple[int, int]
    K: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, "n"]
    lens: Lens = Lens.BROWN_CONRADY

    def __post_init__(self) -> None:
        width, height = whole_pixels(*self.image_size)
        K = np.array(self.K, dtype=np.float64)
        distortion = np.array(self.distortion, dtype=np.float64).reshape(-1)
        lens = Lens(self.lens)
        if lens is Lens.BROWN_CONRADY and len(distortion) in (0, 4):
            distortion = np.concatenate([distortion, np.zeros(5 - len(distortion))])
        if lens is Lens.BROWN_CONRADY and len(distortion) in (12, 14) and not distortion[8:].any():
            distortion = distortion[:8]
        _check_intrinsics(K, distortion, lens)
        object.__setattr__(self, "image_size", (width, height))
        object.__setattr__(self, "K", K)
        object.__setattr__(self, "distortion", distortion)
        object.__setattr__(self, "lens", lens)

    def project(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 2"]:
        """Camera coordinates (m) to distorted pixels. NaN for rays that the lens does not image: at or behind the plane
        of the camera (z <= 0; a fisheye lens may see past it) and beyond the fold of the lens polynomial."""
        return self._px_from_normalised(distort_direction(points, self.distortion, self.lens))

    def undistort(self, px: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        """Distorted pixels to the pixels of the pinhole camera with the same K."""
        return self._px_from_normalised(undistort(self._normalised_from_px(px), self.distortion, self.lens))

    def ray(self, px: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 3"]:
        """Unit direction in camera axes of a distorted pixel; beyond 90° from the axis for fisheye lenses too."""
        xy = self._normalised_from_px(px)
        if self.lens is Lens.FISHEYE:
            return _fisheye_ray(xy, self.distortion)
        xy = undistort(xy, self.distortion, self.lens)
        direction = np.concatenate([xy, np.ones((*xy.shape[:-1], 1))], axis=-1)
        return direction / np.linalg.norm(direction, axis=-1, keepdims=True)

    def resized(self, image_size: tuple[int, int]) -> Intrinsics:
        """The same camera with its image resized to `image_size` (w, h), each axis by its own factor."""
        scale = np.array(image_size, dtype=np.float64) / self.image_size
        K = self.K.copy()
        K[0] *= scale[0]
        K[1] *= scale[1]
        K[:2, 2] = rescale_pixels(self.K[:2, 2], scale)
        return replace(self, image_size=image_size, K=K)

    def cropped(self, origin_px: tuple[float | int, float | int], image_size: tuple[int, int]) -> Intrinsics:
        """The same camera seen through a window whose top-left pixel is `origin_px` of this image."""
        K = self.K.copy()
        K[:2, 2] -= origin_px
        return replace(self, image_size=image_size, K=K)

    def _normalised_from_px(self, px: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        y = (px[..., 1] - self.K[1, 2]) / self.K[1, 1]
        x = (px[..., 0] - self.K[0, 2] - self.K[0, 1] * y) / self.K[0, 0]
        return np.stack([x, y], axis=-1)

    def _px_from_normalised(self, xy: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 2"]:
        return xy @ self.K[:2, :2].T + self.K[:2, 2]


def whole_pixels(width: float | int, height: float | int) -> tuple[int, int]:
    """An image size as whole numbers; files that write 1088.0 are common, 1087.5 is no size."""
    if not (width > 0 and height > 0 and width % 1 == 0 and height % 1 == 0):
        raise CalibrationError(f"image size {width:g} x {height:g} is not a whole number of pixels")
    return int(width), int(height)


def _check_intrinsics(K: np.ndarray, distortion: np.ndarray, lens: Lens) -> None:
    if K.shape != (3, 3) or not np.isfinite(K).all() or K[0, 0] <= 0 or K[1, 1] <= 0:
        raise CalibrationError("the camera matrix must be 3x3 and finite with positive focal lengths")
    if K[1, 0] != 0 or not np.allclose(K[2], [0, 0, 1]):
        raise CalibrationError("the camera matrix is not upper triangular with a last row 0 0 1")
    if len(distortion) not in COEFFICIENT_COUNTS[lens] or not np.isfinite(distortion).all():
        raise CalibrationError(
            f"{len(distortion)} distortion coefficients for a {lens.value} lens",
            remedy=f"Give {' or '.join(map(str, COEFFICIENT_COUNTS[lens]))} finite numbers "
            "(thin-prism and tilted-sensor terms are not supported; recalibrate without them).",
        )


def _fisheye_ray(xy: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    radius = np.linalg.norm(xy, axis=-1)
    theta = fisheye_angle_from_radius(radius, distortion)
    on_axis = radius < 1e-12
    sine = np.where(on_axis, 1.0, np.sin(theta) / np.where(on_axis, 1.0, radius))
    return np.concatenate([xy * sine[..., None], np.cos(theta)[..., None]], axis=-1)


@dataclass(frozen=True, eq=False)
class Camera:
    """A named, posed camera: `x_cam = R @ x_world + t`, metres."""

    name: str
    intrinsics: Intrinsics
    cam_from_world: RigidTransform

    @property
    def center(self) -> Float[np.ndarray, "3"]:
        """Optical centre in the world, metres."""
        return -self.cam_from_world.R.T @ self.cam_from_world.t

    @property
    def projection(self) -> Float[np.ndarray, "3 4"]:
        """K [R | t]: homogeneous world points to undistorted pixels."""
        return self.intrinsics.K @ self.cam_from_world.matrix[:3]

    def project(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 2"]:
        """World points (m) to distorted pixels; NaN for what the lens does not image."""
        return self.intrinsics.project(self.cam_from_world.apply(points))

    def ray(self, px: Float[np.ndarray, "*batch 2"]) -> Float[np.ndarray, "*batch 3"]:
        """Unit direction in world axes of a distorted pixel; the ray starts at `center`."""
        return self.intrinsics.ray(px) @ self.cam_from_world.R


@dataclass(frozen=True, eq=False)
class Rig:
    """Cameras that share a world frame (Z up, floor at 0, metres), in a fixed order, with unique names."""

    cameras: tuple[Camera, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "cameras", tuple(self.cameras))
        if not self.cameras:
            raise CalibrationError("a rig needs at least one camera")
        repeated = sorted({name for name in self.names if self.names.count(name) > 1})
        if repeated:
            raise CalibrationError(f"camera names appear twice: {', '.join(repeated)}")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(camera.name for camera in self.cameras)

    @property
    def projections(self) -> Float[np.ndarray, "C 3 4"]:
        """World to undistorted pixels, per camera."""
        return np.stack([camera.projection for camera in self.cameras])

    @property
    def centers(self) -> Float[np.ndarray, "C 3"]:
        return np.stack([camera.center for camera in self.cameras])

    def __len__(self) -> int:
        return len(self.cameras)

    def __iter__(self) -> Iterator[Camera]:
        return iter(self.cameras)

    def __getitem__(self, name: str) -> Camera:
        for camera in self.cameras:
            if camera.name == name:
                return camera
        raise UnknownCameraError(f"no camera named {name!r}; the rig has {', '.join(self.names)}")

    def subset(self, names: Sequence[str]) -> Rig:
        """The named cameras, in the order of `names`."""
        return Rig(tuple(self[name] for name in names))

    def project(self, points: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "C *batch 2"]:
        """World points (m) to distorted pixels in every camera; NaN for what its lens does not image."""
        return np.stack([camera.project(points) for camera in self.cameras])
