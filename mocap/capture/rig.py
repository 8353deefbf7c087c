"""All cameras of a session, each read by a thread of its own; one that dies never stops the others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType

from mocap.capture.reader import CameraReader, CameraStatus, ReaderConfig
from mocap.capture.source import Scene, SourceFrame, open_source
from mocap.core.errors import InputError
from mocap.core.session import Session

SCENE_LEAD_S = 0.25
"""A scene begins this much after it was asked for, so that every camera shows its first moment."""


class CaptureRig:
    """Cameras of `session` that have a source (others are left out and named in `without_source`).

    A wrong address raises at once; a camera that does not answer is `lost` and tried again.
    """

    def __init__(self, session: Session, *, config: ReaderConfig | None = None) -> None:
        self.session = session
        self.without_source = tuple(camera.name for camera in session.cameras if not camera.source)
        self.readers: Mapping[str, CameraReader] = {
            camera.name: CameraReader(camera.name, open_source(camera, session.root), config=config)
            for camera in session.cameras
            if camera.source
        }
        if not self.readers:
            raise InputError(
                "no camera of the session has a source to record from",
                where=session.root / "session.toml",
                remedy='Give each [[camera]] one, e.g. source = "usb:0"; `mocap record --list` shows what is there.',
            )

    def __enter__(self) -> CaptureRig:
        self.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def names(self) -> tuple[str, ...]:
        """Cameras that are read, in the session's order."""
        return tuple(self.readers)

    def open(self) -> None:
        """Begin to read all cameras; returns at once."""
        for reader in self.readers.values():
            reader.start()

    def close(self) -> None:
        """Let all cameras go."""
        for reader in self.readers.values():
            reader.stop()
        for reader in self.readers.values():
            reader.close()

    def wait_until_live(self, timeout_s: float) -> tuple[str, ...]:
        """Wait for pictures of every camera; names those that gave none in time."""
        until = time.monotonic() + timeout_s
        while (missing := self._silent()) and time.monotonic() < until:
            time.sleep(0.02)
        return missing

    def set_scene(self, scene: Scene | None) -> float:
        """Let sources that can play begin a scene together; its start on `time.monotonic()`."""
        start_s = time.monotonic() + SCENE_LEAD_S
        for reader in self.readers.values():
            reader.set_scene(scene, start_s=start_s)
        return start_s

    def scene_seconds(self, scene: Scene) -> float | None:
        """How long the longest clip of a scene is; None where nothing of it can be played: real cameras see."""
        lengths = (reader.scene_seconds(scene) for reader in self.readers.values())
        return max((seconds for seconds in lengths if seconds is not None), default=None)

    def latest(self) -> dict[str, SourceFrame]:
        """The newest picture of every camera that gave one."""
        return {name: frame for name, reader in self.readers.items() if (frame := reader.latest()) is not None}

    def status(self) -> tuple[CameraStatus, ...]:
        """Of every camera, in the session's order."""
        return tuple(reader.statistics() for reader in self.readers.values())

    def _silent(self) -> tuple[str, ...]:
        return tuple(name for name, reader in self.readers.items() if reader.state not in ("live", "ended"))
