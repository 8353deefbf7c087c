"""Regions of interest of BlazePose: rotated squares, and the affine maps between an image and what a network sees.

Convention: the centre of the first pixel is (0, 0), and crop position u of n cells shows image position
`centre + R(angle) (u / n - 1/2) size`. That is MediaPipe's mapping read in pixel indices. Mirrored and rotated crops of
the four-camera trial agree with it to 0.2 cells of 256 (they would ask for an offset of 0.2 ± 0.15), so no half-cell
term is added. Worked example: size 512, angle 0, centre (600, 400), n = 256: cell (128, 64) shows (600, 272).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, UInt8


@dataclass(frozen=True)
class Roi:
    """A square in the image: centre (x, y) px, side px, angle rad (clockwise in the image, as y points down)."""

    center: tuple[float, float]
    size: float
    angle: float = 0.0

    def image_from_crop(self, cells: int) -> Float[np.ndarray, "2 3"]:
        """Affine map from crop cells (0 to `cells` across the square) to image px."""
        cos, sin = np.cos(self.angle) * self.size / cells, np.sin(self.angle) * self.size / cells
        linear = np.array([[cos, -sin], [sin, cos]])
        return np.column_stack([linear, np.array(self.center) - linear @ [cells / 2, cells / 2]])

    def crop(
        self, image: UInt8[np.ndarray, "H W 3"], cells: int, border: int = cv2.BORDER_REPLICATE
    ) -> UInt8[np.ndarray, "N N 3"]:
        """The square resampled to `cells` x `cells`, bilinear."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, self.image_from_crop(cells), (cells, cells), flags=flags, borderMode=border)

    @property
    def box(self) -> Float[np.ndarray, "4"]:
        """The axis-parallel square of the same centre and side: x0 y0 x1 y1 px."""
        half = self.size / 2
        x, y = self.center
        return np.array([x - half, y - half, x + half, y + half])


def roi_from_alignment(center: Float[np.ndarray, "2"], scale_point: Float[np.ndarray, "2"], scale: float) -> Roi:
    """The square around two alignment points: hip centre, and a point above the head as far away as the body reaches.

    The side is twice their distance times `scale`; the square is turned so that the scale point is straight above.
    """
    dx, dy = scale_point - center
    angle = np.pi / 2 - np.arctan2(-dy, dx)
    turned = (angle + np.pi) % (2 * np.pi) - np.pi
    return Roi((float(center[0]), float(center[1])), float(2 * np.hypot(dx, dy) * scale), float(turned))


def letterbox(width: int, height: int) -> Roi:
    """The upright square that holds a whole image."""
    return Roi((width / 2, height / 2), float(max(width, height)))


def transform(affine: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
    """Apply an affine map to points."""
    return points @ affine[:, :2].T + affine[:, 2]


def blended(old: Roi, new: Roi, share: float) -> Roi:
    """`share` of the way from old to new; the size geometrically, the angle along its short arc."""
    turn = (new.angle - old.angle + np.pi) % (2 * np.pi) - np.pi
    x, y = (a + share * (b - a) for a, b in zip(old.center, new.center, strict=True))
    return Roi((x, y), old.size * (new.size / old.size) ** share, old.angle + share * turn)


def box_overlap(box: Float[np.ndarray, "4"], boxes: Float[np.ndarray, "N 4"]) -> Float[np.ndarray, "N"]:
    """Intersection over union of one box with many; 0 where neither has an area."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
