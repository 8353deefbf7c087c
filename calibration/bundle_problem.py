"""The cost of a state of cameras and board, and its quadratic model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from calibration.bundle_linear import Normal
from calibration.bundle_motion import MotionPrior, first_speed_cost, prior_terms
from calibration.bundle_parameters import Parameters
from calibration.bundle_state import CameraState, State
from calibration.bundle_views import BEHIND_PX, CameraViews, Predicted, cross_matrices, predict


@dataclass(frozen=True, eq=False)
class Kernel:
    """How residuals count. noise_px: of one coordinate; soft_px: Cauchy's scale, None for least squares; kept: (N,)
    corners that count at all."""

    noise_px: float
    soft_px: float | None
    kept: Bool[np.ndarray, "N"]

    def weights(self, squared_px: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """In [0, 1], of residuals by their squared length."""
        if self.soft_px is None:
            return np.ones_like(squared_px)
        return 1 / (1 + squared_px / self.soft_px**2)

    def costs(self, squared_px: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """In units of the noise's variance."""
        if self.soft_px is None:
            return squared_px / self.noise_px**2
        return (self.soft_px / self.noise_px) ** 2 * np.log1p(squared_px / self.soft_px**2)


@dataclass(frozen=True, eq=False)
class Problem:
    """Corners of all cameras, the numbers that change, and what ties the knots (None: nothing)."""

    views: tuple[CameraViews, ...]
    parameters: Parameters
    prior: MotionPrior | None
    kernel: Kernel

    def counting(self, kernel: Kernel) -> Problem:
        return replace(self, kernel=kernel)

    def tied(self, prior: MotionPrior) -> Problem:
        return replace(self, prior=prior)


@dataclass(frozen=True, eq=False)
class Linearised:
    """cost: of the state, in units of the noise; residual: (N, 2) px, NaN where nothing is predicted; motion_costs: of
    the prior's turn and shift."""

    cost: float
    residual: Float[np.ndarray, "N 2"]
    normal: Normal
    motion_costs: tuple[float, float] = (0.0, 0.0)


def linearise(problem: Problem, state: State) -> Linearised:
    """Cost and quadratic model at a state."""
    parameters, count = problem.parameters, len(state.knots)
    size = 6 if problem.prior is None else 12
    sums = _Sums(len(parameters), count, size)
    residual = np.full((len(problem.kernel.kept), 2), np.nan)
    for it, camera, columns in zip(problem.views, state.cameras, parameters.columns, strict=True):
        if len(it.views):
            predicted = _predict(it, camera, state, columns)
            residual[it.rows[predicted.valid]] = np.moveaxis(predicted.residual, 1, 2)[predicted.valid]
            _add_camera(sums, it, predicted, kernel=problem.kernel, columns=columns)
    cost, off = sums.cost, state.values(parameters) - parameters.mean
    pull = parameters.information @ off
    cost += float(off @ pull)
    beside, motion_costs = None, (0.0, 0.0)
    if problem.prior is None:
        # Without corners that count a knot would have no information at all; a billionth of a unit keeps it in place.
        sums.knots[:, range(6), range(6)] += 1e-9
    else:
        terms = prior_terms(problem.prior, state.knots)
        sums.knots += terms.diagonal
        sums.knot_gradient += terms.gradient
        beside, motion_costs = terms.beside, terms.costs
        cost += sum(terms.costs) + first_speed_cost(problem.prior, state.knots)
    normal = Normal(
        sums.cameras + parameters.information,
        sums.knots,
        beside,
        sums.mixed,
        sums.camera_gradient - pull,
        sums.knot_gradient,
    )
    return Linearised(cost, residual, normal, motion_costs)


class _Sums:
    """Information gathered camera by camera."""

    def __init__(self, numbers: int, knots: int, size: int) -> None:
        self.cost = 0.0
        self.cameras = np.zeros((numbers, numbers))
        self.camera_gradient = np.zeros(numbers)
        self.knots = np.zeros((knots, size, size))
        self.knot_gradient = np.zeros((knots, size))
        self.mixed = np.zeros((knots, size, numbers))


