"""What the shape of a heatmap says about its keypoint: how high and wide the peak is, and whether there is another.

Cells are (x, y) with the centre of the first at (0, 0), as in `mocap.geometry.heatmaps`. Works on probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from mocap.geometry.heatmaps import hard_argmax_2d

WINDOW_RADIUS = 6
"""Cells around the highest one whose mass is the peak: 4 sigma of a sharp peak, 2 of a wide one."""
APART = 6.0
"""Cells from the highest one at which another peak may lie."""
FLOOR_SHARE = 0.1
"""Of the height; what is lower does not count towards the spread, else a floor of noise would make every peak wide."""
BLOCK = 4
"""Cells a side among whose highest ones peaks are looked for."""
N_SHAPES = 6
"""Numbers that `peak_shapes` gives for a heatmap."""


@dataclass(frozen=True, eq=False)
class PeakStatistics:
    """Of each heatmap. xy (cells): mean place of the mass around the highest cell. height: of that cell.

    spread (cells²): covariance of that mass. second_height: highest cell at least `APART` from the first, that is
    higher than its neighbours; second_xy: where. Heatmaps that hold nothing have height 0, and NaN places and spreads.
    """

    xy: Float[Tensor, "*b 2"]
    height: Float[Tensor, "*b"]
    spread: Float[Tensor, "*b 2 2"]
    second_xy: Float[Tensor, "*b 2"]
    second_height: Float[Tensor, "*b"]


def peak_statistics(heatmaps: Float[Tensor, "*b H W"]) -> PeakStatistics:
    """Of any number of heatmaps at once, without gradient. A peak of sigma cells has the spread 0.9 sigma² I or less,
    as its feet are cut off."""
    with torch.no_grad():
        maps = heatmaps.float().flatten(0, -3)
        coarse = _block_heights(maps)
        peak, height = _highest_cell(maps, coarse)
        held = height > 0
        xy, spread = _moments_around(maps, peak, height)
        second_xy, second = _second_peak(coarse, peak)
        blank = torch.where(held, 0.0, torch.nan)[:, None]
        batch = heatmaps.shape[:-2]
        return PeakStatistics(
            xy=(xy + blank).reshape(*batch, 2),
            height=height.clamp(min=0).reshape(batch),
            spread=(spread + blank[..., None]).reshape(*batch, 2, 2),
            second_xy=(second_xy + torch.where(second > 0, 0.0, torch.nan)[:, None]).reshape(*batch, 2),
            second_height=second.reshape(batch),
        )


def peak_shapes(statistics: PeakStatistics, size: tuple[int, int]) -> Float[Tensor, "*b 6"]:
    """Numbers of the order of 1 for a network; NaN for heatmaps that hold nothing.

    Height, logarithm of the width in cells, how round (least over largest width), height of the second peak over the
    first's, its distance and the first's distance from the border, as shares of the heatmap of `size` (w, h) cells.
    """
    a, b, c = (statistics.spread[..., i, j] for i, j in ((0, 0), (0, 1), (1, 1)))
    middle, half = (a + c) / 2, (((a - c) / 2).square() + b.square()).sqrt()
    wide, narrow = (middle + half).clamp(min=1e-2).sqrt(), (middle - half).clamp(min=1e-2).sqrt()
    cells = statistics.xy.new_tensor(size)
    border = torch.minimum(statistics.xy + 0.5, cells - 0.5 - statistics.xy) / cells
    apart = ((statistics.second_xy - statistics.xy) / cells).norm(dim=-1).nan_to_num(nan=0.0)
    ratio = statistics.second_height / statistics.height.clamp(min=1e-6)
    shapes = [statistics.height, (wide * narrow).sqrt().log(), narrow / wide, ratio, apart, border.amin(-1)]
    return torch.stack([s + 0 * middle for s in shapes], dim=-1)


def _moments_around(
    maps: Float[Tensor, "M H W"], peak: Float[Tensor, "M 2"], height: Float[Tensor, "M"]
) -> tuple[Float[Tensor, "M 2"], Float[Tensor, "M 2 2"]]:
    """Mean place and covariance of what rises above the floor within the window."""
    offsets = torch.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1, device=maps.device)
    x, y = (peak[:, axis, None].long() + offsets for axis in (0, 1))
    inside: Bool[Tensor, "M n n"] = _within(y, maps.shape[-2])[:, :, None] & _within(x, maps.shape[-1])[:, None, :]
    rows, columns = y.clamp(0, maps.shape[-2] - 1), x.clamp(0, maps.shape[-1] - 1)
    at = torch.arange(len(maps), device=maps.device)[:, None, None]
    mass = maps[at, rows[:, :, None], columns[:, None, :]] - FLOOR_SHARE * height[:, None, None]
    mass = torch.where(inside, mass.clamp(min=0), 0.0)
    total = mass.sum((-2, -1)).clamp(min=1e-12)
    along = offsets.to(maps.dtype)
    column, row = mass.sum(-2) / total[:, None], mass.sum(-1) / total[:, None]
    dx, dy = column @ along, row @ along
    xx, yy = column @ along.square() - dx.square(), row @ along.square() - dy.square()
    xy = ((mass @ along) @ along) / total - dx * dy
    covariance = torch.stack([xx, xy, xy, yy], dim=-1).unflatten(-1, (2, 2))
    return peak + torch.stack([dx, dy], dim=-1), covariance


def _second_peak(
    coarse: Float[Tensor, "M h w"], peak: Float[Tensor, "M 2"]
) -> tuple[Float[Tensor, "M 2"], Float[Tensor, "M"]]:
    """To the nearest block; one beside a higher block is a flank of that one's peak, and none of its own."""
    summit = coarse >= functional.max_pool2d(coarse[:, None], 3, 1, 1)[:, 0]
    x, y = (torch.arange(n, device=peak.device) * BLOCK + (BLOCK - 1) / 2 for n in (coarse.shape[2], coarse.shape[1]))
    far = (x - peak[:, :1]).square()[:, None, :] + (y - peak[:, 1:]).square()[:, :, None] >= APART**2
    block, height = hard_argmax_2d(torch.where(summit & far, coarse, 0.0))
    return block * BLOCK + (BLOCK - 1) / 2, height


