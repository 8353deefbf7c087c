"""Cameras that never existed, for worlds with a known truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Intrinsics
from calibration.errors import CalibrationError
from calibration.transforms import RigidTransform


def camera_looking_at(
    name: str,
    intrinsics: Intrinsics,
    *,
    center: Sequence[float] | Float[np.ndarray, "3"],
    target: Sequence[float] | Float[np.ndarray, "3"],
    roll: float = 0.0,
) -> Camera:
    """A camera at `center` whose optical axis passes through `target` (both world, m).

    roll: rad, how far the camera is turned about its axis from standing upright, clockwise as seen from behind it.
    """
    center, forward = np.asarray(center, dtype=np.float64), np.subtract(target, center)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    if np.linalg.norm(right) < 1e-9 * np.linalg.norm(forward) or not forward.any():
        raise CalibrationError(f"camera {name} looks straight up or down, or at itself: its roll is undefined")
    forward, right = forward / np.linalg.norm(forward), right / np.linalg.norm(right)
    upright = np.stack([right, np.cross(forward, right), forward])
    c, s = np.cos(roll), np.sin(roll)
    R = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]]) @ upright
    return Camera(name, intrinsics, RigidTransform(R, -R @ center))
