"""Cameras of heatmaps: from world points to cells, through lenses, for boxes that differ in every frame and view.

A heatmap shows a box of a distorted picture, which may be turned (BlazePose's is). Networks that lift heatmaps take
matrices. Over one person a lens bends lines little, so that a matrix serves: rays of cells over the box, seen from a
pinhole camera that looks at the middle of the box, and the homography from its plane to the cells that fits them best.
For a pinhole camera it is exact. Where it is not good enough (a fisheye lens near a person), `straightened` resamples
the heatmaps so that it is.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import grid_sample

from mocap.geometry.projection import CameraTensors, project, rays

GRID = 7
"""Rays a side of the box: 49 for the 8 numbers of a homography."""
OUTSIDE_WEIGHT = 1e-4
"""Of rays outside the picture, where no lens was calibrated: they decide only where nothing else does."""
LEAST_AHEAD = 0.2
"""Cosine between a ray and the middle one; 78°."""
LEAST_RAYS = 6
"""Two more than fix a homography."""


def heatmap_cameras(
    cameras: CameraTensors, px_from_heatmap: Float[Tensor, "*b C 2 3"], size: tuple[int, int]
) -> tuple[Float[Tensor, "*b C 3 4"], Float[Tensor, "*b C"]]:
    """World m to cells of heatmaps of `size` (w, h), and how far off that is at worst within the picture, in cells.

    px_from_heatmap: cells to distorted px, NaN where there is no heatmap; the matrix is then that of the whole picture.
    The third row gives the depth (m) along the middle ray of the box. Misfit is infinite, and the matrix zero, where
    the lens images next to nothing of the box.
    """
    maps = torch.where(px_from_heatmap.isnan(), _whole_pictures(cameras, size), px_from_heatmap)
    cells = _grid(size, maps)
    px = torch.einsum("...cij,gj->...gci", maps[..., :2], cells) + maps[..., None, :, :, 2]
    directions = rays(cameras, px)
    inside = ((px > -0.5) & (px < cameras.image_size - 0.5)).all(-1)
    weight = torch.where(directions.isnan().any(-1), 0.0, torch.where(inside, 1.0, OUTSIDE_WEIGHT).to(px.dtype))
    directions = directions.nan_to_num()
    axes = _looking_at(cameras, _mean_ray(directions, weight))
    seen = torch.einsum("...cij,...gcj->...gci", axes, directions)
    ahead = seen[..., 2] > LEAST_AHEAD
    plane = torch.where(ahead[..., None], seen[..., :2] / torch.where(ahead, seen[..., 2], 1.0)[..., None], 0.0)
    weight = torch.where(ahead, weight, 0.0)
    homography, fixed = _homography(plane.transpose(-3, -2), cells, weight.mT, size)
    misfit = _misfit(homography, plane.transpose(-3, -2), cells, (weight * inside).mT)
    offset = -(axes @ cameras.centers[..., None])
    matrix = homography @ torch.cat([axes, offset], dim=-1)
    matrix = matrix / matrix[..., 2:, :3].norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return torch.where(fixed[..., None, None], matrix, 0.0), torch.where(fixed, misfit, torch.inf)


def straightened(
    heatmaps: Float[Tensor, "*b C K H W"],
    cameras: CameraTensors,
    px_from_heatmap: Float[Tensor, "*b C 2 3"],
    matrices: Float[Tensor, "*b C 3 4"],
) -> Float[Tensor, "*b C K H W"]:
    """The heatmaps as cameras with those matrices would show them: bilinear, zero where nothing was seen.

    matrices: as of `heatmap_cameras`. A peak keeps its height to the few percent that bilinear reading costs.
    """
    height, width = heatmaps.shape[-2:]
    x, y = (torch.arange(n, dtype=matrices.dtype, device=matrices.device) for n in (width, height))
    cells = torch.cartesian_prod(x, y)
    homogeneous = torch.cat([cells, torch.ones_like(cells[:, :1])], dim=-1)
    known = matrices[..., :3].det().abs() > 0
    inverse = torch.linalg.inv(torch.where(known[..., None, None], matrices[..., :3], cameras.R))
    directions = torch.einsum("...cij,gj->...gci", inverse, homogeneous)
    px = _imaged(cameras, directions)
    source = torch.linalg.solve(
        px_from_heatmap[..., None, :, :, :2], (px - px_from_heatmap[..., None, :, :, 2])[..., None]
    )
    size = torch.tensor([width, height], dtype=matrices.dtype, device=matrices.device)
    grid = ((2 * source[..., 0] + 1) / size - 1).nan_to_num(nan=4.0).clamp(-4, 4).transpose(-3, -2)
    flat, places = heatmaps.flatten(0, -4), grid.flatten(0, -3).to(heatmaps.dtype)
    places = places.unflatten(1, (width, height)).transpose(1, 2)
    return grid_sample(flat, places, align_corners=False).reshape(heatmaps.shape)


def _imaged(cameras: CameraTensors, directions: Float[Tensor, "*b G C 3"]) -> Float[Tensor, "*b G C 2"]:
    """Where every camera sees its own rays."""
    own = [
        project(cameras, cameras.centers[c] + directions[..., c, :])[..., c, :] for c in range(len(cameras))
    ]  # a loop over the cameras of a rig: `project` shows every point to all of them
    return torch.stack(own, dim=-2)


def _whole_pictures(cameras: CameraTensors, size: tuple[int, int]) -> Float[Tensor, "C 2 3"]:
    cells = torch.tensor(size, dtype=cameras.K.dtype, device=cameras.K.device)
    scale = cameras.image_size / cells
    return torch.cat([torch.diag_embed(scale), (0.5 * scale - 0.5)[..., None]], dim=-1)


def _grid(size: tuple[int, int], like: Tensor) -> Float[Tensor, "G 2"]:
    """Cells from edge to edge."""
    x, y = (torch.linspace(-0.5, n - 0.5, GRID, dtype=like.dtype, device=like.device) for n in size)
    return torch.cartesian_prod(x, y)


def _mean_ray(directions: Float[Tensor, "*b G C 3"], weight: Float[Tensor, "*b G C"]) -> Float[Tensor, "*b C 3"]:
    """Of unit length; (0, 0, 1) where there are no rays."""
    total = (directions * weight[..., None]).sum(-3)
    length = total.norm(dim=-1, keepdim=True)
    nowhere = torch.tensor([0.0, 0.0, 1.0], dtype=total.dtype, device=total.device)
    return torch.where(length > 0, total / torch.where(length > 0, length, 1.0), nowhere)


def _looking_at(cameras: CameraTensors, ahead: Float[Tensor, "*b C 3"]) -> Float[Tensor, "*b C 3 3"]:
    """Axes (rows) of a camera that looks along `ahead`, turned about it like the real one where that is possible."""
    right, down = cameras.R[:, 0].expand_as(ahead), cameras.R[:, 1].expand_as(ahead)
    sideways = (right * ahead).sum(-1, keepdim=True).abs() > 0.9
    x = torch.where(sideways, torch.linalg.cross(down, ahead), right)
    x = x - (x * ahead).sum(-1, keepdim=True) * ahead
    x = x / x.norm(dim=-1, keepdim=True)
    return torch.stack([x, torch.linalg.cross(ahead, x), ahead], dim=-2)


def _homography(
    plane: Float[Tensor, "*b C G 2"],
    cells: Float[Tensor, "G 2"],
    weight: Float[Tensor, "*b C G"],
    size: tuple[int, int],
) -> tuple[Float[Tensor, "*b C 3 3"], Bool[Tensor, "*b C"]]:
    """Cells from the plane of a camera, by weighted linear least squares in units in which both are about 1."""
    ones = torch.ones_like(plane[..., :1])
    spread = (plane.square().sum(-1) * weight).sum(-1) / weight.sum(-1).clamp(min=OUTSIDE_WEIGHT)
    scale = spread.sqrt().clamp(min=1e-9)[..., None, None]
    half = torch.tensor(size, dtype=cells.dtype, device=cells.device) / 2
    target = ((cells + 0.5) / half - 1).expand_as(plane)
    point = torch.cat([plane / scale, ones], dim=-1)
    none = torch.zeros_like(point)
    rows = torch.stack([torch.cat([point, none], dim=-1), torch.cat([none, point], dim=-1)], dim=-2)
    rows = torch.cat([rows, -target[..., None] * point[..., None, :2]], dim=-1).flatten(-3, -2)
    weights = weight.repeat_interleave(2, dim=-1)[..., None]
    normal = rows.mT @ (rows * weights)
    fixed = ((weight > 0).sum(-1) >= LEAST_RAYS) & (torch.linalg.eigvalsh(normal)[..., 0] > 1e-12)
    normal = torch.where(fixed[..., None, None], normal, torch.eye(8, dtype=normal.dtype, device=normal.device))
    entries = torch.linalg.solve(normal, rows.mT @ (weights * target.flatten(-2)[..., None]))[..., 0]
    unit = torch.cat([entries, torch.ones_like(entries[..., :1])], dim=-1).unflatten(-1, (3, 3))
    from_unit = torch.zeros_like(unit)
    from_unit[..., 0, 0], from_unit[..., 1, 1], from_unit[..., 2, 2] = half[0], half[1], 1.0
    from_unit[..., :2, 2] = half - 0.5
    shrink = torch.cat([1 / scale, 1 / scale, torch.ones_like(scale)], dim=-1)
    return from_unit @ unit * shrink, fixed


def _misfit(
    homography: Float[Tensor, "*b C 3 3"],
    plane: Float[Tensor, "*b C G 2"],
    cells: Float[Tensor, "G 2"],
    weight: Float[Tensor, "*b C G"],
) -> Float[Tensor, "*b C"]:
    """The largest distance (cells) among rays of some weight."""
    mapped = torch.cat([plane, torch.ones_like(plane[..., :1])], dim=-1) @ homography.mT
    off = (mapped[..., :2] / mapped[..., 2:] - cells).norm(dim=-1)
    return torch.where(weight > 0, off, 0.0).amax(-1)
