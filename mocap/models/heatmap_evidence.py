"""What views say of keypoints: numbers about present points, and volumes of evidence in cubes around them.

Axes: N samples, K keypoints, C cameras, G grid points. Coordinates are in the frame of the body, m.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import grid_sample

from mocap.models.heatmap_peaks import Peaks, Rays

VIEW_FEATURES = 17
KEYPOINT_FEATURES = 13
NEAR_M = 0.03
"""Distances are told on a scale that is linear up to here and logarithmic beyond."""
WIDTH_M, DISTANCE_M = 0.06, 3.0
"""Of a heatmap's peak and of a camera, usually: the logarithms of both are about 0."""
LIFTED = 5
"""Points a side of a cube that heatmaps are read at, less apart than peaks are wide; the cube's own lie between."""
OUTSIDE = 4.0
"""In grid_sample's units; reads as zero."""
LEAST_DEPTH_M = 0.05
FAINTEST = 1e-3
"""Peak of a heatmap that shares are still taken of."""


class BodyViews(NamedTuple):
    """All that is known of N people. px_per_m: cells that 1 m takes at a distance of 1 m."""

    projections: Float[Tensor, "N C 3 4"]
    rays: Rays
    peaks: Peaks
    px_per_m: Float[Tensor, "N C"]
    heatmaps: Float[Tensor, "N C K H W"]


class Told(NamedTuple):
    """Numbers about each view of each keypoint, and about each keypoint; about 1 in size. seen: 1 or 0."""

    views: Float[Tensor, "N C K f"]
    keypoints: Float[Tensor, "N K g"]
    seen: Float[Tensor, "N C K"]


class Weighing(NamedTuple):
    """How a view's evidence is weighed. sigma_m: of its peak. other, nothing: how likely it is that the keypoint is
    elsewhere in the heatmap, and that the heatmap says nothing about it, against 1 for the peak."""

    sigma_m: Float[Tensor, "N C K"]
    other: Float[Tensor, "N C K"]
    nothing: Float[Tensor, "N C K"]


def to_rays(rays: Rays, xyz: Float[Tensor, "N K 3"]) -> tuple[Float[Tensor, "N C K 3"], Float[Tensor, "N C K"]]:
    """The shortest way (m) from points to the rays of their keypoints, and how far along those it leads."""
    apart = xyz[:, None] - rays.origins[:, :, None]
    along = (apart * rays.directions).sum(-1)
    return along[..., None] * rays.directions - apart, along


def tell(
    views: BodyViews,
    xyz: Float[Tensor, "N K 3"],
    start: Float[Tensor, "N K 3"],
    twins: Int[Tensor, "K"],
) -> Told:
    """What there is to know before anything is weighed. start: NaN where no rays agreed."""
    seen = (views.rays.weight > 0).to(xyz.dtype)
    way, along = to_rays(views.rays, xyz)
    twin_way, _ = to_rays(views.rays, xyz[:, twins])
    twin_way = twin_way[:, :, twins]  # of this point to the ray of its twin
    distance, twin_distance = way.norm(dim=-1), twin_way.norm(dim=-1)
    close = torch.asinh(distance / NEAR_M)
    count = seen.sum(2, keepdim=True).clamp(min=1)
    of_view = ((close * seen).sum(2, keepdim=True) / count).expand_as(close)
    width_m = views.peaks.width * along.abs().clamp(min=LEAST_DEPTH_M) / views.px_per_m[..., None]
    height, width = views.heatmaps.shape[-2:]
    xy, half = views.peaks.xy, (min(height, width) - 1) / 2
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2], dtype=xy.dtype, device=xy.device)
    inside = 1 - (xy - middle).abs().amax(-1) / half
    here = shares_at(views, xyz, torch.zeros(1, 3, dtype=xyz.dtype, device=xyz.device))[..., 0]
    numbers = torch.stack(
        [
            close,
            torch.asinh(twin_distance / NEAR_M),
            of_view,
            (along.clamp(min=LEAST_DEPTH_M) / DISTANCE_M).log(),
            (width_m / WIDTH_M).clamp(1e-2, 1e2).log(),
            views.peaks.height,
            inside,
            here,
        ],
        dim=-1,
    )
    vectors = [torch.asinh(way / NEAR_M), torch.asinh(twin_way / NEAR_M), views.rays.directions]
    told = torch.cat([numbers, *vectors], dim=-1) * seen[..., None]
    return Told(told, _of_keypoints(xyz, start, twins, close, seen), seen)


