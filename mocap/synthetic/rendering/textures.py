"""Pictures on surfaces: periodic images in metres, blurred by as much as one ray stands for."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

ROW = 4096
"""Points that cv2.remap gets in one row; it allows 32767."""
LEVEL_BIAS = 0.5
"""Levels taken finer than the footprint: interpolation within a level blurs by about as much again."""


@dataclass(frozen=True, eq=False)
class Texture:
    """An image that repeats itself in both directions.

    levels: linear RGB, every level half as fine as the one before it. texel_m: (across, down) of the finest.
    """

    levels: tuple[Float32[np.ndarray, "_ _ 3"], ...]
    texel_m: tuple[float, float]

    def sample(
        self, uv: Float32[np.ndarray, "N 2"], footprint_m: Float32[np.ndarray, "N"]
    ) -> Float32[np.ndarray, "N 3"]:
        """Colours at places in metres, interpolated within and between levels."""
        finest = min(self.texel_m)
        level = np.log2(np.maximum(footprint_m, 1e-6) * np.float32(1 / finest)) - np.float32(LEVEL_BIAS)
        level = np.clip(level, 0, len(self.levels) - 1).astype(np.float32)
        lower = level.astype(np.int32)
        texels = uv / np.array(self.texel_m, dtype=np.float32)
        colours = np.empty((len(uv), 3), dtype=np.float32)
        for n in np.unique(lower):
            here = np.flatnonzero(lower == n)
            fine = _bilinear(self.levels[n], texels[here] * np.float32(0.5**n))
            if n + 1 < len(self.levels):
                coarse = _bilinear(self.levels[n + 1], texels[here] * np.float32(0.5 ** (n + 1)))
                fine += (level[here] - np.float32(n))[:, None] * (coarse - fine)
            colours[here] = fine
        return colours


def make_texture(image: Float32[np.ndarray, "h w 3"], size_m: tuple[float, float]) -> Texture:
    """A texture from an image whose sides (powers of two, px) measure `size_m` (across, down)."""
    levels = [np.ascontiguousarray(image, dtype=np.float32)]
    while min(levels[-1].shape[:2]) >= 2:
        last = levels[-1]
        four = last[::2, ::2] + last[1::2, ::2] + last[::2, 1::2] + last[1::2, 1::2]
        levels.append(four * np.float32(0.25))
    return Texture(tuple(levels), (size_m[0] / image.shape[1], size_m[1] / image.shape[0]))


def plain(colour: tuple[float, float, float]) -> Texture:
    """One colour everywhere."""
    return Texture((np.array(colour, dtype=np.float32).reshape(1, 1, 3),), (1.0, 1.0))


def _bilinear(level: Float32[np.ndarray, "h w 3"], texels: Float32[np.ndarray, "N 2"]) -> Float32[np.ndarray, "N 3"]:
    """Periodic; place (0.5, 0.5) is the centre of the first texel."""
    size = np.array(level.shape[1::-1], dtype=np.float32)
    if level.shape[:2] == (1, 1):
        return np.repeat(level[0], len(texels), axis=0)
    place = np.zeros((-(-len(texels) // ROW) * ROW, 2), dtype=np.float32)
    place[: len(texels)] = (texels - np.floor(texels / size) * size) + np.float32(0.5)
    rows = place.reshape(-1, ROW, 2)
    edged = cv2.copyMakeBorder(level, 1, 1, 1, 1, cv2.BORDER_WRAP)
    return cv2.remap(edged, rows, None, cv2.INTER_LINEAR).reshape(-1, 3)[: len(texels)]  # type: ignore[call-overload]
