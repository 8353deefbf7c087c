"""Bundle adjustment of cameras, their lenses and a moving board."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from calibration.board_motion import BoardMotion
from calibration.bundle_linear import solve
from calibration.bundle_motion import motion_prior, with_speeds
from calibration.bundle_noise import (
    LEAST_NOISE_PX,
    MEDIAN_LENGTH,
    learn_accelerations,
    learn_jitter,
    mean_noise_px,
    robust_noise_px,
)
from calibration.bundle_parameters import Parameters, choose_parameters
from calibration.bundle_problem import Kernel, Problem, gauge_directions, linearise, placed_views
from calibration.bundle_result import BundleConfig, BundleResult
from calibration.bundle_solver import Descent, descend, scaled_gauge, viewing_distance
from calibration.bundle_state import Knots, State, camera_states, rig_from
from calibration.bundle_views import lay_out
from calibration.camera import Rig
from calibration.errors import CalibrationError
from calibration.intrinsics_prior import IntrinsicsPrior
from calibration.observations import BoardObservations
from calibration.transforms import RigidTransform

__all__ = ["BundleConfig", "BundleResult", "bundle_adjust"]

PLAIN = BundleConfig()
NOTHING_KNOWN: Mapping[str, IntrinsicsPrior] = MappingProxyType({})

SOFT_PX = 1.0
GATE_PX = 1.0
"""Less than a pixel off is no outlier, however exact the corners are: blur and bent boards do that, and wrong clocks do
until they are known."""

SOFT = 2.0
"""Cauchy's scale while the solution is far, in medians of the residuals."""

STARTING_JITTER_S = 0.005
"""What times of pictures are off by before anything is known of them."""

FEWEST_VIEWS_OF_A_SIDE = 8
"""Fewer say too little of where the print on that side lies."""

ROUNDS = 4
ITERATIONS = 12
ENOUGH = 3e-4
SAME_KEPT = 1e-3
SAME_NOISE = 0.01
SAME_Q = 0.1
"""Rounds end when fewer corners than this share change sides, and noise and accelerations change by less."""


def bundle_adjust(
    rig: Rig,
    motion: BoardMotion,
    observations: BoardObservations,
    config: BundleConfig = PLAIN,
    priors: Mapping[str, IntrinsicsPrior] = NOTHING_KNOWN,
) -> BundleResult:
    """Cameras, lenses and board motion under which the corners lie where they were seen.

    rig, motion: a start, good to some tens of pixels. priors: what is known of lenses from other pictures than these;
    knowledge from the same pictures would count them twice.
    """
    began = time.perf_counter()
    _check(rig, motion, observations, config)
    ordered = rig.subset(observations.cameras)
    config = _settled(config, observations)
    back = views_of_back(ordered, motion, observations)
    parameters = choose_parameters(ordered, observations, config, priors=priors, two_sided=_two_sided(back, config))
    work = _Work(ordered, motion, observations, config, parameters, back)
    problem, near = _approach(*work.start(), config)
    problem, final, iterations = _refine(work, problem, near)
    return _result(work, problem, final, names=rig.names, timing=(began, iterations))


@dataclass(frozen=True, eq=False)
class _Work:
    """What stays the same throughout."""

    rig: Rig
    motion: BoardMotion
    observations: BoardObservations
    config: BundleConfig
    parameters: Parameters
    back: np.ndarray

    @property
    def continuous(self) -> bool:
        return _continuous(self.observations, self.config)

    def start(self) -> tuple[Problem, State]:
        """The problem as it is given, every corner counting alike."""
        it, old = self.observations, self.motion
        kernel = Kernel(1.0, None, np.ones(it.n_corners, dtype=bool))
        row = np.where(old.has(it.view_moment), np.searchsorted(old.moment, it.view_moment), -1)
        views = lay_out(self.rig, it, row, self.back)
        still = np.zeros_like(old.t)
        knots = Knots(self._times(row), old.R, old.t + old.R @ it.points.mean(axis=0), still, still)
        cameras = camera_states(self.rig)
        if not self.continuous:
            return Problem(views, self.parameters, None, kernel), State(cameras, knots)
        jitter = STARTING_JITTER_S if self.config.time_jitter else None
        if jitter is not None:
            cameras = tuple(replace(c, late_s=np.zeros(len(v.views))) for c, v in zip(cameras, views, strict=True))
        problem = Problem(views, self.parameters, motion_prior(knots), kernel, jitter)
        return problem, State(cameras, with_speeds(knots))

    def _times(self, row: np.ndarray) -> np.ndarray:
        """Of the moments: the mean of their views where there are any."""
        used = row >= 0
        count = np.bincount(row[used], minlength=len(self.motion))
        sums = np.bincount(row[used], weights=self.observations.view_time_s[used], minlength=len(self.motion))
        return np.where(count > 0, sums / np.maximum(count, 1), self.motion.time_s)


