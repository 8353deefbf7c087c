"""The ray of every pixel of a camera, made once; rays inside a pixel follow from those of its neighbours."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int

from calibration.camera import Camera

CENTRE = (0.0, 0.0)
ROTATED_GRID = ((-0.125, -0.375), (0.125, 0.375), (0.375, -0.125), (-0.375, 0.125))
"""Places in a pixel, px from its centre: the first two and the last two are opposite to each other."""
PLACES = (CENTRE, *ROTATED_GRID)


class LensRays:
    """Directions in the world, float32.

    directions: (H, W, 3) unit, 0 where the lens sees nothing. along_x, along_y: (H, W, 3) their change per pixel.
    sees: (H, W). spread: (H, W) rad between neighbouring pixels.
    """

    def __init__(self, camera: Camera) -> None:
        width, height = camera.intrinsics.image_size
        self.width, self.height = width, height
        self.origin = camera.center.astype(np.float32)
        self.forward = camera.cam_from_world.R[2].astype(np.float32)
        y, x = np.mgrid[-1 : height + 1, -1 : width + 1].astype(np.float64)
        around = camera.ray(np.stack([x, y], axis=-1))
        directions = around[1:-1, 1:-1]
        self.sees: Bool[np.ndarray, "H W"] = np.asarray(np.isfinite(directions).all(-1))
        self.directions = np.nan_to_num(directions).astype(np.float32)
        self.along_x = _half_difference(around[1:-1, 2:], around[1:-1, :-2])
        self.along_y = _half_difference(around[2:, 1:-1], around[:-2, 1:-1])
        across = np.linalg.norm(self.along_x, axis=-1) * np.linalg.norm(self.along_y, axis=-1)
        self.spread: Float32[np.ndarray, "H W"] = np.sqrt(across)

    def rays(self, pixels: Int[np.ndarray, "N"], place: tuple[float, float] = CENTRE) -> Float32[np.ndarray, "N 6"]:
        """Rays of pixels (flat indices y W + x) through `place`, px from their centres."""
        rays = np.empty((len(pixels), 6), dtype=np.float32)
        rays[:, :3] = self.origin
        directions = rays[:, 3:]
        directions[:] = np.take(self.directions.reshape(-1, 3), pixels, axis=0)
        for along, offset in ((self.along_x, place[0]), (self.along_y, place[1])):
            if offset:
                directions += np.float32(offset) * np.take(along.reshape(-1, 3), pixels, axis=0)
        return rays

    def depth(self, distance: Float32[np.ndarray, "N"], rays: Float32[np.ndarray, "N 6"]) -> Float32[np.ndarray, "N"]:
        """Distances along rays to distances along the optical axis, m."""
        return distance * (rays[:, 3:] @ self.forward)


def _half_difference(after: np.ndarray, before: np.ndarray) -> Float32[np.ndarray, "H W 3"]:
    return np.nan_to_num((after - before) / 2).astype(np.float32)
