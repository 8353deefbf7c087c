"""A person's surroundings cut out of a picture, small enough to keep thousands of them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from calibration.camera import rescale_pixels

SURROUNDINGS = 2.2
"""Times the box: what padding, scale and rotation of a crop can reach."""
JPEG_QUALITY = 92


@dataclass(frozen=True, eq=False)
class Piece:
    """Part of a picture: JPEG, the place of its first pixel, and how many px of the picture one of its own is."""

    jpeg: bytes
    corner: Float[np.ndarray, "2"]
    shrunk: int

    def here(self, xy: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Pixels of the whole picture as pixels of this part."""
        return rescale_pixels(xy - self.corner, 1 / self.shrunk)


def cut_out(picture: UInt8[np.ndarray, "H W 3"], box: Float[np.ndarray, "4"], largest_px: int = 640) -> Piece:
    """The surroundings of a box (x0 y0 x1 y1) in an RGB picture, halved until no side is longer than `largest_px`."""
    height, width = picture.shape[:2]
    middle, half = (box[:2] + box[2:]) / 2, SURROUNDINGS * (box[2:] - box[:2]).max() / 2
    low = np.clip(np.floor(middle - half), 0, [width - 1, height - 1]).astype(int)
    high = np.clip(np.ceil(middle + half), low + 1, [width, height]).astype(int)
    cut, shrunk = picture[low[1] : high[1], low[0] : high[0]], 1
    while max(cut.shape[:2]) > largest_px:
        tall, wide = cut.shape[0] // 2, cut.shape[1] // 2
        cut = cv2.resize(cut[: 2 * tall, : 2 * wide], (wide, tall), interpolation=cv2.INTER_AREA)
        shrunk *= 2
    encoded = cv2.imencode(".jpg", cut[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1]
    return Piece(encoded.tobytes(), low.astype(np.float64), shrunk)


def decoded(jpeg: bytes) -> UInt8[np.ndarray, "H W 3"]:
    """The RGB picture of a piece."""
    bgr = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert bgr is not None
    return np.asarray(bgr, np.uint8)[..., ::-1]
