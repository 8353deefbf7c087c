"""The cost of a state of cameras and board, and its quadratic model."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.bundle_linear import Normal
from calibration.bundle_motion import MotionPrior, first_speed_cost, prior_terms
from calibration.bundle_parameters import LINE, OFFSET, Parameters
from calibration.bundle_placing import Placed, on_back, place_moving, place_still
from calibration.bundle_state import CameraState, Knots, State
from calibration.bundle_views import BEHIND_PX, CameraViews, Predicted, predict
from calibration.rotation_vectors import cross_matrices

MEDIAN_LENGTH = float(np.sqrt(2 * np.log(2)))
"""Median length of a 2D error whose coordinates have unit deviation (Rayleigh)."""

LEAST_NOISE_PX = 1e-4
"""Corners without any noise, as tests make them, still have the rounding of their arithmetic."""


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
    """Corners of all cameras, the numbers that change, what ties the knots (None: nothing), and the deviation of the
    times of views (None: they are exact)."""

    views: tuple[CameraViews, ...]
    parameters: Parameters
    prior: MotionPrior | None
    kernel: Kernel
    jitter_s: float | None = None

    def counting(self, kernel: Kernel) -> Problem:
        return replace(self, kernel=kernel)

    def tied(self, prior: MotionPrior) -> Problem:
        return replace(self, prior=prior)


@dataclass(frozen=True, eq=False)
class Lateness:
    """Of each view of a camera: information about its time and its downhill gradient, and how these depend on the
    camera's free numbers (at `columns` of all) and those of its knot. The normal equations have it eliminated."""

    information: Float[np.ndarray, "V"]
    gradient: Float[np.ndarray, "V"]
    by_camera: Float[np.ndarray, "V n"]
    by_knot: Float[np.ndarray, "V D"]
    columns: Int[np.ndarray, "n"]
    placed: Placed

    def steps(self, step: Float[np.ndarray, "P"], knot_step: Float[np.ndarray, "K D"]) -> Float[np.ndarray, "V"]:
        """The views' own steps that belong to steps of camera and knots."""
        knots = knot_step[self.placed.first]
        if self.by_knot.shape[1] > knots.shape[1]:
            knots = np.concatenate([knots, knot_step[self.placed.second]], axis=1)
        there = self.by_camera @ step[self.columns] + (self.by_knot * knots).sum(axis=1)
        return (self.gradient - there) / self.information


@dataclass(frozen=True, eq=False)
class Linearised:
    """cost: of the state, in units of the noise; residual: (N, 2) px, NaN where nothing is predicted; motion_costs: of
    the prior's turn and shift; lateness: per camera, None where times are exact."""

    cost: float
    residual: Float[np.ndarray, "N 2"]
    normal: Normal
    motion_costs: tuple[float, float]
    lateness: tuple[Lateness | None, ...]

    @property
    def late_gain(self) -> float:
        """What the times of the views alone promise to gain."""
        return float(sum((it.gradient**2 / it.information).sum() for it in self.lateness if it is not None))


def linearise(problem: Problem, state: State) -> Linearised:
    """Cost and quadratic model at a state."""
    parameters, count = problem.parameters, len(state.knots)
    size = 6 if problem.prior is None else 12
    sums = _Sums(len(parameters), count, size)
    residual = np.full((len(problem.kernel.kept), 2), np.nan)
    lateness: list[Lateness | None] = []
    places = placed_cameras(problem, state)
    for it, camera, columns, placed in zip(problem.views, state.cameras, parameters.columns, places, strict=True):
        if len(it.views):
            predicted = predicted_views(it, camera, placed, columns)
            residual[it.rows[predicted.valid]] = np.moveaxis(predicted.residual, 1, 2)[predicted.valid]
            felt = _felt(sums, it, predicted, problem.kernel)
            maps = _of_free(predicted.maps, columns)
            late = None
            if problem.jitter_s is not None and camera.late_s is not None:
                by_time = np.where(it.timed[:, None], 0.0, predicted.maps[:, :, len(columns) + OFFSET])
                time = _eliminate_time(felt, by_time, camera.late_s, problem.jitter_s)
                late = _lateness(time, maps, columns, placed)
                sums.cost += float((camera.late_s**2).sum()) / problem.jitter_s**2
            lateness.append(late)
            _add_camera(sums, _mapped(felt, maps, columns), placed)
        else:
            lateness.append(None)
    cost, off = sums.cost, state.values(parameters) - parameters.mean
    pull = parameters.information @ off
    cost += float(off @ pull)
    motion_costs = _add_motion(sums, problem, state.knots)
    cost += sums.motion_cost
    normal = Normal(
        sums.cameras + parameters.information,
        sums.knots,
        None if problem.prior is None else sums.beside,
        sums.mixed,
        sums.camera_gradient - pull,
        sums.knot_gradient,
    )
    return Linearised(cost, residual, normal, motion_costs, tuple(lateness))


