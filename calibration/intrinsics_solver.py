"""Least squares over the numbers of one lens and the poses of its views.

Levenberg–Marquardt with analytic derivatives; the poses (6 numbers a view) are eliminated by the Schur complement, so
that a step costs one pass over the corners and one system of the lens's size. Nothing depends on an order of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from calibration.board_motion import rotvecs_to_matrices
from calibration.intrinsics_model import project, project_with_jacobians
from calibration.intrinsics_views import ViewTable
from calibration.lenses import Lens

DAMPING = 1e-4
TINY = 1e-30
"""Keeps a view solvable that no corner is left of; nothing beside what one corner says of a pose."""

SHORTEST_FOCAL = 0.05
"""Of the width of the picture; a step to a shorter focal length is refused."""


@dataclass(frozen=True)
class Effort:
    """When to stop: after so many steps, or when one lowers the cost by a smaller share than that."""

    steps: int
    share: float


THOROUGH = Effort(30, 1e-9)
"""Another step would change no number by a thousandth of its deviation."""

ROUGH = Effort(8, 1e-5)
"""For fits that are only a start, or compared with others to a hundredth of their error."""


@dataclass(frozen=True, eq=False)
class WeakPrior:
    """A normal distribution in numbers of the lens: mean and information (inverse covariance, px^-2 ...)."""

    mean: Float[np.ndarray, "P"]
    information: Float[np.ndarray, "P"]


@dataclass(frozen=True, eq=False)
class LensFit:
    """Numbers of a lens and poses of views, cam_from_board."""

    lens: Lens
    parameters: Float[np.ndarray, "P"]
    R: Float[np.ndarray, "V 3 3"]
    t: Float[np.ndarray, "V 3"]


@dataclass(frozen=True, eq=False)
class Linearised:
    """Normal equations of a fit: `information` (V, P, P) and `gradient` (V, P) of every view with its pose eliminated.

    cost: half the weighted sum of squares without the prior, px². back: (V, 6, P) and toward: (V, 6) give the step of a
    pose, toward - back @ step.
    """

    cost: float
    information: Float[np.ndarray, "V P P"]
    gradient: Float[np.ndarray, "V P"]
    back: Float[np.ndarray, "V 6 P"]
    toward: Float[np.ndarray, "V 6"]


def residuals(table: ViewTable, fit: LensFit) -> Float[np.ndarray, "V K 2"]:
    """px, where corners are projected minus where they were seen; 0 where there is no corner."""
    there = table.points @ np.swapaxes(fit.R, -1, -2) + fit.t[:, None]
    off = project(there, fit.parameters, fit.lens) - table.xy
    return np.where(table.present[..., None], off, 0.0)


def distances(table: ViewTable, fit: LensFit) -> Float[np.ndarray, "V K"]:
    """px, lengths of the residuals; infinite for corners that the lens does not image."""
    return np.nan_to_num(np.linalg.norm(residuals(table, fit), axis=-1), nan=np.inf, posinf=np.inf)


def cost_of(table: ViewTable, fit: LensFit) -> float:
    """Half the weighted sum of squares, px²; infinite where a corner is not imaged."""
    counted = table.weight > 0
    cost = 0.5 * float((table.weight[counted, None] * residuals(table, fit)[counted] ** 2).sum())
    return cost if np.isfinite(cost) else np.inf


def linearise(table: ViewTable, fit: LensFit, damping: float = 0.0) -> Linearised:
    """The normal equations; `damping` is relative to the diagonal, for the poses."""
    off, by_pose, by_lens = _weighted_derivatives(table, fit)
    shape = (len(table), -1)
    pose, lens = by_pose.reshape(*shape, 6), by_lens.reshape(*shape, by_lens.shape[-1])
    flat = off.reshape(*shape, 1)
    pose_t, lens_t = np.swapaxes(pose, -1, -2), np.swapaxes(lens, -1, -2)
    normal = pose_t @ pose
    diagonal = np.arange(6)
    normal[:, diagonal, diagonal] = normal[:, diagonal, diagonal] * (1 + damping) + TINY
    mixed = np.concatenate([pose_t @ lens, -(pose_t @ flat)], axis=-1)
    solved = np.linalg.solve(normal, mixed)
    back, toward = solved[..., :-1], solved[..., -1]
    cross = np.swapaxes(mixed[..., :-1], -1, -2)
    information = lens_t @ lens - cross @ back
    gradient = (lens_t @ flat)[..., 0] + (cross @ toward[..., None])[..., 0]
    return Linearised(0.5 * float((off**2).sum()), information, gradient, back, toward)


def _weighted_derivatives(table: ViewTable, fit: LensFit) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Residuals (V, K, 2) and their derivatives by pose (V, K, 2, 6) and lens (V, K, 2, P), times the root of the
    weight; zeros where nothing counts."""
    turned = table.points @ np.swapaxes(fit.R, -1, -2)
    px, by_point, by_lens = project_with_jacobians(turned + fit.t[:, None], fit.parameters, fit.lens)
    counted = table.weight > 0
    root = np.sqrt(np.where(counted, table.weight, 0.0))[..., None]
    off = px - table.xy
    for columns in (off[..., None], by_point, by_lens):
        columns *= root[..., None]
        if not np.isfinite(columns).all():
            columns[~counted] = 0.0
    by_pose = np.concatenate([_cross(turned[:, :, None], by_point), by_point], axis=-1)
    return off, by_pose, by_lens


