"""Heatmaps of the people of a take: what is read at once, and what can be read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float


@dataclass(frozen=True, eq=False)
class HeatmapBatch:
    """Of some frames F. px_from_heatmap: cells to distorted px, the centre of the first cell at (0, 0).

    Heatmaps are zero and px_from_heatmap is NaN where `seen` is false.
    """

    heatmaps: Float[np.ndarray, "F P C J H W"]
    px_from_heatmap: Float[np.ndarray, "F P C 2 3"]
    seen: Bool[np.ndarray, "F P C"]


@runtime_checkable
class HeatmapSource(Protocol):
    """Heatmaps of the people of a take, some frames at a time."""

    @property
    def size(self) -> tuple[int, int]:
        """Width, height in cells."""
        ...

    def read(self, frames: range) -> HeatmapBatch:
        """A range of step 1 within the take."""
        ...