def own_noise_px(problem: Problem, state: State) -> float:
    """Noise of a coordinate by what remains when every view is given a pose of its own, near the state's.

    The residuals of each view without their part along changes of its pose; median over corners.
    """
    lengths = []
    for it, camera in zip(problem.views, state.cameras, strict=True):
        if not len(it.views):
            continue
        predicted = predict(it, camera, placed_views(problem, it, camera, state.knots), with_lens=False, rolling=False)
        kept = problem.kernel.kept[it.rows] & it.filled & predicted.valid
        both = np.concatenate([kept, kept], axis=1)
        wide = np.swapaxes(predicted.jacobian.reshape(len(it.views), 6, -1) * both[:, None], 1, 2)
        residual = predicted.residual.reshape(len(it.views), -1) * both
        basis = np.linalg.qr(wide)[0]
        own = residual - (basis @ (np.swapaxes(basis, 1, 2) @ residual[:, :, None]))[:, :, 0]
        free = 1 - 3 / np.maximum(kept.sum(axis=1), 4)
        scaled = own.reshape(residual.shape[0], 2, -1) / np.sqrt(free)[:, None, None]
        lengths.append(np.linalg.norm(scaled, axis=1)[kept])
    return max(float(np.median(np.concatenate(lengths))) / MEDIAN_LENGTH, LEAST_NOISE_PX)


class _Sums:
    """Information gathered camera by camera."""

    def __init__(self, numbers: int, knots: int, size: int) -> None:
        self.cost = 0.0
        self.motion_cost = 0.0
        self.cameras = np.zeros((numbers, numbers))
        self.camera_gradient = np.zeros(numbers)
        self.knots = np.zeros((knots, size, size))
        self.knot_gradient = np.zeros((knots, size))
        self.beside = np.zeros((max(knots - 1, 0), size, size))
        self.mixed = np.zeros((knots, size, numbers))


def _add_motion(sums: _Sums, problem: Problem, knots: Knots) -> tuple[float, float]:
    """What is known of the motion beforehand; the costs of its turn and shift."""
    # Without corners that count a knot would have no information at all; a deviation of 30 m keeps it in place.
    sums.knots[:, range(6), range(6)] += 1e-3
    if problem.prior is None:
        return 0.0, 0.0
    terms = prior_terms(problem.prior, knots)
    sums.knots += terms.diagonal
    sums.knot_gradient += terms.gradient
    sums.beside += terms.beside
    sums.motion_cost = sum(terms.costs) + first_speed_cost(problem.prior, knots)
    return terms.costs


def placed_views(problem: Problem, it: CameraViews, camera: CameraState, knots: Knots) -> Placed:
    """Where the board was in every view of a camera."""
    if problem.prior is None:
        placed = place_still(knots, it.row)
    else:
        placed = place_moving(knots, it.row, it.time_s + camera.delay_s)
    return on_back(placed, camera, it.back) if it.back.any() else placed


def placed_cameras(problem: Problem, state: State) -> tuple[Placed, ...]:
    """Where the board was in all views of each camera, in one go."""
    if problem.prior is None:
        return tuple(
            placed_views(problem, *pair, state.knots) for pair in zip(problem.views, state.cameras, strict=True)
        )
    pairs = list(zip(problem.views, state.cameras, strict=True))
    row = np.concatenate([it.row for it, _ in pairs])
    time = np.concatenate([it.time_s + camera.delay_s for it, camera in pairs])
    ends = np.cumsum([len(it.row) for it, _ in pairs])[:-1]
    split = place_moving(state.knots, row, time).split(ends)
    return tuple(
        on_back(placed, camera, it.back) if it.back.any() else placed
        for placed, (it, camera) in zip(split, pairs, strict=True)
    )


def predicted_views(it: CameraViews, camera: CameraState, placed: Placed, columns: np.ndarray) -> Predicted:
    """What a state predicts of a camera, with derivatives by what changes of it."""
    lens = slice(6, 6 + len(camera.lens))
    rolling = bool(columns[LINE] >= 0 or camera.line_s)
    return predict(it, camera, placed, with_lens=bool((columns[lens] >= 0).any()), rolling=rolling)


@dataclass(eq=False)
class _Felt:
    """Information about the L local numbers of each view and their downhill gradient."""

    information: Float[np.ndarray, "V L L"]
    gradient: Float[np.ndarray, "V L"]


def _felt(sums: _Sums, it: CameraViews, predicted: Predicted, kernel: Kernel) -> _Felt:
    squared = (predicted.residual**2).sum(axis=1)
    kept = kernel.kept[it.rows] & it.filled
    counting = kept & predicted.valid
    sums.cost += float(kernel.costs(squared)[counting].sum())
    sums.cost += float(kernel.costs(np.full(1, BEHIND_PX**2))[0]) * int((kept & ~predicted.valid).sum())
    weight = np.where(counting, kernel.weights(squared), 0.0) / kernel.noise_px**2
    flat = predicted.jacobian.reshape(*predicted.jacobian.shape[:2], -1)
    weighted = (predicted.jacobian * weight[:, None, None]).reshape(flat.shape)
    pull = weighted @ predicted.residual.reshape(len(squared), -1, 1)
    return _Felt(weighted @ np.swapaxes(flat, 1, 2), pull[:, :, 0])