def _of_keypoints(
    xyz: Float[Tensor, "N K 3"],
    start: Float[Tensor, "N K 3"],
    twins: Int[Tensor, "K"],
    close: Float[Tensor, "N C K"],
    seen: Float[Tensor, "N C K"],
) -> Float[Tensor, "N K g"]:
    found = (~start.isnan().any(-1)).to(xyz.dtype)
    many = seen.sum(1)
    mean = (close * seen).sum(1) / many.clamp(min=1)
    worst = (close * seen).amax(1)
    middle = (xyz * found[..., None]).sum(1, keepdim=True) / found.sum(1)[:, None, None].clamp(min=1)
    numbers = torch.stack([found, many / 4, mean, worst], dim=-1)
    return torch.cat([numbers, xyz, xyz - middle, xyz - xyz[:, twins]], dim=-1)


def shares_at(views: BodyViews, base: Float[Tensor, "N K 3"], grid: Float[Tensor, "G 3"]) -> Float[Tensor, "N C K G"]:
    """What heatmaps hold at grid points about every keypoint, as shares of their peaks; without gradient.

    The perspective is that of the middle: a point 0.1 m off an axis 3 m long is shown 3 % from its place.
    """
    with torch.no_grad():
        matrix = views.projections[:, :, None, :, :3]
        projected = base[:, None] @ views.projections[..., :3].mT + views.projections[..., None, :, 3]
        depth = projected[..., 2:]
        ahead = depth > LEAST_DEPTH_M
        depth = torch.where(ahead, depth, 1.0)
        cells = projected[..., :2] / depth
        slope = (matrix[..., :2, :] - cells[..., None] * matrix[..., 2:, :]) / depth[..., None]
        size = views.heatmaps.shape[:-3:-1]
        scale = 2 / torch.tensor(size, dtype=base.dtype, device=base.device)
        middle = torch.where(ahead, (cells + 0.5) * scale - 1, OUTSIDE)
        places = grid @ (slope * scale[:, None]).mT + middle[..., None, :]
        places = places.clamp(-OUTSIDE, OUTSIDE).flatten(0, 2)[:, None]
        read = grid_sample(views.heatmaps.flatten(0, 2)[:, None], places, align_corners=False)
        shares = read.reshape(*depth.shape[:-1], -1)
        return shares / views.peaks.height.clamp(min=FAINTEST)[..., None]


def interpolation(points: int, nodes: int) -> Float[Tensor, "q p"]:
    """(nodes³, points³) weights that make values at `nodes` a side of a cube those at `points` a side, trilinearly."""
    places = torch.linspace(0, nodes - 1, points)
    along = (1 - (places - torch.arange(nodes)[:, None]).abs()).clamp(min=0)
    return torch.einsum("ax,by,cz->abcxyz", along, along, along).reshape(nodes**3, points**3)


def cube_grid(points: int, half_m: float) -> Float[Tensor, "G 3"]:
    """Points a side of a cube about 0, face to face; z changes fastest."""
    share = torch.linspace(-half_m, half_m, points)
    return torch.cartesian_prod(share, share, share)


def evidence(
    views: BodyViews,
    base: Float[Tensor, "N K 3"],
    grid: Float[Tensor, "G 3"],
    weighing: Weighing,
    shares: Float[Tensor, "N C K G"],
) -> Float[Tensor, "N K G"]:
    """The logarithm of how likely each grid point is, summed over views; any constant may be added to it.

    Of a view, exp(-q / 2 sigma²) + other · heatmap + nothing, with the squared distance q of a point from the ray. With
    the way d from the middle to the ray along r, and the offset g from the middle, q = gᵀ(I - r rᵀ) g - 2 d·g + d².
    """
    way, _ = to_rays(views.rays, base)
    r = views.rays.directions
    x, y, z = r.unbind(-1)
    gx, gy, gz = grid.unbind(-1)
    monomials = torch.stack([gx * gx, gy * gy, gz * gz, gx * gy, gx * gz, gy * gz, gx, gy, gz, torch.ones_like(gx)])
    square = torch.stack([1 - x * x, 1 - y * y, 1 - z * z, -2 * x * y, -2 * x * z, -2 * y * z], dim=-1)
    factors = torch.cat([square, -2 * way, way.square().sum(-1, keepdim=True)], dim=-1)
    exponent = (factors * (-0.5 / weighing.sigma_m.square())[..., None]) @ monomials
    other = weighing.other[..., None] * shares
    likely = exponent.clamp(max=0.0).exp() + other + weighing.nothing[..., None]
    return (likely.log() * (views.rays.weight > 0)[..., None]).sum(1)
