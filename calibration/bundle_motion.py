"""What is known of a board's motion before it is seen: white noise on its acceleration.

Between neighbours in time a rigid body keeps its velocity but for random accelerations of spectral density q (m²/s³ for
the shift, rad²/s³ for the turn): Barfoot, Tong & Särkkä, "Batch Continuous-Time Trajectory Estimation as Exactly Sparse
Gaussian Process Regression", 2014; Anderson & Barfoot, "Full STEAM Ahead", 2015. Pose and velocity are the state, so
the prior ties neighbours only. Here spin is in world axes and q in them too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from calibration.bundle_placing import LONGEST_LINK_S
from calibration.bundle_state import Knots
from calibration.rotation_vectors import inverse_left_jacobians, logs

FIRST_SPEED_STD = 2.0
FIRST_SPIN_STD = 4.0
"""m/s, rad/s: what is known of the velocity at the first knot after a pause."""

LEAST_Q = (1e-4, 1e-5)
"""rad²/s³, m²/s³: of a board that lies still."""

CHI2_MEDIAN_3 = 2.366
"""Median of the squared length of a vector of three standard normal numbers."""


@dataclass(frozen=True, eq=False)
class MotionPrior:
    """linked: (K - 1,) whether the next knot is tied to this one; step_s: (K - 1,) to it; q: of turn and shift."""

    linked: Bool[np.ndarray, "E"]
    step_s: Float[np.ndarray, "E"]
    q: tuple[float, float]


@dataclass(frozen=True, eq=False)
class PriorTerms:
    """costs: whitened squares of (turn, shift); gradient (K, 12); diagonal (K, 12, 12), beside (K - 1, 12, 12) of the
    information, knot by the next knot. The gradient points downhill."""

    costs: tuple[float, float]
    gradient: Float[np.ndarray, "K 12"]
    diagonal: Float[np.ndarray, "K 12 12"]
    beside: Float[np.ndarray, "E 12 12"]


def motion_prior(knots: Knots) -> MotionPrior:
    """With densities by how mean velocities of neighbouring links differ, in the middle: a difference over links of
    length d has the variance q 2 d / 3 per axis."""
    step = np.diff(knots.time_s)
    linked = step <= LONGEST_LINK_S
    both = linked[1:] & linked[:-1]
    if not both.any():
        return MotionPrior(linked, step, (1.0, 0.1))
    turn = logs(knots.R[1:] @ np.swapaxes(knots.R[:-1], 1, 2)) / step[:, None]
    shift = np.diff(knots.t, axis=0) / step[:, None]
    span = (step[1:] + step[:-1])[both] / 2 * (2 / 3)
    q = [
        float(np.median((np.diff(rate, axis=0)[both] ** 2).sum(axis=1) / span)) / CHI2_MEDIAN_3
        for rate in (turn, shift)
    ]
    return MotionPrior(linked, step, (max(q[0], LEAST_Q[0]), max(q[1], LEAST_Q[1])))


def with_speeds(knots: Knots) -> Knots:
    """Velocities from the neighbours in time, so far as they are near; zero for knots without any."""
    if len(knots) < 2:
        return knots
    step = np.diff(knots.time_s)
    near = step <= LONGEST_LINK_S
    weight = np.where(near, 1.0, 0.0)
    turn = logs(knots.R[1:] @ np.swapaxes(knots.R[:-1], 1, 2)) / step[:, None]
    shift = np.diff(knots.t, axis=0) / step[:, None]

    def averaged(rate: np.ndarray) -> np.ndarray:
        sums, weights = np.zeros((len(knots), 3)), np.zeros(len(knots))
        for side in (slice(0, -1), slice(1, None)):
            sums[side] += rate * weight[:, None]
            weights[side] += weight
        return sums / np.maximum(weights, 1)[:, None]

    return Knots(knots.time_s, knots.R, knots.t, averaged(shift), averaged(turn))


def prior_terms(prior: MotionPrior, knots: Knots) -> PriorTerms:
    """Costs and their quadratic model. Whitened errors of a link of length d: (end - start - d (v0 + v1) / 2)
    sqrt(12 / (q d³)) and (v1 - v0) / sqrt(q d), from the inverse of q [[d³/3, d²/2], [d²/2, d]]."""
    count = len(knots)
    gradient, diagonal = np.zeros((count, 12)), np.zeros((count, 12, 12))
    beside = np.zeros((max(count - 1, 0), 12, 12))
    costs = [0.0, 0.0]
    if count > 1:
        d = prior.step_s[:, None]
        turn = logs(knots.R[1:] @ np.swapaxes(knots.R[:-1], 1, 2))
        shift = np.diff(knots.t, axis=0)
        parts = ((turn, knots.spin, 0, 6), (shift, knots.velocity, 3, 9))
        for kind, (moved, rate, at, at_rate) in enumerate(parts):
            on = np.where(prior.linked, 1.0, 0.0)[:, None]
            place = on * np.sqrt(12 / (prior.q[kind] * d**3))
            pace = on / np.sqrt(prior.q[kind] * d)
            error = np.concatenate([place * (moved - d * (rate[:-1] + rate[1:]) / 2), pace * np.diff(rate, axis=0)], 1)
            costs[kind] += float((error**2).sum())
            ends = _ends(moved if kind == 0 else np.zeros_like(moved))
            here, there = _link_jacobians(place, pace, d, ends)
            columns = np.r_[at : at + 3, at_rate : at_rate + 3]
            block = np.ix_(columns, columns)
            for rows, one in ((slice(0, -1), here), (slice(1, None), there)):
                gradient[rows, columns] -= np.einsum("eij,ei->ej", one, error)
                diagonal[rows][(slice(None), *block)] += np.swapaxes(one, 1, 2) @ one
            beside[(slice(None), *block)] += np.swapaxes(here, 1, 2) @ there
    _tie_first_speeds(prior, knots, gradient, diagonal)
    return PriorTerms((costs[0], costs[1]), gradient, diagonal, beside)


def _link_jacobians(
    place: np.ndarray, pace: np.ndarray, d: np.ndarray, ends: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(E, 6, 6) each: whitened errors by (pose, rate) of the knot and of the next one."""
    here, there = np.zeros((2, len(d), 6, 6))
    here[:, :3, :3] = -place[:, :, None] * ends[0]
    there[:, :3, :3] = place[:, :, None] * ends[1]
    for i in range(3):
        here[:, i, 3 + i] = there[:, i, 3 + i] = (-place * d / 2)[:, 0]
        here[:, 3 + i, 3 + i] = -pace[:, 0]
        there[:, 3 + i, 3 + i] = pace[:, 0]
    return here, there


def _ends(turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How log(R1 R0^T) changes when R0, R1 turn: the inverse right and left Jacobians of SO(3)."""
    left = inverse_left_jacobians(turn)
    return np.swapaxes(left, 1, 2), left


def _tie_first_speeds(prior: MotionPrior, knots: Knots, gradient: np.ndarray, diagonal: np.ndarray) -> None:
    first = np.flatnonzero(np.append(True, ~prior.linked))
    for rate, at, std in ((knots.spin, 6, FIRST_SPIN_STD), (knots.velocity, 9, FIRST_SPEED_STD)):
        gradient[first, at : at + 3] -= rate[first] / std**2
        for i in range(at, at + 3):
            diagonal[first, i, i] += std**-2


def first_speed_cost(prior: MotionPrior, knots: Knots) -> float:
    """Of the velocities after pauses, of which only their size is known."""
    first = np.flatnonzero(np.append(True, ~prior.linked))
    spin, speed = knots.spin[first] / FIRST_SPIN_STD, knots.velocity[first] / FIRST_SPEED_STD
    return float((spin**2).sum() + (speed**2).sum())
