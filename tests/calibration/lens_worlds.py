"""Boards held in front of one camera at many places, distances and tilts, with truth."""

from __future__ import annotations

import numpy as np

from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.boards import CharucoBoard
from calibration.camera import Camera, Intrinsics, Rig
from calibration.lenses import Lens
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, observe_board
from calibration.transforms import RigidTransform

BOARD = CharucoBoard(7, 5, 0.1, 0.075)

BROWN = Intrinsics(
    (1280, 720), np.array([[900.0, 0, 620], [0, 905, 371], [0, 0, 1]]), np.array([-0.21, 0.08, 1e-3, -5e-4, -0.01])
)
RATIONAL = Intrinsics(
    (1280, 960),
    np.array([[560.0, 0, 650], [0, 562, 470], [0, 0, 1]]),
    np.array([-0.49, 0.04, 3e-4, -2e-4, 0.19, -0.52, 0.32, 0.11]),
)
FISHEYE = Intrinsics(
    (1440, 1080),
    np.array([[520.0, 0, 702], [0, 515, 560], [0, 0, 1]]),
    np.array([0.02, -0.01, 0.003, -0.001]),
    Lens.FISHEYE,
)
LENSES = {"brown_conrady": BROWN, "rational": RATIONAL, "fisheye": FISHEYE}


def held_in_front(
    intrinsics: Intrinsics,
    rng: np.random.Generator,
    *,
    n_views: int = 60,
    tilt: float = 0.8,
    distance_m: tuple[float, float] = (0.5, 1.5),
    parallel: bool = False,
    seeing: Seeing | None = None,
    name: str = "cam01",
) -> BoardObservations:
    """Views of a board whose middle lies behind pixels all over the picture, turned towards the camera but for a tilt
    of up to so much (rad) in any direction, and turned within its plane. `parallel`: the tilt is one against the
    plane of the picture instead, which without a tilt tells nothing of the focal length."""
    width, height = intrinsics.image_size
    rays = intrinsics.ray(rng.uniform([0, 0], [width, height], (n_views, 2)))
    away = rng.uniform(*distance_m, n_views)
    across = np.cross(np.array([0.0, 0.0, 1.0]), rays)
    angle = np.arctan2(np.linalg.norm(across, axis=-1), rays[:, 2])
    facing = rotvecs_to_matrices(across / np.linalg.norm(across, axis=-1, keepdims=True) * angle[:, None])
    way = rng.uniform(0, 2 * np.pi, n_views)
    lean = np.stack([np.cos(way), np.sin(way), np.zeros(n_views)], axis=-1) * rng.uniform(0, tilt, (n_views, 1))
    roll = np.stack([np.zeros(n_views), np.zeros(n_views), rng.uniform(-np.pi, np.pi, n_views)], axis=-1)
    facing = np.broadcast_to(np.eye(3), facing.shape) if parallel else facing
    R = facing @ rotvecs_to_matrices(lean) @ rotvecs_to_matrices(roll)
    t = rays / (rays[:, 2:] if parallel else 1.0) * away[:, None] - R @ BOARD.corners.mean(axis=0)
    still = np.zeros((n_views, 3))
    motion = BoardMotion(np.arange(n_views), np.arange(n_views) / 5, R, t, still, still)
    rig = Rig((Camera(name, intrinsics, RigidTransform.identity()),))
    return observe_board(rig, motion, BOARD.corners, Seeing(max_angle=1.4) if seeing is None else seeing, rng)
