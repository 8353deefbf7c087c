"""Person boxes from a detection network by path: YOLOX, and RTMDet or YOLOX as MMDeploy exports them.

Layouts, for a picture of W×H:
  yolox   one output (1, A, 5 + classes), A = the cells of strides 8, 16, 32 (and 64); x y w h objectness classes.
          Raw values are x, y from the cell's corner and log w, log h, all in strides (YOLOX, Ge et al. 2021, §2.2);
          an export with the decoding inside gives px. Which of the two it is shows in the values.
  boxes   (1, N, 5) x0 y0 x1 y1 score, with or without (1, N) class labels: suppression is inside (MMDeploy, rtmlib)

Box coordinates count from the picture's edge (COCO: the first pixel spans 0 to 1), hence the half pixel taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from mocap.models.onnx_model import BYTES_BGR, IMAGENET_BGR, Normalisation, OnnxModel, Output, unsupported
from mocap.models.person_boxes import suppress_doubles

DEFAULT_SIZE = (640, 640)
PAD_VALUE = 114
"""The grey that YOLOX and RTMDet were trained with beside the image."""
STRIDES = ((8, 16, 32), (8, 16, 32, 64))
SUPPORTED = (
    "one output (1, A, 5 + classes) over the cells of strides 8, 16, 32 (YOLOX)",
    "boxes (1, N, 5) with or without labels (1, N) (RTMDet or YOLOX exported by MMDeploy with suppression inside)",
)

Pictures = Literal["auto", "bytes", "imagenet"]
Boxes = tuple[Float[np.ndarray, "N 4"], Float[np.ndarray, "N"]]


@dataclass(frozen=True)
class Fit:
    """How an image was laid into the picture: scaled, in the top left corner, grey beyond. Edges map by `scale`."""

    scale: tuple[float, float]
    image_size: tuple[int, int]


@dataclass(frozen=True)
class PersonOptions:
    """min_score, max_overlap in [0, 1]; person_class: index among the network's classes."""

    min_score: float
    max_overlap: float
    person_class: int


class OnnxPersonDetector:
    """Boxes and scores of the people in whole images."""

    def __init__(
        self,
        path: Path,
        options: PersonOptions,
        *,
        input_size: tuple[int, int] | None = None,
        pictures: Pictures = "auto",
        threads: int = 0,
        precision: str = "f32",
    ) -> None:
        model = OnnxModel(path, default_size=DEFAULT_SIZE, input_size=input_size)
        self._options = options
        self._layout = recognise_boxes(model, options.person_class)
        self._model = model.compiled(
            normalisation_of(model, self._layout, pictures), threads=threads, precision=precision, name=path.stem
        )
        self.identity = self._model.identity

    def detect(self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]]) -> list[Boxes]:
        """Per image boxes (px, within the image) and scores, best first."""
        fits = [fit_of((image.shape[1], image.shape[0]), self._model.size) for image in images]
        pictures = (laid_in(image, fit, self._model.size) for image, fit in zip(images, fits, strict=True))
        return [
            self._decoded(outputs, fit) for outputs, fit in zip(self._model.infer(pictures), fits, strict=True)
        ]  # fmt: skip

    def _decoded(self, outputs: dict[str, np.ndarray], fit: Fit) -> Boxes:
        boxes, scores = self._layout.read(outputs, self._options)
        keep = np.isfinite(boxes).all(-1) & (scores >= self._options.min_score)
        boxes, scores = boxes_in_image(boxes[keep], fit), np.clip(scores[keep], 0.0, 1.0)
        has_area = ((boxes[:, 2:] - boxes[:, :2]) > 1).all(-1)
        boxes, scores = boxes[has_area], scores[has_area]
        kept = suppress_doubles(boxes, scores, self._options.max_overlap)
        return boxes[kept], scores[kept]


@dataclass(frozen=True)
class YoloxLayout:
    """Reads the one output of YOLOX, raw or decoded."""

    output: str
    size: tuple[int, int]
    strides: tuple[int, ...]

    def read(self, outputs: dict[str, np.ndarray], options: PersonOptions) -> Boxes:
        """Boxes in the picture's px from its edge, and scores, one per cell."""
        values = outputs[self.output].astype(np.float64)
        corners, strides = cells(self.size, self.strides)
        decoded = values[:, :4] if already_decoded(values, corners, strides) else _yolox_boxes(values, corners, strides)
        center, half = decoded[:, :2], decoded[:, 2:4] / 2
        scores = values[:, 4] * values[:, 5 + options.person_class]
        return np.concatenate([center - half, center + half], axis=-1), scores


@dataclass(frozen=True)
class BoxLayout:
    """Reads finished boxes; labels is None where the network knows only people."""

    boxes: str
    labels: str | None

    def read(self, outputs: dict[str, np.ndarray], options: PersonOptions) -> Boxes:
        """Boxes in the picture's px from its edge, and scores."""
        values = outputs[self.boxes].astype(np.float64).reshape(-1, 5)
        if self.labels is not None:
            values = values[outputs[self.labels].reshape(-1) == options.person_class]
        return values[:, :4], values[:, 4]


