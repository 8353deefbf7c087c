"""Keypoints of one person in a box, from a pose network by path: SimCC heads and heatmap heads.

  simcc     two outputs (1, K, r·W) and (1, K, r·H): each coordinate as a histogram with r bins a px, bin b at b / r
            (Li et al. 2022; RTMPose: r = 2)
  heatmap   one output (1, K, h, w) (HRNet, SimpleBaseline, ViTPose)

Both are read at their peak and refined below a cell by DARK (Zhang et al. 2020, eq. 6–9; in one dimension for SimCC):
the logarithm of a Gaussian is a parabola, so that after smoothing one Newton step from the peak's cell lands on its
centre, exactly for a Gaussian of any width away from the border.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mocap.models.detector import missing_as_nan
from mocap.models.onnx_crop import Crop, Grid, apply_affine, crop_of
from mocap.models.onnx_model import Normalisation, OnnxModel, unsupported

DEFAULT_SIZE = (192, 256)
HEATMAP_SMOOTHING = 2.0
"""Sigma in cells; DARK's: as wide as the heatmaps that these networks are trained on."""
SIMCC_SMOOTHING_PX = 2.5
"""Sigma in picture px; RTMPose is trained on histograms of 2.4 to 3.5 px."""
LOG_FLOOR = 1e-3
"""Of the peak; below it a heatmap holds noise, whose logarithm would bend the parabola."""
SUPPORTED = (
    "SimCC, two outputs (1, K, r·W) and (1, K, r·H) (RTMPose)",
    "heatmaps, one output (1, K, h, w) of the picture's aspect ratio (HRNet, SimpleBaseline, ViTPose)",
)


@dataclass(frozen=True)
class PoseOptions:
    """padding: of the box; gain: factor on confidences before they are cut at 1; refine: below a cell."""

    padding: float = 1.25
    gain: float = 1.0
    refine: bool = True


@dataclass(frozen=True, eq=False)
class PoseInBox:
    """xy: image px, NaN where missing; confidence [0, 1]. heatmaps: (K, h, w) float16 where the head has them."""

    xy: Float[np.ndarray, "J 2"]
    confidence: Float[np.ndarray, "J"]
    heatmaps: Float[np.ndarray, "K h w"] | None
    px_from_heatmap: Float[np.ndarray, "2 3"] | None


@dataclass(frozen=True)
class SimccHead:
    """bins_per_px: r above."""

    x: str
    y: str
    n_keypoints: int
    bins_per_px: tuple[float, float]

    def read(self, outputs: dict[str, np.ndarray], crop: Crop, options: PoseOptions) -> PoseInBox:
        """Peaks of both histograms; a keypoint is as sure as the less sure of its two coordinates (as in MMPose)."""
        histograms = [outputs[name].astype(np.float64) for name in (self.x, self.y)]
        xy = np.stack(
            [
                peak_of(histogram, SIMCC_SMOOTHING_PX * bins if options.refine else 0.0) / bins
                for histogram, bins in zip(histograms, self.bins_per_px, strict=True)
            ],
            axis=-1,
        )
        confidence = np.minimum(histograms[0].max(-1), histograms[1].max(-1)) * options.gain
        return PoseInBox(*_in_image(xy, confidence, crop.image_from_picture), None, None)


@dataclass(frozen=True)
class HeatmapHead:
    """cells: (width, height) of a heatmap."""

    output: str
    n_keypoints: int
    cells: tuple[int, int]

    def read(self, outputs: dict[str, np.ndarray], crop: Crop, options: PoseOptions) -> PoseInBox:
        """The highest cell of each heatmap, refined."""
        heatmaps = outputs[self.output].astype(np.float32)
        rows, columns = np.unravel_index(heatmaps.reshape(len(heatmaps), -1).argmax(-1), heatmaps.shape[1:])
        cells = np.stack([columns, rows], -1).astype(np.float64)
        confidence = heatmaps.max((1, 2)).astype(np.float64) * options.gain
        if options.refine:
            cells = cells + dark_offsets(heatmaps, columns, rows)
        affine = crop.image_from_heatmap(self.cells)
        return PoseInBox(*_in_image(cells, confidence, affine), heatmaps.astype(np.float16), affine)


class OnnxPoseNetwork:
    """Keypoints of people in given boxes."""

    def __init__(
        self,
        path: Path,
        options: PoseOptions,
        *,
        normalisation: Normalisation,
        grid: Literal["auto"] | Grid = "auto",
        input_size: tuple[int, int] | None = None,
        threads: int = 0,
        precision: str = "f32",
    ) -> None:
        model = OnnxModel(path, default_size=DEFAULT_SIZE, input_size=input_size)
        self.head = recognise_head(model)
        self.grid: Grid = grid_of(model, self.head) if grid == "auto" else grid
        self._options = options
        self._model = model.compiled(normalisation, threads=threads, precision=precision, name=path.stem)
        self.identity = self._model.identity

    @property
    def n_keypoints(self) -> int:
        return self.head.n_keypoints

    def estimate(
        self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], boxes: Sequence[Float[np.ndarray, "4"]]
    ) -> list[PoseInBox]:
        """One image and box a person; boxes in image px."""
        crops = [crop_of(box, self._model.size, padding=self._options.padding, grid=self.grid) for box in boxes]
        outputs = self._model.infer(_pictures(images, crops))
        return [self.head.read(result, crop, self._options) for result, crop in zip(outputs, crops, strict=True)]


