"""Heatmaps as a 2D network would give them for the box of a person: peaks, false peaks, and a floor of noise.

Pixel centres are integers in pictures and in heatmaps. A box x0 y0 x1 y1 (px) reaches from -0.5 to size - 0.5 of the
heatmap: u = (x - x0) s - 0.5 with s = size / (x1 - x0). For the whole picture, x0 = -0.5, that is (x + 0.5) s - 0.5:
x = 99.5 in the middle of 200 px becomes u = 31.5 in the middle of 64 cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int, Integer
from pydantic import Field
from torch import Tensor

from mocap.core.config import Config
from mocap.synthetic.measured_errors import measured

Array = TypeVar("Array", np.ndarray, Tensor)

LEAST_BOX_PX = 8.0
NOISE_PATTERNS = 61
"""Different ones in a call; each map takes one of them at a random strength."""
FAINTEST = -40.0
"""Exponent; the product of two such values is still a normal float32."""
CHUNK_CELLS = 1 << 18
"""Worked on at a time: 1 MB, so that a map is drawn, lifted and cut while it is in the processor's cache."""


class HeatmapConfig(Config):
    """size: width, height in cells. sigma_cells: of a peak of confidence 1 and of confidence 0; height: likewise.

    second_share: of keypoints with a second peak, at the place of the other side or of another person, of a height of
    `second_height` (least, most) of the first; second_beside: share of those that lie anywhere `second_reach` cells
    (least, most) from the first instead. noise: mean of the floor (that of |Gaussian|). box_padding: how much
    larger the box is than the person; box_jitter: spread of its middle and size, as a share of its side. height_spread:
    of the height at one confidence; sigma_spread: of the logarithm of sigma; offset_cells: of a peak about the reported
    place, per axis.
    """

    size: tuple[int, int] = (64, 64)
    sigma_cells: tuple[float, float] = (1.5, 3.0)
    height: tuple[float, float] = (1.0, 0.15)
    second_share: float = Field(default=0.1, ge=0, le=1)
    second_height: tuple[float, float] = (0.2, 0.9)
    second_beside: float = Field(default=0.0, ge=0, le=1)
    second_reach: tuple[float, float] = (7.0, 30.0)
    noise: float = Field(default=0.01, ge=0)
    box_padding: float = Field(default=1.25, gt=0)
    box_jitter: float = Field(default=0.05, ge=0)
    height_spread: float = Field(default=0.0, ge=0)
    sigma_spread: float = Field(default=0.0, ge=0)
    offset_cells: float = Field(default=0.0, ge=0)


CLEAN = HeatmapConfig(second_share=0.0, noise=0.0, box_jitter=0.0)
LEAST_HEIGHT = 0.01


def measured_heatmaps(name: str) -> HeatmapConfig:
    """How the heatmaps of a network look that was measured, e.g. "blazepose"."""
    return HeatmapConfig.model_validate(measured(name).heatmaps)


@dataclass(frozen=True, eq=False)
class Floor:
    """Noise below the peaks of M maps: one of some patterns (n, H, W) for each, times its strength."""

    patterns: Float[Tensor, "n H W"]
    dealt: Int[Tensor, "M"]
    strength: Float[Tensor, "M"]

    def write(self, maps: Float[Tensor, "m H W"], part: slice) -> None:
        """Into the memory of some of the maps."""
        torch.index_select(self.patterns, 0, self.dealt[part], out=maps)
        maps.mul_(self.strength[part, None, None])


@dataclass(frozen=True, eq=False)
class Sighted:
    """Reports to draw: xy (*b, K, 2) px, NaN where missing, confidence (*b, K), and boxes (*b, 4) px to draw them in.

    rivals: (*b, K, 2) px of where second peaks may be, as of `rivals_of`; without them there are none.
    """

    xy: Float[np.ndarray, "*b K 2"]
    confidence: Float[np.ndarray, "*b K"]
    box: Float[np.ndarray, "*b 4"]
    rivals: Float[np.ndarray, "*b K 2"] | None = None


def heatmap_from_image(xy: Array, box: Array, size: tuple[int, int]) -> Array:
    """Picture px (*b, K, 2) to cells of a heatmap of `size` (w, h) over boxes (*b, 4). numpy or torch."""
    corner, side = box[..., None, :2], box[..., None, 2:] - box[..., None, :2]
    return (xy - corner) / side * _like(size, xy) - 0.5


def image_from_heatmap(cells: Array, box: Array, size: tuple[int, int]) -> Array:
    """Cells of a heatmap back to picture px."""
    corner, side = box[..., None, :2], box[..., None, 2:] - box[..., None, :2]
    return (cells + 0.5) / _like(size, cells) * side + corner


