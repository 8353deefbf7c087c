"""Rounds of a bundle adjustment: from afar with a soft loss, then with noise, outliers and motion learnt in turn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.bundle_noise import learn_accelerations, learn_jitter, mean_noise_px, robust_noise_px
from calibration.bundle_problem import LEAST_NOISE_PX, MEDIAN_LENGTH, Kernel, Problem, linearise, own_noise_px
from calibration.bundle_result import BundleConfig
from calibration.bundle_solver import NEAR_DAMPING, Descent, descend
from calibration.bundle_state import State
from calibration.errors import CalibrationError

SOFT_PX = 1.0
GATE_PX = 1.0
"""Less than a pixel off is no outlier, however exact the corners are: blur and bent boards do that, and wrong clocks do
until they are known."""

SOFT = 2.0
"""Cauchy's scale while the solution is far, in deviations of the noise by the median residual."""

NEAR_PX = 0.4
"""Median residual at which soft rounds end: within it the gate tells outliers from the rest."""

ROUNDS, LEARNING_STEPS, LAST_STEPS, ENOUGH = 12, 5, 12, 1e-3
"""Rounds of least squares, the steps in one while noise and motion still change, and in the last ones, which end when
two steps running gain less than that share of the cost."""

SAME_KEPT, SAME_NOISE, SAME_Q = 1e-3, 0.02, 0.2
"""Rounds end when fewer corners than this share change sides, and noise and accelerations change by less."""


def _lengths(residual: np.ndarray) -> np.ndarray:
    """Of every corner; infinite where nothing is predicted."""
    return np.nan_to_num(np.linalg.norm(residual, axis=1), nan=np.inf)


def approach(problem: Problem, state: State, config: BundleConfig) -> tuple[Problem, Descent]:
    """Robust rounds from afar, whose scale shrinks with the residuals."""
    at = linearise(problem, state)
    kept = np.isfinite(at.residual).all(axis=1)
    if not kept.any():
        raise CalibrationError("the start puts the whole board behind the cameras")
    iterations, median, last = 0, float(np.median(_lengths(at.residual)[kept])), np.inf
    done = Descent(state, at, 0, False)
    while NEAR_PX < median < 0.8 * last and iterations < config.max_iterations:
        last = median
        noise = max(median / MEDIAN_LENGTH, LEAST_NOISE_PX)
        soft = max(SOFT * noise, SOFT_PX) if config.loss_px is None else config.loss_px
        problem = problem.counting(Kernel(noise, soft, problem.kernel.kept))
        done = descend(problem, done.state, max_iterations=10, enough=0.05)
        iterations += done.iterations
        median = float(np.median(_lengths(done.at.residual)[kept]))
    return problem, replace(done, iterations=iterations)


def refine(problem: Problem, near: Descent, config: BundleConfig) -> tuple[Problem, Descent, int]:
    """Least squares on the corners within the gate, until gate, noise and motion agree with each other."""
    done, iterations = near, near.iterations
    for _ in range(ROUNDS):
        learnt = _learn(problem, done, config)
        same = _agree(problem, learnt)
        if (done.settled and same) or iterations >= config.max_iterations:
            break
        problem = learnt
        left = min(config.max_iterations - iterations, LAST_STEPS if same else LEARNING_STEPS)
        done = descend(problem, done.state, max_iterations=left, enough=ENOUGH, damping=NEAR_DAMPING)
        iterations += done.iterations
    return problem, done, iterations


def _learn(problem: Problem, done: Descent, config: BundleConfig) -> Problem:
    """The problem with what the residuals tell: which corners count, how large noise, accelerations and delays are."""
    fitted = 6.0 * len(done.state.knots) + len(problem.parameters)
    if problem.prior is not None:
        prior, of_motion = learn_accelerations(problem.prior, done.state, done.at.normal, done.at.motion_costs)
        fitted += of_motion - 6.0 * len(done.state.knots)
        jitter = problem.jitter_s
        if jitter is not None:
            jitter, late = learn_jitter(problem, done.state, done.at)
            fitted += late
        problem = replace(problem, prior=prior, jitter_s=jitter)
    residual = done.at.residual
    used = problem.kernel.kept & np.isfinite(residual).all(axis=1)
    seen = 2.0 * max(int(used.sum()), 1)
    freedom = max((seen - fitted) / seen, 0.05)
    core = config.noise_px or robust_noise_px(residual, used, freedom)
    kept = _lengths(residual) < max(config.gate * core, GATE_PX)
    noise = config.noise_px or mean_noise_px(residual, kept, freedom)
    learnt = problem.counting(Kernel(noise, None, kept))
    if problem.kernel.soft_px is None or config.noise_px is not None:
        return learnt
    # From afar most of a residual is no noise; what remains when every view goes its own way comes much nearer.
    return learnt.counting(Kernel(min(noise, own_noise_px(learnt, done.state)), None, kept))


def _agree(problem: Problem, learnt: Problem) -> bool:
    old, new = problem.kernel, learnt.kernel
    if old.soft_px is not None or np.mean(old.kept != new.kept) > SAME_KEPT:
        return False
    if abs(np.log(new.noise_px / old.noise_px)) > SAME_NOISE:
        return False
    if problem.prior is None or learnt.prior is None:
        return True
    return bool((np.abs(np.log(np.divide(learnt.prior.q, problem.prior.q))) < SAME_Q).all())
