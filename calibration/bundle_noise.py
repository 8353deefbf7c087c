"""How large the noise is: of corners, and of the board's accelerations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from calibration.bundle_linear import Normal, knots_log_det
from calibration.bundle_motion import MotionPrior, PriorTerms, prior_terms
from calibration.bundle_problem import LEAST_NOISE_PX, MEDIAN_LENGTH, Linearised, Problem
from calibration.bundle_state import State

LEAST_JITTER_S, MOST_JITTER_S = 1e-5, 0.05
"""At 2 m/s the board moves by 0.02 mm in the first; frames of a moment are not farther apart than the second."""

STEP = 1e-2
TURN = np.r_[0:3, 6:9]
SHIFT = np.r_[3:6, 9:12]


def robust_noise_px(residual: Float[np.ndarray, "N 2"], kept: Bool[np.ndarray, "N"], freedom: float) -> float:
    """Deviation of a coordinate by the median length of the residuals; `freedom` is the share of the numbers seen that
    the numbers fitted leave free."""
    length = np.linalg.norm(residual[kept & np.isfinite(residual).all(axis=1)], axis=1)
    if not len(length):
        return LEAST_NOISE_PX
    return max(float(np.median(length)) / MEDIAN_LENGTH / np.sqrt(freedom), LEAST_NOISE_PX)


def mean_noise_px(residual: Float[np.ndarray, "N 2"], kept: Bool[np.ndarray, "N"], freedom: float) -> float:
    """By the mean square instead."""
    if not kept.any():
        return LEAST_NOISE_PX
    return max(float(np.sqrt((residual[kept] ** 2).mean() / freedom)), LEAST_NOISE_PX)


def learn_accelerations(
    prior: MotionPrior, state: State, normal: Normal, costs: tuple[float, float]
) -> tuple[MotionPrior, float]:
    """The prior with the spectral densities that explain the motion best, and how many numbers the motion fits.

    MacKay's rule for the scale of a Gaussian prior ("Bayesian interpolation", 1992): its cost equals the number of its
    terms that the data determine, terms - trace(information of the prior / information of both). The trace is the
    derivative of the log determinant along the prior, taken by a difference.
    """
    terms = prior_terms(prior, state.knots)
    traces = [_trace(normal, terms, columns) for columns in (TURN, SHIFT)]
    links = 6 * int(prior.linked.sum())
    q = tuple(
        float(np.clip(old * cost / max(links - trace, 1.0), old / 10, old * 10))
        for old, cost, trace in zip(prior.q, costs, traces, strict=True)
    )
    fitted = normal.knots.shape[0] * normal.knots.shape[1] - sum(traces)
    return replace(prior, q=(q[0], q[1])), fitted


def learn_jitter(problem: Problem, state: State, at: Linearised) -> tuple[float, float]:
    """The deviation of the views' times that explains them best, by the same rule, and how many of them were fitted."""
    assert problem.jitter_s is not None
    squares = sum(float((c.late_s**2).sum()) for c in state.cameras if c.late_s is not None)
    known = sum(
        float((1 - problem.jitter_s**-2 / it.information)[~views.timed].sum())
        for it, views in zip(at.lateness, problem.views, strict=True)
        if it is not None
    )
    return float(np.clip(np.sqrt(squares / max(known, 1.0)), LEAST_JITTER_S, MOST_JITTER_S)), known


def _trace(normal: Normal, terms: PriorTerms, columns: np.ndarray) -> float:
    block = np.ix_(columns, columns)
    logs = []
    for step in (-STEP, STEP):
        knots, beside = normal.knots.copy(), np.array(normal.beside)
        knots[(slice(None), *block)] += step * terms.diagonal[(slice(None), *block)]
        beside[(slice(None), *block)] += step * terms.beside[(slice(None), *block)]
        logs.append(knots_log_det(replace(normal, knots=knots, beside=beside)))
    return (logs[1] - logs[0]) / (2 * STEP)