def _like(size: tuple[int, int], array: Array) -> Array:
    if isinstance(array, Tensor):
        return torch.tensor(size, dtype=array.dtype, device=array.device)
    return np.array(size, dtype=array.dtype)


def px_from_heatmap(box: Float[np.ndarray, "*b 4"], size: tuple[int, int]) -> Float[np.ndarray, "*b 2 3"]:
    """The same map as an affine matrix, as `mocap.models.detector.PersonInImage` has it."""
    scale = (box[..., 2:] - box[..., :2]) / np.array(size)
    matrix = np.zeros((*box.shape[:-1], 2, 3))
    matrix[..., 0, 0], matrix[..., 1, 1] = scale[..., 0], scale[..., 1]
    matrix[..., 2] = box[..., :2] + 0.5 * scale
    return matrix


def person_boxes(
    xy: Float[np.ndarray, "*b K 2"], config: HeatmapConfig, rng: np.random.Generator
) -> Float[np.ndarray, "*b 4"]:
    """A box of the heatmap's aspect ratio around a person as a detector would put it; around (0, 0) where nothing is
    seen."""
    low, high = np.fmin.reduce(xy, axis=-2), np.fmax.reduce(xy, axis=-2)
    middle, sides = np.nan_to_num((low + high) / 2), np.nan_to_num(high - low)
    aspect = config.size[0] / config.size[1]
    width = np.maximum(np.maximum(sides[..., 0], sides[..., 1] * aspect), LEAST_BOX_PX) * config.box_padding
    off = config.box_jitter * rng.standard_normal((*width.shape, 3))
    width = width * np.exp(off[..., 2])
    span = np.stack([width, width / aspect], axis=-1)
    middle = middle + off[..., :2] * span
    return np.concatenate([middle - span / 2, middle + span / 2], axis=-1)


def draw_peaks(
    places: Float[Tensor, "*b R 2"],
    sigma: Float[Tensor, "*b R"],
    height: Float[Tensor, "*b R"],
    size: tuple[int, int],
    *,
    floor: Floor | None = None,
    out: Float[Tensor, "M H W"] | None = None,
) -> Float[Tensor, "*b H W"]:
    """The sum of R Gaussian peaks at exact places (cells), sampled at the centres of the cells, on a floor; at most 1.

    A peak at NaN or of height 0 is not there. A Gaussian is the product of one in x and one in y, so a map is a product
    of two thin matrices. out: memory for all maps; asking the system for new one takes longer than all the drawing.
    """
    batch, width, tall = places.shape[:-2], *size
    peaks, wide = places.flatten(0, -3), sigma.flatten(0, -2)
    strong = torch.where(peaks.isnan().any(-1), 0.0, height.flatten(0, -2))
    peaks = torch.where(peaks.isnan(), 0.0, peaks)
    maps = peaks.new_empty((len(peaks), tall, width)) if out is None else out
    step = max(1, CHUNK_CELLS // (tall * width))
    for part in (slice(first, first + step) for first in range(0, len(peaks), step)):
        x = _bells(peaks[part, :, 0], wide[part], width)
        y = (_bells(peaks[part, :, 1], wide[part], tall) * strong[part, :, None]).mT
        if floor is None:
            torch.bmm(y, x, out=maps[part])
        else:
            floor.write(maps[part], part)
            maps[part].baddbmm_(y, x)
        maps[part].clamp_(max=1.0)
    return maps.reshape(*batch, tall, width)


def _bells(middle: Float[Tensor, "m R"], sigma: Float[Tensor, "m R"], cells: int) -> Float[Tensor, "m R n"]:
    """Gaussians of height 1 at whole cells, 4e-18 at least: denormal numbers take ten times as long."""
    at = torch.arange(cells, dtype=middle.dtype, device=middle.device) - middle[..., None]
    return at.square_().mul_((-0.5 / sigma.square())[..., None]).clamp_(min=FAINTEST).exp_()


def make_heatmaps(
    sighted: Sighted, config: HeatmapConfig, rng: np.random.Generator, *, out: Float[Tensor, "n"] | None = None
) -> Float[Tensor, "*b K H W"]:
    """Heatmaps (float32) of reports: sharp and high where confidence is; missing points have noise only.

    out: memory that is at least as large, to be overwritten.
    """
    shape, (width, tall) = sighted.confidence.shape, config.size
    first = heatmap_from_image(sighted.xy, sighted.box, config.size)
    sigma, height = (none + (full - none) * sighted.confidence for full, none in (config.sigma_cells, config.height))
    first, sigma, height = _varied(first, sigma, height, config, rng)
    places, sigmas, heights = first[..., None, :], sigma[..., None], height[..., None]
    if sighted.rivals is not None and config.second_share:
        second = _beside(first, heatmap_from_image(sighted.rivals, sighted.box, config.size), config, rng)
        rival = rng.uniform(*config.second_height, shape) * height * (rng.random(shape) < config.second_share)
        rival = np.where(np.isfinite(first).all(-1), rival, 0.0)
        places = np.stack([first, second], axis=-2)
        sigmas, heights = np.stack([sigma, sigma], axis=-1), np.stack([height, rival], axis=-1)
    at, wide, high = (torch.from_numpy(np.asarray(a, dtype=np.float32)) for a in (places, sigmas, heights))
    maps = None if out is None else out[: sighted.confidence.size * tall * width].view(-1, tall, width)
    return draw_peaks(at, wide, high, config.size, floor=_noise(shape, config, rng), out=maps)


def _beside(
    first: Float[np.ndarray, "*b K 2"],
    second: Float[np.ndarray, "*b K 2"],
    config: HeatmapConfig,
    rng: np.random.Generator,
) -> Float[np.ndarray, "*b K 2"]:
    """Some second peaks anywhere about the first, near ones as often as far ones on a scale of factors."""
    if not config.second_beside:
        return second
    shape = first.shape[:-1]
    least, most = config.second_reach
    reach = least * (most / least) ** rng.random(shape)
    angle = rng.uniform(0, 2 * np.pi, shape)
    beside = first + reach[..., None] * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    return np.where((rng.random(shape) < config.second_beside)[..., None], beside, second)


def _varied(
    place: Float[np.ndarray, "*b K 2"],
    sigma: Float[np.ndarray, "*b K"],
    height: Float[np.ndarray, "*b K"],
    config: HeatmapConfig,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "*b K 2"], Float[np.ndarray, "*b K"], Float[np.ndarray, "*b K"]]:
    """Peaks as unlike each other as configured."""
    if config.offset_cells:
        place = place + config.offset_cells * rng.standard_normal(place.shape)
    if config.sigma_spread:
        sigma = sigma * np.exp(config.sigma_spread * rng.standard_normal(sigma.shape))
    if config.height_spread:
        height = np.clip(height + config.height_spread * rng.standard_normal(height.shape), LEAST_HEIGHT, 1.0)
    return place, sigma, height


