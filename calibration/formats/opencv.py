"""OpenCV calibration files (FileStorage YAML or XML), one per camera, or a folder of them.

`camera_matrix`, `distortion_coefficients`, `image_width`, `image_height` as OpenCV's calibration programs write them
(the letter case does not matter), `fisheye_model` 1 for fisheye; ROS files with `distortion_model` are read too. The
name of a camera is `camera_name` or the file's. OpenCV's programs write no pose of a rig: a pose is `R` (3x3 or
axis-angle) and `T` (or `rvec` and `tvec`) of x_cam = R x_world + T, metres unless the caller says otherwise. A folder
is read in natural order (cam2 before cam10) and each of its cameras must have a pose; `read_intrinsics` does without.
"""

from __future__ import annotations

import re
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
from calibration.formats.storage import is_storage, read_storage, storage_text
from calibration.lenses import Lens
from calibration.transforms import RigidTransform

SUFFIXES = {".yml", ".yaml", ".xml"}
CAPACITY = Capacity("OpenCV", name=r"[^/\\:\x00]+")
"""Camera names become file names."""

POSE_KEYS = (("r", "t"), ("rvec", "tvec"))


def recognises(document: Document) -> bool:
    """Whether the file, or a file of the folder, is OpenCV's and has a camera matrix."""
    return any("camera_matrix" in d.text.lower() and _is_readable(d) for d in _documents(document))


def _is_readable(document: Document) -> bool:
    return is_storage(document) or "distortion_model" in document.text


def read(document: Document, known: Known) -> Rig:
    """The posed cameras of a file or folder."""
    metres = metres_per_unit("m", known)
    cameras = []
    for fields in _all_fields(document):
        with fields.located():
            cameras.append(Camera(fields.camera, _intrinsics(fields, known), _pose(fields, metres)))
    return check_extent(rig_of(cameras, document.path), document, known)


def read_intrinsics(path: str | Path, *, image_size: tuple[int, int] | None = None) -> dict[str, Intrinsics]:
    """The lenses in an OpenCV file or folder of files, by camera name, whether posed or not.

    `image_size` (w, h) px is for files that do not state it.
    """
    known = Known(image_size=image_size)
    found = {}
    for fields in _all_fields(Document.open(path)):
        with fields.located():
            found[fields.camera] = _intrinsics(fields, known)
    return found


def _documents(document: Document) -> list[Document]:
    if not document.path.is_dir():
        return [document]
    files = [file for file in document.path.iterdir() if file.suffix.lower() in SUFFIXES]
    return [Document.open(file) for file in sorted(files, key=_natural)]


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", path.stem)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _all_fields(document: Document) -> list[CameraFields]:
    found = [fields for d in _documents(document) if "camera_matrix" in (fields := _fields(d))]
    if not found:
        raise CalibrationError("has no camera_matrix", where=document.path)
    return found


def _fields(document: Document) -> CameraFields:
    entries = {key.lower(): value for key, value in read_storage(document).items()}
    return CameraFields(document.path, str(entries.get("camera_name", document.path.stem)), entries)


def _intrinsics(fields: CameraFields, known: Known) -> Intrinsics:
    model = str(fields.entries.get("distortion_model", ""))
    fisheye = fields.flag("fisheye_model") or model in ("equidistant", "fisheye")
    distortion = fields.array("distortion_coefficients").reshape(-1)
    lens = Lens.FISHEYE if fisheye else Lens.BROWN_CONRADY
    return Intrinsics(_size(fields, known), fields.array("camera_matrix", (3, 3)), distortion, lens)


def _size(fields: CameraFields, known: Known) -> tuple[int, int]:
    if known.image_size is not None and "image_width" not in fields:
        return known.image_size
    return whole_pixels(fields.number("image_width"), fields.number("image_height"))


def _pose(fields: CameraFields, metres: float) -> RigidTransform:
    for rotation_key, translation_key in POSE_KEYS:
        if rotation_key in fields or translation_key in fields:
            rotation = fields.array(rotation_key, (3, 3), (3, 1), (1, 3))
            translation = fields.array(translation_key, (3, 1), (1, 3)).reshape(3) * metres
            if rotation.shape == (3, 3):
                return RigidTransform(rotation, translation)
            return RigidTransform.from_rotvec(rotation.reshape(3), translation)
    raise fields.error("has a lens but no pose (R and T)", "Calibrate the extrinsics, or add the pose to the file.")


def write(rig: Rig, path: Path) -> None:
    """A folder with `<camera>.yml` for each camera; a rig of one may also be a single file."""
    CAPACITY.check(rig, path)
    if path.suffix.lower() in SUFFIXES and len(rig) > 1:
        raise CalibrationError("one OpenCV file holds one camera", where=path, remedy="Name a folder instead.")
    for camera in rig:
        file = path if path.suffix.lower() in SUFFIXES else path / f"{camera.name}.yml"
        write_text(file, storage_text(_entries(camera)))


def _entries(camera: Camera) -> dict[str, str | int | np.ndarray]:
    lens = camera.intrinsics
    width, height = lens.image_size
    return {
        "camera_name": camera.name,
        "image_width": width,
        "image_height": height,
        "fisheye_model": int(lens.lens is Lens.FISHEYE),
        "camera_matrix": lens.K,
        "distortion_coefficients": lens.distortion[:, None],
        "R": camera.cam_from_world.R,
        "T": camera.cam_from_world.t[:, None],
    }
