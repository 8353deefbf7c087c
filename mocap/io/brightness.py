"""How bright every frame of a video is, and by how much it differs from those before: one quick pass."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Bool, Float, UInt8

from mocap.core.errors import VideoError
from mocap.io.video_decode import DamageMap, decode_pictures
from mocap.io.video_probe import VideoInfo, probe_video

SHORT_SIDE = 360
"""Of the picture that is looked at: what moves by a tenth of a pixel of 720 still shows."""
BLOCK = 8
LAGS = 4
"""Pictures are compared with so many before them."""
STRONGEST, MOVING = 0.002, 0.05
"""Shares of the blocks: of those that change most, which a picture that repeats another must not have, and of those
that people who move cover."""


@dataclass(frozen=True, eq=False)
class FrameLight:
    """Of every frame of a video, NaN for those that cannot be decoded.

    brightness: (F,) mean of the luma, 0 to 255. strongest, moving: (F, 4) difference to the 1, 2, 3 and 4 frames
    before, levels: the mean over the blocks of 8 × 8 pixels that change most, STRONGEST and MOVING of all; NaN where
    there is none. key: (F,) keyframes, whose coding changes pictures that are at rest. info: of the file.
    """

    brightness: Float[np.ndarray, "F"]
    strongest: Float[np.ndarray, "F 4"]
    moving: Float[np.ndarray, "F 4"]
    key: Bool[np.ndarray, "F"]
    info: VideoInfo


def read_brightness(path: str | Path) -> FrameLight:
    """Decode a video once, without colours and without turning it."""
    info = probe_video(path)
    n = info.n_readable
    if n == 0:
        raise VideoError("holds no frames", where=Path(path))
    brightness, key = np.full(n, np.nan), np.zeros(n, dtype=bool)
    strongest, moving = np.full((2, n, LAGS), np.nan)
    before: deque[tuple[int, UInt8[np.ndarray, "h w"]]] = deque(maxlen=LAGS)
    for picture in decode_pictures(info, DamageMap(info)):
        small = _small_luma(picture.frame)
        brightness[picture.row], key[picture.row] = small.mean(), picture.frame.key_frame
        for row, other in before:
            if 0 < picture.row - row <= LAGS:
                at = picture.row, picture.row - row - 1
                strongest[at], moving[at] = _changes(other, small)
        before.append((picture.row, small))
    return FrameLight(brightness, strongest, moving, key, info)


def _small_luma(frame: VideoFrame) -> UInt8[np.ndarray, "h w"]:
    """The luma as it lies in memory, made small."""
    plane = frame.planes[0]
    if not frame.format.name.startswith(("yuv4", "yuvj4", "nv12", "gray")) or plane.line_size < plane.width:
        return _shrunk(frame.to_ndarray(format="gray"))
    if plane.buffer_size < plane.line_size * plane.height or frame.format.components[0].bits != 8:
        return _shrunk(frame.to_ndarray(format="gray"))
    rows = np.frombuffer(cast("memoryview", plane), dtype=np.uint8)[: plane.line_size * plane.height]
    return _shrunk(rows.reshape(plane.height, plane.line_size)[:, : plane.width])


def _shrunk(luma: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "h w"]:
    """The short side to SHORT_SIDE; every pixel counts, so that what is thin and fast is not lost."""
    scale = SHORT_SIDE / min(luma.shape)
    if scale >= 1:
        return luma.copy()
    size = max(1, round(luma.shape[1] * scale)), max(1, round(luma.shape[0] * scale))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _changes(a: UInt8[np.ndarray, "h w"], b: UInt8[np.ndarray, "h w"]) -> tuple[float, float]:
    """(strongest, moving): mean absolute differences of the blocks that change most."""
    size = max(1, a.shape[1] // BLOCK), max(1, a.shape[0] // BLOCK)
    change = cv2.absdiff(a, b)[: size[1] * BLOCK, : size[0] * BLOCK].astype(np.float32)
    blocks = np.asarray(cv2.resize(change, size, interpolation=cv2.INTER_AREA)).reshape(-1)
    few, some = (max(1, round(share * len(blocks))) for share in (STRONGEST, MOVING))
    most = np.sort(np.partition(blocks, len(blocks) - some)[-some:])
    return float(most[-few:].mean()), float(most.mean())
