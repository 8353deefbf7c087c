"""The part of an image that a pose network looks at: a box, widened to its aspect ratio, warped to its picture.

All maps are affine in pixel coordinates whose first centre is (0, 0). A network must be read with the map it was
trained with; `Grid` names the three in use, W picture px and w heatmap cells across, s the box's width in image px:

  stride        picture x = (X - center) W / s + W / 2          x = cell · W / w             MMPose, HRNet
  udp           picture x = (X - center) (W-1) / s + (W-1) / 2  x = cell · (W-1) / (w-1)     ViTPose, *-udp (Huang 2020)
  pixel_centre  picture x = (X - center) W / s + (W-1) / 2      x = (cell + ½) W / w - ½     aligned by centres

At a quarter of the picture's size, stride and udp differ by 1.5 picture px in the middle: 7 px of a person of 1000 px.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

Grid = Literal["stride", "udp", "pixel_centre"]


@dataclass(frozen=True, eq=False)
class Crop:
    """What one person's picture shows. picture_from_image: affine in px."""

    picture_from_image: Float[np.ndarray, "2 3"]
    size: tuple[int, int]
    grid: Grid

    def picture_of(self, image: UInt8[np.ndarray, "_ _ 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """Bilinear, black beyond the image's border, as these networks are trained."""
        return cv2.warpAffine(image, self.picture_from_image, self.size, flags=cv2.INTER_LINEAR)

    def averaged_picture_of(self, image: UInt8[np.ndarray, "_ _ 3"]) -> UInt8[np.ndarray, "H W 3"]:
        """The same, whole areas averaged first where it shrinks by two or more: nothing flickers in small pictures."""
        shrink = int(1 / np.sqrt(abs(np.linalg.det(self.picture_from_image[:, :2]))))
        if shrink < 2:
            return self.picture_of(image)
        corners = apply_affine(self.image_from_picture, np.array([[-1.0, -1.0], np.array(self.size, float)]))
        low = np.clip(np.floor(corners.min(0)) - shrink, 0, None).astype(int)
        high = np.clip(np.ceil(corners.max(0)) + 1 + shrink, 0, image.shape[1::-1]).astype(int)
        wide, tall = (high - low) // shrink
        if wide < 1 or tall < 1:
            return self.picture_of(image)
        part = image[low[1] : low[1] + tall * shrink, low[0] : low[0] + wide * shrink]
        small = cv2.resize(part, (int(wide), int(tall)), interpolation=cv2.INTER_AREA)
        linear = self.picture_from_image[:, :2]
        shift = linear @ (low + (shrink - 1) / 2) + self.picture_from_image[:, 2]
        return cv2.warpAffine(small, np.column_stack([linear * shrink, shift]), self.size, flags=cv2.INTER_LINEAR)

    @property
    def image_from_picture(self) -> Float[np.ndarray, "2 3"]:
        return cv2.invertAffineTransform(self.picture_from_image)

    def image_from_heatmap(self, cells: tuple[int, int]) -> Float[np.ndarray, "2 3"]:
        """From heatmap cells (width, height of them given) to image px."""
        scale, shift = picture_from_cells(self.size, cells, self.grid)
        to_image = self.image_from_picture
        return np.column_stack([to_image[:, :2] * scale, to_image[:, :2] @ shift + to_image[:, 2]])


def crop_of(box: Float[np.ndarray, "4"], size: tuple[int, int], *, padding: float, grid: Grid) -> Crop:
    """The box grown by `padding` about its centre, and the shorter side further to the picture's aspect ratio."""
    center = (box[:2] + box[2:]) / 2
    sides = np.maximum(box[2:] - box[:2], 1.0) * padding
    aspect = size[0] / size[1]
    width = max(sides[0], sides[1] * aspect)
    span = np.array([width, width / aspect])
    picture = np.array(size, dtype=np.float64)
    scale = (picture - 1) / span if grid == "udp" else picture / span
    middle = picture / 2 if grid == "stride" else (picture - 1) / 2
    return Crop(np.column_stack([np.diag(scale), middle - scale * center]), size, grid)


def picture_from_cells(
    size: tuple[int, int], cells: tuple[int, int], grid: Grid
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]]:
    """Scale and shift: picture px = scale · cell + shift."""
    picture, count = np.array(size, dtype=np.float64), np.array(cells, dtype=np.float64)
    if grid == "udp":
        return (picture - 1) / (count - 1), np.zeros(2)
    scale = picture / count
    return scale, (scale - 1) / 2 if grid == "pixel_centre" else np.zeros(2)


def apply_affine(affine: Float[np.ndarray, "2 3"], xy: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "N 2"]:
    """Points through an affine map."""
    return xy @ affine[:, :2].T + affine[:, 2]