def views_of_back(rig: Rig, motion: BoardMotion, observations: BoardObservations) -> np.ndarray:
    """(V,) whether the camera stood behind the board: on the side to which its z points."""
    it = observations
    row = np.minimum(np.searchsorted(motion.moment, it.view_moment), len(motion) - 1)
    middle = motion.t[row] + motion.R[row] @ it.points.mean(axis=0)
    return ((rig.centers[it.view_camera] - middle) * motion.R[row, :, 2]).sum(axis=1) > 0


def _continuous(observations: BoardObservations, config: BundleConfig) -> bool:
    if config.time_offsets is True or config.line_time is True or config.continuous is True:
        return True
    return config.continuous == "auto" and spread_of_moments(observations) > config.synchronous_s


def _settled(config: BundleConfig, observations: BoardObservations) -> BundleConfig:
    """With yes or no for what only a board that moves between pictures can tell."""
    moving = _continuous(observations, config) and not config.cameras_fixed
    offsets = moving if config.time_offsets == "auto" else config.time_offsets
    lines = moving if config.line_time == "auto" else config.line_time
    return replace(config, time_offsets=offsets, line_time=lines)


def _two_sided(back: np.ndarray, config: BundleConfig) -> bool:
    if config.back_offset != "auto":
        return config.back_offset
    return min(int(back.sum()), int((~back).sum())) >= FEWEST_VIEWS_OF_A_SIDE


def spread_of_moments(observations: BoardObservations) -> float:
    """Seconds between the first and the last picture of a moment, in the middle over moments with several."""
    moments, index = np.unique(observations.view_moment, return_inverse=True)
    first, last = np.full(len(moments), np.inf), np.full(len(moments), -np.inf)
    np.minimum.at(first, index, observations.view_time_s)
    np.maximum.at(last, index, observations.view_time_s)
    several = np.bincount(index, minlength=len(moments)) > 1
    return float(np.median((last - first)[several])) if several.any() else 0.0


def _check(rig: Rig, motion: BoardMotion, observations: BoardObservations, config: BundleConfig) -> None:
    missing = [name for name in observations.cameras if name not in rig.names]
    if missing:
        raise CalibrationError(
            f"{', '.join(missing)} saw the board but have no place in the rig",
            remedy="Leave their observations out, or start from a rig that has them.",
        )
    known = motion.has(observations.view_moment) & (observations.corners_per_view > 0)
    seen = np.bincount(observations.view_camera[known], minlength=len(observations.cameras))
    blind = [name for name, count in zip(observations.cameras, seen, strict=True) if not count]
    if blind and not config.cameras_fixed:
        raise CalibrationError(
            f"{', '.join(blind)} never saw the board at a moment at which its place is known",
            remedy="Film the board so that every camera shares views of it with another one.",
        )
    if not known.any():
        raise CalibrationError("no camera saw the board at a moment at which its place is known")


def _lengths(residual: np.ndarray) -> np.ndarray:
    """Of every corner; infinite where nothing is predicted."""
    return np.nan_to_num(np.linalg.norm(residual, axis=1), nan=np.inf)


def _approach(problem: Problem, state: State, config: BundleConfig) -> tuple[Problem, Descent]:
    """Robust rounds from afar, whose scale shrinks with the residuals."""
    at = linearise(problem, state)
    kept = np.isfinite(at.residual).all(axis=1)
    if not kept.any():
        raise CalibrationError("the start puts the whole board behind the cameras")
    iterations, median, last = 0, float(np.median(_lengths(at.residual)[kept])), np.inf
    done = Descent(state, at, 0, False)
    while median < 0.8 * last and iterations < config.max_iterations:
        last = median
        noise = max(median / MEDIAN_LENGTH, LEAST_NOISE_PX)
        soft = max(SOFT * noise, SOFT_PX) if config.loss_px is None else config.loss_px
        problem = problem.counting(Kernel(noise, soft, problem.kernel.kept))
        done = descend(problem, done.state, max_iterations=10, enough=0.05)
        iterations += done.iterations
        median = float(np.median(_lengths(done.at.residual)[kept]))
    return problem, replace(done, iterations=iterations)


def _refine(work: _Work, problem: Problem, near: Descent) -> tuple[Problem, Descent, int]:
    """Least squares on the corners within the gate, until gate, noise and motion agree with each other."""
    config, done, iterations = work.config, near, near.iterations
    for _ in range(ROUNDS):
        kernel, prior = _learn(work, problem, done)
        same = _agree(problem, kernel, prior)
        if (same and done.settled) or iterations >= config.max_iterations:
            break
        problem = problem.counting(kernel)
        state = done.state
        if prior is not None:
            problem = problem.tied(prior)
            if problem.jitter_s is not None:
                problem = replace(problem, jitter_s=learn_jitter(problem, done.state, done.at))
        left = max(config.max_iterations - iterations, 1)
        done = descend(problem, state, max_iterations=min(left, ITERATIONS), enough=ENOUGH)
        iterations += done.iterations
    return problem, done, iterations


