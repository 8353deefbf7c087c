"""`images:folder?fps=30`: pictures of a folder, in natural order, in place of a camera."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from mocap.capture.address import SourceAddress
from mocap.capture.jpeg import JpegPicture
from mocap.capture.player import Player, TimedPicture
from mocap.capture.source import Scene, SourceEnded, SourceFrame, SourceInfo, SourceRefused
from mocap.core.errors import VideoError
from mocap.io.session_files import natural_order

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"))


class ImagesSource:
    """All pictures have the size of the first; one that cannot be read, or has another size, is left out and counted
    as lost. Plays from its beginning when opened and again for every scene."""

    def __init__(self, address: SourceAddress, session_root: Path) -> None:
        self._folder = session_root / Path(address.place).expanduser()
        self._fps = address.number("fps", 30.0)
        self._paced = address.one_of("pace", ("real", "fast")) == "real"
        self._loop = address.flag("loop")
        self._lock = threading.Lock()
        self._paths: list[Path] = []
        self._player: Player | None = None

    def open(self) -> SourceInfo:
        try:
            paths = sorted(self._folder.iterdir(), key=lambda path: natural_order(path.name))
        except OSError as error:
            raise SourceRefused(
                f"is not a folder of pictures ({error.strerror})", where=self._folder, remedy="Correct the path."
            ) from None
        self._paths = [path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
        if not self._paths:
            known = ", ".join(sorted(SUFFIXES))
            raise SourceRefused("holds no pictures", where=self._folder, remedy=f"It may hold files of {known}.")
        first = _read(self._paths[0])
        if first is None:
            raise SourceRefused("cannot be read as a picture", where=self._paths[0], remedy="Take it out.")
        with self._lock:
            self._player = self._playing(time.monotonic())
        detail = f"{self._folder.name}, {len(self._paths)} pictures"
        return SourceInfo(_size(first), self._fps, "images", "stream", detail, waits=not self._paced)

    def read(self, timeout_s: float) -> SourceFrame:
        player = self._player
        if player is None:
            raise SourceEnded("the source is closed")
        return player.read(timeout_s)

    def set_scene(self, scene: Scene | None, *, start_s: float) -> None:
        """Begin again at `start_s`."""
        with self._lock:
            old = self._player
            if scene is not None and old is not None:
                self._player = self._playing(start_s)
                old.stop()

    def scene_seconds(self, scene: Scene) -> float | None:
        """Until the last picture has shown; None before it is open, and where it loops."""
        return None if self._loop or not self._paths else len(self._paths) / self._fps

    def close(self) -> None:
        with self._lock:
            if self._player is not None:
                self._player.stop()
            self._player = None

    def _playing(self, start_s: float) -> Player:
        return Player(self._pictures(list(self._paths)), start_s, paced=self._paced)

    def _pictures(self, paths: list[Path]) -> Iterator[TimedPicture]:
        size = None
        for number in count() if self._loop else range(len(paths)):
            picture = _read(paths[number % len(paths)])
            size = size or (None if picture is None else _size(picture))
            if picture is not None and _size(picture) == size:
                yield TimedPicture(number / self._fps, picture, number)


def _read(path: Path) -> np.ndarray | JpegPicture | None:
    """As it is where it is a JPEG; None where it cannot be read."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    try:
        return JpegPicture.of(data)
    except VideoError:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
        return None if image is None else cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _size(picture: np.ndarray | JpegPicture) -> tuple[int, int]:
    return picture.size if isinstance(picture, JpegPicture) else (picture.shape[1], picture.shape[0])
