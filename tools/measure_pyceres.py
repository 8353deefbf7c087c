"""The problem of `measure_calibration.py solvers` in pyceres: cost, time, and where the time goes.

    pip install pyceres            (no dependency of the project)
    python tools/measure_pyceres.py

8 cameras with their lenses and a board at 300 moments. One residual block a view: its binding takes cost functions in
Python only, and none for many blocks at once, so this is what a project written in Python would get.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyceres  # type: ignore[import-not-found]
from jaxtyping import Float

from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.camera import Camera
from calibration.intrinsics_model import project_with_jacobians
from calibration.intrinsics_prior import parameters_of
from calibration.lenses import Lens
from calibration.observations import BoardObservations
from calibration.rotation_vectors import cross_matrices, left_jacobians
from measure_calibration import SCENES, disturbed, recorded

NOISE_PX = 0.3


@dataclass(frozen=True, eq=False)
class View:
    """What one view starts from: seen (K, 2) px, points (K, 3) m from the board's middle, the camera's rotation, and
    the board's."""

    seen: Float[np.ndarray, "K 2"]
    points: Float[np.ndarray, "K 3"]
    camera: Float[np.ndarray, "3 3"]
    board: Float[np.ndarray, "3 3"]
    lens: Lens


class ViewCost(pyceres.CostFunction):
    """Residuals of a view over noise. Numbers: camera turn and centre (6), lens (4 + D), board turn and middle (6)."""

    def __init__(self, view: View, lens_count: int) -> None:
        super().__init__()
        self._view = view
        self.set_num_residuals(2 * len(view.seen))
        self.set_parameter_block_sizes([6, lens_count, 6])

    def Evaluate(self, parameters: Any, residuals: Any, jacobians: Any) -> bool:
        """Called by Ceres."""
        it, (pose, lens, board) = self._view, parameters
        turn, board_turn = (rotvecs_to_matrices(w[None, :3])[0] for w in (pose, board))
        R, spun = turn @ it.camera, it.points @ (board_turn @ it.board).T
        away = spun + board[3:] - pose[3:]
        in_camera = away @ R.T
        px, by_point, by_lens = project_with_jacobians(in_camera, np.asarray(lens), it.lens)
        residuals[:] = ((px - it.seen) / NOISE_PX).reshape(-1)
        if jacobians is None:
            return True
        slopes = by_point / NOISE_PX
        by_turn, by_board = (left_jacobians(np.asarray(w)[None, :3])[0] for w in (pose, board))
        found = (
            np.concatenate([-slopes @ cross_matrices(in_camera) @ by_turn, -slopes @ R], axis=-1),
            by_lens / NOISE_PX,
            np.concatenate([-slopes @ R @ cross_matrices(spun) @ by_board, slopes @ R], axis=-1),
        )
        for wanted, values in zip(jacobians, found, strict=True):
            if wanted is not None:
                wanted[:] = values.reshape(-1)
        return True


def views_of(it: BoardObservations, rig: list[Camera], motion: BoardMotion) -> list[View]:
    """All views at the start."""
    points = it.points - it.points.mean(axis=0)
    row = np.searchsorted(motion.moment, it.view_moment)
    out = []
    for view, camera in enumerate(it.view_camera):
        mine = it.view == view
        posed = rig[camera]
        R = posed.cam_from_world.R
        out.append(View(it.xy[mine], points[it.corner[mine]], R, motion.R[row[view]], posed.intrinsics.lens))
    return out


def main() -> None:
    """Solve and tell."""
    rig, motion, seen, _ = recorded(replace(SCENES[1], moments=300), 0)
    start, boards = disturbed(rig, motion, np.random.default_rng(1000))
    cameras = list(start)
    poses = [np.concatenate([np.zeros(3), camera.center]) for camera in cameras]
    lenses = [parameters_of(camera.intrinsics) for camera in cameras]
    middle = boards.t + boards.R @ seen.points.mean(axis=0)
    knots = [np.concatenate([np.zeros(3), place]) for place in middle]
    problem, costs = pyceres.Problem(), []
    row = np.searchsorted(boards.moment, seen.view_moment)
    for number, view in enumerate(views_of(seen, cameras, boards)):
        camera = seen.view_camera[number]
        costs.append(ViewCost(view, len(lenses[camera])))
        problem.add_residual_block(costs[-1], None, [poses[camera], lenses[camera], knots[row[number]]])
    problem.set_parameter_block_constant(poses[0])  # the gauge
    options, summary = pyceres.SolverOptions(), pyceres.SolverSummary()
    options.linear_solver_type = pyceres.LinearSolverType.SPARSE_SCHUR
    options.num_threads, options.max_num_iterations = 1, 50
    began, cpu = time.perf_counter(), time.process_time()
    pyceres.solve(options, problem, summary)
    wall, spent = time.perf_counter() - began, time.process_time() - cpu
    steps = summary.num_successful_steps + summary.num_unsuccessful_steps
    print(f"{seen.n_views} views, {seen.n_corners} corners")
    print(f"pyceres: cost {2 * summary.final_cost:.2f}, {steps} steps, {wall:.2f} s, {spent:.2f} s of CPU")
    print("\n".join(line for line in summary.FullReport().splitlines() if "(" in line or "evaluation" in line))


if __name__ == "__main__":
    main()
