"""Points that rays of several views vote for: the meeting of two of them, then what lies nearest to those that agree.

Axes: N people, C cameras, K keypoints, P pairs of cameras.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mocap.geometry.ray_points import agreement, distance_to_rays, meeting_of_rays, nearest_to_rays

TOLERANCE_M = 0.05
"""Distance between a point and a ray at which they half agree: three times the noise of a good 2D network."""


class Votes(NamedTuple):
    """xyz: m, NaN where no two rays meet or those that agree fix no depth; pair: the meeting that most rays' weight is
    near to. gap: how far (m) the rays of each pair pass each other, infinite or NaN where they do not meet."""

    xyz: Float[Tensor, "N K 3"]
    pair: Float[Tensor, "N K 3"]
    gap: Float[Tensor, "N P K"]


def vote(
    origins: Float[Tensor, "N C 3"],
    directions: Float[Tensor, "N C K 3"],
    weight: Float[Tensor, "N C K"],
    pairs: Int[Tensor, "2 P"],
) -> Votes:
    """directions: unit vectors; rays of weight 0 are not there. A ray near a meeting counts by Cauchy's weight."""
    first, second = pairs
    there, starts = weight > 0, origins[:, :, None]
    met, gap = meeting_of_rays(starts[:, first], directions[:, first], starts[:, second], directions[:, second])
    met = torch.where((there[:, first] & there[:, second])[..., None], met, torch.nan)
    near = agreement(distance_to_rays(met[:, :, None], starts[:, None], directions[:, None]), TOLERANCE_M)
    votes = (weight[:, None] * near).sum(2)
    best = torch.where(met.isnan().any(-1), -1.0, votes).argmax(1, keepdim=True)
    chosen = torch.take_along_dim(met, best[..., None], dim=1)[:, 0]
    trusted = weight * torch.take_along_dim(near, best[:, :, None], dim=1)[:, 0]
    ways = torch.where(there[..., None], directions, 0.0)
    found = nearest_to_rays(
        starts.expand_as(ways).transpose(1, 2),
        ways.transpose(1, 2),
        trusted.transpose(1, 2),
        tolerance_m=TOLERANCE_M,
    )
    return Votes(found, chosen, gap)
