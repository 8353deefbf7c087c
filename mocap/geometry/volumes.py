"""Volumes of features around a person, from features of several pictures: a grid, and what the views see there.

Axes: C cameras, F features or joints, X Y Z voxels along the axes of the volume ('ij' order: the first index is x).
Coordinates are in the world and of any unit; projections are K [R t] in pixels of the feature maps (see
`mocap.geometry.heatmaps.heatmap_projections`). Nothing here loops over samples or views.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

Aggregation = Literal["sum", "max", "softmax", "conf", "conf_norm"]
Sampling = Literal["pixel_centres", "published"]
"""pixel_centres: u = (2 x + 1) / W - 1 with `align_corners=False`, the architecture's. published: u = 2 (x / W - 1/2)
with `align_corners=True`, as the published weights of Iskakov et al. were trained: it reads cell x (W - 1) / W."""
CHUNK_VALUES = (1 << 21, 1 << 28)
"""Samples x views x features x voxels read at a time without gradient, on a CPU and on a GPU. 8 MB stay in a CPU's
cache: four views of 32 features into 64³ voxels take 0.19 s of one core, and 0.38 s in one go."""
OUTSIDE = 4.0
"""In grid_sample's units, where every cell's support ends before 2: reads as zero, with gradient zero."""


def coordinate_volume(
    center: Float[Tensor, "*b 3"],
    side: float | Float[Tensor, "*b 3"],
    *,
    size: tuple[int, int, int],
    rotation: Float[Tensor, "*#b 3 3"] | None = None,
) -> Float[Tensor, "*b X Y Z 3"]:
    """World coordinates of the grid points of a box around `center`, from face to face.

    side: between the first and the last grid point along each axis, so that the step is side / (size - 1), as Iskakov
    et al. 2019 have it; one length or three. rotation: world_from_volume, about the centre.
    """
    shares = [torch.linspace(-0.5, 0.5, n, dtype=center.dtype, device=center.device) for n in size]
    unit = torch.stack(torch.meshgrid(*shares, indexing="ij"), dim=-1)
    offset = unit * (side[..., None, None, None, :] if isinstance(side, Tensor) else side)
    if rotation is not None:
        offset = (offset.flatten(-4, -2) @ rotation.mT).unflatten(-2, size)
    return offset + center[..., None, None, None, :]


def lift_to_volume(
    features: Float[Tensor, "*b C F H W"],
    projections: Float[Tensor, "*b C 3 4"],
    coordinates: Float[Tensor, "*b X Y Z 3"],
    *,
    aggregation: Aggregation = "softmax",
    confidence: Float[Tensor, "*b C F"] | None = None,
    sampling: Sampling = "pixel_centres",
) -> Float[Tensor, "*b F X Y Z"]:
    """What the views see at every voxel, bilinearly, aggregated by `aggregate_views` (Iskakov et al. 2019, 3.2).

    Zero outside a picture and behind a camera; such zeros take part in the aggregation.
    """
    check_aggregation(aggregation, confidence)

    def lift(points: Float[Tensor, "*b n 3"]) -> Float[Tensor, "*b F n"]:
        return aggregate_views(sample_views(features, projections, points, sampling=sampling), aggregation, confidence)

    points = coordinates.flatten(-4, -2)
    given = (features, projections, coordinates, confidence)
    taped = torch.is_grad_enabled() and any(array is not None and array.requires_grad for array in given)
    at_once = points.shape[-2] if taped else CHUNK_VALUES[features.is_cuda] // features[..., 0, 0].numel()
    lifted = torch.cat([lift(part) for part in points.split(max(1, at_once), dim=-2)], dim=-1)
    return lifted.unflatten(-1, coordinates.shape[-4:-1])


def sample_views(
    features: Float[Tensor, "*b C F H W"],
    projections: Float[Tensor, "*b C 3 4"],
    points: Float[Tensor, "*b N 3"],
    *,
    sampling: Sampling = "pixel_centres",
) -> Float[Tensor, "*b C F N"]:
    """Features of every view where points project to; zero outside a picture and behind a camera."""
    height, width = features.shape[-2:]
    grid = sampling_grid(projections, points, (height, width), sampling=sampling).to(features.dtype)
    flat = features.flatten(0, -4) if features.ndim > 3 else features[None]
    read = grid_sample(
        flat,
        grid.reshape(-1, 1, *grid.shape[-2:]),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=sampling == "published",
    )
    return read.reshape(*features.shape[:-2], points.shape[-2])


def sampling_grid(
    projections: Float[Tensor, "*b C 3 4"],
    points: Float[Tensor, "*b N 3"],
    shape: tuple[int, int],
    *,
    sampling: Sampling = "pixel_centres",
) -> Float[Tensor, "*b C N 2"]:
    """Where points lie in feature maps of (height, width), in grid_sample's units; `OUTSIDE` behind a camera."""
    if sampling not in get_args(Sampling):
        raise ValueError(f"sampling is {sampling!r}; expected one of {', '.join(get_args(Sampling))}")
    points = points[..., None, :, :]
    projected = points @ projections[..., :3].mT + projections[..., None, :, 3]
    depth = projected[..., 2:]
    in_front = depth > 0
    px = projected[..., :2] / torch.where(in_front, depth, 1.0)
    cells = torch.tensor([shape[1], shape[0]], dtype=px.dtype, device=px.device)
    centre = 1.0 if sampling == "pixel_centres" else 0.0
    return torch.where(in_front, ((2 * px + centre) / cells - 1).clamp(-OUTSIDE, OUTSIDE), OUTSIDE)


def aggregate_views(
    seen: Float[Tensor, "*b C F N"], aggregation: Aggregation, confidence: Float[Tensor, "*b C F"] | None = None
) -> Float[Tensor, "*b F N"]:
    """One value of C: their sum, their maximum, their mean weighted by their own softmax over views, or their sum
    weighted by confidence, as it is (conf) or as a share of its sum over views (conf_norm; 0 where that is 0)."""
    weight = check_aggregation(aggregation, confidence)
    if aggregation == "sum":
        return seen.sum(-3)
    if aggregation == "max":
        return seen.amax(-3)
    if weight is None:
        return (seen * seen.softmax(-3)).sum(-3)
    if aggregation == "conf_norm":
        total = weight.sum(-2, keepdim=True)
        weight = weight / torch.where(total > 0, total, 1.0)
    return (seen * weight[..., None].to(seen.dtype)).sum(-3)


def check_aggregation(
    aggregation: Aggregation, confidence: Float[Tensor, "*b C F"] | None
) -> Float[Tensor, "*b C F"] | None:
    """The confidence where the aggregation uses it; a word about an unknown one and about one that lacks it."""
    if aggregation not in get_args(Aggregation):
        raise ValueError(f"aggregation is {aggregation!r}; expected one of {', '.join(get_args(Aggregation))}")
    if not aggregation.startswith("conf"):
        return None
    if confidence is None:
        raise ValueError(f"aggregation {aggregation!r} weights views by confidence, but none was given")
    return confidence
