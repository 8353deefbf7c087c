"""Pictures of people as the published networks were trained on them (Iskakov et al., ICCV 2019): undistorted, cut out
along whole pixels, black beyond the border, brought to one size by averaging areas.

Their pixels change size without a half pixel: x' = (x - left) · new / old. That is theirs, not our convention, and
stays inside the pairs of picture and projection made here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from mocap.core.errors import FileFormatError

INPUT_SIZE = (384, 384)
"""Width and height, px, of the published networks' input."""

Box = Int[np.ndarray, "4"]
Picture = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True, eq=False)
class MultiviewFrame:
    """One person at one moment. pictures: RGB; projections: K [R t], world m to px of the pictures; xyz: true, m.

    cameras: names of the views that are there. labelled: which keypoints the truth has; others are NaN.
    """

    cameras: tuple[str, ...]
    pictures: UInt8[np.ndarray, "C H W 3"]
    projections: Float[np.ndarray, "C 3 4"]
    xyz: Float[np.ndarray, "J 3"]

    @property
    def labelled(self) -> Bool[np.ndarray, "J"]:
        return np.asarray(np.isfinite(self.xyz).all(-1))


def crop_picture(picture: Picture, box: Box, size: tuple[int, int]) -> Picture:
    """The pixels [left, right) × [upper, lower) of a box left upper right lower, brought to `size` (width, height)."""
    left, upper, right, lower = (int(edge) for edge in box)
    height, width = picture.shape[:2]
    cut = np.zeros((lower - upper, right - left, 3), dtype=np.uint8)
    x0, y0, x1, y1 = max(left, 0), max(upper, 0), min(right, width), min(lower, height)
    if x0 < x1 and y0 < y1:
        cut[y0 - upper : y1 - upper, x0 - left : x1 - left] = picture[y0:y1, x0:x1]
    return np.asarray(cv2.resize(cut, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def crop_projection(projection: Float[np.ndarray, "3 4"], box: Box, size: tuple[int, int]) -> Float[np.ndarray, "3 4"]:
    """The projection into what `crop_picture` makes, without half pixels."""
    left, upper, right, lower = (float(edge) for edge in box)
    scale_x, scale_y = size[0] / (right - left), size[1] / (lower - upper)
    to_crop = np.array([[scale_x, 0.0, -left * scale_x], [0.0, scale_y, -upper * scale_y], [0.0, 0.0, 1.0]])
    return to_crop @ projection


def scaled_box(box: Box, scale: float) -> Box:
    """A box of `scale` times the size about the middle, in whole pixels rounded down, as the published code does."""
    left, upper, right, lower = (int(edge) for edge in box)
    width, height = int(scale * (right - left)), int(scale * (lower - upper))
    x, y = (left + right) // 2 - width // 2, (upper + lower) // 2 - height // 2
    return np.array([x, y, x + width, y + height], dtype=np.int64)


def square_box(xy: Float[np.ndarray, "N 2"], padding: float) -> Box:
    """The square of whole pixels around points that are known, `padding` times as large."""
    known = xy[np.isfinite(xy).all(-1)]
    low, high = known.min(0), known.max(0)
    side = max(2, int(np.ceil(padding * (high - low).max())))
    corner = np.floor((low + high - side) / 2).astype(np.int64)
    return np.concatenate([corner, corner + side])


def read_picture(path: Path) -> Picture:
    """A picture file, upright RGB."""
    try:
        data = np.fromfile(path, dtype=np.uint8)
    except FileNotFoundError:
        raise FileFormatError(
            "no such picture", where=path, remedy="The labels list it: unpack the images completely."
        ) from None
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if picture is None:
        raise FileFormatError("not a picture that can be decoded", where=path, remedy="Copy the file again.")
    return np.asarray(picture[..., ::-1], dtype=np.uint8)


class Undistortion:
    """The maps of one lens, k1 k2 p1 p2 k3 of Brown–Conrady, made once: its pictures as a pinhole of the same K."""

    def __init__(self, K: Float[np.ndarray, "3 3"], distortion: Float[np.ndarray, "5"], size: tuple[int, int]) -> None:
        self.size = size
        self._maps = cv2.initUndistortRectifyMap(K, distortion, np.eye(3), K, size, cv2.CV_32FC1)

    def __call__(self, picture: Picture) -> Picture:
        return np.asarray(cv2.remap(picture, *self._maps, cv2.INTER_LINEAR), dtype=np.uint8)
