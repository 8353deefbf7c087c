"""Corners of a ChArUco board from its markers."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calibration.boards import CharucoBoard
from calibration.detection_markers import FoundMarkers
from calibration.detection_saddles import SaddleGuess, Saddles, fit_saddles

MINIMUM_MARKERS = 2
NEAREST = 4
"""Markers that predict where a corner is."""
NEIGHBOURS = 8
"""Corners that predict where another is."""
MIN_SQUARE_PX = 6.0
MIN_LIKENESS = 0.85
MIN_CONTRAST = 12.0


@dataclass(frozen=True)
class CharucoLayout:
    """What finding corners needs to know of a board, computed once."""

    corners: np.ndarray
    marker_corners: np.ndarray
    square: float
    margin: float
    reach: float
    turned: np.ndarray

    @staticmethod
    def of(board: CharucoBoard) -> CharucoLayout:
        """Lengths in squares; the window ends before a marker's bits."""
        markers = board.marker_corners[..., :2] / board.square_m
        corners = board.corners[:, :2] / board.square_m
        share = board.marker_m / board.square_m
        margin = (1 - share) / 2
        bits = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary)).markerSize + 2
        middle = markers.mean(axis=1)
        below_right = np.linalg.norm(middle[None] - (corners + 0.5)[:, None], axis=-1).min(axis=1) < 0.1
        return CharucoLayout(corners, markers, 1.0, margin, min(margin + share / bits, 0.45), ~below_right)


def charuco_corners(
    gray: np.ndarray, layout: CharucoLayout, found: FoundMarkers
) -> tuple[np.ndarray, np.ndarray, bool]:
    """Ids (n,), places (n, 2) px and whether the board is seen mirrored."""
    markers, mirrored = _of_one_board(found, layout)
    if len(markers) < MINIMUM_MARKERS:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 2)), mirrored
    flat = layout.marker_corners[markers.ids]
    xy, jacobian = _predict(layout.corners, flat, markers.corners)
    first = _fit(gray, layout, xy, jacobian, 0.25)
    known = np.flatnonzero(np.isfinite(first[:, 0]))
    if len(known) < 4:
        return known, first[known], mirrored
    xy, jacobian = _predict_from_others(layout.corners, first)
    second = _fit(gray, layout, xy, jacobian, 0.12)
    known = np.flatnonzero(np.isfinite(second[:, 0]))
    return known, second[known], mirrored


def _of_one_board(found: FoundMarkers, layout: CharucoLayout) -> tuple[FoundMarkers, bool]:
    """The side that more markers show, without duplicates and without markers that are not where others say."""
    mirrored = bool(found.mirrored.sum() * 2 > len(found))
    side = found.of(found.mirrored == mirrored)
    if len(side) < MINIMUM_MARKERS:
        return side, mirrored
    flat = layout.marker_corners[side.ids]
    px = np.median(np.linalg.norm(np.roll(side.corners, 1, axis=1) - side.corners, axis=-1))
    H, _ = cv2.findHomography(flat.reshape(-1, 2), side.corners.reshape(-1, 2), cv2.RANSAC, 0.3 * px)
    if H is None:
        return side.of(np.zeros(len(side), dtype=bool)), mirrored
    away = np.linalg.norm(cv2.perspectiveTransform(flat.reshape(-1, 1, 2), H).reshape(-1, 4, 2) - side.corners, axis=-1)
    error = away.max(axis=1)
    best = np.array([error[i] == error[side.ids == side.ids[i]].min() for i in range(len(side))])
    return side.of((error < 0.5 * px) & best), mirrored


def _predict(corners: np.ndarray, flat: np.ndarray, px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every corner's place (K, 2) px and its derivative (K, 2, 2) px per square, by a homography from the nearest
    markers, so that a lens may bend the board."""
    middle = flat.mean(axis=1)
    xy, jacobian = np.full((len(corners), 2), np.nan), np.full((len(corners), 2, 2), np.nan)
    for i, corner in enumerate(corners):
        near = np.argsort(np.linalg.norm(middle - corner, axis=1), kind="stable")[:NEAREST]
        _put(xy, jacobian, i, corner, _homography(flat[near].reshape(-1, 2), px[near].reshape(-1, 2)))
    return xy, jacobian


def _predict_from_others(corners: np.ndarray, px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same from the nearest other corners that are known."""
    known = np.flatnonzero(np.isfinite(px[:, 0]))
    xy, jacobian = np.full((len(corners), 2), np.nan), np.full((len(corners), 2, 2), np.nan)
    for i, corner in enumerate(corners):
        others = known[known != i]
        near = others[np.argsort(np.linalg.norm(corners[others] - corner, axis=1), kind="stable")[:NEIGHBOURS]]
        if len(near) >= 4 and np.linalg.matrix_rank(corners[near] - corners[near].mean(axis=0), tol=1e-6) == 2:
            _put(xy, jacobian, i, corner, _homography(corners[near], px[near]))
    return xy, jacobian


def _homography(flat: np.ndarray, px: np.ndarray) -> np.ndarray | None:
    return cv2.findHomography(flat, px, 0)[0]


def _put(xy: np.ndarray, jacobian: np.ndarray, i: int, corner: np.ndarray, H: np.ndarray | None) -> None:
    if H is None:
        return
    x, y, w = H @ [*corner, 1.0]
    if abs(w) < 1e-9:
        return
    xy[i] = x / w, y / w
    jacobian[i] = (H[:2, :2] - np.outer(xy[i], H[2, :2])) / w


def _fit(gray: np.ndarray, layout: CharucoLayout, xy: np.ndarray, jacobian: np.ndarray, may_move: float) -> np.ndarray:
    """Corners (K, 2) px; NaN where none is seen. may_move: from where they are expected, in squares."""
    with np.errstate(invalid="ignore"):
        side = np.linalg.svd(np.nan_to_num(jacobian), compute_uv=False)[:, 1]
    expected = np.where((side >= MIN_SQUARE_PX)[:, None], xy, np.nan)
    guess = SaddleGuess(expected, jacobian, layout.turned, layout.margin, layout.reach)
    found = fit_saddles(gray, guess)
    return np.where(_is_good(found, expected, side, may_move)[:, None], found.xy, np.nan)


def _is_good(found: Saddles, expected: np.ndarray, side: np.ndarray, may_move: float) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        moved = np.linalg.norm(found.xy - expected, axis=1)
        return (
            (moved <= np.maximum(may_move * side, 2.0))
            & (found.likeness >= MIN_LIKENESS)
            & (found.contrast >= MIN_CONTRAST)
        )
