"""Samples made more various, from a generator that the step and rank decide (`mocap.training.seeds`)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def vertical_rotations(
    n: int, generator: torch.Generator, *, largest_rad: float = torch.pi
) -> Float[Tensor, "{n} 3 3"]:
    """world_from_volume: turns of a cube about the vertical (Z), uniform in ± `largest_rad` (Iskakov et al. 2019)."""
    angle = (2 * torch.rand(n, generator=generator) - 1) * largest_rad
    turns = torch.zeros(n, 3, 3)
    turns[:, 0, 0] = turns[:, 1, 1] = angle.cos()
    turns[:, 1, 0], turns[:, 0, 1] = angle.sin(), -angle.sin()
    turns[:, 2, 2] = 1.0
    return turns


def drop_views(
    seen: Bool[Tensor, "N C"], generator: torch.Generator, *, share: float, keep: int = 2
) -> Bool[Tensor, "N C"]:
    """Views that stay: each is dropped with probability `share`, but `keep` of those seen stay where there are so many.

    Which ones stay where too many would go is as random as the rest.
    """
    draw = torch.rand(seen.shape, generator=generator).to(seen.device)
    order = torch.where(seen, draw, -1.0).argsort(-1, descending=True)
    rank = order.argsort(-1)
    return seen & ((draw >= share) | (rank < keep))


def shuffled_views(n: int, views: int, generator: torch.Generator) -> Tensor:
    """(n, views) whole numbers: the order of the views of each sample, for `take_along_dim`."""
    return torch.rand(n, views, generator=generator).argsort(-1)
