"""Pages of texture with coarser and coarser copies, looked up by a place and by how much of the surface to average."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, Int32, UInt16

LEVELS = 6
ROW = 4096
"""Points that cv2.remap gets in one row; it allows 32767."""
FULL = 65535.0


@dataclass(frozen=True, eq=False)
class Atlas:
    """Square pages side by side, and below them their copies of half, a quarter, ... the size.

    image: linear RGB, 65535 is white. size: of a page in texels.
    """

    image: UInt16[np.ndarray, "h w 3"]
    size: int

    def sample(
        self, place: Float32[np.ndarray, "N 2"], page: Int32[np.ndarray, "N"], texels: Float32[np.ndarray, "N"]
    ) -> Float32[np.ndarray, "N 3"]:
        """Linear RGB, bilinear in the level that fits.

        place: across and down a page, 0 to 1. texels: width of what is to be averaged in texels of the full page.
        """
        level = np.rint(np.log2(np.maximum(texels, 1.0))).astype(np.int32)
        np.minimum(level, LEVELS - 1, out=level)
        shrink = np.ldexp(np.float32(1), -np.arange(LEVELS)).astype(np.float32)[level]
        side = self.size * shrink
        at = np.zeros((-(-len(place) // ROW) * ROW, 2), dtype=np.float32)
        inside = np.clip(place * side[:, None] - np.float32(0.5), 0, side[:, None] - 1)
        at[: len(place), 0] = inside[:, 0] + page * side
        at[: len(place), 1] = inside[:, 1] + _tops(self.size)[level]
        rows = at.reshape(-1, ROW, 2)
        colours = cv2.remap(self.image, rows, None, cv2.INTER_LINEAR)  # type: ignore[call-overload]
        return colours.reshape(-1, 3)[: len(place)] * np.float32(1 / FULL)


def make_atlas(pages: list[Float32[np.ndarray, "s s 3"]]) -> Atlas:
    """An atlas of square pages of one size, linear RGB in [0, 1]."""
    size = len(pages[0])
    level = np.concatenate(pages, axis=1)
    image = np.zeros((size * 2, size * len(pages), 3), dtype=np.uint16)
    for top in _tops(size):
        height, width = level.shape[:2]
        image[int(top) : int(top) + height, :width] = np.rint(np.clip(level, 0, 1) * FULL)
        level = cv2.resize(level, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return Atlas(image, size)


def _tops(size: int) -> Float32[np.ndarray, "L"]:
    """First row of every level."""
    heights = size / 2.0 ** np.arange(LEVELS)
    return (np.cumsum(heights) - heights).astype(np.float32)