def recognise_boxes(model: OnnxModel, person_class: int = 0) -> YoloxLayout | BoxLayout:
    """The layout of a detection network's outputs."""
    flat = [o for o in model.outputs if len(o.shape) == 2]
    fives = [o for o in flat if o.shape[1] == 5]
    if len(fives) == 1 and len(model.outputs) <= 2 and all(o is fives[0] or _is_labels(o) for o in model.outputs):
        labels = next((o.name for o in model.outputs if _is_labels(o)), None)
        return BoxLayout(fives[0].name, labels)
    if len(flat) == len(model.outputs) == 1 and flat[0].shape[1] > 5:
        for strides in STRIDES:
            if flat[0].shape[0] == len(cells(model.size, strides)[0]) and flat[0].shape[1] > 5 + person_class:
                return YoloxLayout(flat[0].name, model.size, strides)
    raise unsupported(model, "person detector", SUPPORTED)


def _is_labels(output: Output) -> bool:
    return len(output.shape) == 1


def normalisation_of(model: OnnxModel, layout: YoloxLayout | BoxLayout, pictures: Pictures) -> Normalisation:
    """YOLOX takes bytes, RTMDet ImageNet's; with suppression inside their outputs are alike, so the stem decides."""
    if pictures != "auto":
        return BYTES_BGR if pictures == "bytes" else IMAGENET_BGR
    is_yolox = isinstance(layout, YoloxLayout) or model.begins_with_slices or "yolox" in model.path.stem.lower()
    return BYTES_BGR if is_yolox else IMAGENET_BGR


@cache
def cells(
    size: tuple[int, int], strides: tuple[int, ...]
) -> tuple[Float[np.ndarray, "A 2"], Float[np.ndarray, "A"]]:  # fmt: skip
    """Column and row of every cell, and its stride in px; all of one stride before the next, row by row."""
    corners, sides = [], []
    for stride in strides:
        columns, rows = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride))
        corners.append(np.stack([columns, rows], -1).reshape(-1, 2))
        sides.append(np.full(columns.size, float(stride)))
    return np.concatenate(corners).astype(np.float64), np.concatenate(sides)


def already_decoded(
    values: Float[np.ndarray, "A n"], corners: Float[np.ndarray, "A 2"], strides: Float[np.ndarray, "A"]
) -> bool:
    """Whether x, y are px near their own cell rather than small offsets from it: the nearer reading is right."""
    as_px = np.abs(values[:, :2] / strides[:, None] - corners - 0.5)
    as_offset = np.abs(values[:, :2] - 0.5)
    return bool(np.median(as_px) < np.median(as_offset))


def _yolox_boxes(
    values: Float[np.ndarray, "A n"], corners: Float[np.ndarray, "A 2"], strides: Float[np.ndarray, "A"]
) -> Float[np.ndarray, "A 4"]:
    """Centre and size in px of the picture. The exponent is bounded: exp(12) strides are larger than any image."""
    center = (values[:, :2] + corners) * strides[:, None]
    return np.concatenate([center, np.exp(np.minimum(values[:, 2:4], 12.0)) * strides[:, None]], axis=-1)


def fit_of(image_size: tuple[int, int], picture_size: tuple[int, int]) -> Fit:
    """The largest scale at which the image fits; rounded down to whole pixels, so the axes may differ by a hair."""
    ratio = min(picture_size[0] / image_size[0], picture_size[1] / image_size[1])
    width, height = (max(1, int(side * ratio)) for side in image_size)
    return Fit((width / image_size[0], height / image_size[1]), image_size)


def laid_in(image: UInt8[np.ndarray, "_ _ 3"], fit: Fit, size: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """The picture for the network."""
    width, height = (round(s * f) for s, f in zip(fit.image_size, fit.scale, strict=True))
    picture = np.full((size[1], size[0], 3), PAD_VALUE, dtype=np.uint8)
    picture[:height, :width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
    return picture


def boxes_in_image(boxes: Float[np.ndarray, "N 4"], fit: Fit) -> Float[np.ndarray, "N 4"]:
    """From the picture's px (from its edge) to the image's px (from the first pixel's centre), cut at its border."""
    scale = np.array([*fit.scale, *fit.scale])
    far = np.array([*fit.image_size, *fit.image_size], dtype=np.float64)
    return np.clip(boxes / scale, 0.0, far) - 0.5


def inside(boxes: Float[np.ndarray, "N 4"], size: tuple[int, int]) -> Bool[np.ndarray, "N"]:
    """Boxes that share at least a pixel with an image of that size."""
    low = np.maximum(boxes[:, :2], -0.5)
    high = np.minimum(boxes[:, 2:], np.array(size) - 0.5)
    return np.asarray((high - low > 1).all(-1))
