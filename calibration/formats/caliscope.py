"""caliscope's camera arrays: `camera_array.toml` (tables `[cameras.0]`), and `config.toml` (`[cam_0]`) before it.

Metres; the world is the one chosen in caliscope (a board pose; not Z up unless the user made it so). `rotation` is a
3x3 matrix in older files and axis-angle in newer ones. Cameras have numbers: they are called `cam_<number>`, like the
videos of a caliscope session, unless a `name` (which caliscope passes over) says otherwise. `rotation_count` turns the
picture for the eye of the tracker only and is not applied. Cameras with `ignore = true` are left out; a camera without
a pose and without that mark is an error. `[charuco] units` is the unit of the paper the board was drawn for, not of the
rig.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from calibration.camera import Camera, Rig
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
from calibration.toml_cameras import Value, camera_entries, is_camera, read_camera, toml_text

CAPACITY = Capacity("caliscope")


def recognises_array(document: Document) -> bool:
    """Whether there is a `[cameras]` table of numbered cameras."""
    cameras = document.tables.get("cameras", {})
    return bool(cameras) and all(isinstance(table, dict) for table in cameras.values())


def recognises_config(document: Document) -> bool:
    """Whether there are camera tables with a port (before 0.6) or cam_id."""
    cameras = [table for table in document.tables.values() if is_camera(table)]
    return any("port" in table or "cam_id" in table for table in cameras)


def read_array(document: Document, known: Known) -> Rig:
    """The cameras of a `camera_array.toml`."""
    tables = document.tables.get("cameras", {})
    return _read({f"cam_{key}": table for key, table in tables.items() if isinstance(table, dict)}, document, known)


def read_config(document: Document, known: Known) -> Rig:
    """The cameras of a `config.toml`, whose other tables (board, point estimates) are passed over."""
    return _read({key: table for key, table in document.tables.items() if is_camera(table)}, document, known)


def _read(tables: Mapping[str, Mapping[str, object]], document: Document, known: Known) -> Rig:
    metres = metres_per_unit("m", known)
    cameras = []
    for header, table in tables.items():
        name = str(table.get("name", header))
        fields = CameraFields(document.path, name, table)
        if not fields.flag("ignore"):
            cameras.append(read_camera(fields, name, metres))
    if not cameras:
        raise CalibrationError("has no camera that is not ignored", where=document.path)
    return check_extent(rig_of(cameras, document.path), document, known)


def write_array(rig: Rig, path: Path) -> None:
    """`camera_array.toml` as caliscope 0.11 reads it."""
    CAPACITY.check(rig, path)
    tables: dict[str, dict[str, Value]] = {}
    for number, camera in zip(_numbers(rig), rig, strict=True):
        tables[f"cameras.{number}"] = {"cam_id": number, **_entries(camera, number)}
    write_text(path, toml_text(tables))


def write_config(rig: Rig, path: Path) -> None:
    """The camera tables of an older `config.toml`."""
    CAPACITY.check(rig, path)
    tables: dict[str, dict[str, Value]] = {}
    for number, camera in zip(_numbers(rig), rig, strict=True):
        rotation = camera.cam_from_world.R.tolist()
        tables[f"cam_{number}"] = {"port": number, **_entries(camera, number), "rotation": rotation}
    write_text(path, toml_text(tables))


def _numbers(rig: Rig) -> list[int]:
    """The numbers in the names when all are called cam_<number>, else their order."""
    found = [re.fullmatch(r"cam_(0|[1-9]\d*)", name) for name in rig.names]
    if all(found):
        return [int(match[1]) for match in found if match]
    return list(range(len(rig)))


def _entries(camera: Camera, number: int) -> dict[str, Value]:
    entries = camera_entries(camera)
    if camera.name == f"cam_{number}":
        del entries["name"]
    return {**entries, "rotation_count": 0, "ignore": False}
