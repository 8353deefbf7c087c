"""`usb:0`, `usb:/dev/video2`: cameras of this computer, through OpenCV (V4L2, DirectShow, AVFoundation)."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import cv2
import numpy as np

from mocap.capture.address import SourceAddress
from mocap.capture.jpeg import JpegPicture
from mocap.capture.now import now_s
from mocap.capture.source import SourceFrame, SourceInfo, SourceLost, Stamps
from mocap.capture.usb_settings import Properties, Setting, apply_settings, codec_name
from mocap.core.errors import VideoError
from mocap.core.session import SessionCamera

BACKENDS = {"linux": cv2.CAP_V4L2, "win32": cv2.CAP_DSHOW, "darwin": cv2.CAP_AVFOUNDATION}
FIRST_PICTURES = 30
"""Cameras may fail to deliver so many times while they start."""
FAILURES = 10
NEAR_S = 2.0
"""A driver's stamp so little before the picture's arrival is of the same clock."""


@runtime_checkable
class VideoCapture(Properties, Protocol):
    """What is used of `cv2.VideoCapture`."""

    def isOpened(self) -> bool:
        """Whether the device is there and ours."""
        ...

    def grab(self) -> bool:
        """Wait for the next picture; whether one came."""
        ...

    def retrieve(self) -> tuple[bool, np.ndarray]:
        """The picture that was grabbed."""
        ...

    def release(self) -> None:
        """Let the device go."""
        ...


def open_capture(device: str) -> VideoCapture:
    """OpenCV's camera of a number or a device file."""
    place = int(device) if device.isdigit() else str(Path(device).resolve())  # a lasting name is a link
    return cv2.VideoCapture(place, BACKENDS.get(sys.platform, cv2.CAP_ANY))


class UsbSource:
    """What session.toml asks of the device is set and read back; what it refuses is told in `SourceInfo.detail`.

    With V4L2 a camera that sends MJPG is read without decoding, and times are the driver's, of the beginning of the
    exposure's transfer. `close` by another thread takes effect with the next picture.
    """

    def __init__(
        self, address: SourceAddress, camera: SessionCamera, opener: Callable[[str], VideoCapture] = open_capture
    ) -> None:
        self._address = address
        self._camera = camera
        self._opener = opener
        self._capture: VideoCapture | None = None
        self._closing = threading.Event()
        self._thread = 0
        self._raw = False
        self._stamps: Stamps = "arrival"
        self._failures = 0

    def open(self) -> SourceInfo:
        """Set the device up and wait for its first picture. Raises SourceLost where it is not there, or gives none."""
        self._closing.clear()
        self._thread = threading.get_ident()
        self._capture = capture = self._opener(self._address.place)
        if not capture.isOpened():
            self.close()
            raise self._lost(
                "cannot be opened",
                "Plug it in, close other programs that use it, and see `mocap record --list` for what is there.",
            )
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        settings = apply_settings(capture, self._camera)
        self._raw = sys.platform == "linux" and codec_name(capture) == "MJPG"
        self._raw = self._raw and bool(capture.set(cv2.CAP_PROP_CONVERT_RGB, 0))
        first = self._first()
        self._stamps = self._find_stamps(capture)
        fps = capture.get(cv2.CAP_PROP_FPS)
        return SourceInfo(first.size, fps if 0 < fps < 1000 else None, "usb", self._stamps, _detail(capture, settings))

    def read(self, timeout_s: float) -> SourceFrame:
        """The next picture, however long the driver keeps the caller waiting; `timeout_s` is not in its hands. Raises
        TimeoutError where it gave none, SourceLost after more than FAILURES of those in a row."""
        capture = self._capture
        if capture is None or self._closing.is_set():
            raise self._lost("is closed", "")
        good = capture.grab()
        arrival_s = now_s()
        picture = self._picture(capture) if good else None
        if picture is None:
            self._failures += 1
            if self._failures > FAILURES:
                raise self._lost("gives no pictures any more", "Check its cable; it is tried again by itself.")
            raise TimeoutError
        self._failures = 0
        if self._stamps == "arrival":
            return SourceFrame(picture, arrival_s)
        stamp_s = capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3
        near = 0 <= arrival_s - stamp_s < NEAR_S
        return SourceFrame(picture, stamp_s if near else arrival_s, stamp_s)

    def close(self) -> None:
        """Let the device go: at once in the thread that opened it, by another one with the next picture."""
        self._closing.set()
        if self._capture is not None and self._thread == threading.get_ident():
            self._capture.release()
            self._capture = None

    def _first(self) -> SourceFrame:
        for _ in range(FIRST_PICTURES):
            try:
                return self.read(1.0)
            except TimeoutError:
                self._failures = 0
        raise self._lost(
            "is open but gives no picture",
            "Another program may hold it; or several cameras share one USB hub: give each a port of its own, or "
            'codec = "MJPG" or a smaller size in session.toml.',
        )

    def _find_stamps(self, capture: VideoCapture) -> Stamps:
        """Two pictures tell whether the driver stamps them by `time.monotonic()`."""
        stamps = []
        for _ in range(2):
            if not capture.grab():
                return "arrival"
            stamps.append((capture.get(cv2.CAP_PROP_POS_MSEC) / 1e3, time.monotonic()))
        (before, _), (stamp, arrival) = stamps
        return "hardware" if before < stamp and 0 <= arrival - stamp < NEAR_S else "arrival"

    def _picture(self, capture: VideoCapture) -> np.ndarray | JpegPicture | None:
        good, image = capture.retrieve()
        if not good or image is None or not image.size:
            return None
        if self._raw and (image.ndim == 1 or 1 in image.shape[:2]):
            try:
                return JpegPicture.of(image.tobytes())
            except VideoError:
                return None
        if image.ndim == 2:
            return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB).astype(np.uint8, copy=False)
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)

    def _lost(self, what: str, remedy: str) -> SourceLost:
        return SourceLost(f"{self._address.shown} {what}", where=self._address.where or None, remedy=remedy)


def _detail(capture: VideoCapture, settings: tuple[Setting, ...]) -> str:
    parts = [codec_name(capture) or "unknown format", *(setting.sentence for setting in settings if not setting.kept)]
    return "; ".join(parts)
