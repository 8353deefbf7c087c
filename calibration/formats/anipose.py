"""anipose / aniposelib TOML, also written by FreeMoCap and by caliscope's export.

Tables `[cam_0]` with `name`; `[metadata]`. The file states no unit: its lengths are those of the calibration board
(FreeMoCap: millimetres). They are read as metres unless `metadata.units` or the caller says otherwise, and refused when
that puts the cameras farther apart than any room. The world frame is the file's own (FreeMoCap with a ground plane: Z
up; anipose: the first camera).
"""

from __future__ import annotations

import re
from pathlib import Path

from calibration.camera import Rig
from calibration.file_fields import Document, write_text
from calibration.formats.capacity import Capacity
from calibration.rig_file import camera_headers, read_flat_toml
from calibration.toml_cameras import camera_entries, is_camera, toml_text

CAPACITY = Capacity("anipose")
read = read_flat_toml


def recognises(document: Document) -> bool:
    """Whether every camera table is headed cam_<number> and has a name."""
    cameras = {header: table for header, table in document.tables.items() if is_camera(table)}
    return bool(cameras) and all(re.fullmatch(r"cam_\d+", h) and "name" in t for h, t in cameras.items())


def write(rig: Rig, path: Path) -> None:
    """One file, metres."""
    CAPACITY.check(rig, path)
    tables = {header: camera_entries(camera) for header, camera in zip(camera_headers(len(rig)), rig, strict=True)}
    write_text(path, toml_text({**tables, "metadata": {"adjusted": False, "error": 0.0}}))
