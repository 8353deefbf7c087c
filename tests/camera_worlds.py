"""Rigs for tests in which nothing is square, centred, equal or parallel by accident."""

from __future__ import annotations

import numpy as np

from calibration import Camera, Intrinsics, Lens, Rig, RigidTransform


def looking_at(center: np.ndarray, target: np.ndarray, roll: float = 0.0) -> RigidTransform:
    """cam_from_world of a camera at `center` whose axis passes through `target`; `roll` in radians."""
    forward = (target - center) / np.linalg.norm(target - center)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    turn = np.array([[np.cos(roll), np.sin(roll), 0], [-np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    R = turn @ np.stack([right, down, forward])
    return RigidTransform(R, -R @ center)


def _matrix(fx: float, fy: float, cx: float, cy: float, skew: float = 0.0) -> np.ndarray:
    return np.array([[fx, skew, cx], [0, fy, cy], [0, 0, 1]])


def mixed_rig() -> Rig:
    """Five cameras around the origin: portrait, landscape with skew, rational wide, fisheye, tele. All see x, y in
    [-1, 1], z in [0, 2] m."""
    target = np.array([0.05, -0.1, 0.95])
    lenses = [
        Intrinsics((1080, 1920), _matrix(1500, 1490, 551.3, 940.2), np.array([-0.11, 0.06, 8e-4, -5e-4, 0.01])),
        Intrinsics((1280, 720), _matrix(700, 712, 655.1, 341.7, skew=1.7), np.array([0.03, -0.02, -6e-4, 9e-4, 0.0])),
        Intrinsics(
            (1920, 1080),
            _matrix(1010, 1003, 931.0, 566.0),
            np.array([0.3, -0.05, 3e-4, 2e-4, 0.004, 0.45, 0.01, 0.002]),
        ),
        Intrinsics((1440, 1100), _matrix(520, 515, 702.0, 560.5), np.array([0.02, -0.01, 4e-3, -1e-3]), Lens.FISHEYE),
        Intrinsics((640, 480), _matrix(820, 815, 305.0, 251.0), np.array([-0.05, 0.1, 2e-4, 1e-4, 0.0])),
    ]
    centers = np.array([[3.1, -2.4, 1.9], [-2.2, -3.3, 1.2], [-3.0, 2.1, 2.4], [1.2, 2.3, 1.5], [6.0, 1.5, 1.1]])
    rolls = [0.05, -0.1, 0.2, 0.0, -0.03]
    return Rig(
        tuple(
            Camera(f"cam{i}", lens, looking_at(center, target, roll))
            for i, (lens, center, roll) in enumerate(zip(lenses, centers, rolls, strict=True))
        )
    )
