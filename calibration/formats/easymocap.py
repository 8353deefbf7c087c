"""EasyMocap's `intri.yml` and `extri.yml`: FileStorage YAML, all cameras in each.

`names`, `K_<name>`, `dist_<name>` (some files: `D_<name>`), `W_<name>` and `H_<name>` (the size; older files have none
or -1, so the caller may have to say); `R_<name>` axis-angle (what EasyMocap reads) or `Rot_<name>` 3x3, and `T_<name>`,
of x_cam = R x_world + T in metres. EasyMocap's worlds are Z up when its ground board was used. Either file or their
folder may be named.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from calibration.camera import Camera, Intrinsics, Rig, whole_pixels
from calibration.errors import CalibrationError
from calibration.file_fields import (
    CameraFields,
    Document,
    Known,
    check_extent,
    metres_per_unit,
    rig_of,
    write_text,
)
from calibration.formats.capacity import Capacity
from calibration.formats.storage import read_storage, storage_text
from calibration.transforms import RigidTransform

INTRINSICS, EXTRINSICS = "intri.yml", "extri.yml"
CAPACITY = Capacity("EasyMocap", fisheye=False, rational=False, name=r"[A-Za-z0-9_-]+")
"""Names become parts of YAML keys."""


def recognises(document: Document) -> bool:
    """Whether it is the folder of the two files, or one of them."""
    if document.path.is_dir():
        return (document.path / INTRINSICS).is_file() and (document.path / EXTRINSICS).is_file()
    return document.path.name in (INTRINSICS, EXTRINSICS) and "names:" in document.text


def read(document: Document, known: Known) -> Rig:
    """The cameras in the order of `names`."""
    folder = document.path if document.path.is_dir() else document.path.parent
    lenses, poses = (Document.open(folder / name) for name in (INTRINSICS, EXTRINSICS))
    lens_entries, pose_entries = read_storage(lenses), read_storage(poses)
    names = lens_entries.get("names")
    if not isinstance(names, list) or not names:
        raise CalibrationError("has no list of camera names", where=lenses.path)
    metres = metres_per_unit("m", known)
    cameras = []
    for name in map(str, names):
        lens, pose = CameraFields(lenses.path, name, lens_entries), CameraFields(poses.path, name, pose_entries)
        with lens.located():
            intrinsics = _intrinsics(lens, known)
        with pose.located():
            cameras.append(Camera(name, intrinsics, _pose(pose, metres)))
    return check_extent(rig_of(cameras, lenses.path), document, known)


def _intrinsics(fields: CameraFields, known: Known) -> Intrinsics:
    name = fields.camera
    if known.image_size is not None and fields.number(f"W_{name}", -1.0) <= 0:
        size = known.image_size
    else:
        size = whole_pixels(fields.number(f"W_{name}"), fields.number(f"H_{name}"))
    coefficients = f"D_{name}" if f"dist_{name}" not in fields and f"D_{name}" in fields else f"dist_{name}"
    return Intrinsics(size, fields.array(f"K_{name}", (3, 3)), fields.array(coefficients).reshape(-1))


def _pose(fields: CameraFields, metres: float) -> RigidTransform:
    name = fields.camera
    translation = fields.array(f"T_{name}", (3, 1), (1, 3)).reshape(3) * metres
    if f"R_{name}" not in fields and f"Rot_{name}" in fields:
        return RigidTransform(fields.array(f"Rot_{name}", (3, 3)), translation)
    return RigidTransform.from_rotvec(fields.array(f"R_{name}", (3, 1), (1, 3)).reshape(3), translation)


def write(rig: Rig, path: Path) -> None:
    """Both files into the folder `path`."""
    CAPACITY.check(rig, path)
    lenses: dict[str, list[str] | int | np.ndarray] = {"names": list(rig.names)}
    poses: dict[str, list[str] | int | np.ndarray] = {"names": list(rig.names)}
    for camera in rig:
        name, lens, pose = camera.name, camera.intrinsics, camera.cam_from_world
        lenses |= {f"K_{name}": lens.K, f"dist_{name}": lens.distortion[None]}
        lenses |= {f"H_{name}": lens.image_size[1], f"W_{name}": lens.image_size[0]}
        poses |= {f"R_{name}": pose.rotvec[:, None], f"Rot_{name}": pose.R, f"T_{name}": pose.t[:, None]}
    write_text(path / INTRINSICS, storage_text(lenses))
    write_text(path / EXTRINSICS, storage_text(poses))
