"""A board waved before synthetic cameras, as pictures: quick enough to play a whole clip in a test."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.boards import CharucoBoard
from calibration.camera import Camera
from mocap.synthetic.board_paths import wave_at_camera

BOARD = CharucoBoard(5, 7, 0.06, 0.045, "DICT_4X4_50")
PX_PER_SQUARE = 60
MARGIN_PX = 30


def picture_of_board(camera: Camera, world_from_board: np.ndarray | None) -> np.ndarray:
    """(H, W, 3) RGB of the board before grey, by a pinhole camera without distortion; None: no board."""
    width, height = camera.intrinsics.image_size
    image = np.full((height, width), 120, dtype=np.uint8)
    if world_from_board is not None:
        sheet = BOARD.image(PX_PER_SQUARE, MARGIN_PX)
        scale = BOARD.square_m / PX_PER_SQUARE
        board_from_px = np.array(
            [[scale, 0, (0.5 - MARGIN_PX) * scale], [0, scale, (0.5 - MARGIN_PX) * scale], [0, 0, 1]]
        )
        cam_from_board = camera.cam_from_world.matrix @ world_from_board
        H = camera.intrinsics.K @ cam_from_board[:3][:, [0, 1, 3]] @ board_from_px
        fine = np.diag([2.0, 2.0, 1.0]) @ np.array([[1, 0, 0.25], [0, 1, 0.25], [0, 0, 1]]) @ H
        big = np.full((2 * height, 2 * width), 120, dtype=np.uint8)
        cv2.warpPerspective(sheet, fine, (2 * width, 2 * height), dst=big, borderMode=cv2.BORDER_TRANSPARENT)
        image = cv2.GaussianBlur(cv2.resize(big, (width, height), interpolation=cv2.INTER_AREA), (0, 0), 0.6)
    return np.repeat(image[..., None], 3, axis=-1).astype(np.uint8)


def waved(camera: Camera, *, seconds: float, fps: float, seed: int = 3) -> np.ndarray:
    """world_from_board (T, 4, 4) of somebody who waves the board at a camera."""
    return wave_at_camera(camera, BOARD, seconds=seconds, fps=fps, rng=np.random.default_rng(seed))
