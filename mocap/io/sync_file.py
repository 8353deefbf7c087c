"""`sync.toml` of a take: the clock of each camera, as `mocap sync` found it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit
from pydantic import Field, FiniteFloat

from mocap.core.clock import Clock, FrameFaults
from mocap.core.config import Config, load_config
from mocap.core.errors import FileFormatError
from mocap.io.artefacts import write_text_atomic

SYNC_FILE = "sync.toml"

HEADER = """\
Clocks of this take's cameras: stamp = rate * time + offset_s, where the stamp is what timestamps.csv (without it, the
video file) says of a frame, and time is that of the reference camera. Written by mocap sync; numbers may be edited.
"""


@dataclass(frozen=True, eq=False)
class CameraSync:
    """The clock of one camera. method: what it was found by. confidence: in [0, 1]; sd_s: of its offset, NaN where
    unknown."""

    clock: Clock
    method: str = ""
    confidence: float = 1.0
    sd_s: float = math.nan
    faults: FrameFaults = field(default_factory=FrameFaults)


@dataclass(frozen=True, eq=False)
class TakeSync:
    """The clocks of a take; `cameras` holds none of those that could not be put on the reference's clock."""

    reference: str
    method: str
    cameras: Mapping[str, CameraSync]


class SyncEntry(Config):
    """`[camera.<name>]` of sync.toml."""

    offset_s: FiniteFloat = 0.0
    rate: float = Field(default=1.0, gt=0.5, lt=2.0)
    method: str = ""
    confidence: float = Field(default=1.0, ge=0, le=1)
    sd_ms: float | None = None
    repeated_frames: tuple[int, ...] = ()
    gaps: tuple[tuple[int, FiniteFloat], ...] = ()
    uneven_stamps: bool = False


class SyncFile(Config):
    """sync.toml."""

    reference: str = ""
    method: str = ""
    camera: dict[str, SyncEntry] = Field(default_factory=dict)


def read_sync(path: Path) -> TakeSync:
    """Read what `write_sync` wrote, or people edited."""
    file = load_config(SyncFile, path)
    if file.reference not in file.camera:
        raise FileFormatError(
            f"its reference {file.reference!r} is none of its cameras ({', '.join(file.camera) or 'none'})",
            where=path,
            remedy="Run mocap sync again.",
        )
    return TakeSync(file.reference, file.method, {name: _camera(entry) for name, entry in file.camera.items()})


def write_sync(sync: TakeSync, path: Path) -> None:
    """Write the clocks of a take, whole or not at all."""
    document = tomlkit.document()
    for line in HEADER.strip().splitlines():
        document.add(tomlkit.comment(line))
    document["reference"] = sync.reference
    document["method"] = sync.method
    cameras = tomlkit.table(is_super_table=True)
    for name, camera in sync.cameras.items():
        table = tomlkit.table()
        for key, value in _entry(camera).model_dump(exclude_defaults=True).items():
            table[key] = [list(v) if isinstance(v, tuple) else v for v in value] if isinstance(value, tuple) else value
        cameras[name] = table
    document["camera"] = cameras
    write_text_atomic(path, tomlkit.dumps(document))


def _entry(camera: CameraSync) -> SyncEntry:
    return SyncEntry(
        offset_s=round(camera.clock.offset_s, 7),
        rate=round(camera.clock.rate, 10),
        method=camera.method,
        confidence=round(camera.confidence, 3),
        sd_ms=None if math.isnan(camera.sd_s) else round(1000 * camera.sd_s, 3),
        repeated_frames=camera.faults.repeated,
        gaps=tuple((frame, round(seconds, 6)) for frame, seconds in camera.faults.gaps),
        uneven_stamps=camera.faults.uneven_stamps,
    )


def _camera(entry: SyncEntry) -> CameraSync:
    return CameraSync(
        clock=Clock(entry.offset_s, entry.rate),
        method=entry.method,
        confidence=entry.confidence,
        sd_s=math.nan if entry.sd_ms is None else entry.sd_ms / 1000,
        faults=FrameFaults(entry.repeated_frames, entry.gaps, entry.uneven_stamps),
    )
