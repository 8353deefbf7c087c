"""Which pixels may show things that move, without casting a ray."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from jaxtyping import Bool, Int

from calibration.camera import Camera
from mocap.synthetic.rendering.topology import Topology
from mocap.synthetic.scene import Thing

TILE_PX = 8
APART_M = 0.05
"""Points of an outline lie this near to each other."""
STILL_PX = 0.25
"""Things that move less during the exposure are drawn at one moment."""


def covered_pixels(
    moments: Sequence[Sequence[Thing]],
    topologies: Sequence[Topology],
    camera: Camera,
    sees: Bool[np.ndarray, "H W"],
) -> Int[np.ndarray, "P"]:
    """Flat indices (y W + x), ascending, of all pixels that a thing may cover at some moment, and some more."""
    height, width = sees.shape
    tiles = np.zeros((-(-height // TILE_PX), -(-width // TILE_PX)), dtype=np.uint8)
    for index in {0, len(moments) // 2, len(moments) - 1}:
        for thing, topology in zip(moments[index], topologies, strict=True):
            tiles |= _covered_tiles(topology.outline(thing), camera, tiles.shape)
    full = np.repeat(np.repeat(tiles > 0, TILE_PX, axis=0)[:height], TILE_PX, axis=1)[:, :width]
    return np.flatnonzero(full & sees)


def _covered_tiles(points: np.ndarray, camera: Camera, shape: tuple[int, ...]) -> np.ndarray:
    tiles = np.zeros(shape, dtype=np.uint8)
    px = camera.project(points.astype(np.float64))
    finite = np.isfinite(px).all(-1)
    if not finite.any():
        return tiles
    if not finite.all():  # it reaches out of what the lens images: anywhere up to there
        tiles[:] = 1
        return tiles
    nearest = max(float(np.linalg.norm(points - camera.center, axis=1).min()), 0.05)
    focal = float(max(camera.intrinsics.K[0, 0], camera.intrinsics.K[1, 1]))
    margin = int(np.ceil(APART_M * focal / nearest / TILE_PX))
    reach = margin + 1
    column, row = np.floor(np.clip(px / TILE_PX, -1e6, 1e6)).astype(np.int64).T
    wide = np.zeros((shape[0] + 2 * reach, shape[1] + 2 * reach), dtype=np.uint8)
    inside = (row >= -reach) & (row < shape[0] + reach) & (column >= -reach) & (column < shape[1] + reach)
    wide[row[inside] + reach, column[inside] + reach] = 1
    wide = cv2.dilate(wide, np.ones((2 * margin + 1, 2 * margin + 1), dtype=np.uint8))
    return wide[reach:-reach, reach:-reach]


def is_still(moments: Sequence[Sequence[Thing]], topologies: Sequence[Topology], camera: Camera) -> bool:
    """Whether nothing moves by as much as `STILL_PX` between the first and the last moment."""
    for first, last, topology in zip(moments[0], moments[-1], topologies, strict=True):
        before, after = (camera.project(topology.outline(t, 200).astype(np.float64)) for t in (first, last))
        moved = np.linalg.norm(after - before, axis=-1)
        if np.nanmax(moved, initial=0.0) > STILL_PX or np.isnan(moved).any():
            return False
    return True
