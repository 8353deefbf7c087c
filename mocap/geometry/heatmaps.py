"""Places from heatmaps, differentiably, and the one rescaling between the pixels of a picture and those of a heatmap.

Convention: (x, y) with the centre of the top-left pixel or cell at (0, 0), in pictures and in heatmaps. Rescaling by s
is (x + 0.5) s - 0.5: x = 99.5 in the middle of 200 px is u = 31.5 in the middle of 64 cells. A box x0 y0 x1 y1 (px)
reaches from -0.5 to size - 0.5 of its heatmap; that of a whole picture is -0.5 -0.5 width-0.5 height-0.5. Sizes are
(width, height). half and bfloat16 are worked on and returned in float32: bfloat16 has no whole numbers beyond 256.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def soft_argmax_2d(
    heatmaps: Float[Tensor, "*b J H W"], *, temperature: float = 1.0
) -> tuple[Float[Tensor, "*b J 2"], Float[Tensor, "*b J H W"]]:
    """The expected cell (x, y) under softmax(heatmap / temperature), and that softmax (Sun et al. 2018).

    A published heatmap multiplier m is the temperature 1/m.
    """
    probability = (_wide(heatmaps) / temperature).flatten(-2).softmax(-1).unflatten(-1, heatmaps.shape[-2:])
    return _expected_cell(probability), probability


def soft_argmax_3d(
    volumes: Float[Tensor, "*b J X Y Z"], coordinates: Float[Tensor, "*b X Y Z 3"], *, temperature: float = 1.0
) -> tuple[Float[Tensor, "*b J 3"], Float[Tensor, "*b J X Y Z"]]:
    """The expected coordinates under softmax(volume / temperature), and that softmax (Iskakov et al. 2019, 3.2).

    Coordinates are in any unit; the answer is in theirs.
    """
    flat = (_wide(volumes) / temperature).flatten(-3).softmax(-1)
    places = _wide(coordinates).flatten(-4, -2)
    # From the first cell: a softmax in float32 sums to 1 to 1e-6 only, which is a share of the distance to the origin.
    origin = places[..., :1, :]
    return flat @ (places - origin) + origin, flat.unflatten(-1, volumes.shape[-3:])


def hard_argmax_2d(heatmaps: Float[Tensor, "*b J H W"]) -> tuple[Float[Tensor, "*b J 2"], Float[Tensor, "*b J"]]:
    """The highest cell (x, y), whole numbers, and its height; of equal ones the first in reading order."""
    height, index = _wide(heatmaps).flatten(-2).max(-1)
    width = heatmaps.shape[-1]
    return torch.stack([index % width, index // width], dim=-1).to(height.dtype), height


def heatmap_moments(
    heatmaps: Float[Tensor, "*b J H W"],
) -> tuple[Float[Tensor, "*b J 2"], Float[Tensor, "*b J 2 2"]]:
    """Mean place (cells) and covariance (cells², order x y) of what non-negative heatmaps hold.

    Negative cells count as empty. NaN where nothing is held; its gradient is 0. A Gaussian peak of sigma cells has
    the covariance sigma² I; a second peak at distance d of share q adds q (1 - q) d² along the line between them.
    """
    mass = _wide(heatmaps).clamp(min=0)
    total = mass.sum((-2, -1), keepdim=True)
    held = total > 0
    probability = mass / torch.where(held, total, 1.0)
    mean = _expected_cell(probability)
    x, y = _cells(probability)
    from_x, from_y = x - mean[..., :1], y - mean[..., 1:]
    column, row = probability.sum(-2), probability.sum(-1)
    xx, yy = (column * from_x.square()).sum(-1), (row * from_y.square()).sum(-1)
    xy = ((probability @ from_x[..., None])[..., 0] * from_y).sum(-1)
    covariance = torch.stack([xx, xy, xy, yy], dim=-1).unflatten(-1, (2, 2))
    held = held[..., 0]
    return torch.where(held, mean, torch.nan), torch.where(held[..., None], covariance, torch.nan)


def mass_near(
    heatmaps: Float[Tensor, "*b J H W"], xy: Float[Tensor, "*b J 2"], *, radius: float
) -> Float[Tensor, "*b J"]:
    """The share of what a non-negative heatmap holds within `radius` cells of a place: 1 for one sharp peak there.

    A confidence in [0, 1]; 0 where the heatmap holds nothing or the place is NaN.
    """
    mass = _wide(heatmaps).clamp(min=0)
    total = mass.sum((-2, -1))
    x, y = _cells(mass)
    near_x, near_y = (x - xy[..., :1]).square(), (y - xy[..., 1:]).square()
    within: Bool[Tensor, "*b J H W"] = near_x[..., None, :] + near_y[..., :, None] <= radius * radius
    held = total > 0
    return torch.where(held, torch.where(within, mass, 0.0).sum((-2, -1)) / torch.where(held, total, 1.0), 0.0)


def heatmap_from_image(
    px: Float[Tensor, "*b J 2"], box: Float[Tensor, "*#b 4"], size: tuple[int, int]
) -> Float[Tensor, "*b J 2"]:
    """Picture px to cells of a heatmap of `size` over a box."""
    corner, side, cells = _spans(box, size)
    return (px - corner) / side * cells - 0.5


def image_from_heatmap(
    cells: Float[Tensor, "*b J 2"], box: Float[Tensor, "*#b 4"], size: tuple[int, int]
) -> Float[Tensor, "*b J 2"]:
    """Cells of a heatmap of `size` over a box back to picture px."""
    corner, side, number = _spans(box, size)
    return (cells + 0.5) / number * side + corner


def heatmap_projections(
    projections: Float[Tensor, "*b 3 4"], box: Float[Tensor, "*#b 4"], size: tuple[int, int]
) -> Float[Tensor, "*b 3 4"]:
    """K [R t] of undistorted pictures to the same for heatmaps of `size` over boxes: `heatmap_from_image` on top."""
    scale = torch.tensor(size, dtype=box.dtype, device=box.device) / (box[..., 2:] - box[..., :2])
    offset = -box[..., :2] * scale - 0.5
    xy = scale[..., None] * projections[..., :2, :] + offset[..., None] * projections[..., 2:, :]
    return torch.cat([xy, projections[..., 2:, :]], dim=-2)


def whole_picture(size: tuple[int, int]) -> Float[Tensor, "4"]:
    """The box of a picture of `size` (width, height) px, float64."""
    return torch.tensor([-0.5, -0.5, size[0] - 0.5, size[1] - 0.5], dtype=torch.float64)


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _cells(heatmaps: Float[Tensor, "*b H W"]) -> tuple[Float[Tensor, "W"], Float[Tensor, "H"]]:
    """x of the columns and y of the rows."""
    height, width = heatmaps.shape[-2:]
    x, y = (torch.arange(n, dtype=heatmaps.dtype, device=heatmaps.device) for n in (width, height))
    return x, y


def _expected_cell(probability: Float[Tensor, "*b H W"]) -> Float[Tensor, "*b 2"]:
    """Mean (x, y) of heatmaps that sum to 1, through their two margins."""
    x, y = _cells(probability)
    return torch.stack([probability.sum(-2) @ x, probability.sum(-1) @ y], dim=-1)


def _spans(box: Float[Tensor, "*b 4"], size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Corner (*b, 1, 2) and sides of a box in px, and its numbers of cells (2)."""
    corner, side = box[..., None, :2], box[..., None, 2:] - box[..., None, :2]
    return corner, side, torch.tensor(size, dtype=box.dtype, device=box.device)
