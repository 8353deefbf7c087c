"""Cameras and boards: numpy and OpenCV only, knows nothing of people.

The names below are loaded when they are first asked for: errors must be had without OpenCV, which is what
`mocap doctor` reports on when it is broken.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calibration.camera import Camera, Intrinsics, Rig, rescale_pixels
    from calibration.errors import CalibrationError, InputError, UnknownCameraError
    from calibration.lenses import Lens
    from calibration.transforms import RigidTransform

__all__ = [
    "CalibrationError",
    "Camera",
    "InputError",
    "Intrinsics",
    "Lens",
    "Rig",
    "RigidTransform",
    "UnknownCameraError",
    "rescale_pixels",
]

_HOMES = {
    "camera": ("Camera", "Intrinsics", "Rig", "rescale_pixels"),
    "errors": ("CalibrationError", "InputError", "UnknownCameraError"),
    "lenses": ("Lens",),
    "transforms": ("RigidTransform",),
}


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"calibration.{module}"), name)
    raise AttributeError(f"module 'calibration' has no attribute {name!r}")
