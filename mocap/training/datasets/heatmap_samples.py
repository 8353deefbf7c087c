"""From labelled people to what a heatmap network sees and should say: crops, target cells and weights.

One affine map a person takes picture to crop, with pixel centres at whole numbers on both sides: the box's edges come
to -0.5 and size - 0.5, and a cell of the heatmap is (x + 0.5) / stride - 0.5. Shrinking by more than two averages
areas first, so that nothing flickers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from pydantic import Field
from torch import Tensor

from calibration.camera import rescale_pixels
from mocap.core.config import Config
from mocap.training.datasets.labelled_people import HIDDEN, UNLABELLED, LabelledPerson
from mocap.training.losses import gaussian_heatmaps

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of red, green and blue in [0, 1], over ImageNet."""

Affine = Float[np.ndarray, "2 3"]


class CropConfig(Config):
    """size: of the crop, width and height, px. stride: px of it a cell. padding: of the person's box.

    sigma_cells: of the peaks. hidden_weight: of keypoints that are labelled but hidden. The rest is augmentation: scale
    (factor up or down), rotation_deg and shift (share of the side), each at most; flip (share of the samples); colour
    (strength of contrast, brightness and tint); erase (share of samples that lose a rectangle).
    """

    size: tuple[int, int] = (256, 256)
    stride: int = Field(default=4, ge=1)
    padding: float = Field(default=1.25, gt=0)
    sigma_cells: float = Field(default=2.0, gt=0)
    hidden_weight: float = Field(default=1.0, ge=0)
    scale: float = Field(default=1.3, ge=1)
    rotation_deg: float = Field(default=30.0, ge=0)
    shift: float = Field(default=0.08, ge=0)
    flip: float = Field(default=0.5, ge=0, le=1)
    colour: float = Field(default=0.2, ge=0, lt=1)
    erase: float = Field(default=0.3, ge=0, le=1)

    @property
    def cells(self) -> tuple[int, int]:
        """Width and height of the heatmaps."""
        return self.size[0] // self.stride, self.size[1] // self.stride


@dataclass(frozen=True, eq=False)
class HeatmapSample:
    """One person's crop. cells: of the heatmap, NaN without a label. weight: 0 where there is nothing to learn."""

    picture: UInt8[np.ndarray, "H W 3"]
    cells: Float[np.ndarray, "K 2"]
    weight: Float[np.ndarray, "K"]
    picture_from_image: Affine


@dataclass(frozen=True, eq=False)
class HeatmapBatch:
    """pictures: less the mean of ImageNet, by its spread. heatmaps: peaks of height 1, empty without a label."""

    pictures: Float[Tensor, "N 3 H W"]
    heatmaps: Float[Tensor, "N K h w"]
    cells: Float[Tensor, "N K 2"]
    weight: Float[Tensor, "N K"]

    def __len__(self) -> int:
        return len(self.pictures)

    def to(self, device: torch.device | str) -> HeatmapBatch:
        """The same on another device."""
        return HeatmapBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})


def heatmap_sample(
    person: LabelledPerson,
    config: CropConfig,
    rng: np.random.Generator | None = None,
    mirror: Int[np.ndarray, "K"] | None = None,
) -> HeatmapSample:
    """A person's crop; augmented where a generator is given. mirror: `KeypointSet.mirror_permutation`, for flips."""
    to_crop = crop_affine(person.box, config, rng)
    xy, visibility = person.xy @ to_crop[:, :2].T + to_crop[:, 2], person.visibility
    picture = warp(person.picture, to_crop, config.size)
    if rng is not None:
        picture = _erased(_recoloured(picture, config.colour, rng), config.erase, rng)
        if mirror is not None and rng.random() < config.flip:
            turn = np.array([[-1.0, 0, config.size[0] - 1], [0, 1, 0]])
            picture, to_crop = picture[:, ::-1], turn[:, :2] @ to_crop + np.array([[0, 0, turn[0, 2]], [0, 0, 0]])
            xy, visibility = (xy * [-1, 1] + [turn[0, 2], 0])[mirror], visibility[mirror]
    cells = rescale_pixels(xy, 1 / config.stride)
    inside = ((cells >= -0.5) & (cells < np.array(config.cells) - 0.5)).all(-1)
    labelled = inside & (visibility != UNLABELLED)
    weight = np.where(labelled, np.where(visibility == HIDDEN, config.hidden_weight, 1.0), 0.0)
    return HeatmapSample(np.ascontiguousarray(picture), np.where(labelled[:, None], cells, np.nan), weight, to_crop)


