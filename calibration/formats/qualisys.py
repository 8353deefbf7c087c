"""Qualisys Track Manager calibration export (`.qca.txt`): XML, millimetres, 1/64 pixels.

Facts of the format, each checked against the four-camera trial of Pose2Sim (see the tests):

- `transform` holds the camera's position (x, y, z) in millimetres and, as (r11 r12 r13), (r21 r22 r23),
  (r31 r32 r33), the three axes of the camera in world coordinates. Qualisys camera axes are x right, y up, z backwards.
- `focalLengthU/V` and `centerPointU/V` are in 1/64 pixel of the whole sensor; the video may be a window of it
  (`fov_video`, inclusive bounds), so its left/top corner is subtracted. The centre of a pixel has integer coordinates.
- `radialDistortion1..3` and `tangentalDistortion1..2` (the spelling is theirs) are the dimensionless k1 k2 k3 p1 p2
  of Brown–Conrady. They are not in 1/64 of anything: dividing them by 64, as Pose2Sim's converter does, switches the
  lens correction off.
- `viewrotation` is how QTM turns the picture on the screen. Intrinsics belong to the sensor's own picture, so it is
  not applied.
- World axes are kept as they are (Qualisys labs are Z up).

Marker cameras of the same system are left out: only models with "video" in their name and "none" are read; so are
cameras with `active="0"`.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from calibration.camera import Camera, Intrinsics, Rig, whole_pixels
from calibration.errors import CalibrationError
from calibration.file_fields import CameraFields, Document, Known, metres_per_unit, rig_of, write_text
from calibration.formats.capacity import Capacity
from calibration.transforms import RigidTransform

SUBPIXELS = 64.0
OPENCV_FROM_QUALISYS = np.diag([1.0, -1.0, -1.0])
"""Camera axes: y up, z backwards -> y down, z forwards."""

CAPACITY = Capacity("Qualisys", skew=True, fisheye=False, rational=False)


def recognises(document: Document) -> bool:
    """Whether it is XML with Qualisys's own element and attribute names."""
    return "<calibration" in document.text[:4000] and "focalLengthU" in document.text


def read(document: Document, known: Known) -> Rig:
    """The video cameras, in the order of the file."""
    path, cameras = document.path, _parse(document).findall("cameras/camera")
    videos = [element for element in cameras if _is_active_video(element)]
    if not videos:
        models = ", ".join(sorted({element.get("model", "?") for element in cameras}))
        found = f"its models are {models}" if models else "it has no <camera> at all"
        raise CalibrationError(f"has no active video camera: {found}", where=path)
    metres = metres_per_unit("mm", known)
    return rig_of([_read_camera(element, path, metres) for element in videos], path)


def _parse(document: Document) -> ElementTree.Element:
    if "<!DOCTYPE" in document.text or "<!ENTITY" in document.text:
        raise CalibrationError(
            "has a document type, which Qualisys never writes and nothing reads", where=document.path
        )
    try:
        return ElementTree.fromstring(document.text.encode())
    except ElementTree.ParseError as error:
        raise CalibrationError(f"is not well-formed XML: {error}", where=document.path) from None


def _is_active_video(element: ElementTree.Element) -> bool:
    model = element.get("model", "none").lower()
    return element.get("active", "1") != "0" and ("video" in model or model == "none")


def _read_camera(element: ElementTree.Element, path: Path, metres: float) -> Camera:
    name = element.get("serial")
    if not name:
        raise CalibrationError("a <camera> has no serial", where=path)
    window, pose, lens = (_child(element, tag, name, path) for tag in ("fov_video", "transform", "intrinsic"))
    with lens.located():
        intrinsics = _read_intrinsics(window, lens)
    with pose.located():
        return Camera(name, intrinsics, _read_pose(pose, metres))


def _child(camera: ElementTree.Element, tag: str, name: str, path: Path) -> CameraFields:
    element = camera.find(tag)
    if element is None:
        raise CalibrationError(f"camera {name!r}: <{tag}> is missing", where=path)
    return CameraFields(path, name, element.attrib)