def _learn(work: _Work, problem: Problem, done: Descent) -> tuple[Kernel, object]:
    """Which corners count, how large noise and accelerations are."""
    prior, fitted = problem.prior, 6.0 * len(done.state.knots)
    if prior is not None:
        prior, fitted = learn_accelerations(prior, done.state, done.at.normal, done.at.motion_costs)
    used = problem.kernel.kept & np.isfinite(done.at.residual).all(axis=1)
    seen = 2.0 * max(int(used.sum()), 1)
    freedom = max((seen - fitted - len(work.parameters)) / seen, 0.05)
    core = work.config.noise_px or robust_noise_px(done.at.residual, used, freedom)
    kept = _lengths(done.at.residual) < max(work.config.gate * core, GATE_PX)
    noise = work.config.noise_px or mean_noise_px(done.at.residual, kept, freedom)
    return Kernel(noise, None, kept), prior


def _agree(problem: Problem, kernel: Kernel, prior) -> bool:
    old = problem.kernel
    if old.soft_px is not None or np.mean(old.kept != kernel.kept) > SAME_KEPT:
        return False
    if abs(np.log(kernel.noise_px / old.noise_px)) > SAME_NOISE:
        return False
    return prior is None or bool((np.abs(np.log(np.divide(prior.q, problem.prior.q))) < SAME_Q).all())


def _result(
    work: _Work, problem: Problem, final: Descent, *, names: Sequence[str], timing: tuple[float, int]
) -> BundleResult:
    state, it, kernel = final.state, work.observations, problem.kernel
    view_rotation, view_position = _view_poses(problem, state, it)
    used = kernel.kept & np.isfinite(final.at.residual).all(axis=1)
    squared = (final.at.residual[used] ** 2).sum(axis=1)
    cameras = dict(zip(it.cameras, state.cameras, strict=True))
    return BundleResult(
        rig=rig_from(state.cameras, work.rig).subset([name for name in names if name in it.cameras]),
        motion=_motion(work, state),
        residual_px=final.at.residual,
        weight=used.astype(float),
        outlier=~used,
        rms_px=float(np.sqrt(squared.mean())) if len(squared) else 0.0,
        noise_px=kernel.noise_px,
        time_offset_s={name: camera.offset_s for name, camera in cameras.items()},
        line_time_s={name: camera.line_s for name, camera in cameras.items()},
        front_from_back=_front_from_back(state, it),
        iterations=timing[1],
        converged=final.settled,
        parameters=work.parameters.names,
        covariance=_covariance(problem, final),
        view_rotation=view_rotation,
        view_position=view_position,
        seconds=time.perf_counter() - timing[0],
    )


def _covariance(problem: Problem, final: Descent) -> np.ndarray:
    """Inverse of the information about the cameras, without the part along the gauge, of which nothing is known."""
    if not len(problem.parameters):
        return np.zeros((0, 0))
    distance = viewing_distance(final.state)
    held = scaled_gauge(problem, final.state, final.at)
    reduced = solve(final.at.normal, held).reduced + held @ held.T
    scale = 1 / np.sqrt(np.diag(reduced))
    inverse = np.linalg.inv(reduced * scale[:, None] * scale) * scale[:, None] * scale
    free = gauge_directions(problem.parameters, final.state, distance)
    strength = np.linalg.norm(free.T @ held, axis=1)  # the metric makes free.T @ held the strength times a unit matrix
    inverse -= (free / strength**2) @ free.T
    return (inverse + inverse.T) / 2


def _view_poses(problem: Problem, state: State, it: BoardObservations) -> tuple[np.ndarray, np.ndarray]:
    """world_from_board when each view was taken."""
    R, t = np.full((it.n_views, 3, 3), np.nan), np.full((it.n_views, 3), np.nan)
    for views, camera in zip(problem.views, state.cameras, strict=True):
        placed = placed_views(problem, views, camera, state.knots)
        R[views.views], t[views.views] = placed.R, placed.t - placed.R @ it.points.mean(axis=0)
    return R, t


def _front_from_back(state: State, it: BoardObservations) -> RigidTransform:
    R, t = state.cameras[0].back_R, state.cameras[0].back_t
    middle = it.points.mean(axis=0)
    return RigidTransform(R, middle + t - R @ middle)


def _motion(work: _Work, state: State) -> BoardMotion:
    knots, arm = state.knots, state.knots.R @ work.observations.points.mean(axis=0)
    velocity = knots.velocity - np.cross(knots.spin, arm)
    return BoardMotion(work.motion.moment, knots.time_s, knots.R, knots.t - arm, velocity, knots.spin)
