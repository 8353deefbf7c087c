"""Cameras that do what a test wants, behind the real readers and rig."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np

from mocap.capture.jpeg import JpegPicture
from mocap.capture.reader import CameraReader, ReaderConfig
from mocap.capture.rig import CaptureRig
from mocap.capture.source import CameraSource, Scene, SourceEnded, SourceFrame, SourceInfo, SourceLost
from mocap.core.session import Session, SessionCamera
from video_worlds import SIZE, counter_image

FPS = 30.0


def jpeg_of(image: np.ndarray) -> JpegPicture:
    data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
    return JpegPicture.of(data)


class ScriptedCamera:
    """Gives counter pictures from the scene's start on: as fast as they are taken, or in real time.

    n_frames: then it ends. dies_at: its number of the picture at which it is lost; it comes back after `away_s`, or
    never (None). picture: makes picture `number`.
    """

    def __init__(
        self,
        n_frames: int = 10**9,
        *,
        real_time: bool = False,
        dies_at: int | None = None,
        away_s: float | None = None,
        picture: Callable[[int], np.ndarray | JpegPicture] = counter_image,
    ) -> None:
        self._n_frames = n_frames
        self._real_time = real_time
        self._dies_at = dies_at
        self._away_s = away_s
        self._picture = picture
        self._start_s = time.monotonic()
        self._next = 0
        self._died_s: float | None = None
        self._late_s = 0.0

    def open(self) -> SourceInfo:
        if self._died_s is not None:
            if self._away_s is None or time.monotonic() < self._died_s + self._away_s:
                raise SourceLost("does not answer", remedy="Plug it in.")
            self._dies_at, self._died_s = None, None
            self._next = round((time.monotonic() - self._start_s) * FPS)
        return SourceInfo(SIZE, FPS, "scripted", "hardware", waits=not self._real_time)

    def read(self, timeout_s: float) -> SourceFrame:
        if self._next == self._dies_at:
            self._died_s = time.monotonic()
            raise SourceLost("was unplugged", remedy="Plug it in.")
        if self._next >= self._n_frames:
            raise SourceEnded("all was shown")
        begun = self._start_s
        due = begun + self._next / FPS
        wait = due + self._late_s - time.monotonic()
        if self._real_time and wait > timeout_s:
            time.sleep(timeout_s)
            raise TimeoutError
        if self._real_time and wait > 0:
            time.sleep(wait)
        if begun != self._start_s:  # another scene began meanwhile
            raise TimeoutError
        number, self._next = self._next, self._next + 1
        return SourceFrame(self._picture(number), due, number / FPS, number)

    def close(self) -> None:
        pass

    def scene_seconds(self, scene: Scene) -> float | None:
        return self._n_frames / FPS if self._n_frames < 10**9 else None

    def set_scene(self, scene: Scene | None, *, start_s: float) -> None:
        if scene is not None:
            self._start_s, self._next = start_s, 0


def scripted_rig(root: Path, cameras: Mapping[str, CameraSource]) -> CaptureRig:
    """A rig of these cameras, not opened yet."""
    config = ReaderConfig(retry_s=0.05, retry_at_most_s=0.05)
    session = Session(root, tuple(SessionCamera(name, "pattern:96x64@30") for name in cameras))
    rig = CaptureRig(session)
    rig.readers = {name: CameraReader(name, source, config=config) for name, source in cameras.items()}
    return rig
