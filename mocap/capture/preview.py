"""Small pictures for screens and quick looks."""

from __future__ import annotations

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from mocap.capture.jpeg import JpegPicture


def shrunk(
    picture: UInt8[np.ndarray, "H W 3"] | VideoFrame | JpegPicture, max_width: int
) -> UInt8[np.ndarray, "h w 3"]:
    """RGB with the same proportions, no wider than `max_width`."""
    width, height = picture.shape[1::-1] if isinstance(picture, np.ndarray) else _size(picture)
    target = (min(width, max_width), max(1, round(height * min(1.0, max_width / width))))
    if isinstance(picture, VideoFrame):
        return rgb_of(picture, target)
    if isinstance(picture, JpegPicture):
        factors = [factor for factor in (8, 4, 2) if width >= factor * target[0]]
        picture = picture.decoded(factors[0] if factors else 1)
    if picture.shape[1::-1] == target:
        return picture
    return cv2.resize(picture, target, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def rgb_of(frame: VideoFrame, size: tuple[int, int] | None = None) -> UInt8[np.ndarray, "h w 3"]:
    """RGB of a decoder's picture, of another size if asked for.

    The frame's own converter is not used: another thread may be at it, and both would hang (seen with eight threads).
    """
    width, height = size or (frame.width, frame.height)
    return VideoReformatter().reformat(frame, width, height, "rgb24", interpolation="AREA").to_ndarray()


def _size(picture: VideoFrame | JpegPicture) -> tuple[int, int]:
    return picture.size if isinstance(picture, JpegPicture) else (picture.width, picture.height)