@dataclass(frozen=True, eq=False)
class _Time:
    """Of each view: information about its time and downhill gradient, and how the local numbers change it."""

    information: Float[np.ndarray, "V"]
    gradient: Float[np.ndarray, "V"]
    by_local: Float[np.ndarray, "V L"]


def _eliminate_time(felt: _Felt, by_time: Float[np.ndarray, "V L"], late_s: np.ndarray, jitter_s: float) -> _Time:
    """Takes the time of each view out of what is felt: a Schur complement of one number, on the local numbers, since a
    time changes them alone. by_time: how, zeros where the time is believed; late_s: lateness so far, jitter_s: its
    deviation."""
    across = (felt.information @ by_time[:, :, None])[:, :, 0]
    own = (across * by_time).sum(axis=1) + jitter_s**-2
    believed = ~by_time.any(axis=1)
    pull = np.where(believed, 0.0, (felt.gradient * by_time).sum(axis=1) - late_s / jitter_s**2)
    scaled = across / own[:, None]
    felt.gradient -= scaled * pull[:, None]
    felt.information -= across[:, :, None] * scaled[:, None]
    return _Time(own, pull, across)


def _lateness(time: _Time, maps: np.ndarray, columns: np.ndarray, placed: Placed) -> Lateness:
    free = columns[columns >= 0]
    by_numbers = (time.by_local[:, None] @ maps)[:, 0]
    return Lateness(
        time.information, time.gradient, by_numbers[:, : len(free)], by_numbers[:, len(free) :], free, placed
    )


def _of_free(maps: Float[np.ndarray, "V L m"], columns: Int[np.ndarray, "own"]) -> Float[np.ndarray, "V L n"]:
    """The columns of the camera's numbers that change, and of the knots."""
    chosen = np.concatenate([np.flatnonzero(columns >= 0), np.arange(len(columns), maps.shape[2])])
    return np.take(maps, chosen, axis=2)  # indexing would lay it out the other way round, which costs time


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Per view the information about the camera's n free numbers (`columns` of all) and its knots' D."""

    information: Float[np.ndarray, "V N N"]
    gradient: Float[np.ndarray, "V N"]
    columns: Int[np.ndarray, "n"]


def _mapped(felt: _Felt, maps: Float[np.ndarray, "V L N"], columns: Int[np.ndarray, "own"]) -> _Blocks:
    turned = np.swapaxes(maps, 1, 2)
    gradient = (felt.gradient[:, None] @ maps)[:, 0]
    return _Blocks(turned @ (felt.information @ maps), gradient, columns[columns >= 0])


def _add_camera(sums: _Sums, blocks: _Blocks, placed: Placed) -> None:
    at, n, size = blocks.columns, len(blocks.columns), sums.knots.shape[1]
    camera, information = slice(0, n), blocks.information
    sums.cameras[np.ix_(at, at)] += information[:, camera, camera].sum(axis=0)
    sums.camera_gradient[at] += blocks.gradient[:, camera].sum(axis=0)
    ends = [(placed.first, slice(n, n + size))]
    if size == 12:
        ends.append((placed.second, slice(n + size, n + 2 * size)))
        tied = placed.second > placed.first
        _Places(placed.first[tied]).add(sums.beside, information[tied, ends[0][1], ends[1][1]])
    for knot, part in ends:
        places = _Places(knot)
        places.add(sums.knots, information[:, part, part])
        places.add(sums.knot_gradient, blocks.gradient[:, part])
        if n:
            _add_mixed(sums.mixed, places, at, information[:, part, camera])


def _add_mixed(target: np.ndarray, places: _Places, at: np.ndarray, values: np.ndarray) -> None:
    """Without a table as wide as the target where the camera's numbers stand together."""
    if at[-1] - at[0] + 1 == len(at):
        places.add(target[:, :, at[0] : at[-1] + 1], values)
    else:
        wide = np.zeros((*values.shape[:2], target.shape[2]))
        wide[:, :, at] = values
        places.add(target, wide)


class _Places:
    """Where to add values that belong to the places `at`, some of which may be the same."""

    def __init__(self, at: Int[np.ndarray, "n"]) -> None:
        self._order = np.argsort(at, kind="stable")
        ordered = at[self._order]
        self._firsts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(at) else ordered
        self._at = at if len(self._firsts) == len(at) else ordered[self._firsts]

    def add(self, target: np.ndarray, values: np.ndarray) -> None:
        if len(self._firsts) == len(values):
            target[self._at] += values
        else:
            target[self._at] += np.add.reduceat(values[self._order], self._firsts, axis=0)


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
    clocks = [own[OFFSET] for own in parameters.columns if own[OFFSET] >= 0]
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
