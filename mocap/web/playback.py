"""Pictures of recorded videos, one by one: for those that no browser plays, such as JPEGs as cameras send them."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mocap.core.errors import InputError
from mocap.io.video_reader import VideoReader
from mocap.web.previews import SMALLEST, as_jpeg, usual_width

LARGEST = 1280
"""Width, px."""
FPS_RECORDING = 4.0
"""Of all that is played while a recording runs: it goes first."""
MOST_OPEN = 4
IDLE_S = 10.0
"""After which files are let go of."""


@dataclass(frozen=True)
class Still:
    """A picture of a video. jpeg: the file. index: of the frame; time_s: from the video's first one. length_s: of the
    whole video."""

    jpeg: bytes
    index: int
    time_s: float
    length_s: float


@dataclass
class _Open:
    """A video that is being played. used_s: of `time.monotonic()`."""

    reader: VideoReader
    state: tuple[int, int]
    used_s: float


class Playback:
    """One picture at a time, however many browsers look on: decoding takes what a recording needs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[tuple[Path, int], _Open] = {}
        self._made_s = 0.0

    def still(
        self, video: Path, at_s: float, width: int, *, rotation: int = 0, recording: bool = False
    ) -> Still | None:
        """What a video shows at a time, no wider than `width`; its last picture from there on. None where this machine
        has more important things to do. Raises InputError for what is no video, or a damaged picture."""
        if not self._lock.acquire(timeout=0.0 if recording else 2.0):
            return None
        try:
            now = time.monotonic()
            if recording and now - self._made_s < 1 / FPS_RECORDING:
                return None
            self._made_s = now
            return self._still(video, at_s, width, rotation)
        finally:
            self._lock.release()

    def let_go(self, idle_s: float = 0.0) -> None:
        """Close what has not been asked for that long: files that are open cannot be moved everywhere."""
        if not self._lock.acquire(timeout=2.0):
            return
        try:
            for key in [key for key, one in self._open.items() if time.monotonic() - one.used_s >= idle_s]:
                self._open.pop(key).reader.close()
        finally:
            self._lock.release()

    def _still(self, video: Path, at_s: float, width: int, rotation: int) -> Still:
        reader = self._reader(video, rotation)
        times = reader.info.times_s
        index = int(np.clip(np.searchsorted(times, at_s, side="right") - 1, 0, len(times) - 1))
        image = reader.read(index).image
        high, wide = image.shape[:2]
        share = min(1.0, usual_width(min(max(width, SMALLEST), LARGEST)) / wide)
        size = (max(1, round(share * wide)), max(1, round(share * high)))
        small = image if share == 1.0 else cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        jpeg = as_jpeg(np.asarray(small, dtype=np.uint8))
        return Still(jpeg, index, float(times[index]), reader.info.duration_s)

    def _reader(self, video: Path, rotation: int) -> VideoReader:
        try:
            stat = video.stat()
        except OSError:
            raise InputError("the video is gone", where=video.name) from None
        state, key = (stat.st_size, stat.st_mtime_ns), (video, rotation)
        one = self._open.get(key)
        if one is not None and one.state != state:
            self._open.pop(key).reader.close()
            one = None
        if one is None:
            while len(self._open) >= MOST_OPEN:
                oldest = min(self._open, key=lambda key: self._open[key].used_s)
                self._open.pop(oldest).reader.close()
            one = self._open[key] = _Open(VideoReader(video, rotation=rotation), state, 0.0)
        one.used_s = time.monotonic()
        return one.reader