def _block_heights(maps: Float[Tensor, "M H W"]) -> Float[Tensor, "M h w"]:
    """The highest cell of every block; beyond the border is 0. By slices: pooling takes three times as long."""
    wide, tall = (-n % BLOCK for n in (maps.shape[2], maps.shape[1]))
    rows = functional.pad(maps, (0, wide, 0, tall)) if wide or tall else maps
    rows = rows.unflatten(1, (-1, BLOCK))
    rows = torch.maximum(torch.maximum(rows[:, :, 0], rows[:, :, 1]), torch.maximum(rows[:, :, 2], rows[:, :, 3]))
    cells = rows.unflatten(2, (-1, BLOCK))
    return torch.maximum(torch.maximum(cells[..., 0], cells[..., 1]), torch.maximum(cells[..., 2], cells[..., 3]))


def _highest_cell(
    maps: Float[Tensor, "M H W"], coarse: Float[Tensor, "M h w"]
) -> tuple[Float[Tensor, "M 2"], Float[Tensor, "M"]]:
    """Through the highest block, so that a map is gone through only once."""
    block = hard_argmax_2d(coarse)[0].long() * BLOCK
    within = torch.arange(BLOCK, device=maps.device)
    x, y = block[:, :1] + within, block[:, 1:] + within
    rows, columns = y.clamp(max=maps.shape[1] - 1), x.clamp(max=maps.shape[2] - 1)
    at = torch.arange(len(maps), device=maps.device)[:, None, None]
    cell, height = hard_argmax_2d(maps[at, rows[:, :, None], columns[:, None, :]])
    place = torch.take_along_dim(torch.stack([columns, rows], dim=-1), cell.long()[:, None], dim=1)[:, 0]
    return place.to(height.dtype), height


def _within(index: Tensor, size: int) -> Bool[Tensor, "M n"]:
    return (index >= 0) & (index < size)
