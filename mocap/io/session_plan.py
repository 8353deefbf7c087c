"""What an import will do, before it does anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibration.camera import Rig
from calibration.formats import read_calibration
from mocap.core.errors import InputError
from mocap.io.video_fit import rig_of_cameras

ANYWHERE = re.compile(r'[/\\:*?"<>|\x00-\x1f]+')


@dataclass(frozen=True)
class PlannedFile:
    """A file, or a folder of images or frames, and its place in the session (with /)."""

    source: Path
    target: str


@dataclass(frozen=True, eq=False)
class ImportPlan:
    """What becomes of a foreign folder.

    cameras: names in order. files: what is copied or linked. rig: its calibration, in metres, with the cameras called
    as here; rig_source: where that was read. world_frame: of the rig, in words. board: a `[board]` table. texts: small
    files to write, place -> content. notes: sentences that a user should know. left: recordings that are not imported.
    """

    layout: str
    source: Path
    cameras: tuple[str, ...]
    files: tuple[PlannedFile, ...]
    rig: Rig | None = None
    rig_source: Path | None = None
    world_frame: str = "as in the file"
    board: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    left: tuple[Path, ...] = ()

    @property
    def takes(self) -> tuple[str, ...]:
        """Their names, in order."""
        return tuple(dict.fromkeys(f.target.split("/")[1] for f in self.files if f.target.startswith("takes/")))


def clean_name(text: str) -> str:
    """A name for a take or camera that can be a file's on every system."""
    return ANYWHERE.sub("_", text).strip(" ._") or "take"


def named_rig(rig: Rig, cameras: Iterable[str], *, by_order: bool = False) -> tuple[Rig | None, tuple[str, ...]]:
    """The rig with its cameras called as the recordings are, and what was assumed; None where they cannot be told.

    by_order: cameras whose names say nothing are paired in the order of both, as the program that wrote them does.
    """
    names = tuple(cameras)
    if not names:
        return rig, ()
    try:
        found, _, _ = rig_of_cameras(rig, names)
        return found, ()
    except InputError as error:
        if by_order and len(rig) == len(names):
            pairs = dict(zip(names, rig.names, strict=True))
            told = ", ".join(f"{name} is {other}" for name, other in pairs.items())
            return rig_of_cameras(rig, names, pairs)[0], (f"the calibration's cameras are taken in order: {told}",)
        return None, (f"the calibration is left out: {error}",)


def first_calibration(paths: Iterable[Path]) -> tuple[Rig | None, Path | None, tuple[str, ...]]:
    """The first file that is a calibration, read in metres, or in millimetres where metres are impossible."""
    faults = []
    for path in paths:
        for unit in (None, "mm"):
            try:
                rig = read_calibration(path, unit=unit)
            except InputError as error:
                faults.append(f"{path.name} is not used: {error.what}")
                continue
            told = () if unit is None else (f"{path.name} is taken to be in millimetres",)
            return rig, path, told
    return None, None, tuple(dict.fromkeys(faults[::2]))
