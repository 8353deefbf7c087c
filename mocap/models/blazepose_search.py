"""Where to look for people: which regions of an image the person detector is shown, and when.

The detector sees 224x224 cells and wants a person to fill a good part of them. In the four-camera trial (1088x1920) it
finds the main person (ROI 850 px) in the whole image in every frame, and a bystander 350 px tall only in squares of
half the image's width. Small squares are many, so they take turns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mocap.models.blazepose_roi import Roi, letterbox

TILE_SHARE = (1.0, 0.55)
"""Side of the squares of each level, as a share of the image's short side."""
TILE_STEP = 0.5
"""Neighbouring squares overlap by at least half."""
LOST_MARGIN = 1.5
"""A lost person is looked for in a square this much larger than the last region."""


def search_regions(width: int, height: int, levels: int) -> tuple[Roi, ...]:
    """The whole image, then overlapping squares of falling size: `levels` of them."""
    regions = [letterbox(width, height)]
    for share in TILE_SHARE[: max(0, levels)]:
        side = share * min(width, height)
        if side < max(width, height):
            regions += [Roi((x, y), side) for y in _centers(height, side) for x in _centers(width, side)]
    return tuple(regions)


def _centers(length: int, side: float) -> list[float]:
    count = 1 + int(np.ceil((length - side) / (side * TILE_STEP) - 1e-9))
    return np.linspace(side / 2, length - side / 2, count).tolist() if count > 1 else [length / 2]


@dataclass(frozen=True)
class SearchPlan:
    """Which regions to search in a frame. interval: frames between searches while everybody is tracked."""

    interval: int
    levels: int

    def regions(
        self, frame: int, camera: int, size: tuple[int, int], *, tracked: int, lost: tuple[Roi, ...]
    ) -> list[Roi]:
        """Everything in a camera's first frame; the whole image and one square while nobody is tracked; else one
        region every `interval` frames, the whole image and the squares by turns. Lost people are looked for where
        they were. Cameras take their turns in different frames, so that the load is even.
        """
        every = search_regions(*size, self.levels)
        if frame == 0:
            return list(every)
        whole, squares = every[:1], every[1:]
        turn, rest = divmod(frame + camera, self.interval)
        if tracked == 0:
            return [*whole, *_one_of(squares, frame), *(_around(roi) for roi in lost)]
        if rest:
            return [_around(roi) for roi in lost]
        return [*(whole if turn % 2 == 0 or not squares else _one_of(squares, turn // 2)), *map(_around, lost)]


def _one_of(squares: tuple[Roi, ...], turn: int) -> tuple[Roi, ...]:
    return squares[turn % len(squares) :][:1] if squares else ()


def _around(roi: Roi) -> Roi:
    return Roi(roi.center, roi.size * LOST_MARGIN)
