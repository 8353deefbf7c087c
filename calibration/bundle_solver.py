"""Levenberg–Marquardt on the sparse problem of cameras and a moving board."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.bundle_linear import solve
from calibration.bundle_problem import Linearised, Problem, gauge_directions, gauge_metric, linearise
from calibration.bundle_state import State

FIRST_DAMPING, NEAR_DAMPING = 1e-4, 1e-6
"""From afar, and close to the solution, where a lens that few views determine lies in a long bent valley."""

GOOD = 0.3
"""Share of the promised gain from which on damping falls tenfold."""

LARGEST_DAMPING = 1e8
SETTLED = 1e-2
"""In squared deviations: a step that is expected to gain less moves no number by a tenth of its deviation."""


@dataclass(frozen=True, eq=False)
class Descent:
    """Where a descent ended. settled: no step promises a gain that matters."""

    state: State
    at: Linearised
    iterations: int
    settled: bool


def descend(
    problem: Problem,
    state: State,
    *,
    max_iterations: int,
    enough: float = 0.0,
    damping: float = FIRST_DAMPING,
) -> Descent:
    """Steps until nothing is gained; `enough` ends earlier: two steps running gain less than that share of the cost.

    A step that loses is followed by another one from where it led before both are given up (the watchdog of
    Chamberlain, Powell, Lemaréchal & Pedersen 1982): along a bent valley the first leaves its floor and the second
    returns to it far ahead. On charuco_calibration 17 steps lead where 46 did that gave up at once.
    """
    now = best = (state, linearise(problem, state))
    patience, small = 2.0, 0
    for iteration in range(max_iterations):
        trial, promised = _step(problem, *now, damping)
        if promised < SETTLED and now is best:
            return Descent(*best, iteration, True)
        there = linearise(problem, trial)
        gained = best[1].cost - there.cost
        if np.isfinite(there.cost) and gained > 0:
            damping = max(damping * (0.1 if now is best and gained > GOOD * promised else 1.0), 1e-12)
            small = small + 1 if gained < enough * best[1].cost else 0
            now, patience = (trial, there), 2.0
            best = now
            if small == 2:
                return Descent(*best, iteration + 1, True)
        elif now is best and np.isfinite(there.cost):
            now = (trial, there)
        else:
            now, damping, patience = best, damping * patience, patience * 4
        if damping > LARGEST_DAMPING:
            return Descent(*best, iteration + 1, True)
    return Descent(*best, max_iterations, False)


def _step(problem: Problem, state: State, at: Linearised, damping: float) -> tuple[State, float]:
    """Where a damped step leads, and what it promises to gain."""
    solved = solve(at.normal.damped(damping), scaled_gauge(problem, state, at))
    promised = float(solved.step @ at.normal.camera_gradient + (solved.knot_step * at.normal.knot_gradient).sum())
    late = [None if it is None else it.steps(solved.step, solved.knot_step) for it in at.lateness]
    return state.stepped(problem.parameters, solved.step, solved.knot_step, late), promised + at.late_gain


def scaled_gauge(problem: Problem, state: State, at: Linearised) -> np.ndarray:
    """Columns B such that adding B B^T to the information about the cameras forbids moves of the rig as a whole."""
    parameters = problem.parameters
    distance = viewing_distance(state)
    directions = gauge_directions(parameters, state, distance)
    metric = gauge_metric(parameters, distance)
    strength = np.sqrt(np.mean(np.diag(at.normal.cameras) / metric)) if len(metric) else 1.0
    return directions * metric[:, None] * strength


def viewing_distance(state: State) -> float:
    """Metres from the cameras to the board's places, in the middle."""
    centers = np.array([camera.center for camera in state.cameras])
    return float(np.median(np.linalg.norm(centers[:, None] - np.median(state.knots.t, axis=0), axis=-1)))
