"""A board that moves between pictures: knots in time, tied by white noise on acceleration.

Between neighbours in time a rigid body keeps its velocity but for random accelerations of spectral density q (m²/s³ for
the shift, rad²/s³ for the turn): Barfoot, Tong & Sarkka, "Batch Continuous-Time Trajectory Estimation as Exactly Sparse
Gaussian Process Regression", 2014; Anderson & Barfoot, "Full STEAM Ahead", 2015. Pose and velocity are the state, so
the prior ties neighbours only. Here spin is in world axes and q in them too; the posterior mean between knots is the
cubic Hermite spline.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.bundle_state import Knots
from calibration.bundle_views import cross_matrices
from calibration.observations import BoardObservations

MERGED_S = 4e-3
"""Views so near in time share a knot: at 10 m/s² the velocity alone puts a point off by 20 µm after 2 ms."""

LONGEST_LINK_S = 1.0
"""Knots farther apart are not tied: a hand changes its mind faster, and a turn by pi has no logarithm."""

FIRST_SPEED_STD = 2.0
FIRST_SPIN_STD = 4.0
"""m/s, rad/s: what is known of the velocity at the first knot after a pause."""

STARTING_Q = (40.0, 4.0)
"""rad²/s³, m²/s³: accelerations of 10 rad/s² and 3 m/s² that last for 0.2 s."""


@dataclass(frozen=True, eq=False)
class MotionPrior:
    """linked: (K - 1,) whether the next knot is tied to this one; step_s: (K - 1,) to it; q: of turn and shift."""

    linked: Bool[np.ndarray, "E"]
    step_s: Float[np.ndarray, "E"]
    q: tuple[float, float] = STARTING_Q


@dataclass(frozen=True, eq=False)
class PriorTerms:
    """costs: whitened squares of (turn, shift); gradient (K, 12); diagonal (K, 12, 12), beside (K - 1, 12, 12) of the
    information, knot by the next knot. The gradient points downhill."""

    costs: tuple[float, float]
    gradient: Float[np.ndarray, "K 12"]
    diagonal: Float[np.ndarray, "K 12 12"]
    beside: Float[np.ndarray, "E 12 12"]


def knots_by_moment(motion: BoardMotion, middle: Float[np.ndarray, "3"]) -> Knots:
    """One knot a moment, without velocities."""
    still = np.zeros_like(motion.t)
    return Knots(motion.time_s, motion.R, motion.t + motion.R @ middle, still, still)


def knot_of_views(
    observations: BoardObservations, motion: BoardMotion
) -> tuple[Int[np.ndarray, "V"], Float[np.ndarray, "V"]]:
    """The moment's row in the motion for every view (-1 where it has none), and how much later the view was taken."""
    known = motion.has(observations.view_moment)
    row = np.minimum(np.searchsorted(motion.moment, observations.view_moment), max(len(motion) - 1, 0))
    return np.where(known, row, -1), np.zeros(observations.n_views)


def group_in_time(
    time_s: Float[np.ndarray, "V"], used: Bool[np.ndarray, "V"]
) -> tuple[Float[np.ndarray, "K"], Int[np.ndarray, "V"]]:
    """Times of knots, and the knot of every used view (-1 for others): views within MERGED_S share one."""
    views = np.flatnonzero(used)
    order = views[np.argsort(time_s[views], kind="stable")]
    knot = np.full(len(time_s), -1)
    first, count = -np.inf, -1
    for view, time in zip(order.tolist(), time_s[order].tolist(), strict=True):
        if time - first > MERGED_S:
            first, count = time, count + 1
        knot[view] = count
    sums = np.bincount(knot[order], weights=time_s[order], minlength=count + 1)
    return sums / np.bincount(knot[order], minlength=count + 1), knot


def motion_prior(knots: Knots, q: tuple[float, float] = STARTING_Q) -> MotionPrior:
    step = np.diff(knots.time_s)
    return MotionPrior(step <= LONGEST_LINK_S, step, q)


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


