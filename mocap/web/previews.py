"""Small JPEG pictures of what cameras see now, and of what takes show."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from mocap.capture.rig import CaptureRig
from mocap.core.errors import InputError
from mocap.io.video_reader import VideoReader
from mocap.web.config import WebConfig
from mocap.web.live_pictures import small_upright
from mocap.web.overlays import Overlays

QUALITY = 75
SMALLEST = 96
FPS_RECORDING = 5.0
"""Of previews while a recording runs: it goes first."""
THUMB_WIDTH = 320
MOST_THUMBS = 200


@dataclass(frozen=True)
class Picture:
    """jpeg: the file. time_s: of `time.monotonic()`, when the camera took it."""

    jpeg: bytes
    time_s: float


class Previews:
    """The newest picture of each camera as a JPEG, made at most so often however many browsers ask."""

    def __init__(self, rig: CaptureRig, overlays: Overlays, config: WebConfig) -> None:
        self._rig, self._overlays, self._config = rig, overlays, config
        self._turns = {camera.name: camera.rotation for camera in rig.session.cameras}
        self._locks = {name: threading.Lock() for name in rig.names}
        self._made: dict[tuple[str, int], tuple[Picture, float]] = {}

    def newest(self, camera: str, width: int, *, recording: bool) -> Picture | None:
        """None where the camera gave nothing yet. Raises InputError for a camera that is not there."""
        if camera not in self._locks:
            raise InputError(f"there is no camera {camera!r}", remedy=f"There are {', '.join(self._rig.names)}.")
        width = usual_width(min(max(width, SMALLEST), self._config.preview_width))
        fps = min(self._config.preview_fps, FPS_RECORDING) if recording else self._config.preview_fps
        with self._locks[camera]:
            made = self._made.get((camera, width))
            now = time.monotonic()
            if made is not None and now - made[1] < 1 / fps:
                return made[0]
            frame = self._rig.readers[camera].latest()
            if frame is None:
                return None
            overlay = self._overlays.latest(camera)
            image = None if overlay is None else overlay.picture(width)
            if image is None:
                image = np.array(small_upright(frame, width, self._turns.get(camera, 0)))
                if overlay is not None:
                    overlay.draw(image)
            picture = Picture(as_jpeg(image), frame.time_s)
            self._made[camera, width] = (picture, now)
            return picture


class Thumbnails:
    """The middle picture of videos, small, kept until the file changes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[tuple[Path, int, int], bytes] = {}

    def of(self, video: Path, rotation: int = 0) -> bytes:
        """A JPEG. Raises InputError where the video shows nothing."""
        stat = video.stat()
        key = (video, stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if key not in self._made:
                if len(self._made) >= MOST_THUMBS:
                    self._made.clear()
                self._made[key] = _thumbnail(video, rotation)
            return self._made[key]


def as_jpeg(image: UInt8[np.ndarray, "H W 3"], quality: int = QUALITY) -> bytes:
    """Of an RGB picture."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise InputError("the picture cannot be made a JPEG")
    return data.tobytes()


def usual_width(width: int) -> int:
    """One of few, so that browsers of many sizes share pictures."""
    return 160 * max(1, round(width / 160))


def _thumbnail(video: Path, rotation: int) -> bytes:
    with VideoReader(video, rotation=rotation) as reader:
        image = reader.read(max(0, reader.info.n_readable // 2)).image
    height, width = image.shape[:2]
    scale = min(1.0, THUMB_WIDTH / width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return as_jpeg(np.asarray(small, dtype=np.uint8))
