"""Pictures of boards whose corners are known: prints warped by a homography, blurred and made noisy."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.board_grids import AprilGrid

OVERSAMPLED = 4
MARGIN_PX = 40


def picture_of(
    board,
    *,
    size: tuple[int, int] = (640, 426),
    turn: float = 0.3,
    mirrored: bool = False,
    share: float = 0.75,
    center: tuple[float, float] = (20.0, -8.0),
    blur_px: float = 0.7,
    noise: float = 3.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture and the true places (K, 2) px of the board's corners.

    share: longer side of the board to the picture's width; center: px from the picture's. turn: rad.
    """
    px_per_unit, unit = (80, board.tag_m) if isinstance(board, AprilGrid) else (80, board.square_m)
    image_px = board.image(px_per_unit, MARGIN_PX)
    width, height = board.size_m
    sheet_px = np.array([[px_per_unit / unit, 0, MARGIN_PX - 0.5], [0, px_per_unit / unit, MARGIN_PX - 0.5], [0, 0, 1]])
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    seen = (flat - [width / 2, height / 2]) * share * size[0] / max(width, height) * [0.9, 0.8]
    seen = seen @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    seen = seen * ([-1, 1] if mirrored else [1, 1]) * np.array([[1], [0.95], [1.1], [1.02]])
    seen = seen + np.array(size) / 2 + center
    H = cv2.getPerspectiveTransform(flat.astype(np.float32), seen.astype(np.float32))
    finer = np.array([[OVERSAMPLED, 0, (OVERSAMPLED - 1) / 2], [0, OVERSAMPLED, (OVERSAMPLED - 1) / 2], [0, 0, 1]])
    fine = tuple(OVERSAMPLED * n for n in size)
    big = cv2.warpPerspective(image_px, finer @ H @ np.linalg.inv(sheet_px), fine, borderValue=128)
    big = cv2.GaussianBlur(big, (0, 0), blur_px * OVERSAMPLED).astype(float)
    mean = big.reshape(size[1], OVERSAMPLED, size[0], OVERSAMPLED).mean(axis=(1, 3))
    noisy = 30 + 0.75 * mean + np.random.default_rng(seed).normal(0, noise, mean.shape)
    xy = cv2.perspectiveTransform(board.corners[:, :2].reshape(-1, 1, 2), H).reshape(-1, 2)
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8), xy
