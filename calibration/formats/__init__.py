"""Calibration files of other tools, read and written: one module per format, none of which executes what it reads.

Every reader applies the unit of the file and keeps its world frame: a rig from elsewhere is in metres, but it is Z up
with the floor at z = 0 only if its author made it so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from calibration import rig_file
from calibration.camera import Rig
from calibration.errors import CalibrationError
from calibration.file_fields import Document, Known
from calibration.formats import anipose, caliscope, easymocap, opencv, pose2sim, qualisys
from calibration.formats.opencv import read_intrinsics

__all__ = ["FORMATS", "CalibrationFormat", "read_calibration", "read_intrinsics", "write_calibration"]


@dataclass(frozen=True)
class CalibrationFormat:
    """One kind of calibration file. `recognises` looks at the content; `write` takes the path of the file or folder."""

    name: str
    description: str
    recognises: Callable[[Document], bool]
    read: Callable[[Document, Known], Rig]
    write: Callable[[Rig, Path], None]


def _is_rig_file(document: Document) -> bool:
    return "world_frame" in document.tables.get("metadata", {})


FORMATS: dict[str, CalibrationFormat] = {
    f.name: f
    for f in (
        CalibrationFormat("rig", "this project's rig.toml", _is_rig_file, rig_file.read_flat_toml, rig_file.write_rig),
        CalibrationFormat(
            "caliscope",
            "caliscope camera_array.toml",
            caliscope.recognises_array,
            caliscope.read_array,
            caliscope.write_array,
        ),
        CalibrationFormat(
            "caliscope-config",
            "caliscope config.toml of older versions",
            caliscope.recognises_config,
            caliscope.read_config,
            caliscope.write_config,
        ),
        CalibrationFormat(
            "anipose", "anipose, aniposelib or FreeMoCap TOML", anipose.recognises, anipose.read, anipose.write
        ),
        CalibrationFormat("pose2sim", "Pose2Sim or Sports2D TOML", pose2sim.recognises, pose2sim.read, pose2sim.write),
        CalibrationFormat("qualisys", "Qualisys .qca.txt", qualisys.recognises, qualisys.read, qualisys.write),
        CalibrationFormat(
            "easymocap",
            "folder with EasyMocap's intri.yml, extri.yml",
            easymocap.recognises,
            easymocap.read,
            easymocap.write,
        ),
        CalibrationFormat(
            "opencv", "OpenCV YAML or XML, a file or a folder", opencv.recognises, opencv.read, opencv.write
        ),
    )
}
"""In the order in which a file is tried: a format comes before those that would take its files for their own."""


def read_calibration(
    path: str | Path,
    format: str | None = None,
    *,
    unit: str | None = None,
    image_size: tuple[int, int] | None = None,
) -> Rig:
    """The posed cameras of a calibration file or folder, in metres and in the file's own world frame.

    `format` is recognised by content when it is not named. `unit` (m, cm, mm, inch) overrules that of the file;
    `image_size` (w, h) px is for files that do not state it. A camera that the file marks as ignored is left out; one
    without a pose is an error.
    """
    document, known = Document.open(path), Known(unit, image_size)
    chosen = _named(format) if format else _recognised(document)
    return chosen.read(document, known)


def write_calibration(rig: Rig, path: str | Path, format: str) -> None:
    """Write a rig for another tool; what its format cannot hold is refused, not dropped."""
    _named(format).write(rig, Path(path))


def _named(format: str) -> CalibrationFormat:
    if format not in FORMATS:
        raise CalibrationError(f"unknown calibration format {format!r}", remedy=f"Known: {', '.join(FORMATS)}.")
    return FORMATS[format]


def _recognised(document: Document) -> CalibrationFormat:
    for candidate in FORMATS.values():
        if candidate.recognises(document):
            return candidate
    if document.path.suffix.lower() == ".toml" and (fault := document.toml_fault):
        raise CalibrationError(f"is not valid TOML ({fault})", where=document.path)
    kinds = "; ".join(f"{f.name} ({f.description})" for f in FORMATS.values())
    raise CalibrationError("is not a calibration of a known format", where=document.path, remedy=f"Known: {kinds}.")
