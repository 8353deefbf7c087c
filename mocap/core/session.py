"""A session on disk and one take of it: names and places, nothing decoded yet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mocap.core.clock import Clock, FrameFaults
from mocap.core.errors import InputError

_NOT_IN_NAMES = re.compile(r'[/\\:*?"<>|\x00-\x1f]')


@dataclass(frozen=True)
class SessionCamera:
    """A camera as `session.toml` lists it.

    source: the device, file or address it records from. rotation: degrees clockwise by which its pictures are turned
    to be upright, on top of what the files say themselves. What is asked of the device, None: as it comes: size (width,
    height) px as recorded, before turning; fps: frames a second; exposure, gain, focus: "auto" or a number in the
    backend's own unit; codec: the four letters of the device's picture format, such as MJPG.
    """

    name: str
    source: str | None = None
    rotation: int = 0
    size: tuple[int, int] | None = None
    fps: float | None = None
    exposure: float | str | None = None
    gain: float | str | None = None
    focus: float | str | None = None
    codec: str | None = None

    def __post_init__(self) -> None:
        check_name("camera", self.name)
        self._check_device()
        if self.rotation not in (0, 90, 180, 270):
            raise InputError(
                f"a rotation of {self.rotation} degrees is not possible",
                where=f"camera {self.name}",
                remedy="Give 0, 90, 180 or 270 (clockwise).",
            )

    def _check_device(self) -> None:
        where = f"camera {self.name}"
        if self.size is not None and min(self.size) < 1:
            raise InputError(f"{self.size} is not a picture size", where=where, remedy="Give [width, height] in px.")
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise InputError(f"{self.fps} frames a second is not a frame rate", where=where)
        for key in ("exposure", "gain", "focus"):
            value = getattr(self, key)
            if isinstance(value, str) and value != "auto":
                raise InputError(f"{key} {value!r} is not known", where=where, remedy='Give "auto" or a number.')
        if self.codec is not None and len(self.codec) != 4:
            raise InputError(
                f"{self.codec!r} is not a picture format of a device", where=where, remedy="Give four letters: MJPG."
            )


@dataclass(frozen=True, eq=False)
class Session:
    """A folder with a calibration and takes.

    cameras: in order; rig_path: the calibration, None before there is one; takes: their names, in order; board: the
    `[board]` table as it is written; fps: frames a second of takes that hold no videos.
    """

    root: Path
    cameras: tuple[SessionCamera, ...]
    takes: tuple[str, ...] = ()
    rig_path: Path | None = None
    board: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    fps: float | None = None

    def __post_init__(self) -> None:
        check_unique("camera", (camera.name for camera in self.cameras))

    @property
    def camera_names(self) -> tuple[str, ...]:
        """In the order of session.toml."""
        return tuple(camera.name for camera in self.cameras)

    def take_root(self, take: str) -> Path:
        """The folder of a take, whether it exists or not."""
        return self.root / "takes" / take


@dataclass(frozen=True, eq=False)
class Take:
    """One recording of all cameras.

    root: the take's folder; results go below it. videos: camera -> file, in the order of the session. detections: the
    folder of 2D results that another program found, used where there are no videos or when asked for;
    detected_cameras: whose they are, where there are no videos. rotations: degrees clockwise by which a camera's
    pictures are turned to be upright, on top of what the files say themselves; absent is 0. fps: frames a second where
    somebody wrote it down; it goes before what the videos say. clocks: camera -> what ties the stamps of its frames to
    times that all cameras share; a camera without one is left out where others have them, and none has one where
    nobody put them on one clock. faults: camera -> frames to be mistrusted, where they were looked for. synced_by: what
    the clocks are from, for people. notes: odd, but no reason to stop.
    """

    name: str
    root: Path
    videos: Mapping[str, Path] = field(default_factory=dict)
    detections: Path | None = None
    detected_cameras: tuple[str, ...] = ()
    rotations: Mapping[str, int] = field(default_factory=dict)
    fps: float | None = None
    clocks: Mapping[str, Clock] = field(default_factory=dict)
    faults: Mapping[str, FrameFaults] = field(default_factory=dict)
    synced_by: str = ""
    timestamps: Path | None = None
    session_root: Path | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("videos", "rotations", "clocks", "faults"):
            object.__setattr__(self, name, dict(getattr(self, name)))
        if not self.videos and (self.detections is None or not self.detected_cameras):
            raise InputError("a take needs videos or imported 2D results", where=self.root)
        check_unique("camera", self.cameras)
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise InputError(f"{self.fps} frames a second is not a frame rate", where=self.root)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names in the order of the session."""
        return tuple(self.videos) or self.detected_cameras


def check_name(what: str, name: str) -> None:
    """Refuse a name that cannot be a file name on every system."""
    if not name.strip() or _NOT_IN_NAMES.search(name) or name.startswith(".") or name != name.strip():
        raise InputError(
            f"{name!r} cannot be the name of a {what}",
            remedy='Use letters, digits, "-" and "_"; it becomes part of file names.',
        )


def check_unique(what: str, names: Iterable[str]) -> None:
    """Refuse names that are equal, or differ only in upper and lower case (one file on some systems)."""
    seen: dict[str, str] = {}
    for name in names:
        if name.casefold() in seen:
            raise InputError(
                f"two {what}s are called {seen[name.casefold()]!r} and {name!r}", remedy="Give each a name of its own."
            )
        seen[name.casefold()] = name
