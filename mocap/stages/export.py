"""Motions to animation files. A new format is a writer in `mocap.io` and one line in `FORMATS`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, field_validator

from mocap.core.config import Config, Report
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.io.axes import Unit, Up
from mocap.io.bvh import BvhConfig, write_bvh
from mocap.io.euler import RotationOrder
from mocap.signal.resample_motion import resample_motion


class ExportConfig(Config):
    """formats: names in `FORMATS`. up, unit: of the files that do not say so themselves.

    rotation_order: of Euler curves. name_prefix: put before joint names ("mixamorig:"). fps: frame rate of the files,
    None for the motion's own.
    """

    formats: tuple[str, ...] = ("bvh",)
    up: Up = "y"
    unit: Unit = "cm"
    rotation_order: RotationOrder = "ZXY"
    name_prefix: str = ""
    fps: float | None = Field(default=None, gt=0)

    @field_validator("formats")
    @classmethod
    def _known(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        for name in formats:
            export_format(name)
        return formats


class ExportedFile(Report):
    """One file that was written. `name` is relative to the folder of the export."""

    name: str
    format: str
    person: str
    n_frames: int
    n_joints: int
    fps: float
    n_bytes: int


class ExportReport(Report):
    """What was written."""

    files: tuple[ExportedFile, ...]


@dataclass(frozen=True)
class ExportFormat:
    """A kind of file: its suffix, what it is, and the function that writes one person's motion, whole or not at all."""

    suffix: str
    description: str
    write: Callable[[Motion, Path, ExportConfig], None]


def _write_bvh(motion: Motion, path: Path, config: ExportConfig) -> None:
    options = BvhConfig(
        up=config.up, unit=config.unit, rotation_order=config.rotation_order, name_prefix=config.name_prefix
    )
    write_bvh(motion, path, options)


FORMATS: Mapping[str, ExportFormat] = {
    "bvh": ExportFormat(
        ".bvh", "Biovision hierarchy: skeleton and motion, read by Blender and most others", _write_bvh
    ),
}


def export_format(name: str) -> ExportFormat:
    """The format of that name; the error lists those there are."""
    try:
        return FORMATS[name]
    except KeyError:
        raise InputError(f"no export format {name!r}; there are {', '.join(sorted(FORMATS))}") from None


def export(
    motions: Sequence[Motion], folder: Path, name: str, config: ExportConfig | None = None
) -> tuple[list[Path], ExportReport]:
    """Write `<name>.<suffix>` into `folder`, or `<name>_<person>.<suffix>` for each of several people."""
    config = config or ExportConfig()
    if not motions:
        raise InputError(f"there is no motion of {name!r} to export", remedy="Solve the take first.")
    paths, files = [], []
    for motion, stem in zip(motions, _stems(motions, name), strict=True):
        sampled = motion if config.fps is None else resample_motion(motion, config.fps)
        for format_name in config.formats:
            kind = export_format(format_name)
            path = folder / f"{stem}{kind.suffix}"
            kind.write(sampled, path, config)
            paths.append(path)
            files.append(
                ExportedFile(
                    name=path.name,
                    format=format_name,
                    person=motion.person,
                    n_frames=sampled.n_frames,
                    n_joints=len(sampled.skeleton),
                    fps=sampled.fps,
                    n_bytes=path.stat().st_size,
                )
            )
    return paths, ExportReport(files=tuple(files))


def _stems(motions: Sequence[Motion], name: str) -> list[str]:
    """File names without suffix, safe on every system and all different."""
    if len(motions) == 1:
        return [_safe(name)]
    stems: list[str] = []
    for motion in motions:
        stem = f"{_safe(name)}_{_safe(motion.person)}"
        same = sum(other == stem or other.startswith(f"{stem}_") for other in stems)
        stems.append(f"{stem}_{same + 1}" if same else stem)
    return stems


def _safe(name: str) -> str:
    """Letters, digits, `-`, `_` and `.` stay; anything else, which some system refuses in file names, becomes `_`."""
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "motion"
