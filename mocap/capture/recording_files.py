"""Where recordings lie, the times of their pictures as these come, and the mark of one that is not finished."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import tomlkit

from mocap.capture.growing_file import GrowingFile
from mocap.capture.source import Scene
from mocap.core.errors import ConfigError
from mocap.io.artefacts import write_text_atomic
from mocap.io.frame_times import OURS

MARKER = ".recording"
TIMESTAMPS = "timestamps.csv"
_LOCK_AT = 1 << 30
"""Where Windows locks a byte: what is locked there cannot be read by others."""


@dataclass(frozen=True)
class RecordingPlace:
    """root: folder of the marker, timestamps.csv and take.toml. videos: of `<camera>.mp4`."""

    root: Path
    videos: Path
    scene: Scene

    @classmethod
    def of(cls, folder: Path, scene: Scene) -> RecordingPlace:
        """Of a take's folder (or its `video`), or of a folder of calibration clips."""
        if scene.kind != "take":
            return cls(folder, folder, scene)
        root = folder.parent if folder.name == "video" else folder
        return cls(root, root / "video", scene)

    @property
    def marker(self) -> Path:
        """The file that is there while a recording runs, or was cut off."""
        return self.root / MARKER

    @property
    def timestamps(self) -> Path | None:
        """None for intrinsics, whose cameras are recorded one after the other: their clips know their times."""
        return None if self.scene.kind == "intrinsics" else self.root / TIMESTAMPS

    @property
    def take_file(self) -> Path | None:
        """take.toml; None for calibration, which needs none."""
        return self.root / "take.toml" if self.scene.kind == "take" else None

    def video(self, camera: str) -> Path:
        """The clip of a camera."""
        return self.videos / f"{camera}.mp4"


def scene_folder(session_root: Path, scene: Scene) -> Path:
    """Where a session keeps what is recorded of a scene."""
    if scene.kind == "take":
        return session_root / "takes" / (scene.take or "take")
    return session_root / "calibration" / scene.kind


class TimesLog:
    """timestamps.csv as it grows: camera, index of the picture in its clip, seconds since the recording's start."""

    def __init__(self, path: Path) -> None:
        self._file = GrowingFile(path)
        self._lock = threading.Lock()
        self._rows: list[tuple[str, int, float]] = []
        self._file.write(_table([OURS]))

    def add(self, camera: str, frame: int, time_s: float) -> None:
        """Note a picture; it is in the file after the next `flush`."""
        with self._lock:
            self._rows.append((camera, frame, time_s))

    def flush(self) -> None:
        """Write what was noted; whole rows only."""
        with self._lock:
            rows, self._rows = self._rows, []
        if not rows:
            return
        try:
            self._file.write(_table([(camera, str(frame), f"{time_s:.6f}") for camera, frame, time_s in rows]))
        except OSError:  # a full disk may have room again for what is written at the end
            with self._lock:
                self._rows[:0] = rows
            raise
        self._file.settle()

    def sync(self) -> None:
        """Let the system put it on the disk."""
        self._file.sync()

    def close(self) -> None:
        """Write what is left."""
        try:
            self.flush()
            self._file.finish()
        finally:
            self._file.give_up()


def _table(rows: list[Any]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode("utf-8")


class RecordingMarker:
    """A file that is locked as long as the program that records lives, however it ends."""

    def __init__(self, place: RecordingPlace, cameras: tuple[str, ...], start_s: float) -> None:
        place.root.mkdir(parents=True, exist_ok=True)
        self.path = place.marker
        content = {
            "scene": place.scene.kind,
            "cameras": cameras,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(time.time() - time.monotonic() + start_s)),
            "pid": os.getpid(),
        }
        self._file: BinaryIO = self.path.open("xb")
        try:
            _lock(self._file)
            self._file.write(json.dumps(content).encode("utf-8"))
            self._file.flush()
        except OSError:
            with suppress(OSError):  # closing tries once more to write
                self._file.close()
            self.path.unlink(missing_ok=True)
            raise

    def remove(self) -> None:
        """The recording is finished."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def read_marker(path: Path) -> Mapping[str, Any]:
    """What a marker says; empty where it was cut off."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return {}
    return found if isinstance(found, dict) else {}


def is_recording(marker: Path) -> bool:
    """Whether the program that made the marker still lives."""
    try:
        file = marker.open("r+b") if os.access(marker, os.W_OK) else marker.open("rb")
    except FileNotFoundError:
        return False
    with file:
        try:
            _lock(file)
        except OSError:
            return True
    return False


def _lock(file: BinaryIO) -> None:
    if sys.platform == "win32":
        import msvcrt

        file.seek(_LOCK_AT)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        file.seek(0)
    else:
        import fcntl

        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)


def write_take_file(path: Path, notes: tuple[str, ...]) -> None:
    """Say in take.toml that timestamps.csv is on one clock, and what is odd; what stands there already stays."""
    document = tomlkit.document()
    if path.is_file():
        try:
            document = tomlkit.parse(path.read_text(encoding="utf-8"))
        except (ValueError, OSError) as error:
            raise ConfigError(f"not valid TOML ({error})", where=path) from None
    table = document.setdefault("take", tomlkit.table())
    table["clocks"] = "shared"
    old = str(table.get("notes", ""))
    new = [note for note in notes if note not in old]
    if new:
        table["notes"] = "; ".join([*([old] if old else []), *new])
    write_text_atomic(path, tomlkit.dumps(document))


def remove_if_empty(folder: Path) -> None:
    """No folder stays of a recording that wrote nothing."""
    with suppress(OSError):
        folder.rmdir()
