"""Points from pinhole projection matrices of any scale, confidence-weighted and differentiable.

For networks: every sample may have its own cameras (*b, C, 3, 4), pixels are undistorted, confidences multiply the rows
of the linear system (Iskakov et al. 2019, 3.1), and gradients reach all three. `mocap.geometry.triangulation` is
for takes: one rig with lenses, robust costs, covariances, and a reason for every point that is missing.
Axes: C cameras, J joints. A view with a NaN pixel or confidence 0 has not seen the joint. Units are the matrices' own.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.geometry.least_vectors import COLUMN, ROW, LeastVectors, least_vectors, times
from mocap.geometry.triangulation import view_pairs

LEAST_SCALE = 1e-9
"""Of the fourth homogeneous coordinate of a unit vector: a point 1e9 units away is at infinity."""
REFINEMENT_STEPS = 10
"""Of Levenberg–Marquardt; from a linear solution over agreeing views the last ones move nothing."""


def triangulate_algebraic(
    projections: Float[Tensor, "*b C 3 4"], xy: Float[Tensor, "*b C J 2"], confidence: Float[Tensor, "*b C J"]
) -> Float[Tensor, "*b J 3"]:
    """The homogeneous linear solution: the unit vector X of least |c (x P3 - P1, y P3 - P2) X| over the views.

    c is the confidence itself, not its square root; its scale does not matter. NaN with fewer than two views, where the
    rays fix no point (`LEAST_GAP`), and for points at infinity; the gradient is 0 there. Worked in float64, returned in
    the dtype of `xy`: the fourth column is a thousand times the others in millimetres, and its square a million times.
    """
    seen = (confidence > 0) & ~xy.isnan().any(-1)
    x, y = torch.where(seen[..., None], xy, 0.0).double().unbind(-1)
    views = _Views(projections.double(), x, y, torch.where(seen, confidence, 0.0).double())
    with torch.no_grad():
        least = least_vectors(_normal(views), seen.sum(-2) >= 2)
    solution = _refined(least, _normal_times(views, least.vector.movedim(0, -2)).movedim(-2, 0))
    fixed = least.fixed & (solution[3].abs() > LEAST_SCALE)
    xyz = torch.where(fixed, solution[:3] / torch.where(fixed, solution[3], 1.0), torch.nan)
    return xyz.movedim(0, -1).to(xy.dtype)


class _Views(NamedTuple):
    """What the rows c (x P3 - P1) and c (y P3 - P2) of the linear system are made of."""

    projections: Float[Tensor, "*b C 3 4"]
    x: Float[Tensor, "*b C J"]
    y: Float[Tensor, "*b C J"]
    confidence: Float[Tensor, "*b C J"]


def _normal(views: _Views) -> Float[Tensor, "10 *b J"]:
    """rowsᵀ rows, the upper triangle: c² (x² + y²), c² x, c² y and c² times outer products of the rows of P."""
    matrices, x, y, confidence = views
    weight = confidence.square()
    monomials = torch.cat([weight * (x.square() + y.square()), weight * x, weight * y, weight], dim=-2)
    left, right = matrices[..., ROW], matrices[..., COLUMN]
    crossed = left[..., :2, :] * right[..., 2:, :] + left[..., 2:, :] * right[..., :2, :]
    of_weight = (left[..., :2, :] * right[..., :2, :]).sum(-2)
    outer = torch.cat([left[..., 2, :] * right[..., 2, :], -crossed[..., 0, :], -crossed[..., 1, :], of_weight], dim=-2)
    return (outer.mT @ monomials).movedim(-2, 0).contiguous()


def _normal_times(views: _Views, vector: Float[Tensor, "*b 4 J"]) -> Float[Tensor, "*b 4 J"]:
    """rowsᵀ (rows v), which keeps the digits that squaring the rows has lost."""
    matrices, x, y, confidence = views
    px, py, depth = (matrices.flatten(-3, -2) @ vector).unflatten(-2, matrices.shape[-3:-1]).unbind(-2)
    weight = confidence.square()
    along_x, along_y = weight * (px - x * depth), weight * (py - y * depth)
    pulls = torch.stack([along_x, along_y, -(x * along_x + y * along_y)], dim=-2)
    return matrices.flatten(-3, -2).mT @ pulls.flatten(-3, -2)


def _refined(least: LeastVectors, product: Float[Tensor, "4 *b"]) -> Float[Tensor, "4 *b"]:
    """One Newton step from the least vector v of M: v - pinv(M - λ) M v, of which M v alone is on the tape.

    It has the exact first derivative, -pinv(M - λ) dM v (Magnus 1985), which is finite when other eigenvalues meet,
    where that of a general eigensolver is not. No second derivatives.
    """
    return least.vector - times(least.inverse, torch.where(least.fixed, product, 0.0))


def least_vector(
    rows: Float[Tensor, "*b N 4"], solvable: Bool[Tensor, "*b"]
) -> tuple[Float[Tensor, "*b 4"], Bool[Tensor, "*b"]]:
    """The unit vector of least |rows v|, of either sign, and where there is only one; (0, 0, 0, 1) elsewhere.

    Found without a tape from rowsᵀ rows, then `_refined` with rowsᵀ (rows v).
    """
    with torch.no_grad():
        normal = (rows.mT @ rows)[..., ROW, COLUMN].movedim(-1, 0)
        least = least_vectors(normal, solvable)
    used = torch.where(least.fixed[..., None, None], rows, 0.0)
    start = least.vector.movedim(0, -1)
    solution = _refined(least, (used.mT @ (used @ start[..., None]))[..., 0].movedim(-1, 0)).movedim(0, -1)
    nowhere = torch.tensor([0.0, 0.0, 0.0, 1.0], dtype=rows.dtype, device=rows.device)
    return torch.where(least.fixed[..., None], solution, nowhere), least.fixed & (solution[..., 3].abs() > LEAST_SCALE)


def project_pinhole(
    projections: Float[Tensor, "*#b C 3 4"], points: Float[Tensor, "*#b N 3"]
) -> tuple[Float[Tensor, "*b C N 2"], Float[Tensor, "*b C N"]]:
    """Pixels and depth (of the matrix' own scale); pixels are NaN where the depth is not positive."""
    projected = points[..., None, :, :] @ projections[..., :3].mT + projections[..., None, :, 3]
    depth = projected[..., 2]
    ahead = (depth > 0)[..., None]
    return torch.where(ahead, projected[..., :2] / torch.where(ahead, depth[..., None], 1.0), torch.nan), depth


def triangulate_msac(
    projections: Float[Tensor, "*b C 3 4"],
    xy: Float[Tensor, "*b C J 2"],
    confidence: Float[Tensor, "*b C J"],
    *,
    inlier_px: float = 15.0,
    huber_px: float = 1.0,
) -> tuple[Float[Tensor, "*b J 3"], Bool[Tensor, "*b C J"]]:
    """The baseline of Iskakov et al. 2019: the pair of views that most agree with, then least Huber cost over those.

    Every pair is a hypothesis up to `triangulation.EXHAUSTIVE_VIEWS` cameras, all at once; the score is the truncated
    square of MSAC weighted by confidence (Torr & Zisserman 2000). Also returned: the views used, that agree within
    `inlier_px`. NaN where fewer than two do. Without gradient, in float64; the defaults are the published ones.
    """
    with torch.no_grad():
        seen = (confidence > 0) & ~xy.isnan().any(-1)
        matrices, px = projections.double(), xy.double()
        weight = torch.where(seen, confidence, 0.0).double()
        start = _best_pair(matrices, px, weight, inlier_px)
        agreeing = torch.where(_distance(matrices, start, px) < inlier_px, weight, 0.0)
        rows = (agreeing > 0).to(px.dtype)
        xyz = _least_huber(matrices, px, rows, triangulate_algebraic(matrices, px, rows), huber_px)
        return xyz.to(xy.dtype), (agreeing > 0) & ~xyz.isnan().any(-1)[..., None, :]


def _distance(
    projections: Float[Tensor, "*#b C 3 4"], points: Float[Tensor, "*#b J 3"], xy: Float[Tensor, "*#b C J 2"]
) -> Float[Tensor, "*b C J"]:
    """Reprojection error in px; NaN where unseen or behind the camera."""
    return (project_pinhole(projections, points)[0] - xy).norm(dim=-1)


def _best_pair(
    projections: Float[Tensor, "*b C 3 4"],
    xy: Float[Tensor, "*b C J 2"],
    weight: Float[Tensor, "*b C J"],
    inlier_px: float,
) -> Float[Tensor, "*b J 3"]:
    """The point of that pair of views that has the least truncated error over all views; NaN where no pair has one."""
    pairs = view_pairs(projections.shape[-3]).to(xy.device).T
    if not len(pairs):
        return xy.new_full((*xy.shape[:-3], xy.shape[-2], 3), torch.nan)
    both = (weight[..., pairs, :] > 0).to(weight.dtype)
    points = triangulate_algebraic(projections[..., pairs, :, :], xy[..., pairs, :, :], both)
    error = _distance(projections[..., None, :, :, :], points, xy[..., None, :, :, :]) / inlier_px
    cost = torch.where(error < 1, error.square(), 1.0) * weight[..., None, :, :]
    total = torch.where(points.isnan().any(-1), torch.inf, cost.sum(-2))
    return torch.take_along_dim(points, total.argmin(-2, keepdim=True)[..., None], dim=-3).squeeze(-3)


class _Huber(NamedTuple):
    """Of points (*b, J, 3): the cost, its gradient, and the curvature of the re-weighted least squares."""

    cost: Float[Tensor, "*b J"]
    gradient: Float[Tensor, "*b J 3"]
    curvature: Float[Tensor, "*b J 3 3"]


def _huber(
    projections: Float[Tensor, "*b C 3 4"],
    xy: Float[Tensor, "*b C J 2"],
    weight: Float[Tensor, "*b C J"],
    points: Float[Tensor, "*b J 3"],
    huber_px: float,
) -> _Huber:
    projected, depth = project_pinhole(projections, points)
    residual = projected - xy
    length = residual.norm(dim=-1)
    used = (weight > 0) & ~length.isnan()
    cost = torch.where(length <= huber_px, length.square() / 2, huber_px * (length - huber_px / 2))
    cost = torch.where(weight > 0, torch.where(used, weight * cost, torch.inf), 0.0).sum(-2)
    pull = torch.where(used, weight * (huber_px / length.clamp(min=huber_px)), 0.0)
    jacobian = projections[..., None, :2, :3] - projected[..., None] * projections[..., None, 2:, :3]
    jacobian = torch.where(used[..., None, None], jacobian / depth[..., None, None], 0.0)
    residual = torch.where(used[..., None], residual, 0.0) * pull[..., None]
    gradient = (jacobian * residual[..., None]).sum((-4, -2))
    curvature = ((jacobian * pull[..., None, None]).mT @ jacobian).sum(-4)
    return _Huber(cost, gradient, curvature)


def _least_huber(
    projections: Float[Tensor, "*b C 3 4"],
    xy: Float[Tensor, "*b C J 2"],
    weight: Float[Tensor, "*b C J"],
    points: Float[Tensor, "*b J 3"],
    huber_px: float,
) -> Float[Tensor, "*b J 3"]:
    """Levenberg–Marquardt on re-weighted least squares, every point with its own damping; NaN stays NaN."""
    now = _huber(projections, xy, weight, points, huber_px)
    damping = torch.full_like(now.cost, 1e-3)
    for _ in range(REFINEMENT_STEPS):
        damped = now.curvature + torch.diag_embed(damping[..., None] * now.curvature.diagonal(dim1=-2, dim2=-1))
        step = torch.linalg.solve_ex(damped, now.gradient[..., None]).result[..., 0]
        trial = points - step
        then = _huber(projections, xy, weight, trial, huber_px)
        better = then.cost < now.cost
        points = torch.where(better[..., None], trial, points)
        damping = torch.where(better, damping * 0.1, damping * 10)
        now = _Huber(
            torch.where(better, then.cost, now.cost),
            torch.where(better[..., None], then.gradient, now.gradient),
            torch.where(better[..., None, None], then.curvature, now.curvature),
        )
    return points
