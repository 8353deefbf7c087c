"""Levenberg–Marquardt on the sparse problem of cameras and a moving board."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calibration.bundle_linear import solve
from calibration.bundle_problem import Linearised, Problem, gauge_directions, gauge_metric, linearise
from calibration.bundle_state import State

FIRST_DAMPING = 1e-4
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
    problem: Problem, state: State, *, max_iterations: int, enough: float = 0.0, at: Linearised | None = None
) -> Descent:
    """Steps until nothing is gained; `enough` ends earlier: two steps running gain less than that share of the cost."""
    at = linearise(problem, state) if at is None else at
    damping, patience, small = FIRST_DAMPING, 2.0, 0
    for iteration in range(max_iterations):
        gauge = scaled_gauge(problem, state, at)
        solved = solve(at.normal.damped(damping), gauge)
        promised = float(solved.step @ at.normal.camera_gradient + (solved.knot_step * at.normal.knot_gradient).sum())
        promised += at.late_gain
        if promised < SETTLED:
            return Descent(state, at, iteration, True)
        late = [None if it is None else it.steps(solved.step, solved.knot_step) for it in at.lateness]
        trial = state.stepped(problem.parameters, solved.step, solved.knot_step, late)
        there = linearise(problem, trial)
        gained = at.cost - there.cost
        if np.isfinite(there.cost) and gained > 0:
            state, at, patience = trial, there, 2.0
            ratio = gained / promised
            damping = max(damping * max(0.1, 1 - (2 * ratio - 1) ** 3), 1e-12)
            small = small + 1 if gained < enough * at.cost else 0
            if small == 2:
                return Descent(state, at, iteration + 1, True)
        else:
            damping, patience = damping * patience, patience * 4
        if damping > LARGEST_DAMPING:
            return Descent(state, at, iteration + 1, True)
    return Descent(state, at, max_iterations, False)


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
