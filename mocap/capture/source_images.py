"""`images:folder?fps=30`: pictures of a folder, in natural order, in place of a camera."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import cv2
import numpy as np

from mocap.capture.address import SourceAddress
from mocap.capture.jpeg import JpegPicture
from mocap.capture.played_source import ReplayedSource
from mocap.capture.player import TimedPicture
from mocap.capture.source import SourceInfo, SourceLost, SourceRefused
from mocap.core.errors import VideoError
from mocap.io.session_files import natural_order

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"))


class ImagesSource(ReplayedSource):
    """All pictures have the size of the first; one that cannot be read, or has another size, is left out and counted
    as lost."""

    def __init__(self, address: SourceAddress, session_root: Path) -> None:
        super().__init__(address, session_root)
        self._fps = address.number("fps", 30.0)
        self._paths: list[Path] = []

    def open(self) -> SourceInfo:
        """Look what is in the folder, and play it. Raises SourceRefused where that is nothing."""
        try:
            paths = sorted(self._path.iterdir(), key=lambda path: natural_order(path.name))
        except OSError as error:
            raise SourceRefused(
                f"is not a folder of pictures ({error.strerror})", where=self._path, remedy="Correct the path."
            ) from None
        self._paths = [path for path in paths if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
        if not self._paths:
            known = ", ".join(sorted(SUFFIXES))
            raise SourceRefused("holds no pictures", where=self._path, remedy=f"It may hold files of {known}.")
        first = _read(self._paths[0])
        if first is None:
            raise SourceRefused("cannot be read as a picture", where=self._paths[0], remedy="Take it out.")
        self._begin()
        detail = f"{self._path.name}, {len(self._paths)} pictures"
        return SourceInfo(_size(first), self._fps, "images", "stream", detail, waits=not self._paced)

    def _pictures(self) -> Iterator[TimedPicture]:
        paths, size, missed = list(self._paths), None, 0
        for number in count() if self._loop else range(len(paths)):
            picture = _read(paths[number % len(paths)])
            size = size or (None if picture is None else _size(picture))
            if picture is not None and _size(picture) == size:
                missed = 0
                yield TimedPicture(number / self._fps, picture, number)
                continue
            missed += 1
            if missed >= len(paths):
                raise SourceLost("none of its pictures can be read any more", where=self._path)

    def _length_s(self) -> float | None:
        return len(self._paths) / self._fps if self._paths else None


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
