"""Which of two mirrored points each view means: how well the rays of several views meet, by every way to label them.

N moments, C views, K pairs of mirrored keypoints that keep or change their labels together; the axis of size 2 is what
a view calls left (0) and right (1). Labelling s changes the views in whose bit c of s is set. Rays are unit vectors
from their camera's origin in world metres; a ray of weight 0 is not there. Labelling s and its complement are the same
two points with their names exchanged, which only time can tell apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

STEPS = 2
"""Re-weighted steps from the plain nearest point."""
LEAST_DETERMINANT = 1e-3
"""Of the normal matrix over its trace cubed: rays that are nearly parallel have no point."""
CHUNK = 1 << 16
"""Points looked for at a time: some 60 MB of intermediates with five views."""


@dataclass(frozen=True, eq=False)
class PairRays:
    """origins: (C, 3) m. directions: (N, C, 2, K, 3). weight: (N, C, 2, K) in [0, 1]."""

    origins: Float[Tensor, "C 3"]
    directions: Float[Tensor, "N C 2 K 3"]
    weight: Float[Tensor, "N C 2 K"]

    def views(self, which: list[int]) -> PairRays:
        """Some of the views."""
        return PairRays(self.origins[which], self.directions[:, which], self.weight[:, which])

    def moments(self, which: Tensor | slice) -> PairRays:
        """Some of the moments."""
        return PairRays(self.origins, self.directions[which], self.weight[which])

    def labelled(self, changed: Bool[Tensor, "N C"]) -> PairRays:
        """With left and right exchanged in some views."""
        c = changed[:, :, None, None]
        return PairRays(
            self.origins,
            torch.where(c[..., None], self.directions.flip(2), self.directions),
            torch.where(c, self.weight.flip(2), self.weight),
        )


def labelling_costs(rays: PairRays, *, tolerance_m: float) -> Float[Tensor, "N S"]:
    """Cost of each of the 2^C labellings: summed over views and both sides, the mean over pairs of
    weight * log(1 + (d / tolerance)^2), d (m) the distance of a ray from the point nearest to all rays of its name.
    0 where nothing can be told.
    """
    n_views = len(rays.origins)
    states = torch.arange(1 << n_views)
    side = (states[:, None] >> torch.arange(n_views)) & 1  # (S, C): which name's ray is taken for the left point
    rows = max(1, CHUNK // (len(states) * max(rays.weight.shape[-1], 1)))
    parts = [_one_side(rays.moments(slice(i, i + rows)), side, tolerance_m) for i in range(0, len(rays.weight), rows)]
    left = torch.cat(parts) if parts else rays.weight.new_zeros(0, len(states))
    return left + left.flip(-1)


def nearest_points(rays: PairRays, *, tolerance_m: float) -> Float[Tensor, "N 2 K 3"]:
    """Left and right points as the views name them; NaN where fewer than two views or parallel rays show one."""
    directions, weight = rays.directions.movedim(1, -2), rays.weight.movedim(1, -1)
    return _nearest(rays.origins, directions, weight, tolerance_m)[0]


def distances(rays: PairRays, points: Float[Tensor, "N 2 K 3"]) -> Float[Tensor, "N C 2 K"]:
    """Of each ray from the point of its own name, m; NaN where either is missing."""
    squared = _squared_distance(points[:, None], rays.origins[:, None, None], rays.directions)
    return torch.where(rays.weight > 0, squared.sqrt(), torch.nan)


def _one_side(rays: PairRays, side: Tensor, tolerance_m: float) -> Float[Tensor, "N S"]:
    """Cost of the rays that every labelling takes for the left points."""
    views = torch.arange(side.shape[1])
    directions = rays.directions[:, views, side].permute(0, 1, 3, 2, 4)
    weight = rays.weight[:, views, side].permute(0, 1, 3, 2)
    _, cost = _nearest(rays.origins, directions, weight, tolerance_m)
    present = (rays.weight > 0).any(1).any(1).sum(-1).clamp(min=1)
    return cost.sum(-1) / present[:, None]


def _nearest(
    origins: Float[Tensor, "C 3"],
    directions: Float[Tensor, "*b C 3"],
    weight: Float[Tensor, "*b C"],
    tolerance_m: float,
) -> tuple[Float[Tensor, "*b 3"], Float[Tensor, "*b"]]:
    """The point of least robust cost, by re-weighting from all rays alike, and that cost (0 where there is none)."""
    point = _meeting(origins, directions, weight)
    for _ in range(STEPS):
        squared = _squared_distance(point[..., None, :], origins, directions) / tolerance_m**2
        point = _meeting(origins, directions, weight / (1 + torch.where(squared.isnan(), 0.0, squared)))
    squared = _squared_distance(point[..., None, :], origins, directions) / tolerance_m**2
    cost = (weight * torch.log1p(squared)).sum(-1)
    return point, torch.where(cost.isnan(), 0.0, cost)


def _squared_distance(
    points: Float[Tensor, "*#b 3"], origins: Float[Tensor, "*#b 3"], directions: Float[Tensor, "*#b 3"]
) -> Float[Tensor, "*b"]:
    """Of points from the lines of rays, m²."""
    along = points - origins
    return (along.square().sum(-1) - (along * directions).sum(-1).square()).clamp(min=0)


def _meeting(
    origins: Float[Tensor, "C 3"], directions: Float[Tensor, "*b C 3"], weight: Float[Tensor, "*b C"]
) -> Float[Tensor, "*b 3"]:
    """Solves sum w (I - d d') x = sum w (I - d d') o by the adjugate; NaN where the rays fix no point."""
    wd = weight[..., None] * directions
    (xx, xy, xz), (_, yy, yz), (_, _, zz) = (row.unbind(-1) for row in (wd.mT @ directions).unbind(-2))
    total = weight.sum(-1)
    a, b, c = total - xx, total - yy, total - zz
    d, e, f = -xy, -xz, -yz
    right = (weight[..., None] * origins - wd * (directions * origins).sum(-1, keepdim=True)).sum(-2)
    x, y, z = right.unbind(-1)
    first, second, third = b * c - f * f, e * f - d * c, d * f - b * e
    determinant = a * first + d * second + e * third
    fixed = determinant > LEAST_DETERMINANT * (total / 2) ** 3
    scale = 1 / torch.where(fixed, determinant, 1.0)
    point = torch.stack(
        [
            first * x + second * y + third * z,
            second * x + (a * c - e * e) * y + (d * e - a * f) * z,
            third * x + (d * e - a * f) * y + (a * b - d * d) * z,
        ],
        dim=-1,
    )
    return torch.where(fixed[..., None], point * scale[..., None], torch.nan)
