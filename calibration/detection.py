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
from calibration.detection_by_markers import MarkerLook, look_by_markers
from calibration.detection_checkerboard import checkerboard_corners
from calibration.detection_layout import layout_of
from calibration.detection_markers import MarkerFinder

__all__ = ["Board", "BoardDetector", "DetectionConfig", "Look", "SeenCorners"]

MARKERS_FOR_SHARE = 6


@dataclass(frozen=True)
class DetectionConfig:
    """min_corners: pictures with fewer corners of the board, or with corners in a line only, count as without a board
    (a pose needs four)."""

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


@dataclass(frozen=True, eq=False)
class Look:
    """What came of a picture. markers: of the board; agreeing: those of them that lie as on the board. marker_share:
    side of a marker to that of a square, measured; NaN where that cannot be told. All without meaning for a
    checkerboard."""

    seen: SeenCorners | None
    markers: int = 0
    agreeing: int = 0
    marker_share: float = float("nan")


class BoardDetector:
    """Finds one board, printed as it is described, in pictures; may be shared between threads."""

    def __init__(self, board: Board, config: DetectionConfig | None = None) -> None:
        self.board = board
        self.config = config or DetectionConfig()
        self._flat = board.corners[:, :2]
        if not isinstance(board, Checkerboard):
            self._layout = layout_of(board)
            self._finder = MarkerFinder(self._layout.dictionary, self._layout.ids, self._layout.border_bits)

    def detect(self, image: UInt8[np.ndarray, "H W"] | UInt8[np.ndarray, "H W 3"]) -> SeenCorners | None:
        """The board's corners in a grey or BGR picture; None where too few are seen."""
        return self.look(image).seen

    def look(self, image: UInt8[np.ndarray, "H W"] | UInt8[np.ndarray, "H W 3"]) -> Look:
        """The corners, and what the markers say."""
        gray = np.ascontiguousarray(image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        if isinstance(self.board, Checkerboard):
            xy = checkerboard_corners(gray, self.board)
            return Look(None if xy is None else self._seen(xy, mirrored=False))
        gray = 255 - gray if self.board.inverted else gray
        found = look_by_markers(gray, self._layout, self._finder.find(gray))
        seen = self._seen(found.xy, found.mirrored)
        return Look(seen, found.n_found, len(found.markers), self._marker_share(found))

    def _seen(self, xy: np.ndarray, mirrored: bool) -> SeenCorners | None:
        ids = np.flatnonzero(np.isfinite(xy[:, 0]))
        if len(ids) < max(self.config.min_corners, 1):
            return None
        spread = np.linalg.svd(self._flat[ids] - self._flat[ids].mean(axis=0), compute_uv=False)
        return SeenCorners(ids, xy[ids], mirrored) if spread[-1] > 1e-6 * spread[0] else None

    def _marker_share(self, look: MarkerLook) -> float:
        """A homography by the markers' middles leaves their size free."""
        if len(look.markers) < MARKERS_FOR_SHARE:
            return float("nan")
        flat = self._layout.marker_corners[np.searchsorted(self._layout.ids, look.markers.ids)]
        across = look.markers.corners
        middle = [_crossing(corners) for corners in across]
        H, _ = cv2.findHomography(np.array(middle), flat.mean(axis=1), 0)
        if H is None:
            return float("nan")
        back = cv2.perspectiveTransform(across.reshape(-1, 1, 2), H).reshape(-1, 4, 2)
        return float(np.median(np.linalg.norm(np.roll(back, 1, axis=1) - back, axis=-1)))


def _crossing(corners: Float[np.ndarray, "4 2"]) -> Float[np.ndarray, "2"]:
    """Where a marker's diagonals meet: the picture of its middle."""
    a, b = corners[2] - corners[0], corners[3] - corners[1]
    along = np.linalg.solve(np.stack([a, -b], axis=1), corners[1] - corners[0])
    return corners[0] + along[0] * a
