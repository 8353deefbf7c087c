"""What a recording session tells those who show it: a terminal, a page, a machine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mocap.capture.focus import PictureState
from mocap.capture.guides import CoverageState
from mocap.capture.guides_extrinsics import GraphState
from mocap.capture.guides_floor import FloorState
from mocap.capture.guides_views import LiveCorners
from mocap.capture.reader import CameraStatus
from mocap.core.config import Config

Mode = Literal["intrinsics", "extrinsics", "floor", "take"]
Phase = Literal["idle", "countdown", "recording", "finishing"]
EventKind = Literal[
    "countdown",
    "started",
    "finished",
    "people",
    "cancelled",
    "camera_lost",
    "camera_back",
    "enough",
    "warning",
    "error",
]
Verdict = Literal["good", "usable", "redo"]
GuideState = CoverageState | GraphState | FloorState


class RecordingConfig(Config):
    """stop_when_enough: clips of the board end by themselves once the calibration has enough, `after_enough_s` later,
    and in any case after `longest_clip_s`. looks_per_s: at pictures for guidance; busy_share: of the time of one thread
    that guidance may take at most. solve_every_s: how often it is asked what the views tell. look_for_people: in a few
    pictures of every take, after it, while nothing is recorded; the verdict on the take then says who saw nobody."""

    stop_when_enough: bool = True
    after_enough_s: float = 1.0
    longest_clip_s: float = 300.0
    looks_per_s: float = 5.0
    busy_share: float = 0.4
    solve_every_s: float = 2.0
    look_for_people: bool = False


@dataclass(frozen=True)
class RecordingEvent:
    """Something that happened. number: from 1, in order; time: ISO 8601 with the offset of the local clock."""

    number: int
    time: str
    kind: EventKind
    sentence: str
    camera: str | None = None
    take: str | None = None


@dataclass(frozen=True, eq=False)
class ClipResult:
    """A clip or take that was recorded. name: of the take's folder, or of the camera, or of the mode. report: what the
    recorder counted, as plain numbers."""

    mode: Mode
    name: str
    folder: Path
    seconds: float
    verdict: Verdict
    sentences: tuple[str, ...]
    report: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class RecordingState:
    """All there is to show at one moment.

    countdown_s: left until recording begins. elapsed_s: of the recording. cameras: how each does. pictures: sharpness
    and exposure, by camera. corners: of the board, as seen last, by camera, px of the full upright picture. takes:
    folders in `takes`. result: of the last clip. n_events: how many there were.
    """

    phase: Phase
    mode: Mode | None = None
    camera: str | None = None
    take: str | None = None
    countdown_s: float = 0.0
    elapsed_s: float = 0.0
    duration_s: float | None = None
    cameras: tuple[CameraStatus, ...] = ()
    pictures: Mapping[str, PictureState] = field(default_factory=dict)
    corners: Mapping[str, LiveCorners] = field(default_factory=dict)
    guide: GuideState | None = None
    takes: tuple[str, ...] = ()
    result: ClipResult | None = None
    n_events: int = 0

    def to_json_dict(self) -> dict[str, Any]:
        """As JSON has it: lists, texts, numbers; None for what is not finite."""
        return as_json(self)


def as_json(value: Any) -> Any:
    """Dataclasses, arrays and paths as JSON has them; None for numbers that are not finite."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_json(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(inner) for inner in value]
    if isinstance(value, np.ndarray):
        return as_json(value.tolist())
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.generic):
        return value.item()
    return str(value) if isinstance(value, Path) else value
