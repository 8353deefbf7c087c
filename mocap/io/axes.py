"""The world seen by animation files: which axis is up, and how many metres one unit of length is.

Convention: right-handed in and out. Ours is Z up, a T-pose faces -Y and its left hand is at +X. Turned to Y up,
`(x, y, z) -> (x, z, -y)`, the same T-pose faces +Z with its left hand still at +X: what Blender (-Z forward, Y up),
Maya and MotionBuilder expect. Worked number: (1, 2, 3) becomes (1, 3, -2).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError

Up = Literal["y", "z"]
Unit = Literal["m", "cm", "mm", "in"]

METRES_PER_UNIT: dict[str, float] = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254}
_FILE_FROM_WORLD = {
    "z": np.eye(3),
    "y": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
}


def file_from_world(up: str) -> Float[np.ndarray, "3 3"]:
    """Proper rotation that takes our Z-up axes to the axes of a file whose vertical is `up`."""
    try:
        return _FILE_FROM_WORLD[up]
    except KeyError:
        raise InputError(f"no up axis {up!r}; there are {', '.join(get_args(Up))}") from None


def metres_per(unit: str | float) -> float:
    """Metres in one unit of a file; a number stands for itself."""
    if isinstance(unit, (int, float)):
        if not np.isfinite(unit) or unit <= 0:
            raise InputError(f"{unit} metres a unit is not a scale", remedy="Give a positive number, e.g. 0.01.")
        return float(unit)
    try:
        return METRES_PER_UNIT[unit]
    except KeyError:
        raise InputError(f"no unit {unit!r}; there are {', '.join(METRES_PER_UNIT)}") from None


def turn_quaternions(
    quaternions: Float[np.ndarray, "*batch 4"], b_from_a: Float[np.ndarray, "3 3"]
) -> Float[np.ndarray, "*batch 4"]:
    """The same rotations (wxyz) written in axes b instead of a: `C q C^-1`, which turns the vector part only."""
    return np.concatenate([quaternions[..., :1], quaternions[..., 1:] @ b_from_a.T], axis=-1)
