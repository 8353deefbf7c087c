"""What of a board is black, as rectangles: one description for vector and pixel prints."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float

from calibration.board_file import Board
from calibration.board_grids import AprilGrid, Checkerboard
from calibration.boards import CharucoBoard, predefined_dictionary

Rectangles = Float[np.ndarray, "_ 4"]
"""Left, top, right, bottom; no two of one set overlap."""


def board_ink(board: Board, border_m: float = 0.0) -> Rectangles:
    """Black rectangles in the board's frame, m. An inverted board has a black border of border_m all around."""
    if isinstance(board, AprilGrid):
        black = _grid_ink(board)
    else:
        black = _squares_ink(board)
        if isinstance(board, CharucoBoard):
            black = np.concatenate([black, _marker_ink(board)])
    if not board.inverted:
        return black
    width, height = board.size_m
    return negative(black, np.array([-border_m, -border_m, width + border_m, height + border_m]))


def clipped(rectangles: Rectangles, window: Float[np.ndarray, "4"]) -> Rectangles:
    """What of rectangles lies within a window (left, top, right, bottom)."""
    inside = np.concatenate(
        [np.maximum(rectangles[:, :2], window[:2]), np.minimum(rectangles[:, 2:], window[2:])], axis=1
    )
    return inside[(inside[:, 2:] > inside[:, :2]).all(axis=1)]


def negative(rectangles: Rectangles, window: Float[np.ndarray, "4"]) -> Rectangles:
    """The rest of a window (left, top, right, bottom)."""
    corners = np.round(np.concatenate([rectangles, window[None]]), 9)  # of neighbours, edges may differ by rounding
    x, column = np.unique(corners[:, 0::2], return_inverse=True)
    y, row = np.unique(corners[:, 1::2], return_inverse=True)
    column, row = column.reshape(-1, 2), row.reshape(-1, 2)
    is_white = np.ones((len(y) - 1, len(x) - 1), dtype=bool)
    for (left, right), (top, bottom) in zip(column[:-1], row[:-1], strict=True):
        is_white[top:bottom, left:right] = False
    return _cells(is_white, x, y)


def _cells(is_black: Bool[np.ndarray, "R C"], x: Float[np.ndarray, "C1"], y: Float[np.ndarray, "R1"]) -> Rectangles:
    """Black cells between the lines x and y, those side by side in a row as one rectangle."""
    edges = np.diff(np.pad(is_black, ((0, 0), (1, 1))).astype(int), axis=1)
    row, first = np.nonzero(edges == 1)
    _, last = np.nonzero(edges == -1)
    return np.stack([x[first], y[row], x[last], y[row + 1]], axis=-1).reshape(-1, 4)


def _even_cells(is_black: Bool[np.ndarray, "R C"], origin: Float[np.ndarray, "2"], side: float) -> Rectangles:
    """Black cells of square bits; `side` is that of one bit."""
    rows, columns = is_black.shape
    return _cells(is_black, origin[0] + side * np.arange(columns + 1), origin[1] + side * np.arange(rows + 1))


def _squares_ink(board: CharucoBoard | Checkerboard) -> Rectangles:
    """The chessboard, as if not inverted."""
    row, column = np.divmod(np.arange(board.squares_x * board.squares_y), board.squares_x)
    begins_white = isinstance(board, CharucoBoard) and board.legacy and board.squares_y % 2 == 0
    black = (row + column) % 2 == (1 if begins_white else 0)
    corner = np.stack([column, row], axis=-1)[black]
    return board.square_m * np.concatenate([corner, corner + 1], axis=1)


def _marker_ink(board: CharucoBoard) -> Rectangles:
    dictionary = predefined_dictionary(board.dictionary)
    bits = dictionary.markerSize + 2
    parts = []
    for index, corners in enumerate(board.marker_corners):
        image = np.asarray(cv2.aruco.generateImageMarker(dictionary, index, bits, borderBits=1))
        parts.append(_even_cells(image == 0, corners[0, :2], board.marker_m / bits))
    return np.concatenate(parts)


def _grid_ink(board: AprilGrid) -> Rectangles:
    bit = board.tag_m / board.bits_per_side
    tags = [_even_cells(board.tag_is_black(i), origin, bit) for i, origin in enumerate(board.tag_origins)]
    row, column = np.indices((board.tags_y + 1, board.tags_x + 1))
    corner = board.pitch_m * np.stack([column, row], axis=-1).reshape(-1, 2)
    return np.concatenate([*tags, np.concatenate([corner, corner + board.gap_m], axis=1)])
