"""`rig.toml`: a calibrated rig in the de-facto TOML of the field, readable by anipose, Pose2Sim and FreeMoCap.

One table per camera, `[cam_0]`, `[cam_1]`, ... (zero-padded from eleven cameras on, because aniposelib sorts the
headers as text), and `[metadata]`. Lengths are metres, the world is Z up with its floor at z = 0, the centre of the
top-left pixel is (0, 0). Writing what was read gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from calibration.camera import Rig
from calibration.errors import CalibrationError
from calibration.file_fields import (
    METRES_PER_UNIT,
    CameraFields,
    Document,
    Known,
    check_extent,
    metres_per_unit,
    rig_of,
    write_text,
)
from calibration.toml_cameras import Value, camera_entries, is_camera, read_camera, toml_text

WORLD_FRAME = "Z up, floor at z = 0"
DISTRIBUTION = "mocap-pipeline"
OWN_METADATA = ("adjusted", "error", "units", "world_frame", "tool")


def _tool() -> str:
    try:
        return f"{DISTRIBUTION} {version(DISTRIBUTION)}"
    except PackageNotFoundError:  # a source tree that was never installed
        return DISTRIBUTION


@dataclass(frozen=True)
class RigMetadata:
    """What is known about a rig beside its cameras.

    adjusted: refined by bundle adjustment. error: RMS reprojection error, px (0 where unknown, as anipose writes it).
    world_frame: axes and origin in words. tool: program and version that made the file. extra: entries of other tools,
    kept as they are.
    """

    adjusted: bool = False
    error: float = 0.0
    world_frame: str = WORLD_FRAME
    tool: str = field(default_factory=_tool)
    extra: Mapping[str, Value] = field(default_factory=dict)


def read_rig(path: str | Path) -> Rig:
    """The cameras of a `rig.toml`, in the order of the file, in metres."""
    return read_flat_toml(Document.open(path), Known())


def read_rig_metadata(path: str | Path) -> RigMetadata:
    """The `[metadata]` of a `rig.toml`; what it lacks has the default, except for the unknown tool and world."""
    document = Document.open(path)
    entries = dict(document.tables.get("metadata", {}))
    fields = CameraFields(document.path, "metadata", entries)
    return RigMetadata(
        adjusted=fields.flag("adjusted"),
        error=fields.number("error", 0.0),
        world_frame=str(entries.get("world_frame", "unknown")),
        tool=str(entries.get("tool", "unknown")),
        extra={key: value for key, value in entries.items() if key not in OWN_METADATA},
    )


def write_rig(rig: Rig, path: str | Path, metadata: RigMetadata | None = None) -> None:
    """Write `rig.toml`, deterministic and at once."""
    write_text(Path(path), rig_text(rig, metadata or RigMetadata()))


def rig_text(rig: Rig, metadata: RigMetadata) -> str:
    """The content of a `rig.toml`."""
    tables: dict[str, dict[str, Value]] = {
        header: camera_entries(camera) for header, camera in zip(camera_headers(len(rig)), rig, strict=True)
    }
    tables["metadata"] = {
        "adjusted": metadata.adjusted,
        "error": float(metadata.error),
        "units": "m",
        "world_frame": metadata.world_frame,
        "tool": metadata.tool,
        **metadata.extra,
    }
    return toml_text(tables)


def camera_headers(count: int) -> list[str]:
    """cam_0, cam_1, ... padded so that their order as text is their order."""
    digits = len(str(count - 1))
    return [f"cam_{index:0{digits}d}" for index in range(count)]


def read_flat_toml(document: Document, known: Known) -> Rig:
    """Cameras from top-level tables; lengths in `metadata.units`, metres where that is absent."""
    cameras = {header: table for header, table in document.tables.items() if is_camera(table)}
    if not cameras:
        raise CalibrationError(
            "has no camera tables",
            where=document.path,
            remedy="Expected [cam_0] with name, size, matrix, distortions, rotation, translation.",
        )
    unit = document.tables.get("metadata", {}).get("units", "m")
    if unit not in METRES_PER_UNIT:
        raise CalibrationError(
            f"metadata.units = {unit!r} is not a known unit",
            where=document.path,
            remedy=f"Known: {', '.join(METRES_PER_UNIT)}.",
        )
    metres = metres_per_unit(str(unit), known)
    posed = []
    for header, table in cameras.items():
        name = str(table.get("name", header))
        posed.append(read_camera(CameraFields(document.path, name, table), name, metres))
    return check_extent(rig_of(posed, document.path), document, known)
