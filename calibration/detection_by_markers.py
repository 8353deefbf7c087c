"""Corners of a board with markers (ChArUco, AprilGrid): markers say where to look, the picture says where they are."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from calibration.detection_homography import local_maps
from calibration.detection_layout import MarkerLayout
from calibration.detection_markers import FoundMarkers
from calibration.detection_saddles import SaddleGuess, Saddles, fit_saddles

MINIMUM_MARKERS = 2
TRIALS = 300
"""Of four corners: enough while a third of them agree; the 2,000 by default take 20 ms where nothing fits."""
NEAREST_MARKERS = 4
NEAREST_CORNERS = 8
ENOUGH_CORNERS = 6
"""With fewer, markers help to predict the others."""
MIN_SIDE_PX = 6.0
MIN_LIKENESS = 0.85
MIN_CONTRAST = 12.0
MAY_MOVE = (0.25, 0.12)
"""How far from where markers, and then corners, predict it a corner may be, in squares (or LEAST_MOVE_PX)."""
LEAST_MOVE_PX = 2.0
MOST_STEP_PX = 0.1
MOST_PASSES = 4
"""Over corners by corners, as long as more are found."""


@dataclass(frozen=True, eq=False)
class MarkerLook:
    """One picture. markers: those of the board that agree with each other; n_found: different ones on that side of
    it. mirrored: they are seen from behind. xy: (K, 2) px, NaN where a corner is not seen."""

    markers: FoundMarkers
    n_found: int
    mirrored: bool
    xy: Float[np.ndarray, "K 2"]


def look_by_markers(gray: np.ndarray, layout: MarkerLayout, found: FoundMarkers) -> MarkerLook:
    """Corners where the markers say, then once more where the corners say, those without a marker included."""
    markers, mirrored = agreeing(found, layout)
    n_found = len(np.unique(found.ids[found.mirrored == mirrored]))
    nowhere = np.full((len(layout.corners), 2), np.nan)
    if len(markers) < MINIMUM_MARKERS:
        return MarkerLook(markers, n_found, mirrored, nowhere)
    flat = layout.marker_corners[np.searchsorted(layout.ids, markers.ids)]
    xy, jacobian = _from_markers(layout.corners, flat, markers.corners)
    seen = _fitted(gray, layout, (xy, jacobian), xy, MAY_MOVE[0])
    for _ in range(MOST_PASSES):
        known = np.isfinite(seen[:, 0])
        if not known.any():
            break
        more = (flat.reshape(-1, 2), markers.corners.reshape(-1, 2)) if known.sum() < ENOUGH_CORNERS else None
        xy, jacobian = _from_corners(layout.corners, seen, more)
        start = np.where(known[:, None], seen, xy)
        seen = _fitted(gray, layout, (xy, jacobian), start, MAY_MOVE[1])
        if np.isfinite(seen[:, 0]).sum() <= known.sum():
            break
    return MarkerLook(markers, n_found, mirrored, seen)


def agreeing(found: FoundMarkers, layout: MarkerLayout) -> tuple[FoundMarkers, bool]:
    """The side that more markers show, without duplicates and without markers that are not where others say; and
    whether that is the mirrored one."""
    mirrored = bool(found.mirrored.sum() * 2 > len(found))
    side = found.of(found.mirrored == mirrored)
    if len(side) < MINIMUM_MARKERS:
        return side, mirrored
    flat = layout.marker_corners[np.searchsorted(layout.ids, side.ids)]
    px = float(np.median(np.linalg.norm(np.roll(side.corners, 1, axis=1) - side.corners, axis=-1)))
    H, _ = cv2.findHomography(flat.reshape(-1, 2), side.corners.reshape(-1, 2), cv2.RANSAC, 0.3 * px, maxIters=TRIALS)
    if H is None:
        return side.of(np.zeros(len(side), dtype=bool)), mirrored
    seen = cv2.perspectiveTransform(flat.reshape(-1, 1, 2), H).reshape(-1, 4, 2)
    error = np.linalg.norm(seen - side.corners, axis=-1).max(axis=1)
    same = side.ids[:, None] == side.ids
    best = error <= np.where(same, error, np.inf).min(axis=1)
    return side.of((error < 0.5 * px) & best), mirrored


def _from_markers(corners: np.ndarray, flat: np.ndarray, px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    apart = np.linalg.norm(flat.mean(axis=1)[None] - corners[:, None], axis=-1)
    near = np.argsort(apart, axis=1, kind="stable")[:, :NEAREST_MARKERS]
    return local_maps(corners, *(table[near].reshape(len(corners), -1, 2) for table in (flat, px)))


def _from_corners(
    corners: np.ndarray, px: np.ndarray, more: tuple[np.ndarray, np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """By the nearest others, where they are few by markers too: a corner does not vouch for itself."""
    known = np.flatnonzero(np.isfinite(px[:, 0]))
    flat, seen = corners[known], px[known]
    apart = np.linalg.norm(flat[None] - corners[:, None], axis=-1)
    apart[known, np.arange(len(known))] = np.inf
    count = min(NEAREST_CORNERS, len(known) - 1)
    if more is not None:
        flat, seen, count = np.concatenate([flat, more[0]]), np.concatenate([seen, more[1]]), NEAREST_CORNERS
        apart = np.concatenate([apart, np.linalg.norm(more[0][None] - corners[:, None], axis=-1) + 1e-6], axis=1)
    near = np.argsort(apart, axis=1, kind="stable")[:, :count]
    return local_maps(corners, flat[near], seen[near])


def _fitted(
    gray: np.ndarray,
    layout: MarkerLayout,
    expected: tuple[np.ndarray, np.ndarray],
    start: np.ndarray,
    may_move: float,
) -> np.ndarray:
    """Corners (K, 2) px; NaN where none is seen."""
    xy, jacobian = expected
    side = np.linalg.svd(np.nan_to_num(jacobian), compute_uv=False)[:, 1]
    large = side >= MIN_SIDE_PX
    guess = SaddleGuess(np.where(large[:, None], start, np.nan), jacobian, layout.turned, layout.margin, layout.reach)
    found = fit_saddles(gray, guess, 5 if start is xy else 3)
    return np.where(_is_good(found, xy, side, may_move)[:, None], found.xy, np.nan)


def _is_good(found: Saddles, expected: np.ndarray, side: np.ndarray, may_move: float) -> Bool[np.ndarray, "K"]:
    with np.errstate(invalid="ignore"):
        moved = np.linalg.norm(found.xy - expected, axis=1)
        return (
            (moved <= np.maximum(may_move * side, LEAST_MOVE_PX))
            & (found.last_step_px <= (MOST_STEP_PX if may_move == MAY_MOVE[1] else np.inf))
            & (found.likeness >= MIN_LIKENESS)
            & (found.contrast >= MIN_CONTRAST)
        )
