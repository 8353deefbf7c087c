"""Corners of a ChArUco board from its markers."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.boards import CharucoBoard
from calibration.detection_markers import FoundMarkers, MarkerFinder

MINIMUM_MARKERS = 2
NEAREST = 4
"""Markers that predict where a corner is."""


def charuco_corners(gray: np.ndarray, board: CharucoBoard, finder: MarkerFinder) -> tuple[np.ndarray, np.ndarray, bool]:
    """Ids (n,), places (n, 2) px and whether the board is seen mirrored."""
    markers, mirrored = _of_one_board(finder.find(gray), board)
    if len(markers) < MINIMUM_MARKERS:
        return np.zeros(0, dtype=np.int64), np.zeros((0, 2)), mirrored
    guess, spacing = predict_corners(board, markers)
    ids, xy = _refined(gray, guess, spacing, board)
    return ids, xy, mirrored


def _of_one_board(found: FoundMarkers, board: CharucoBoard) -> tuple[FoundMarkers, bool]:
    """The side that more markers show, without duplicates and without markers that are not where others say."""
    mirrored = bool(found.mirrored.sum() * 2 > len(found))
    side = found.of(found.mirrored == mirrored)
    if len(side) < MINIMUM_MARKERS:
        return side, mirrored
    flat = board.marker_corners[side.ids][..., :2]
    px = np.median(np.linalg.norm(np.roll(side.corners, 1, axis=1) - side.corners, axis=-1))
    H, _ = cv2.findHomography(flat.reshape(-1, 2), side.corners.reshape(-1, 2), cv2.RANSAC, 0.3 * px)
    if H is None:
        return side.of(np.zeros(len(side), dtype=bool)), mirrored
    away = np.linalg.norm(cv2.perspectiveTransform(flat.reshape(-1, 1, 2), H).reshape(-1, 4, 2) - side.corners, axis=-1)
    error = away.max(axis=1)
    best = np.array([error[i] == error[side.ids == side.ids[i]].min() for i in range(len(side))])
    return side.of((error < 0.5 * px) & best), mirrored


def predict_corners(board: CharucoBoard, markers: FoundMarkers) -> tuple[np.ndarray, np.ndarray]:
    """Every corner's place (K, 2) px and the side of a square there (K,) px, by a homography from the nearest markers,
    so that a lens may bend the board."""
    flat = board.marker_corners[markers.ids][..., :2]
    middle = flat.mean(axis=1)
    guess, spacing = np.empty((board.n_corners, 2)), np.empty(board.n_corners)
    half = board.square_m / 2
    around = np.array([[0, 0], [-half, 0], [half, 0], [0, -half], [0, half]])
    for i, corner in enumerate(board.corners[:, :2]):
        near = np.argsort(np.linalg.norm(middle - corner, axis=1), kind="stable")[:NEAREST]
        H, _ = cv2.findHomography(flat[near].reshape(-1, 2), markers.corners[near].reshape(-1, 2), 0)
        if H is None:
            guess[i], spacing[i] = np.nan, np.nan
            continue
        px = cv2.perspectiveTransform((corner + around).reshape(-1, 1, 2), H).reshape(-1, 2)
        guess[i] = px[0]
        spacing[i] = min(np.linalg.norm(px[2] - px[1]), np.linalg.norm(px[4] - px[3]))
    return guess, spacing


def _refined(gray: np.ndarray, guess: np.ndarray, spacing: np.ndarray, board: CharucoBoard):
    height, width = gray.shape
    margin = (1 - board.marker_m / board.square_m) / 2
    with np.errstate(invalid="ignore"):
        inside = ((guess > 4) & (guess < np.array([width, height]) - 5)).all(axis=1) & (spacing > 6)
    ids, xy = [], []
    for i in np.flatnonzero(inside):
        half = int(np.clip(margin * spacing[i], 2, 10))
        start = guess[i].astype(np.float32).reshape(1, 1, 2)
        end = cv2.cornerSubPix(gray, start.copy(), (half, half), (-1, -1), (3, 40, 0.005)).reshape(2).astype(float)
        if np.linalg.norm(end - guess[i]) < max(2.0, 0.12 * spacing[i]) and _is_saddle(gray, end, spacing[i]):
            ids.append(i)
            xy.append(end)
    return np.array(ids, dtype=np.int64), np.array(xy, dtype=float).reshape(-1, 2)


def _is_saddle(gray: np.ndarray, at: np.ndarray, spacing: float) -> bool:
    """The grey values on a small circle rise and fall twice."""
    radius = max(2.0, 0.1 * spacing)
    angles = 2 * np.pi * np.arange(16) / 16
    x = (at[0] + radius * np.cos(angles)).astype(np.float32)
    y = (at[1] + radius * np.sin(angles)).astype(np.float32)
    ring = cv2.remap(gray, x[None], y[None], cv2.INTER_LINEAR)[0].astype(float)
    power = np.abs(np.fft.rfft(ring - ring.mean())) ** 2
    return bool(ring.std() > 8 and power[2] > 0.6 * power.sum())