def _pictures(images: Sequence[np.ndarray], crops: Sequence[Crop]) -> Iterator[UInt8[np.ndarray, "H W 3"]]:
    return (crop.picture_of(image) for image, crop in zip(images, crops, strict=True))


def recognise_head(model: OnnxModel) -> SimccHead | HeatmapHead:
    """The kind of a pose network's head."""
    width, height = model.size
    maps = [o for o in model.outputs if len(o.shape) == 3]
    if len(maps) == len(model.outputs) == 1 and all(n > 0 for n in maps[0].shape):
        k, h, w = maps[0].shape
        if min(h, w) > 4 and abs(width / w - height / h) < 1e-6 * width / w:
            return HeatmapHead(maps[0].name, k, (w, h))
    lines = [o for o in model.outputs if len(o.shape) == 2 and all(n > 0 for n in o.shape)]
    if len(lines) == len(model.outputs) == 2 and lines[0].shape[0] == lines[1].shape[0]:
        for x, y in (lines, lines[::-1]):
            ratios = (x.shape[1] / width, y.shape[1] / height)
            if abs(ratios[0] - ratios[1]) < 0.5 / min(width, height) and min(ratios) >= 1:
                return SimccHead(x.name, y.name, x.shape[0], ratios)
    raise unsupported(model, "pose network", SUPPORTED)


def grid_of(model: OnnxModel, head: SimccHead | HeatmapHead) -> Grid:
    """Which map a network was trained with does not stand in the file: transformers and `udp` in its name mean udp."""
    name = model.path.stem.lower()
    if isinstance(head, HeatmapHead) and (model.has_attention or "udp" in name or "vitpose" in name):
        return "udp"
    return "stride"


def peak_of(histograms: Float[np.ndarray, "K bins"], smoothing: float) -> Float[np.ndarray, "K"]:
    """Position of the highest bin, refined where `smoothing` (sigma in bins) is not 0; by one smoothing at most."""
    peak = histograms.argmax(-1)
    if smoothing == 0 or histograms.shape[1] < 3:
        return peak.astype(np.float64)
    logarithm = np.stack([_smoothed_log(row[None], smoothing)[0] for row in histograms])
    row, inner = np.arange(len(peak)), (peak > 0) & (peak < histograms.shape[1] - 1)
    middle = np.clip(peak, 1, histograms.shape[1] - 2)
    left, top, right = (logarithm[row, middle + d] for d in (-1, 0, 1))
    bend = left - 2 * top + right
    step = np.divide(left - right, 2 * bend, out=np.zeros(len(row)), where=inner & (bend < 0))
    return peak + np.clip(step, -smoothing, smoothing)


def dark_offsets(
    heatmaps: Float[np.ndarray, "K h w"], columns: np.ndarray, rows: np.ndarray
) -> Float[np.ndarray, "K 2"]:  # fmt: skip
    """Newton step from each peak cell to the top of the smoothed logarithm; 0 at the border and where it is no top.

    At most one cell: the cell was the highest, so its centre is no farther than half a cell but for noise.
    """
    k, h, w = heatmaps.shape
    inner = (columns > 0) & (columns < w - 1) & (rows > 0) & (rows < h - 1)
    x, y, index = np.clip(columns, 1, w - 2), np.clip(rows, 1, h - 2), np.arange(k)
    logarithm = (
        np.stack([_smoothed_log(heatmap, HEATMAP_SMOOTHING) for heatmap in heatmaps])
        if k
        else heatmaps.astype(np.float64)
    )

    def at(dx: int, dy: int) -> np.ndarray:
        return logarithm[index, y + dy, x + dx]

    slope_x, slope_y = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    bend_x, bend_y = at(1, 0) - 2 * at(0, 0) + at(-1, 0), at(0, 1) - 2 * at(0, 0) + at(0, -1)
    twist = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = bend_x * bend_y - twist**2
    is_top = inner & (determinant > 0) & (bend_x < 0)
    safe = np.where(is_top, determinant, 1.0)
    step = np.stack([twist * slope_y - bend_y * slope_x, twist * slope_x - bend_x * slope_y], -1) / safe[:, None]
    return np.where(is_top[:, None], np.clip(step, -1.0, 1.0), 0.0)


def _smoothed_log(values: Float[np.ndarray, "h w"], sigma: float) -> Float[np.ndarray, "h w"]:
    positive = np.maximum(values.astype(np.float64), 0.0)
    smooth = cv2.GaussianBlur(positive, (0, 0), sigma, borderType=cv2.BORDER_CONSTANT)
    return np.log(np.maximum(smooth, LOG_FLOOR * max(float(smooth.max()), 1e-12)))


def _in_image(
    cells: Float[np.ndarray, "K 2"], confidence: Float[np.ndarray, "K"], affine: Float[np.ndarray, "2 3"]
) -> tuple[Float[np.ndarray, "K 2"], Float[np.ndarray, "K"]]:
    return missing_as_nan(apply_affine(affine, cells), confidence, np.ones(len(cells), dtype=bool))