def crop_affine(box: Float[np.ndarray, "4"], config: CropConfig, rng: np.random.Generator | None = None) -> Affine:
    """picture_from_image of a box, padded and widened to the crop's aspect, turned and moved at random."""
    size = np.array(config.size, dtype=np.float64)
    sides = np.maximum(box[2:] - box[:2], 1.0) * config.padding
    factor = 1 / max(sides / size)
    middle, angle = (box[:2] + box[2:]) / 2, 0.0
    if rng is not None:
        factor *= config.scale ** rng.uniform(-1, 1)
        angle = np.deg2rad(config.rotation_deg) * rng.uniform(-1, 1)
        middle = middle + config.shift * max(sides) * rng.uniform(-1, 1, 2)
    linear = factor * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([linear, (size - 1) / 2 - linear @ middle])


def warp(picture: UInt8[np.ndarray, "h w 3"], to_crop: Affine, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Bilinear, after averaging whole areas where that shrinks by two or more; black beyond the border."""
    shrink = int(1 / np.sqrt(abs(np.linalg.det(to_crop[:, :2]))))
    if shrink >= 2:
        height, width = (n - n % shrink for n in picture.shape[:2])
        if height and width:
            small = cv2.resize(
                picture[:height, :width], (width // shrink, height // shrink), interpolation=cv2.INTER_AREA
            )
            offset = to_crop[:, :2] @ np.full(2, (shrink - 1) / 2) + to_crop[:, 2]
            picture, to_crop = np.asarray(small, np.uint8), np.column_stack([to_crop[:, :2] * shrink, offset])
    return np.asarray(cv2.warpAffine(picture, to_crop, size, flags=cv2.INTER_LINEAR), dtype=np.uint8)


def heatmap_batch(samples: Sequence[HeatmapSample], config: CropConfig) -> HeatmapBatch:
    """Samples together, their targets drawn."""
    pictures = torch.from_numpy(np.stack([sample.picture for sample in samples]))
    cells = torch.from_numpy(np.stack([sample.cells for sample in samples]).astype(np.float32))
    weight = torch.from_numpy(np.stack([sample.weight for sample in samples]).astype(np.float32))
    heatmaps = gaussian_heatmaps(cells, config.cells, sigma=config.sigma_cells)
    return HeatmapBatch(normalised(pictures), heatmaps, cells, weight)


def normalised(pictures: UInt8[Tensor, "N H W 3"]) -> Float[Tensor, "N 3 H W"]:
    """RGB pictures as our heatmap networks take them."""
    mean, std = (torch.tensor(values, device=pictures.device) for values in (MEAN, STD))
    return ((pictures.float() / 255 - mean) / std).movedim(-1, -3)


def _recoloured(
    picture: UInt8[np.ndarray, "H W 3"], strength: float, rng: np.random.Generator
) -> UInt8[np.ndarray, "H W 3"]:
    """Contrast about the mean, brightness, and a factor for each channel."""
    if not strength:
        return picture
    contrast, brightness = 1 + strength * rng.uniform(-1, 1), 128 * strength * rng.uniform(-1, 1)
    tint = 1 + strength / 2 * rng.uniform(-1, 1, 3)
    mean = picture.mean((0, 1))
    changed = ((picture - mean) * contrast + mean + brightness) * tint
    return np.clip(np.round(changed), 0, 255).astype(np.uint8)


def _erased(picture: UInt8[np.ndarray, "H W 3"], share: float, rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """A rectangle of up to a third of each side in one colour, as furniture would hide it; labels stay."""
    if rng.random() >= share:
        return picture
    height, width = picture.shape[:2]
    tall, wide = (max(1, int(n * rng.uniform(0.08, 0.33))) for n in (height, width))
    y, x = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    hidden = picture.copy()
    hidden[y : y + tall, x : x + wide] = rng.integers(0, 256, 3)
    return hidden
