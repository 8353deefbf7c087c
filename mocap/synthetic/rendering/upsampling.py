"""Values at few spots to all pixels: linear in between on a surface, never across the edge of one."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float32, Int

from mocap.synthetic.rendering.background import Background
from mocap.synthetic.rendering.lens_rays import LensRays

OFF_PLANE = 0.01
"""A spot whose plane misses a pixel's point by more than this part of its distance is on another surface."""
MIXED = 0.03
"""Pixels whose rays differ by more than this part of their distance show two surfaces; they get a mean of the spots."""
BAND_ROWS = 128


class Upsampler:
    """Knows which pixels have a spot of another surface among their four, and which of them to take instead."""

    def __init__(self, background: Background, lens: LensRays) -> None:
        self._spots, self._lens = background.spots, lens
        self._size = (lens.height, lens.width)
        distance = background.distance[0].reshape(self._size)
        parts = [self._edges(start, distance) for start in range(0, lens.height, BAND_ROWS)]
        pixels = np.concatenate([pixels for pixels, _ in parts])
        places = background.distance[:, pixels]
        whole = places.max(0) - places.min(0) <= MIXED * places[0]
        self._pixels, self._chosen = pixels[whole], np.concatenate([chosen for _, chosen in parts])[whole]

    def _edges(
        self, start: int, distance: Float32[np.ndarray, "H W"]
    ) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
        """Pixels of a band whose spots differ, and the best spot of each."""
        band = slice(start, min(start + BAND_ROWS, self._size[0]))
        far = np.where(np.isfinite(distance[band]), distance[band], 0)
        points = self._lens.origin + far[..., None] * self._lens.directions[band]
        h, w = self._spots.points.shape[:2]
        rows = self._around(np.arange(band.start, band.stop), h)
        columns = self._around(np.arange(self._size[1]), w)
        best, chosen = np.full(far.shape, np.inf, np.float32), np.zeros(far.shape, dtype=np.int64)
        worst = np.zeros(far.shape, dtype=np.float32)
        for row in rows:
            for column in columns:
                spot = row[:, None] * w + column
                way = points - np.take(self._spots.points.reshape(-1, 3), spot, axis=0)
                normal = np.take(self._spots.normals.reshape(-1, 3), spot, axis=0)
                off = np.abs(np.einsum("hwa,hwa->hw", way, normal))
                worst = np.maximum(worst, off)
                off += np.float32(0.05) * np.sqrt(np.einsum("hwa,hwa->hw", way, way))
                nearer = off < best
                best, chosen = np.where(nearer, off, best), np.where(nearer, spot, chosen)
        edge = np.flatnonzero(worst > OFF_PLANE * far)
        return edge + start * self._size[1], chosen.reshape(-1)[edge]

    def _around(self, places: Int[np.ndarray, "n"], count: int) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
        """The spots before and after pixels in one direction."""
        before = np.floor((places + 0.5) / self._spots.stride - 0.5).astype(np.int64)
        return np.clip(before, 0, count - 1), np.clip(before + 1, 0, count - 1)

    def upsample(
        self, low: Float32[np.ndarray, "h w 3"], rows: slice, columns: slice
    ) -> tuple[Float32[np.ndarray, "a b 3"], slice, slice]:
        """Values of the pixels of a part of the spots' grid, and which rows and columns of the picture these are."""
        stride, part = self._spots.stride, low[rows, columns]
        size = (part.shape[1] * stride, part.shape[0] * stride)
        y = slice(rows.start * stride, min(rows.stop * stride, self._size[0]))
        x = slice(columns.start * stride, min(columns.stop * stride, self._size[1]))
        full = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
        full = np.ascontiguousarray(full[: y.stop - y.start, : x.stop - x.start], dtype=np.float32)
        first, last = np.searchsorted(self._pixels, [y.start * self._size[1], y.stop * self._size[1]])
        row, column = np.divmod(self._pixels[first:last], self._size[1])
        inside = np.flatnonzero((column >= x.start) & (column < x.stop))
        chosen = self._chosen[first:last][inside]
        full[row[inside] - y.start, column[inside] - x.start] = np.take(low.reshape(-1, 3), chosen, axis=0)
        return full, y, x
