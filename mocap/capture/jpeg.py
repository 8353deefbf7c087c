"""JPEG pictures as cameras send them: checked and measured without decoding."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from mocap.core.errors import VideoError

START, END = b"\xff\xd8", b"\xff\xd9"
LARGEST_TAIL = 1024
"""Bytes that cameras may leave in their buffer after a picture's end, besides zeros."""
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))


@dataclass(frozen=True)
class JpegPicture:
    """A whole JPEG. size: (width, height) px as its header says."""

    data: bytes
    size: tuple[int, int]

    @classmethod
    def of(cls, data: bytes) -> JpegPicture:
        """Raises VideoError where the data is no JPEG, or one that was cut off."""
        size = jpeg_size(data)
        if size is None:
            raise VideoError("the data is not a JPEG")
        end = data.rfind(END, max(0, len(data.rstrip(b"\0")) - LARGEST_TAIL))
        if end < 0:
            raise VideoError("the picture is cut off")
        return cls(data[: end + len(END)], size)

    def decoded(self, shrink: int = 1) -> UInt8[np.ndarray, "H W 3"]:
        """RGB; shrink: 1, 2, 4 or 8, each about as many times faster."""
        flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
        data = np.frombuffer(self.data, np.uint8)
        image = cv2.imdecode(data, flags.get(shrink, cv2.IMREAD_REDUCED_COLOR_8) | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise VideoError("a damaged picture")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) from the frame header; None where there is none."""
    if not data.startswith(START):
        return None
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        if marker in _FRAME_HEADERS:
            height, width = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            return (width, height) if width and height else None
        at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
