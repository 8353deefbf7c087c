"""Pose2Sim and Sports2D TOML: like anipose's, but each table is headed by the camera's name and sizes are floats.

Metres, Z up. Pose2Sim reads the cameras in the order of the file, takes every lens for Brown–Conrady whatever `fisheye`
says, and ignores the skew: neither is written.
"""

from __future__ import annotations

from pathlib import Path

from calibration.camera import Rig
from calibration.file_fields import Document, write_text
from calibration.formats.capacity import Capacity
from calibration.rig_file import read_flat_toml
from calibration.toml_cameras import Value, camera_entries, is_camera, toml_key, toml_text

CAPACITY = Capacity("Pose2Sim", fisheye=False, name=r"(?!(metadata|capture_volume|charuco|checkerboard)$).+")
"""The excluded names are the tables that Pose2Sim skips."""

read = read_flat_toml


def recognises(document: Document) -> bool:
    """Whether there are camera tables of the common layout."""
    return any(is_camera(table) for table in document.tables.values())


def write(rig: Rig, path: Path) -> None:
    """One file; the fifth coefficient only where it is not zero, as Pose2Sim's own files have four."""
    CAPACITY.check(rig, path)
    tables: dict[str, dict[str, Value]] = {}
    for camera in rig:
        distortion = camera.intrinsics.distortion
        shown = distortion if distortion[4:].any() else distortion[:4]
        size = [float(v) for v in camera.intrinsics.image_size]
        tables[toml_key(camera.name)] = {**camera_entries(camera), "size": size, "distortions": shown.tolist()}
    write_text(path, toml_text({**tables, "metadata": {"adjusted": False, "error": 0.0}}))