def _read_intrinsics(window: CameraFields, lens: CameraFields) -> Intrinsics:
    left, top = window.number("left"), window.number("top")
    size = whole_pixels(window.number("right") - left + 1, window.number("bottom") - top + 1)
    K = np.eye(3)
    K[0, 0], K[1, 1] = lens.number("focalLengthU") / SUBPIXELS, lens.number("focalLengthV") / SUBPIXELS
    K[0, 1] = lens.number("skew", 0.0) / SUBPIXELS
    K[0, 2] = lens.number("centerPointU") / SUBPIXELS - left
    K[1, 2] = lens.number("centerPointV") / SUBPIXELS - top
    k1, k2, k3 = (lens.number(f"radialDistortion{i}") for i in (1, 2, 3))
    p1, p2 = (lens.number(f"tangentalDistortion{i}") for i in (1, 2))
    return Intrinsics(size, K, np.array([k1, k2, p1, p2, k3]))


def _read_pose(pose: CameraFields, metres: float) -> RigidTransform:
    axes = np.array([[pose.number(f"r{row}{column}") for column in (1, 2, 3)] for row in (1, 2, 3)])
    center = np.array([pose.number(axis) for axis in "xyz"]) * metres
    rotation = RigidTransform(OPENCV_FROM_QUALISYS @ axes, np.zeros(3)).R
    return RigidTransform(rotation, -rotation @ center)


def write(rig: Rig, path: Path) -> None:
    """One file; what only a Qualisys system knows (residuals, versions) is left at its neutral value."""
    CAPACITY.check(rig, path)
    root = ElementTree.Element("calibration", {"source": path.name, "type": "regular"})
    ElementTree.SubElement(root, "results", {"std-dev": "0.0", "min-max-diff": "0.0"})
    cameras = ElementTree.SubElement(root, "cameras")
    for camera in rig:
        _write_camera(cameras, camera)
    ElementTree.indent(root)
    write_text(path, ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n")


def _write_camera(parent: ElementTree.Element, camera: Camera) -> None:
    about = {"active": "1", "serial": camera.name, "model": "none", "viewrotation": "0", "avg-residual": "0.0"}
    element = ElementTree.SubElement(parent, "camera", {**about, "point-count": "0"})
    width, height = camera.intrinsics.image_size
    bounds = {"left": "0", "top": "0", "right": str(width - 1), "bottom": str(height - 1)}
    for tag in ("fov_marker", "fov_marker_max", "fov_video", "fov_video_max"):
        ElementTree.SubElement(element, tag, bounds)
    axes = OPENCV_FROM_QUALISYS @ camera.cam_from_world.R
    pose = dict(zip("xyz", camera.center * 1000.0, strict=True))
    pose |= {f"r{row + 1}{column + 1}": axes[row, column] for row in range(3) for column in range(3)}
    ElementTree.SubElement(element, "transform", _as_text(pose))
    ElementTree.SubElement(element, "intrinsic", _as_text(_lens_attributes(camera.intrinsics)))


def _lens_attributes(lens: Intrinsics) -> dict[str, float]:
    k1, k2, p1, p2, k3 = lens.distortion
    width, height = lens.image_size
    subpixels = {
        "sensorMinU": 0.0,
        "sensorMaxU": width - 1,
        "sensorMinV": 0.0,
        "sensorMaxV": height - 1,
        "focalLengthU": lens.K[0, 0],
        "focalLengthV": lens.K[1, 1],
        "centerPointU": lens.K[0, 2],
        "centerPointV": lens.K[1, 2],
        "skew": lens.K[0, 1],
    }
    distortion = {"radialDistortion1": k1, "radialDistortion2": k2, "radialDistortion3": k3}
    distortion |= {"tangentalDistortion1": p1, "tangentalDistortion2": p2}
    return {**{key: value * SUBPIXELS for key, value in subpixels.items()}, **distortion}


def _as_text(numbers: dict[str, float]) -> dict[str, str]:
    return {key: repr(float(value)) for key, value in numbers.items()}
