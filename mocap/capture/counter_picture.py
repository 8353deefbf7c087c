"""A cheap moving picture that carries its number, for trying recordings out and for tests of them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

BITS = 24
"""Blocks of the counter: white is 1, the least significant one at the left; between two that are always white."""
MARGIN = 1 / 16
"""Of the height: where the row of blocks begins; it is as high again."""
BAR_STEPS = 90
"""Pictures in which the bar crosses the picture."""


class CounterPicture:
    """Makes pictures of one size; (width, height) at least 64 x 16."""

    def __init__(self, size: tuple[int, int], hue: int = 100) -> None:
        width, height = size
        x = np.linspace(0, 1, width)[None, :, None]
        y = np.linspace(0, 1, height)[:, None, None]
        tint = cv2.cvtColor(np.array([[[hue % 180, 110, 255]]], np.uint8), cv2.COLOR_HSV2RGB)[0, 0] / 255
        self._ground = np.ascontiguousarray(((60 + 90 * (0.5 * x + 0.5 * y)) * tint).astype(np.uint8))

    def at(self, number: int) -> UInt8[np.ndarray, "H W 3"]:
        """The picture of a number."""
        image = self._ground.copy()
        width = image.shape[1]
        left = (number % BAR_STEPS) * width // BAR_STEPS
        image[:, left : left + max(2, width // 40)] = 255 - image[:, left : left + max(2, width // 40)]
        rows, edges = _blocks(image.shape[:2])
        for block, value in enumerate((1, *((number >> bit) & 1 for bit in range(BITS)), 1)):
            image[rows, edges[block] : edges[block + 1]] = 235 if value else 16
        return image


def read_number(image: UInt8[np.ndarray, "H W 3"]) -> int | None:
    """The number that a picture carries, also after lossy compression; None where there is none."""
    rows, edges = _blocks(image.shape[:2])
    middle = (rows.start + rows.stop) // 2
    grey = image[max(rows.start, middle - 1) : middle + 1].mean(axis=(0, 2))
    values = [grey[(edges[i] + edges[i + 1]) // 2] for i in range(BITS + 2)]
    if values[0] < 128 or values[-1] < 128 or any(90 < value < 150 for value in values):
        return None
    return sum(1 << bit for bit, value in enumerate(values[1:-1]) if value > 128)


def _blocks(shape: tuple[int, ...]) -> tuple[slice, list[int]]:
    height, width = shape
    top = max(1, round(MARGIN * height))
    edges = np.linspace(0.04 * width, 0.96 * width, BITS + 3).round().astype(int)
    return slice(top, 2 * top), edges.tolist()