def _predict(it: CameraViews, camera: CameraState, state: State, columns: np.ndarray) -> Predicted:
    lens = slice(6, 6 + len(camera.lens))
    rolling = bool(columns[-1] >= 0 or camera.line_s)
    return predict(it, camera, state.knots, with_lens=bool((columns[lens] >= 0).any()), rolling=rolling)


def _add_camera(sums: _Sums, it: CameraViews, predicted: Predicted, *, kernel: Kernel, columns: np.ndarray) -> None:
    squared = (predicted.residual**2).sum(axis=1)
    kept = kernel.kept[it.rows] & it.filled
    counting = kept & predicted.valid
    sums.cost += float(kernel.costs(squared)[counting].sum())
    sums.cost += float(kernel.costs(np.array(BEHIND_PX**2))) * int((kept & ~predicted.valid).sum())
    weight = np.where(counting, kernel.weights(squared), 0.0) / kernel.noise_px**2
    flat = predicted.jacobian.reshape(*predicted.jacobian.shape[:2], -1)
    weighted = flat * np.concatenate([weight, weight], axis=1)[:, None]
    local = weighted @ np.swapaxes(flat, 1, 2)
    pull = weighted @ predicted.residual.reshape(len(squared), -1, 1)
    size = sums.knots.shape[1]
    own = len(columns)
    free = np.flatnonzero(columns >= 0)
    maps = predicted.maps[:, :, np.concatenate([free, np.arange(own, own + size)])]
    turned = np.swapaxes(maps, 1, 2)
    information = turned @ local @ maps
    gradient = (turned @ pull)[:, :, 0]
    at, n = columns[free], len(free)
    sums.cameras[np.ix_(at, at)] += information[:, :n, :n].sum(axis=0)
    sums.camera_gradient[at] += gradient[:, :n].sum(axis=0)
    _scatter(sums.knots, it.knot, information[:, n:, n:])
    _scatter(sums.knot_gradient, it.knot, gradient[:, n:])
    mixed = np.zeros((len(it.knot), size, sums.mixed.shape[2]))
    mixed[:, :, at] = information[:, n:, :n]
    _scatter(sums.mixed, it.knot, mixed)


def _scatter(target: np.ndarray, at: np.ndarray, values: np.ndarray) -> None:
    """target[at] += values, where an index may occur twice."""
    order = np.argsort(at, kind="stable")
    firsts = np.flatnonzero(np.diff(at[order], prepend=-1))
    if len(firsts) == len(at):
        target[at] += values
    else:
        target[at[order][firsts]] += np.add.reduceat(values[order], firsts, axis=0)


def gauge_directions(parameters: Parameters, state: State, distance_m: float) -> Float[np.ndarray, "P G"]:
    """Orthonormal directions, in the metric of `gauge_metric`, that change nothing that was seen: turning and shifting
    everything, and a common offset of all clocks. None when cameras are held."""
    columns = []
    free = [i for i, own in enumerate(parameters.columns) if own[0] >= 0]
    middle = np.mean([state.cameras[i].center for i in free], axis=0) if free else np.zeros(3)
    if free:
        whole = np.zeros((len(parameters), 6))
        for i in free:
            camera, at = state.cameras[i], parameters.columns[i][:6]
            whole[at[:3], :3] = -camera.R
            whole[at[3:], :3] = -cross_matrices(camera.center - middle)
            whole[at[3:], 3:] = np.eye(3)
        columns.append(whole)
    clocks = [own[-2] for own in parameters.columns if own[-2] >= 0]
    if clocks:
        common = np.zeros((len(parameters), 1))
        common[clocks] = 1
        columns.append(common)
    if not columns:
        return np.zeros((len(parameters), 0))
    directions = np.concatenate(columns, axis=1)
    weight = np.sqrt(gauge_metric(parameters, distance_m))[:, None]
    return np.linalg.qr(directions * weight)[0] / weight


def gauge_metric(parameters: Parameters, distance_m: float) -> Float[np.ndarray, "P"]:
    """What a rig is compared by: metres of its cameras, and radians by the metres they make at the board's distance."""
    metric = np.ones(len(parameters))
    for own in parameters.columns:
        if own[0] >= 0:
            metric[own[:3]] = distance_m**2
    return metric