def interpolated(knots: Knots, time_s: Float[np.ndarray, "T"]) -> Knots:
    """The motion at other times: the prior's mean between two tied knots, at constant velocity otherwise."""
    before = np.clip(np.searchsorted(knots.time_s, time_s, side="right") - 1, 0, len(knots) - 1)
    after = np.minimum(before + 1, len(knots) - 1)
    step = knots.time_s[after] - knots.time_s[before]
    between = (after > before) & (step <= LONGEST_LINK_S) & (time_s >= knots.time_s[before])
    nearest = np.where(time_s - knots.time_s[before] > step / 2, after, before)
    start = np.where(between, before, nearest)
    ahead = time_s - knots.time_s[start]
    length = np.where(between, step, 1.0)
    s = (np.where(between, ahead, 0.0) / length)[:, None]
    turn = logs(knots.R[after] @ np.swapaxes(knots.R[start], 1, 2))
    spin, speed = (
        _hermite(s, length[:, None], end, rate[start], rate[after])
        for end, rate in ((turn, knots.spin), (knots.t[after] - knots.t[start], knots.velocity))
    )
    chosen = between[:, None]
    angle = np.where(chosen, spin[0], knots.spin[start] * ahead[:, None])
    shift = np.where(chosen, speed[0], knots.velocity[start] * ahead[:, None])
    return Knots(
        time_s,
        rotvecs_to_matrices(angle) @ knots.R[start],
        knots.t[start] + shift,
        np.where(chosen, speed[1], knots.velocity[start]),
        np.where(chosen, spin[1], knots.spin[start]),
    )


def _hermite(
    s: np.ndarray, length: np.ndarray, end: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Value and slope of the cubic from 0 to `end` over `length`, with given slopes at its ends."""
    value = s**2 * (3 - 2 * s) * end + length * s * ((1 - s) ** 2 * first + s * (s - 1) * last)
    slope = 6 * s * (1 - s) * end / length + (1 - s) * (1 - 3 * s) * first + s * (3 * s - 2) * last
    return value, slope


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
    first = np.flatnonzero(np.append(True, ~prior.linked))
    spin, speed = knots.spin[first] / FIRST_SPIN_STD, knots.velocity[first] / FIRST_SPEED_STD
    return float((spin**2).sum() + (speed**2).sum())


def inverse_left_jacobians(rotvec: Float[np.ndarray, "E 3"]) -> Float[np.ndarray, "E 3 3"]:
    """I - [w]x / 2 + (1 - (a/2) cot(a/2)) [w]x² / a², whose last factor tends to 1/12 at a = 0."""
    angle = np.linalg.norm(rotvec, axis=-1)
    small = angle < 1e-4
    safe = np.where(small, 1.0, angle)
    factor = np.where(small, 1 / 12, (1 - safe / 2 / np.tan(safe / 2)) / safe**2)
    cross = cross_matrices(rotvec)
    return np.eye(3) - cross / 2 + factor[:, None, None] * (cross @ cross)


def logs(R: Float[np.ndarray, "E 3 3"]) -> Float[np.ndarray, "E 3"]:
    """Rotation vectors of many; at turns near pi, which tied knots do not make, with the accuracy of a square root."""
    axis = np.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], axis=-1) / 2
    sine = np.linalg.norm(axis, axis=-1)
    cosine = (np.trace(R, axis1=1, axis2=2) - 1) / 2
    angle = np.arctan2(sine, cosine)
    safe = np.where(sine > 1e-12, sine, 1.0)
    out = axis * np.where(sine > 1e-12, angle / safe, 1.0)[:, None]
    half_turn = (cosine < 0) & (sine <= 1e-6)
    if half_turn.any():
        out[half_turn] = _half_turns(R[half_turn])
    return out


def _half_turns(R: np.ndarray) -> np.ndarray:
    """From (R + I) / 2 = a a^T: its column with the largest diagonal."""
    outer = (R + np.eye(3)) / 2
    longest = np.argmax(np.diagonal(outer, axis1=1, axis2=2), axis=1)
    column = outer[np.arange(len(R)), :, longest]
    return np.pi * column / np.linalg.norm(column, axis=1, keepdims=True)
