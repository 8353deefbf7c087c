"""Points in space from pixels of several cameras, for any number of points at once.

Convention: px (*batch, C, 2) distorted, weight (*batch, C) >= 0; a view with a NaN pixel or weight 0 has not seen the
point. World metres. Nothing here loops over points; memory is bounded by working on `CHUNK_ELEMENTS` at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import IntEnum
from itertools import combinations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mocap.geometry.projection import CameraTensors, normalise, project
from mocap.geometry.ray_points import MIN_PARALLAX, meeting_of_rays
from mocap.geometry.refinement import Kernel, Refinement, refine_reprojection, robust_cost, seen_views

CHUNK_ELEMENTS = 1 << 17
"""Points x pairs of views x cameras worked on at a time: 5000 points of four cameras, some 25 MB of intermediates."""
EXHAUSTIVE_VIEWS = 8
"""Up to here every pair of views is a hypothesis (28 of them)."""
MAX_PAIRS = 64
"""Beyond `EXHAUSTIVE_VIEWS`: pairs tried, spread evenly over all of them."""


class Outcome(IntEnum):
    """Why a point is there, or why it is not."""

    AGREED = 0
    TOO_FEW_VIEWS = 1
    PARALLEL_RAYS = 2
    VIEWS_DISAGREE = 3


@dataclass(frozen=True, eq=False)
class Triangulated:
    """xyz (*batch, 3) m, NaN unless the outcome is AGREED; covariance (*batch, 3, 3) m², NaN likewise.

    error_px (*batch, C): full L2 reprojection error in every view that has seen the point, used or not. used: the views
    that agree. The covariance is that of `refine_reprojection`.
    """

    xyz: Float[Tensor, "*batch 3"]
    error_px: Float[Tensor, "*batch C"]
    used: Bool[Tensor, "*batch C"]
    covariance: Float[Tensor, "*batch 3 3"]
    outcome: Int[Tensor, "*batch"]


@dataclass(frozen=True, eq=False)
class _Views:
    """What the cameras say of N points: pixels, pinhole coordinates and rays; weight is 0 where unseen."""

    cameras: CameraTensors
    px: Float[Tensor, "*batch C 2"]
    ideal: Float[Tensor, "*batch C 2"]
    directions: Float[Tensor, "*batch C 3"]
    weight: Float[Tensor, "*batch C"]
    seen: Bool[Tensor, "*batch C"]


def _views(cameras: CameraTensors, px: Float[Tensor, "*batch C 2"], weight: Float[Tensor, "*batch C"]) -> _Views:
    ideal = normalise(cameras, px)
    seen = seen_views(ideal, weight)
    direction = torch.cat([ideal, torch.ones_like(ideal[..., :1])], dim=-1)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    direction = (direction[..., None, :] @ cameras.R)[..., 0, :]
    return _Views(cameras, px, ideal, direction, torch.where(seen, weight, 0.0), seen)


def triangulate_dlt(
    cameras: CameraTensors, px: Float[Tensor, "*batch C 2"], weight: Float[Tensor, "*batch C"]
) -> Float[Tensor, "*batch 3"]:
    """The homogeneous linear solution (Hartley & Zisserman 2004, 12.2) of minimal weighted algebraic error in px.

    The error of a view is focal length x (x P3 - P1, y P3 - P2) X; its square is weighted by `weight`. NaN with fewer
    than two views or none of them `MIN_PARALLAX` apart. Differentiable by px and weight.
    """
    return _dlt(_views(cameras, px, weight))


def _dlt(views: _Views) -> Float[Tensor, "*batch 3"]:
    cameras = views.cameras
    solvable = _widest_parallax(views.directions, views.seen) >= MIN_PARALLAX
    ideal = torch.where(views.seen[..., None], views.ideal, 0.0)
    pose = torch.cat([cameras.R, cameras.t[..., None]], dim=-1)
    rows = ideal[..., None] * pose[:, None, 2] - pose[:, :2]
    rows = rows * torch.stack([cameras.K[:, 0, 0], cameras.K[:, 1, 1]], dim=-1)[..., None]
    normal = (rows * views.weight[..., None, None]).flatten(-3, -2).mT @ rows.flatten(-3, -2)
    # An unsolvable point gets a matrix with four different eigenvalues: eigenvectors have no gradient at equal ones.
    spectrum = torch.diag(torch.tensor([1.0, 2.0, 3.0, 0.5], dtype=ideal.dtype, device=ideal.device))
    homogeneous = torch.linalg.eigh(torch.where(solvable[..., None, None], normal, spectrum)).eigenvectors[..., 0]
    scale = torch.where(solvable, homogeneous[..., 3], 1.0)
    return torch.where(solvable[..., None], homogeneous[..., :3] / scale[..., None], torch.nan)


def triangulate_linear(
    cameras: CameraTensors,
    px: Float[Tensor, "*batch C 2"],
    weight: Float[Tensor, "*batch C"],
    *,
    inlier_px: Float[Tensor, "*batch C"],
) -> Triangulated:
    """`triangulate_dlt` with the same account of views, errors and reasons as the other methods; nothing is refined."""

    def solve(px: Tensor, weight: Tensor, inlier_px: Tensor) -> Triangulated:
        views = _views(cameras, px, weight)
        as_it_is = Refinement(iterations=0)
        xyz, covariance = refine_reprojection(cameras, px, views.weight, _dlt(views), scale_px=inlier_px, how=as_it_is)
        return _judge(views, xyz, covariance, inlier_px)

    return _chunked(solve, len(cameras), px, weight, inlier_px)


def triangulate_ransac(
    cameras: CameraTensors,
    px: Float[Tensor, "*batch C 2"],
    weight: Float[Tensor, "*batch C"],
    *,
    inlier_px: Float[Tensor, "*batch C"],
) -> Triangulated:
    """The pair of views whose point most weight of views agrees with, then least squares over the views that do.

    Every pair is tried up to `EXHAUSTIVE_VIEWS` cameras; the score is MSAC's truncated square (Torr & Zisserman 2000).
    """

    def solve(px: Tensor, weight: Tensor, inlier_px: Tensor) -> Triangulated:
        views = _views(cameras, px, weight)
        start = _best_pair(views, lambda error: _truncated(error / inlier_px[:, None]))
        agreeing = torch.where(_reprojection(cameras, start, px) < inlier_px, views.weight, 0.0)
        xyz, covariance = refine_reprojection(cameras, px, agreeing, start, scale_px=inlier_px)
        return _judge(views, xyz, covariance, torch.where(agreeing > 0, inlier_px, 0.0))

    return _chunked(solve, len(cameras), px, weight, inlier_px)


def triangulate_robust(
    cameras: CameraTensors,
    px: Float[Tensor, "*batch C 2"],
    weight: Float[Tensor, "*batch C"],
    *,
    scale_px: Float[Tensor, "*batch C"],
    inlier_px: Float[Tensor, "*batch C"],
    kernel: Kernel = "geman_mcclure",
) -> Triangulated:
    """The pair of views of least robust cost, refined under the same cost over all views.

    scale_px: where the kernel starts to bend, about the noise of the detector. inlier_px: from where a view counts as
    disagreeing; it takes no part in the cost.
    """

    def solve(px: Tensor, weight: Tensor, scale_px: Tensor, inlier_px: Tensor) -> Triangulated:
        views = _views(cameras, px, weight)
        start = _best_pair(views, lambda error: robust_cost((error / scale_px[:, None]) ** 2, kernel))
        how = Refinement(kernel)
        xyz, covariance = refine_reprojection(cameras, px, views.weight, start, scale_px=scale_px, how=how)
        return _judge(views, xyz, covariance, inlier_px)

    return _chunked(solve, len(cameras), px, weight, scale_px, inlier_px)


def midpoints_of_rays(
    origins: Float[Tensor, "C 3"], directions: Float[Tensor, "*batch C 3"], a: Int[Tensor, "P"], b: Int[Tensor, "P"]
) -> Float[Tensor, "*batch P 3"]:
    """Midway between the rays of the views a[p] and b[p] where they are closest. Directions are unit vectors.

    NaN for rays less than `MIN_PARALLAX` apart (no depth), rays that meet behind a camera, or a missing ray.
    """
    return meeting_of_rays(origins[a], directions[..., a, :], origins[b], directions[..., b, :])[0]


def view_pairs(n_cameras: int) -> Int[Tensor, "2 P"]:
    """Pairs of cameras: all of them up to `EXHAUSTIVE_VIEWS` cameras, else `MAX_PAIRS` spread evenly over them."""
    pairs = torch.tensor(list(combinations(range(n_cameras), 2)), dtype=torch.int64).reshape(-1, 2).T
    if n_cameras > EXHAUSTIVE_VIEWS:
        pairs = pairs[:, torch.linspace(0, pairs.shape[1] - 1, min(MAX_PAIRS, pairs.shape[1])).round().long()]
    return pairs


def _best_pair(views: _Views, rho: Callable[[Float[Tensor, "N P C"]], Float[Tensor, "N P C"]]) -> Float[Tensor, "N 3"]:
    """The point between the rays of that pair of views whose cost over all views is least; NaN where none serves."""
    a, b = view_pairs(len(views.cameras)).to(views.px.device)
    if not len(a):
        return torch.full_like(views.directions[:, 0], torch.nan)
    points = midpoints_of_rays(views.cameras.centers, views.directions, a, b)
    points = torch.where((views.seen[:, a] & views.seen[:, b])[..., None], points, torch.nan)
    error = _reprojection(views.cameras, points, views.px[:, None])
    cost = torch.where(views.seen[:, None], views.weight[:, None] * rho(error), 0.0).sum(-1)
    cost = torch.where(points.isnan().any(-1), torch.inf, cost)
    return torch.take_along_dim(points, cost.argmin(-1)[:, None, None], dim=1)[:, 0]


def _reprojection(
    cameras: CameraTensors, points: Float[Tensor, "*batch 3"], px: Float[Tensor, "*#batch C 2"]
) -> Float[Tensor, "*batch C"]:
    """Full L2 error in px; NaN where unseen or behind the camera."""
    return (project(cameras, points) - px).norm(dim=-1)


def _truncated(error: Tensor) -> Tensor:
    """MSAC; a view that the point lies behind (NaN) disagrees fully."""
    return torch.where(error < 1, error * error, 1.0)


def _widest_parallax(
    directions: Float[Tensor, "*batch C 3"], seen: Bool[Tensor, "*batch C"]
) -> Float[Tensor, "*batch"]:
    """The largest angle (rad, up to pi/2) between the lines of two seen rays; 0 with fewer than two."""
    directions = directions.detach()
    cosine = torch.where(seen[..., :, None] & seen[..., None, :], (directions @ directions.mT).abs(), 1.0)
    return torch.acos(cosine.amin((-2, -1)).clamp(max=1.0))


def _judge(
    views: _Views, xyz: Float[Tensor, "N 3"], covariance: Float[Tensor, "N 3 3"], inlier_px: Float[Tensor, "N C"]
) -> Triangulated:
    """Say which views agree and, where fewer than two do, take the point away and say why."""
    error = _reprojection(views.cameras, xyz, views.px)
    used = views.seen & (error < inlier_px)
    loose = (_widest_parallax(views.directions, used) < MIN_PARALLAX) | covariance.isnan().any(-1).any(-1)
    hopeless = _widest_parallax(views.directions, views.seen) < MIN_PARALLAX
    outcome = torch.full(xyz.shape[:-1], int(Outcome.AGREED), device=xyz.device)
    outcome[loose] = int(Outcome.PARALLEL_RAYS)
    outcome[used.sum(-1) < 2] = int(Outcome.VIEWS_DISAGREE)
    outcome[hopeless] = int(Outcome.PARALLEL_RAYS)
    outcome[views.seen.sum(-1) < 2] = int(Outcome.TOO_FEW_VIEWS)
    lost = outcome != int(Outcome.AGREED)
    return Triangulated(
        xyz=torch.where(lost[..., None], torch.nan, xyz),
        error_px=torch.where(views.seen & ~lost[..., None], error, torch.nan),
        used=used & ~lost[..., None],
        covariance=torch.where(lost[..., None, None], torch.nan, covariance),
        outcome=outcome,
    )


def _chunked(solve: Callable[..., Triangulated], n_cameras: int, *arrays: Tensor) -> Triangulated:
    """`solve` over flattened leading axes, at most `CHUNK_ELEMENTS` at a time, so that memory does not grow."""
    batch = arrays[1].shape[:-1]
    rows = max(1, CHUNK_ELEMENTS // max(1, view_pairs(n_cameras).shape[1] * n_cameras))
    chunks = zip(*(array.reshape(-1, *array.shape[len(batch) :]).split(rows) for array in arrays), strict=True)
    with torch.no_grad():
        parts = [solve(*chunk) for chunk in chunks]
    joined = {f.name: torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Triangulated)}
    return Triangulated(**{name: array.reshape((*batch, *array.shape[1:])) for name, array in joined.items()})
