"""How far the numbers of a lens can be trusted, and what that means for the rays of its pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from calibration.camera import Intrinsics
from calibration.grouped_errors import FEWEST_BLOCKS, Pulls, grouped_covariance
from calibration.intrinsics_fit import FittedLens
from calibration.intrinsics_model import project_with_jacobians
from calibration.intrinsics_prior import parameters_of
from calibration.intrinsics_result import COVERAGE_CELLS
from calibration.intrinsics_solver import Linearised, corner_gradients

MOST_STRETCHES, FEWEST_STRETCHES = 6, 5
"""Of views that follow each other. They are few views of a long clip, in which a board is held near for a while, then
far: the shorter the stretches, the more alike are neighbours. Focal lengths from the two halves of charuco.mkv differ
by 2.9 of the deviations that 12 stretches give, by 2.5 of those of 6."""

PER_CELL = 2
"""Rays along either side of a cell."""


def covariance_of(fitted: FittedLens) -> Float[np.ndarray, "P P"]:
    """Covariance of the lens's numbers, of corners that err together within stretches of time and by corner of the
    board (`grouped_errors`)."""
    at = fitted.linearised()
    total = at.information.sum(axis=0) / fitted.sigma_px**2 + np.diag(fitted.prior.information)
    covariance = grouped_covariance(total, _pulls(fitted, at))
    return (covariance + covariance.T) / 2


def _pulls(fitted: FittedLens, at: Linearised) -> list[Pulls]:
    """By stretches of views that follow each other, and by corners of the board, where there are enough of either.

    A corner's share of the information is that of the corners seen: it is seen from everywhere.
    """
    table, noise2 = fitted.table, fitted.sigma_px**2
    order = np.lexsort((table.view, table.frame))
    blocks = min(MOST_STRETCHES, len(order) // 2)
    ways = []
    if blocks >= FEWEST_STRETCHES:
        begins = np.arange(blocks) * len(order) // blocks
        gradient, information = (np.add.reduceat(it[order], begins, axis=0) for it in (at.gradient, at.information))
        ways.append(Pulls(gradient / noise2, information / noise2))
    counted = table.weight > 0
    place, corner = np.unique(table.points[counted].round(6), axis=0, return_inverse=True)
    if len(place) >= FEWEST_BLOCKS:
        gradient = np.zeros((len(place), len(fitted.fit.parameters)))
        np.add.at(gradient, corner.reshape(-1), corner_gradients(table, fitted.fit, at)[counted])
        share = np.bincount(corner.reshape(-1)) / np.count_nonzero(counted)
        ways.append(Pulls(gradient / noise2, share[:, None, None] * at.information.sum(axis=0) / noise2))
    return ways


def ray_std_of(
    intrinsics: Intrinsics, covariance: Float[np.ndarray, "P P"], coverage: Int[np.ndarray, "8 8"] | None = None
) -> float:
    """Standard deviation of the direction of a pixel's ray, rad, RMS over the picture or its covered cells.

    A turn of all rays together is taken out: whoever poses the camera afterwards compensates it.
    """
    cells = np.ones((COVERAGE_CELLS, COVERAGE_CELLS)) if coverage is None else coverage
    size = np.array(intrinsics.image_size)
    row, column = np.nonzero(np.repeat(np.repeat(cells, PER_CELL, axis=0), PER_CELL, axis=1))
    across = (np.stack([column, row], axis=-1) + 0.5) * size / (PER_CELL * COVERAGE_CELLS) - 0.5
    rays = intrinsics.ray(across)
    rays = rays[np.isfinite(rays).all(axis=-1)]
    if not len(rays):
        return np.inf
    _, by_point, by_lens = project_with_jacobians(rays, parameters_of(intrinsics), intrinsics.lens)
    moves = -np.linalg.pinv(by_point) @ by_lens
    x, y, z = rays.T
    zero = np.zeros_like(x)
    turns = -np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1).reshape(-1, 3)
    flat = moves.reshape(-1, moves.shape[-1])
    flat = flat - turns @ np.linalg.lstsq(turns, flat, rcond=None)[0]
    return float(np.sqrt(np.einsum("ni,ij,nj->", flat, covariance, flat) / len(rays)))


def coverage_of(xy: Float[np.ndarray, "n 2"], image_size: tuple[int, int]) -> Int[np.ndarray, "8 8"]:
    """Corners in each of 8 rows and 8 columns of the picture."""
    cell = np.floor((xy + 0.5) / np.array(image_size) * COVERAGE_CELLS).astype(int)
    column, row = np.clip(cell, 0, COVERAGE_CELLS - 1).T
    counts = np.bincount(row * COVERAGE_CELLS + column, minlength=COVERAGE_CELLS**2)
    return counts.reshape(COVERAGE_CELLS, COVERAGE_CELLS)
