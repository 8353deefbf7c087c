"""A board in one picture: which of its corners are seen, and where, to a fraction of a pixel.

A board may be printed white on black, and its back may carry the mirror image of its front: then a picture of the
back gives the same corners by the same ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8

from calibration.board_file import Board
from calibration.board_grids import Checkerboard
from calibration.detection_by_markers import look_by_markers
from calibration.detection_layout import layout_of
from calibration.detection_markers import MarkerFinder


@dataclass(frozen=True)
class DetectionConfig:
    """min_corners: pictures with fewer corners of the board count as without a board (a pose needs four)."""

    min_corners: int = 4


@dataclass(frozen=True, eq=False)
class SeenCorners:
    """Corners of a board in one picture. ids: ascending, unique. xy: px, distorted, pixel centres at integers.
    mirrored: the picture shows the back of a two-sided board (or is a mirror image); the ids are the front's."""

    ids: Int[np.ndarray, "N"]
    xy: Float[np.ndarray, "N 2"]
    mirrored: bool

    def __len__(self) -> int:
        return len(self.ids)


class BoardDetector:
    """Finds one board, as it is described, in pictures; safe to share between threads."""

    def __init__(self, board: Board, config: DetectionConfig | None = None) -> None:
        self.board = board
        self.config = config or DetectionConfig()
        assert not isinstance(board, Checkerboard)
        self._layout = layout_of(board)
        self._finder = MarkerFinder(self._layout.dictionary, self._layout.ids, self._layout.border_bits)

    def detect(self, image: UInt8[np.ndarray, "H W"] | UInt8[np.ndarray, "H W 3"]) -> SeenCorners | None:
        """The board's corners in a grey or BGR picture; None where too few are seen."""
        gray = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        gray = np.ascontiguousarray(255 - gray if self.board.inverted else gray)
        look = look_by_markers(gray, self._layout, self._finder.find(gray))
        ids = np.flatnonzero(np.isfinite(look.xy[:, 0]))
        return SeenCorners(ids, look.xy[ids], look.mirrored) if len(ids) >= self.config.min_corners else None
