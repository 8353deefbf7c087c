"""Points nearest to bundles of rays, in metres: what pixels are good for when nobody knows yet who is who.

Distances between a ray and a point are metric, so that one tolerance serves cameras of all focal lengths and distances.
Directions are unit vectors, rays start at their origin; a ray of weight 0 is not there.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

MIN_PARALLAX = math.radians(0.5)
"""Rays closer to parallel fix no depth: at 0.5°, 1 px of a 1500 px focal length is 8 % of the distance."""
STEPS = 3
"""Re-weighted steps, enough to tell people apart; the points are triangulated properly later."""
LEAST_DETERMINANT = 1e-4
"""Of the normal matrix over its largest entry cubed: two rays 1° apart have 2 sin²(1°) / 2³ = 8e-5."""


def meeting_of_rays(
    first_origin: Float[Tensor, "*#batch 3"],
    first: Float[Tensor, "*#batch 3"],
    second_origin: Float[Tensor, "*#batch 3"],
    second: Float[Tensor, "*#batch 3"],
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch"]]:
    """Midway between two rays where they pass each other, and how far (m) they do.

    NaN and infinite for rays less than `MIN_PARALLAX` apart (no depth), that meet behind an origin, or are missing.
    """
    between = second_origin - first_origin
    cosine = (first * second).sum(-1)
    along_first, along_second = (first * between).sum(-1), (second * between).sum(-1)
    squared_sine = 1 - cosine * cosine
    fixed = squared_sine > math.sin(MIN_PARALLAX) ** 2
    safe = torch.where(fixed, squared_sine, 1.0)
    s, t = (along_first - cosine * along_second) / safe, (cosine * along_first - along_second) / safe
    near, far = first_origin + s[..., None] * first, second_origin + t[..., None] * second
    meets = fixed & (s > 0) & (t > 0)
    gap = torch.where(meets, (near - far).norm(dim=-1), torch.inf)
    return torch.where(meets[..., None], (near + far) / 2, torch.nan), gap


def distance_to_rays(
    points: Float[Tensor, "*#batch 3"], origins: Float[Tensor, "*#batch 3"], directions: Float[Tensor, "*#batch 3"]
) -> Float[Tensor, "*batch"]:
    """Distance (m) of points to rays; infinite behind a ray's origin, NaN where either is missing."""
    along = points - origins
    depth = (along * directions).sum(-1)
    squared = (along.square().sum(-1) - depth.square()).clamp(min=0)
    return torch.where(depth <= 0, torch.inf, squared.sqrt())


def agreement(distance: Float[Tensor, "*batch"], tolerance_m: float) -> Float[Tensor, "*batch"]:
    """1 on the ray, 1/2 at the tolerance, 0 far away, behind the camera or where missing (Cauchy's weight)."""
    return torch.where(distance.isfinite(), 1 / (1 + (distance / tolerance_m) ** 2), 0.0)


def nearest_to_rays(
    origins: Float[Tensor, "*batch C 3"],
    directions: Float[Tensor, "*batch C 3"],
    weight: Float[Tensor, "*batch C"],
    *,
    tolerance_m: float,
) -> Float[Tensor, "*batch 3"]:
    """The point of least Cauchy cost of its distances to C rays; NaN for fewer than two rays or parallel ones."""
    directions = torch.where(weight[..., None] > 0, directions, 0.0)
    point = _weighted_nearest(origins, directions, weight)
    for _ in range(STEPS):
        point = _weighted_nearest(
            origins,
            directions,
            weight * agreement(distance_to_rays(point[..., None, :], origins, directions), tolerance_m),
        )
    return point


def _weighted_nearest(
    origins: Float[Tensor, "*batch C 3"], directions: Float[Tensor, "*batch C 3"], weight: Float[Tensor, "*batch C"]
) -> Float[Tensor, "*batch 3"]:
    """Solves sum w (I - d dᵀ) x = sum w (I - d dᵀ) o."""
    weighted = directions * weight[..., None]
    eye = torch.eye(3, dtype=origins.dtype, device=origins.device)
    normal = weight.sum(-1)[..., None, None] * eye - weighted.mT @ directions
    across = weight[..., None] * origins - weighted * (origins * directions).sum(-1, keepdim=True)
    spread = normal.diagonal(dim1=-2, dim2=-1).amax(-1)
    fixed = torch.linalg.det(normal) > LEAST_DETERMINANT * spread**3
    solution = torch.linalg.solve_ex(torch.where(fixed[..., None, None], normal, eye), across.sum(-2)[..., None]).result
    return torch.where(fixed[..., None], solution[..., 0], torch.nan)
