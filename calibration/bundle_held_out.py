"""What corners say about a rig that was solved without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calibration.bundle_result import BundleResult
from calibration.camera import Rig
from calibration.observations import BoardObservations


def synchronised(observations: BoardObservations, result: BundleResult) -> BoardObservations:
    """The corners where they would have been seen, had all pictures of a moment been taken at once.

    Each corner is moved by what the board's motion between its picture and its moment moves it in the picture; the
    error with which it was seen stays as it is. Corners without a pose, and outliers, are left out.
    """
    it = observations
    R, t = result.motion.at(it.view_moment, np.full(it.n_views, np.nan))
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
