"""Small upright pictures from frames that other threads may be looking at in the same moment."""

from __future__ import annotations

import numpy as np
from av.video.reformatter import VideoReformatter
from jaxtyping import UInt8

from mocap.capture.source import SourceFrame


def small_upright(frame: SourceFrame, width: int, rotation: int = 0) -> UInt8[np.ndarray, "h w 3"]:
    """RGB, turned clockwise by `rotation` degrees to be upright, no wider than `width` then.

    A decoded picture is converted by a converter of its own: the one that PyAV keeps in every frame belongs to one
    thread, and two that use it at once end the program.
    """
    full_width, full_height = frame.size
    across = full_width if rotation % 180 == 0 else full_height
    share = min(1.0, width / across)
    size = (max(1, round(full_width * share)), max(1, round(full_height * share)))
    if frame.codec is not None:
        return _turned(frame.preview(size[0]), rotation)
    small = VideoReformatter().reformat(frame.video_frame, *size, "rgb24", interpolation="AREA")
    return _turned(np.asarray(small.to_ndarray(), dtype=np.uint8), rotation)


def _turned(image: UInt8[np.ndarray, "H W 3"], rotation: int) -> UInt8[np.ndarray, "h w 3"]:
    return np.ascontiguousarray(np.rot90(image, k=-rotation // 90))
