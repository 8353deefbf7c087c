"""What finding a board's corners needs to know of it: where markers and corners lie, and how corners look."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_grids import AprilGrid
from calibration.boards import SPELLINGS, CharucoBoard

WHOLE_WINDOW = 0.45
"""Squares around a corner without markers that are looked at: the next corners stay outside."""


@dataclass(frozen=True, eq=False)
class MarkerLayout:
    """A flat board with markers, in units of its squares (or tags).

    ids: ascending, the markers'. marker_corners: in the order in which a detector lists them. turned: around the
    corner, white lies at u v < 0 (u right, v down). margin: white around a marker up to the corner; infinite where the
    marker itself has the corner. reach: how far from a corner the print is known.
    """

    dictionary: str
    border_bits: int
    ids: Int[np.ndarray, "M"]
    marker_corners: Float[np.ndarray, "M 4 2"]
    corners: Float[np.ndarray, "K 2"]
    turned: Bool[np.ndarray, "K"]
    margin: float
    reach: float


def layout_of(board: CharucoBoard | AprilGrid) -> MarkerLayout:
    """The layout of a board with markers."""
    return _charuco(board) if isinstance(board, CharucoBoard) else _april_grid(board)


def marker_bits(dictionary: str) -> int:
    """Bits along the side of a marker, without its border."""
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, SPELLINGS[dictionary])).markerSize


def _charuco(board: CharucoBoard) -> MarkerLayout:
    markers = board.marker_corners[..., :2] / board.square_m
    corners = board.corners[:, :2] / board.square_m
    share = board.marker_m / board.square_m
    margin = (1 - share) / 2
    below_right = np.linalg.norm(markers.mean(axis=1)[None] - (corners + 0.5)[:, None], axis=-1)
    return MarkerLayout(
        board.dictionary,
        1,
        np.arange(board.n_markers),
        markers,
        corners,
        below_right.min(axis=1) > 0.1,
        margin,
        min(margin + share / (marker_bits(board.dictionary) + 2), WHOLE_WINDOW),
    )


def _april_grid(board: AprilGrid) -> MarkerLayout:
    """A tag's corner touches a black square: white lies across, above and below of it."""
    markers = board.marker_corners[..., :2] / board.tag_m
    middle = markers.mean(axis=1, keepdims=True)
    border = board.border_bits / board.bits_per_side
    return MarkerLayout(
        board.dictionary,
        board.border_bits,
        np.asarray(board.ids, dtype=np.int64),
        markers,
        markers.reshape(-1, 2),
        ((markers - middle).prod(axis=-1) > 0).reshape(-1),
        float("inf"),
        min(border, board.gap_m / board.tag_m, WHOLE_WINDOW),
    )
