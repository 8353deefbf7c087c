"""The camera table that anipose started and most of the field's TOML files share.

`size` (w, h) px, `matrix` 3x3 px, `distortions` in OpenCV's order, `rotation` as axis-angle in radians (some tools
write the 3x3 matrix) and `translation` of `x_cam = R x_world + t`, `fisheye`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any

import numpy as np

from calibration.camera import Camera, Intrinsics, whole_pixels
from calibration.file_fields import CameraFields
from calibration.lenses import Lens
from calibration.transforms import RigidTransform

ROTATION_DECIMALS = 14
"""Written digits of an axis-angle vector: 1e-11 px at most, and reading and writing again gives the same text."""

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")

Value = str | bool | int | float | date | time | Sequence[Any] | Mapping[str, Any]
"""What TOML can hold; containers hold such values."""


def is_camera(table: Mapping[str, object]) -> bool:
    """Whether a table of a TOML file describes a camera."""
    return "matrix" in table


def read_camera(fields: CameraFields, name: str, metres: float) -> Camera:
    """A posed camera; `metres` is the factor of the file's unit."""
    with fields.located():
        return Camera(name, read_intrinsics(fields), _read_pose(fields, metres))


def read_intrinsics(fields: CameraFields) -> Intrinsics:
    """Size, matrix, distortion and lens of a camera table."""
    lens = Lens.FISHEYE if fields.flag("fisheye") else Lens.BROWN_CONRADY
    distortion = fields.array("distortions").reshape(-1)
    with fields.located():
        size = whole_pixels(*fields.array("size", (2,)).tolist())
        return Intrinsics(size, fields.array("matrix", (3, 3)), distortion, lens)


def _read_pose(fields: CameraFields, metres: float) -> RigidTransform:
    if "rotation" not in fields and "translation" not in fields:
        raise fields.error(
            "has no pose (rotation and translation)",
            "Calibrate the extrinsics, or take the camera out of the file.",
        )
    rotation = fields.array("rotation", (3,), (3, 3), (3, 1))
    translation = fields.array("translation", (3,), (3, 1)).reshape(3) * metres
    if rotation.shape == (3, 3):
        return RigidTransform(rotation, translation)
    return RigidTransform.from_rotvec(rotation.reshape(3), translation)


def camera_entries(camera: Camera) -> dict[str, Value]:
    """The entries of a camera table, in the order in which anipose writes them."""
    lens = camera.intrinsics
    return {
        "name": camera.name,
        "size": list(lens.image_size),
        "matrix": lens.K.tolist(),
        "distortions": lens.distortion.tolist(),
        "rotation": rotation_entry(camera),
        "translation": camera.cam_from_world.t.tolist(),
        "fisheye": lens.lens is Lens.FISHEYE,
    }


def rotation_entry(camera: Camera) -> list[float]:
    """Axis-angle in radians with a fixed number of decimals."""
    return (np.round(camera.cam_from_world.rotvec, ROTATION_DECIMALS) + 0.0).tolist()


def toml_text(tables: Mapping[str, Mapping[str, Value]]) -> str:
    """TOML of tables of values; a header may be dotted. Floats keep every digit."""
    blocks = []
    for header, entries in tables.items():
        lines = [f"[{header}]", *(f"{toml_key(key)} = {_toml_value(value)}" for key, value in entries.items())]
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def toml_key(key: str) -> str:
    """A key as TOML wants it, quoted where it must be."""
    return key if BARE_KEY.fullmatch(key) else _quoted(key)


def _toml_value(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{toml_key(key)} = {_toml_value(item)}' for key, item in value.items())}}}"
    return f"[{', '.join(_toml_value(item) for item in value)}]"


def _quoted(text: str) -> str:
    """JSON's escapes are TOML's, except for the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
