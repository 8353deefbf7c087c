"""Corners of a checkerboard that is seen as a whole.

A checkerboard names no corners. It is taken to be seen from the front; of what half a turn leaves, the colour of the
first square decides, and where that is the same (`looks_the_same_upside_down`), the first corner is the one nearer to
the picture's top left: good for one camera, meaningless between cameras.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float

from calibration.board_grids import Checkerboard
from calibration.detection_homography import local_maps
from calibration.detection_layout import WHOLE_WINDOW
from calibration.detection_saddles import SaddleGuess, fit_saddles

SEARCH_PX = 960
"""Longer side of the picture in which the board is searched; corners are then fitted in the whole one."""
SEARCH = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE
MIN_LIKENESS = 0.8
NEIGHBOURS = 9
LEAST_SHARE = 0.75
"""Of all corners that must look like corners."""


def checkerboard_corners(gray: np.ndarray, board: Checkerboard) -> Float[np.ndarray, "K 2"] | None:
    """Places px by id, NaN for single corners that cannot be fitted; None without the board."""
    start = _searched(gray, board.squares_x - 1, board.squares_y - 1)
    if start is None:
        return None
    start = _from_the_front(start)
    flat = board.corners[:, :2] / board.square_m
    apart = np.linalg.norm(flat[None] - flat[:, None], axis=-1)
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEIGHBOURS]
    order = np.arange(board.n_corners)
    if _is_upside_down(gray, board, start.reshape(-1, 2), flat, near):
        order = order[::-1]
    expected = start.reshape(-1, 2)[order]
    xy, jacobian = local_maps(flat, flat[near], expected[near])
    found = fit_saddles(gray, SaddleGuess(xy, jacobian, _turned(board), float("inf"), WHOLE_WINDOW))
    with np.errstate(invalid="ignore"):
        side = np.linalg.svd(np.nan_to_num(jacobian), compute_uv=False)[:, 1]
        near_by = np.linalg.norm(found.xy - expected, axis=1) <= np.maximum(0.25 * side, 2.0)
        good = near_by & (found.likeness >= MIN_LIKENESS)
    return np.where(good[:, None], found.xy, np.nan) if good.mean() >= LEAST_SHARE else None


def _searched(gray: np.ndarray, columns: int, rows: int) -> np.ndarray | None:
    """Inner corners (rows, columns, 2) px, roughly."""
    scale = max(1.0, max(gray.shape) / SEARCH_PX)
    size = (round(gray.shape[1] / scale), round(gray.shape[0] / scale))
    small = gray if scale == 1.0 else cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    found, corners = cv2.findChessboardCornersSB(small, (columns, rows), flags=SEARCH)
    if not found or corners is None:
        return None
    px = np.asarray(corners, dtype=np.float64).reshape(rows, columns, 2)
    return (px + 0.5) * (np.array(gray.shape[::-1]) / size) - 0.5


def _from_the_front(px: np.ndarray) -> np.ndarray:
    """Columns run so that rows follow clockwise."""
    right, down = px[-1, -1] - px[-1, 0] + px[0, -1] - px[0, 0], px[-1, -1] - px[0, -1] + px[-1, 0] - px[0, 0]
    return px if right[0] * down[1] - right[1] * down[0] > 0 else px[:, ::-1]


def _turned(board: Checkerboard) -> np.ndarray:
    """Whether white lies at u v < 0 around each corner: it does where the square to the top left is black."""
    return np.asarray(board.is_black[:-1, :-1], dtype=bool).reshape(-1)


def _is_upside_down(gray: np.ndarray, board: Checkerboard, px: np.ndarray, flat: np.ndarray, near: np.ndarray) -> bool:
    """By the colour of squares, else by what is nearer to the picture's top left."""
    if board.looks_the_same_upside_down:
        return bool(px[-1].sum() < px[0].sum())
    xy, jacobian = local_maps(flat, flat[near], px[near])
    found = fit_saddles(gray, SaddleGuess(xy, jacobian, _turned(board), float("inf"), WHOLE_WINDOW), 1)
    return bool(np.nansum(np.sign(found.contrast)) < 0)
