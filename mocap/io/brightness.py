"""How bright every frame of a video is, and by how much it differs from the one before: one quick pass."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float, UInt8

from mocap.core.errors import VideoError
from mocap.io.video_decode import DamageMap, decode_pictures
from mocap.io.video_probe import VideoInfo, probe_video

ROWS = 72
"""Height that pictures are looked at with; enough for a person who fills a tenth of it."""
CHANGED_SHARE = 0.02
"""The difference of two pictures is that of the part of them that changed most, for people are small."""


@dataclass(frozen=True, eq=False)
class FrameLight:
    """Of every frame of a video, NaN for those that cannot be decoded.

    brightness: (F,) mean of the luma, 0 to 255. difference: (G,), one less than frames: mean of the largest
    CHANGED_SHARE of the pixels' differences to the frame before, in the same unit. info: of the file.
    """

    brightness: Float[np.ndarray, "F"]
    difference: Float[np.ndarray, "G"]
    info: VideoInfo


def read_brightness(path: str | Path) -> FrameLight:
    """Decode a video once, without colours and without turning it."""
    info = probe_video(path)
    n = info.n_readable
    if n == 0:
        raise VideoError("holds no frames", where=Path(path))
    brightness, difference = np.full(n, np.nan), np.full(n - 1, np.nan)
    before: tuple[int, UInt8[np.ndarray, "h w"]] | None = None
    for picture in decode_pictures(info, DamageMap(info)):
        small = _small_luma(picture.frame)
        brightness[picture.row] = small.mean()
        if before is not None and before[0] == picture.row - 1:
            difference[picture.row - 1] = _change(before[1], small)
        before = picture.row, small
    return FrameLight(brightness, difference, info)


def _small_luma(frame: VideoFrame) -> UInt8[np.ndarray, "h w"]:
    """Every so-manieth row and column of the luma, as it lies in memory."""
    plane = frame.planes[0]
    if not frame.format.name.startswith(("yuv4", "yuvj4", "nv12", "gray")) or plane.line_size < plane.width:
        return _every(frame.to_ndarray(format="gray"))
    if plane.buffer_size < plane.line_size * plane.height or frame.format.components[0].bits != 8:
        return _every(frame.to_ndarray(format="gray"))
    rows = np.frombuffer(cast("memoryview", plane), dtype=np.uint8)[: plane.line_size * plane.height]
    return _every(rows.reshape(plane.height, plane.line_size)[:, : plane.width])


def _every(luma: UInt8[np.ndarray, "H W"]) -> UInt8[np.ndarray, "h w"]:
    step = max(1, min(luma.shape) // ROWS)
    return luma[step // 2 :: step, step // 2 :: step].copy()


def _change(a: UInt8[np.ndarray, "h w"], b: UInt8[np.ndarray, "h w"]) -> float:
    change = np.abs(a.astype(np.int16) - b).reshape(-1)
    most = max(1, round(CHANGED_SHARE * len(change)))
    return float(np.partition(change, len(change) - most)[-most:].mean())
