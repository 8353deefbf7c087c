"""The world for want of better: cameras are mostly held upright, and boards are waved above the floor."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from calibration.board_motion import BoardMotion
from calibration.camera import Rig
from calibration.errors import CalibrationError
from calibration.world_frame import WorldFrame, standing_frame

UPRIGHT_ROLL = np.radians(2.0)
"""How level a camera on a stand is, typically."""


def from_upright_cameras(rig: Rig, motion: BoardMotion, points: Float[np.ndarray, "K 3"]) -> WorldFrame:
    """Up is what the cameras' rows of pixels are level to, and the floor is as low as the board was ever held.

    A guess: the tilt is off by the cameras' roll, the floor by the height at which the board was kept. Origin below
    the middle of the cameras, +x away from the first of them.
    """
    right = np.stack([camera.cam_from_world.R[0] for camera in rig])
    down = np.stack([camera.cam_from_world.R[1] for camera in rig])
    _, size, axes = np.linalg.svd(right)
    if len(rig) < 2 or size[1] < 0.3:
        raise CalibrationError(
            "all cameras look the same way: what is up cannot be told from how they are held",
            remedy="Lay the board on the floor and give that clip or moment.",
        )
    up = axes[2] if (down @ axes[2]).sum() < 0 else -axes[2]
    board = motion.t[:, None] + points @ np.swapaxes(motion.R, -1, -2)
    floor = float((board @ up).min()) if len(motion) else float((rig.centers @ up).min())
    origin = rig.centers.mean(axis=0)
    origin = origin + up * (floor - float(origin @ up))
    roll = np.degrees(np.abs(np.arcsin(np.clip(right @ up, -1, 1))).max())
    sentence = (
        f"Up and floor are guesses, from how the cameras are held (up to {roll:.1f}° from level to each other) and the "
        f"lowest place of the board: lay the board on the floor for better."
    )
    tilt = float(UPRIGHT_ROLL / np.sqrt(len(rig)))
    return WorldFrame(
        standing_frame(up, rig.cameras[0].cam_from_world.R[2], origin),
        1.0,
        "guessed from the cameras",
        (sentence,),
        tilt,
    )
