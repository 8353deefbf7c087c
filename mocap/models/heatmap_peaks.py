"""Where heatmaps of several views have their peaks, to a fraction of a cell, and the points that their rays agree on.

Axes: N samples, C cameras, K keypoints. Cells are (x, y) with the centre of the first at (0, 0); matrices map world
metres to cells. Without gradient: this is where a network starts from.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.geometry.triangulation import view_pairs
from mocap.models.ray_votes import vote

WINDOW_SIGMA = 2.0
"""Cells: of the Gaussian window about the highest cell in which a peak is measured."""
WINDOW_RADIUS = 5
WIDTHS = (0.5, 6.0)
"""Cells: least and most sigma of a peak; what is wider than the window cannot be measured in it."""
LEAST_DETERMINANT = 1e-12


class Peaks(NamedTuple):
    """xy: the peak's place in cells. width: its sigma in cells. height: of the highest cell. Of no use where height
    is 0."""

    xy: Float[Tensor, "N C K 2"]
    width: Float[Tensor, "N C K"]
    height: Float[Tensor, "N C K"]


class Rays(NamedTuple):
    """origins: optical centres. directions: unit vectors. weight: 0 where there is no ray."""

    origins: Float[Tensor, "N C 3"]
    directions: Float[Tensor, "N C K 3"]
    weight: Float[Tensor, "N C K"]


def find_peaks(heatmaps: Float[Tensor, "N C K H W"]) -> Peaks:
    """The highest peak of every heatmap, as the Gaussian that has its moments.

    Times a Gaussian window of sigma w about m, a Gaussian at p of sigma s becomes one with 1/v = 1/s² + 1/w² at
    m + (p - m) v / s²: from its mean and variance come s and p. The mean of the map is taken for its floor.
    """
    height, width = heatmaps.shape[-2:]
    top, index = heatmaps.flatten(-2).max(-1)
    at_x, at_y = index % width, index // width
    reach = torch.arange(-WINDOW_RADIUS, WINDOW_RADIUS + 1, device=heatmaps.device)
    x, y = at_x[..., None] + reach, at_y[..., None] + reach
    bell = torch.exp(-0.5 * (reach / WINDOW_SIGMA).square())
    window = (bell * ((x >= 0) & (x < width)))[..., None, :] * (bell * ((y >= 0) & (y < height)))[..., :, None]
    rows, columns = y.clamp(0, height - 1), x.clamp(0, width - 1)
    cells = (rows[..., :, None] * width + columns[..., None, :]).flatten(-2)
    patch = heatmaps.flatten(-2).gather(-1, cells).unflatten(-1, (len(reach), len(reach)))
    mass = (patch - heatmaps.mean((-2, -1))[..., None, None]).clamp(min=0) * window
    total = mass.sum((-2, -1)).clamp(min=1e-9)
    across, down = mass.sum(-2) / total[..., None], mass.sum(-1) / total[..., None]
    offset = torch.stack([(across * reach).sum(-1), (down * reach).sum(-1)], dim=-1)
    variance = ((across + down) * reach.square()).sum(-1) - offset.square().sum(-1)
    squared = (variance / 2).clamp(min=WIDTHS[0] ** 2 / 2, max=0.9 * WINDOW_SIGMA**2)
    sigma = (1 / (1 / squared - 1 / WINDOW_SIGMA**2)).clamp(WIDTHS[0] ** 2, WIDTHS[1] ** 2)
    moved = (offset * (sigma / squared)[..., None]).clamp(-1.5, 1.5)
    return Peaks(torch.stack([at_x, at_y], dim=-1) + moved, sigma.sqrt(), top)


def rays_of_cells(
    projections: Float[Tensor, "N C 3 4"], xy: Float[Tensor, "N C K 2"], weight: Float[Tensor, "N C K"]
) -> Rays:
    """What cells look along: from -M⁻¹ p along M⁻¹ (x, y, 1) for a matrix (M | p). No rays where M has no inverse."""
    inverse, known = inverted(projections[..., :3])
    origins = -(inverse @ projections[..., 3:])[..., 0]
    homogeneous = torch.cat([xy, torch.ones_like(xy[..., :1])], dim=-1)
    directions = homogeneous @ inverse.mT
    directions = directions / directions.norm(dim=-1, keepdim=True).clamp(min=1e-9)
    return Rays(origins, directions, weight * known[..., None])


def inverted(matrices: Float[Tensor, "*b 3 3"]) -> tuple[Float[Tensor, "*b 3 3"], Bool[Tensor, "*b"]]:
    """Inverses by cross products, and where there is one; the others are zero."""
    first, second, third = matrices.unbind(-2)
    adjugate = torch.stack(
        [torch.linalg.cross(second, third), torch.linalg.cross(third, first), torch.linalg.cross(first, second)], dim=-1
    )
    determinant = (first * adjugate[..., 0]).sum(-1)
    known = determinant.abs() > LEAST_DETERMINANT
    scale = torch.where(known, 1 / torch.where(known, determinant, 1.0), 0.0)
    return adjugate * scale[..., None, None], known


def agreed_points(rays: Rays) -> Float[Tensor, "N K 3"]:
    """The meeting of the two rays that most weight of rays is near to, then the point nearest to those that agree.

    NaN where no two rays meet.
    """
    votes = vote(rays.origins, rays.directions, rays.weight, view_pairs(rays.weight.shape[1]).to(rays.weight.device))
    return torch.where(votes.xyz.isnan(), votes.pair, votes.xyz)
