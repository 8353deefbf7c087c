"""What corners say about a rig that was solved without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.board_motion import BoardMotion
from calibration.bundle_adjustment import bundle_adjust
from calibration.bundle_result import BundleConfig, BundleResult
from calibration.camera import Rig
from calibration.observations import BoardObservations


def follow_board(
    motion: BoardMotion, observations: BoardObservations, solved: BundleResult, config: BundleConfig | None = None
) -> BundleResult:
    """The board at other moments, before cameras, lenses, clocks and prints that stay as they were solved.

    motion: a start. Times are as they were reported, without the offsets that were found.
    """
    clocks = {name: (solved.time_offset_s[name], solved.line_time_s[name]) for name in solved.time_offset_s}
    held = replace(
        config or BundleConfig(),
        cameras_fixed=True,
        continuous=solved.moving,
        time_offsets=False,
        line_time=False,
        back_offset=False,
        clocks=clocks,
        front_from_back=solved.front_from_back,
    )
    return bundle_adjust(solved.rig, motion, observations, held)


def synchronised(observations: BoardObservations, result: BundleResult) -> BoardObservations:
    """The corners where they would have been seen, had all pictures of a moment been taken at once.

    Each corner is moved by what the board's motion between its row of its picture and its moment moves it in the
    picture, and from the back print to where the front one has it; the error with which it was seen stays as it is.
    Corners without a pose, and outliers, are left out.
    """
    it = observations
    row = np.minimum(np.searchsorted(result.motion.moment, it.view_moment), max(len(result.motion) - 1, 0))
    known = result.motion.has(it.view_moment)
    R = np.where(known[:, None, None], result.motion.R[row], np.nan)
    t = np.where(known[:, None], result.motion.t[row], np.nan)
    together = _projected(result.rig, it, R, t)
    moved = together - (it.xy - result.residual_px)
    keep = ~result.outlier & np.isfinite(moved).all(axis=1)
    return replace(it.of_corners(keep), xy=(it.xy + moved)[keep])


def _projected(rig: Rig, it: BoardObservations, R: np.ndarray, t: np.ndarray) -> np.ndarray:
    world = np.einsum("nij,nj->ni", R[it.view], it.points[it.corner]) + t[it.view]
    out = np.full((it.n_corners, 2), np.nan)
    for index, name in enumerate(it.cameras):
        rows = it.camera == index
        out[rows] = rig[name].project(world[rows])
    return out