def corner_gradients(table: ViewTable, fit: LensFit, at: Linearised) -> Float[np.ndarray, "V K P"]:
    """What each corner adds to the gradient of its view when the view's pose follows the lens."""
    off, by_pose, by_lens = _weighted_derivatives(table, fit)
    following = by_lens - by_pose @ at.back[:, None]
    return (np.swapaxes(following, -1, -2) @ off[..., None])[..., 0]


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """`np.cross` along the last axis, in a third of its time."""
    (a, b, c), (x, y, z) = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x], axis=-1)


def moved(fit: LensFit, step: Float[np.ndarray, "P"], pose_step: Float[np.ndarray, "V 6"]) -> LensFit:
    """The fit after a step: numbers add, rotations are multiplied by exp(w) from the left."""
    return LensFit(
        fit.lens, fit.parameters + step, rotvecs_to_matrices(pose_step[:, :3]) @ fit.R, fit.t + pose_step[:, 3:]
    )


def solve(
    table: ViewTable,
    fit: LensFit,
    prior: WeakPrior,
    *,
    noise_px: float | int,
    free: Bool[np.ndarray, "P"] | None = None,
    effort: Effort = THOROUGH,
) -> LensFit:
    """The least squares of sum w |residual|² + noise² |number - mean|² information, from a start that images every
    corner. Numbers that are not `free` stay as they are."""
    free = np.ones(len(fit.parameters), dtype=bool) if free is None else free
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # such steps are refused by their cost
        return _descend(table, fit, prior, (noise_px, free, effort))


def _descend(table: ViewTable, fit: LensFit, prior: WeakPrior, how: tuple[float | int, np.ndarray, Effort]) -> LensFit:
    noise_px, free, effort = how
    pull = np.where(free, prior.information * float(noise_px) ** 2, 0.0)
    damping, cost = DAMPING, _total(table, fit, prior, pull)
    for _ in range(effort.steps):
        trial, damping = _step(table, fit, (prior, pull, free), damping)
        after = _total(table, trial, prior, pull) if trial is not None else np.inf
        if trial is None or after >= cost:
            if damping > 1e8:
                break
            damping *= 8
            continue
        gained, fit, cost, damping = cost - after, trial, after, max(damping / 10, 1e-12)
        if gained <= effort.share * max(cost, 1e-20):
            break
    return fit


def _total(table: ViewTable, fit: LensFit, prior: WeakPrior, pull: np.ndarray) -> float:
    if fit.parameters[:2].min() < SHORTEST_FOCAL * table.image_size[0]:
        return np.inf
    return cost_of(table, fit) + 0.5 * float((pull * (fit.parameters - prior.mean) ** 2).sum())


def _step(
    table: ViewTable, fit: LensFit, terms: tuple[WeakPrior, np.ndarray, np.ndarray], damping: float
) -> tuple[LensFit | None, float]:
    prior, pull, free = terms
    at = linearise(table, fit, damping)
    information = at.information.sum(axis=0) + np.diag(pull)
    gradient = at.gradient.sum(axis=0) + pull * (fit.parameters - prior.mean)
    step = np.zeros_like(fit.parameters)
    if free.any():
        some = information[np.ix_(free, free)]
        scale = 1 / np.sqrt(np.maximum(np.diag(some), 1e-30))
        scaled = some * scale[:, None] * scale + damping * np.eye(int(free.sum()))
        step[free] = -scale * np.linalg.solve(scaled, scale * gradient[free])
    if not np.isfinite(step).all():
        return None, damping
    return moved(fit, step, at.toward - (at.back @ step)), damping
