"""Points in space that minimise a robust reprojection error, for any number of points at once.

Convention: px (*batch, C, 2) distorted, weight (*batch, C) >= 0; a view with a NaN pixel or weight 0 has not seen the
point. The cost of a point is the sum over views of weight x rho(|reprojection error|² / scale_px²). World metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mocap.geometry.projection import CameraTensors, project_with_jacobian

Kernel = Literal["l2", "cauchy", "geman_mcclure"]

FIRST_DAMPING = 1e-3
LAST_DAMPING = 1e6
"""Where no step downhill is found even at this damping the point stays: it is at a minimum to rounding."""
LEAST_CURVATURE = 0.1
"""Share of the re-weighted curvature that the second-order correction leaves along a residual, to stay positive.
On the four-camera trial 0, 0.1 and 0.3 need equally many steps; without the correction it takes three times as many."""


def seen_views(px: Float[Tensor, "*batch C 2"], weight: Float[Tensor, "*batch C"]) -> Bool[Tensor, "*batch C"]:
    """Where a view has a pixel and a positive weight."""
    return (weight > 0) & ~px.isnan().any(-1)


def robust_cost(squared: Float[Tensor, "*batch"], kernel: Kernel) -> Float[Tensor, "*batch"]:
    """rho(s): s, log(1 + s) (Cauchy) or s / (1 + s) (Geman & McClure 1985); NaN (behind a camera) costs the most."""
    squared = torch.where(squared.isnan(), torch.inf, squared)
    if kernel == "l2":
        return squared
    return torch.log1p(squared) if kernel == "cauchy" else 1 - 1 / (1 + squared)


def robust_weight(squared: Float[Tensor, "*batch"], kernel: Kernel) -> Float[Tensor, "*batch"]:
    """d rho / d s, the weight of iteratively re-weighted least squares; 0 for NaN and infinity."""
    falloff = {"l2": 0, "cauchy": 1, "geman_mcclure": 2}[kernel]
    return torch.where(squared.isfinite(), (1 + squared) ** -falloff, 0.0)


def _robust_bend(squared: Tensor, kernel: Kernel) -> Tensor:
    """d² rho / d s²."""
    if kernel == "l2":
        return torch.zeros_like(squared)
    bend = -((1 + squared) ** -2) if kernel == "cauchy" else -2 * (1 + squared) ** -3
    return torch.where(squared.isfinite(), bend, 0.0)


@dataclass(frozen=True)
class Refinement:
    """The kernel, and when to stop: a point leaves the batch when its step is shorter than `step_tolerance_m`."""

    kernel: Kernel = "l2"
    iterations: int = 20
    step_tolerance_m: float = 1e-5


LEAST_SQUARES = Refinement()


@dataclass(frozen=True, eq=False)
class _Problem:
    cameras: CameraTensors
    px: Float[Tensor, "N C 2"]
    weight: Float[Tensor, "N C"]
    scale_px: Float[Tensor, "N C"]
    kernel: Kernel

    def rows(self, index: Int[Tensor, "n"]) -> _Problem:
        return _Problem(self.cameras, self.px[index], self.weight[index], self.scale_px[index], self.kernel)


class _Fit(NamedTuple):
    """xyz, its cost, and residuals and Jacobians in units of scale_px (0 where unseen or behind a camera)."""

    xyz: Float[Tensor, "N 3"]
    cost: Float[Tensor, "N"]
    squared: Float[Tensor, "N C"]
    residual: Float[Tensor, "N C 2"]
    jacobian: Float[Tensor, "N C 2 3"]


def refine_reprojection(
    cameras: CameraTensors,
    px: Float[Tensor, "*batch C 2"],
    weight: Float[Tensor, "*batch C"],
    start: Float[Tensor, "*batch 3"],
    *,
    scale_px: Float[Tensor, "*batch C"],
    how: Refinement = LEAST_SQUARES,
) -> tuple[Float[Tensor, "*batch 3"], Float[Tensor, "*batch 3 3"]]:
    """Levenberg–Marquardt on the distorted reprojection error: points and their covariance (m²).

    Every point has its own damping and 3x3 normal equations with analytic Jacobians, and leaves the batch when its step
    falls below the tolerance. The covariance assumes a standard deviation of scale_px / sqrt(weight x kernel weight) in
    x and y. A NaN start stays NaN; singular normal equations (rays that fix no point) give a NaN covariance. Without
    gradient.
    """
    n_cameras = len(cameras)
    with torch.no_grad():
        flat_px, flat_start = px.reshape(-1, n_cameras, 2), start.reshape(-1, 3)
        weight = torch.where(seen_views(px, weight), weight, 0.0).reshape(-1, n_cameras)
        problem = _Problem(cameras, flat_px, weight, scale_px.expand(px.shape[:-1]).reshape(-1, n_cameras), how.kernel)
        xyz = _minimise(problem, flat_start, how)
        covariance = _inverse(_curvature(problem, _fit(problem, xyz)))
    return xyz.reshape(start.shape), covariance.reshape(*start.shape, 3)


def _minimise(problem: _Problem, start: Float[Tensor, "N 3"], how: Refinement) -> Float[Tensor, "N 3"]:
    found = start.clone()
    index = torch.nonzero(~start.isnan().any(-1))[:, 0]
    now = problem.rows(index)
    fit, damping = _fit(now, start[index]), torch.full_like(start[index, 0], FIRST_DAMPING)
    for _ in range(how.iterations):
        if not len(index):
            break
        step = _step(now, fit, damping)
        trial = _fit(now, fit.xyz - step)
        better = trial.cost < fit.cost
        fit = _Fit(*(torch.where(better.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(trial, fit, strict=True)))
        found[index] = fit.xyz
        damping = torch.where(better, damping * 0.1, damping * 10.0)
        open_ = torch.nonzero((step.norm(dim=-1) > how.step_tolerance_m) & (damping < LAST_DAMPING))[:, 0]
        if len(open_) < len(index):
            index, damping, now = index[open_], damping[open_], now.rows(open_)
            fit = _Fit(*(array[open_] for array in fit))
    return found


def _fit(problem: _Problem, xyz: Float[Tensor, "N 3"]) -> _Fit:
    projected, jacobian = project_with_jacobian(problem.cameras, xyz)
    residual = (projected - problem.px) / problem.scale_px[..., None]
    squared = residual[..., 0].square() + residual[..., 1].square()  # a sum over an axis of two is slow
    cost = torch.where(problem.weight > 0, problem.weight * robust_cost(squared, problem.kernel), 0.0).sum(-1)
    blind = squared.isnan()[..., None]
    jacobian = jacobian / problem.scale_px[..., None, None]
    return _Fit(xyz, cost, squared, torch.where(blind, 0.0, residual), torch.where(blind[..., None], 0.0, jacobian))


def _step(problem: _Problem, fit: _Fit, damping: Float[Tensor, "N"]) -> Float[Tensor, "N 3"]:
    """Newton step with Triggs' second-order term (Triggs et al. 2000, 4.3), damped by Marquardt's diagonal."""
    first = robust_weight(fit.squared, problem.kernel)
    pull = fit.jacobian[..., 0, :] * fit.residual[..., :1] + fit.jacobian[..., 1, :] * fit.residual[..., 1:]
    gradient = (pull * (problem.weight * first)[..., None]).sum(-2)
    steepest = (LEAST_CURVATURE - 1) * first / fit.squared.clamp(min=1e-12)
    second = torch.where(
        fit.squared.isfinite(), torch.maximum(2 * _robust_bend(fit.squared, problem.kernel), steepest), 0
    )
    normal = _curvature(problem, fit) + (pull * (problem.weight * second)[..., None]).mT @ pull
    damped = normal + torch.diag_embed(damping[..., None] * normal.diagonal(dim1=-2, dim2=-1))
    step = torch.linalg.solve_ex(damped, gradient[..., None]).result[..., 0]
    return torch.where(step.isfinite().all(-1, keepdim=True), step, 0.0)


def _curvature(problem: _Problem, fit: _Fit) -> Float[Tensor, "N 3 3"]:
    """Normal equations of the re-weighted least squares."""
    weight = problem.weight * robust_weight(fit.squared, problem.kernel)
    return (fit.jacobian * weight[..., None, None]).flatten(-3, -2).mT @ fit.jacobian.flatten(-3, -2)


def _inverse(matrix: Float[Tensor, "N 3 3"]) -> Float[Tensor, "N 3 3"]:
    """NaN where singular."""
    inverse, info = torch.linalg.inv_ex(matrix)
    return torch.where((info != 0)[..., None, None], torch.nan, inverse)
