"""What the recorder tells: while it records, and at the end."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mocap.capture.camera_recording import CameraRecord
from mocap.capture.h264 import FIRST
from mocap.core.config import Report

ProblemKind = Literal["camera_lost", "camera_back", "camera_failed", "disk"]

MANY_MISSING = 0.01
"""Share of a camera's pictures that may be missing before it is told."""
LATE_S = 1.0
"""A camera whose own H.264 is kept begins with a key picture; cameras are set to send one in every 1 to 4 s."""


@dataclass(frozen=True)
class Problem:
    """Something that happened while recording. time_s: since its start."""

    kind: ProblemKind
    sentence: str
    time_s: float
    camera: str | None = None


class RecordingReport(Report):
    """What was recorded. folder: of the take or the clips; problems: sentences; finished: nothing is left to repair."""

    folder: str
    scene: str
    duration_s: float
    cameras: tuple[CameraRecord, ...]
    problems: tuple[str, ...] = ()
    disk_mb: float = 0.0
    finished: bool = True

    @property
    def complete(self) -> bool:
        """Every camera lived, nearly every picture is there, and nothing went wrong with the disk."""
        return self.finished and not self.problems


@dataclass(frozen=True)
class RecordingStatus:
    """How it goes. elapsed_s: since the start; free_mb: room on the disk."""

    recording: bool
    folder: Path | None = None
    elapsed_s: float = 0.0
    cameras: tuple[CameraRecord, ...] = ()
    problems: tuple[Problem, ...] = ()
    disk_mb: float = 0.0
    free_mb: float = 0.0


def sentences_of(record: CameraRecord, duration_s: float) -> list[str]:
    """What whoever looks at a take must know of a camera; empty where all is well."""
    name = record.camera
    if record.written == 0:
        return [f"{name} recorded nothing{f' ({record.error})' if record.error else ''}"]
    told = []
    if record.error is not None:
        told.append(f"{name} was cut off after {record.written} pictures ({record.error})")
    elif record.died_at_s is not None:
        told.append(f"{name} died at {record.died_at_s:.1f} s of {duration_s:.1f} s")
    came = record.written + record.missing
    if record.missing > MANY_MISSING * came:
        why = ", ".join(f"{count} {reason}" for reason, count in record.dropped.items() if reason != FIRST)
        told.append(f"{name} lost {record.missing} of {came} pictures ({why})")
    late_s = record.before / record.fps if record.fps else 0.0
    if late_s > LATE_S:
        told.append(f"{name} begins {late_s:.1f} s late, with its first key picture: set it to send those more often")
    if record.longest_gap_s > max(0.5, 5 / max(record.fps, 1.0)):
        told.append(f"{name} has a gap of {record.longest_gap_s:.1f} s")
    return told