def _noise(shape: tuple[int, ...], config: HeatmapConfig, rng: np.random.Generator) -> Floor | None:
    """Patterns of |Gaussian| noise, dealt out at strengths between half and one and a half of the mean."""
    if not config.noise:
        return None
    width, tall = config.size
    patterns = np.abs(rng.standard_normal((NOISE_PATTERNS, tall, width), dtype=np.float32))
    dealt = rng.integers(NOISE_PATTERNS, size=int(np.prod(shape)))
    strength = config.noise * np.sqrt(np.pi / 2) * rng.uniform(0.5, 1.5, len(dealt))
    strengths = torch.from_numpy(strength.astype(np.float32))
    return Floor(torch.from_numpy(patterns), torch.from_numpy(dealt), strengths)


def centroids(heatmaps: Float[Tensor, "*b H W"]) -> Float[Tensor, "*b 2"]:
    """The mean place (cells) of what a heatmap holds; NaN where it holds nothing."""
    total = heatmaps.sum((-2, -1))
    columns = torch.arange(heatmaps.shape[-1], dtype=heatmaps.dtype, device=heatmaps.device)
    rows = torch.arange(heatmaps.shape[-2], dtype=heatmaps.dtype, device=heatmaps.device)
    x, y = (heatmaps.sum(-2) * columns).sum(-1), (heatmaps.sum(-1) * rows).sum(-1)
    return torch.stack([x, y], dim=-1) / total[..., None]


def rivals_of(
    xy: Float[np.ndarray, "N C K 2"],
    mirror: Integer[np.ndarray, "K"],
    others: Float[np.ndarray, "N Q C K 2"] | None,
    rng: np.random.Generator,
) -> Float[np.ndarray, "N C K 2"]:
    """Where second peaks come from: the twin of the other side, or (half of them) the same keypoint of somebody else;
    NaN where there is neither."""
    twin = np.where((mirror != np.arange(len(mirror)))[:, None], xy[..., mirror, :], np.nan)
    if others is None or not others.shape[1]:
        return twin
    who = rng.integers(others.shape[1], size=len(xy))
    other = others[np.arange(len(xy)), who]
    pick = rng.random(xy.shape[:-1]) < 0.5
    pick |= np.isnan(twin[..., 0])
    return np.where(pick[..., None], other, twin)
