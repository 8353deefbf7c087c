"""Small upright pictures from live frames."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from mocap.capture.session_recording_guidance import upright
from mocap.capture.source import SourceFrame


def small_upright(frame: SourceFrame, width: int, rotation: int = 0) -> UInt8[np.ndarray, "h w 3"]:
    """RGB, turned clockwise by `rotation` degrees to be upright, no wider than `width` then."""
    full_width, full_height = frame.size
    across = full_width if rotation % 180 == 0 else full_height
    share = min(1.0, width / across)
    return upright(frame.preview(max(1, round(full_width * share))), rotation)
