"""How far the numbers of a lens can be trusted, and what that means for the rays of its pixels."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from calibration.camera import Intrinsics
from calibration.intrinsics_fit import FittedLens
from calibration.intrinsics_model import project_with_jacobians
from calibration.intrinsics_prior import parameters_of
from calibration.intrinsics_result import COVERAGE_CELLS

MOST_GROUPS, FEWEST_GROUPS = 10, 5
"""Of views that follow each other in time, left out together. With fewer groups the jackknife is as uncertain as what
it corrects; single views are no groups, because the next picture has the same board in nearly the same place."""

PER_CELL = 2
"""Rays along either side of a cell."""


def covariance_of(fitted: FittedLens) -> Float[np.ndarray, "P P"]:
    """Covariance of the lens's numbers.

    That of independent corner errors, times what groups of views vary more than those would (never less than 1):
    neighbouring views share the bend of the board, blur and what the formula leaves out. The factor compares the
    jackknife over groups (Efron & Stein 1981; one Newton step from the fit of all) with it, on average over all
    directions.
    """
    at = fitted.linearised()
    noise2 = fitted.sigma_px**2
    total = at.information.sum(axis=0) + noise2 * np.diag(fitted.prior.information)
    independent = noise2 * _inverse(total)
    groups = min(MOST_GROUPS, len(fitted.table) // 2)
    if groups < FEWEST_GROUPS:
        return independent
    order = np.lexsort((fitted.table.view, fitted.table.frame))
    begins = np.arange(groups) * len(order) // groups
    information = np.add.reduceat(at.information[order], begins, axis=0)
    gradient = np.add.reduceat(at.gradient[order], begins, axis=0)
    scale = 1 / np.sqrt(np.diag(total))
    without = (total - information) * scale[:, None] * scale
    steps = scale * np.linalg.solve(without, (scale * gradient)[..., None])[..., 0]
    spread = np.einsum("vi,ij,vj->", steps, total, steps) / noise2 * (groups - 1) / groups
    return independent * max(1.0, float(spread) / len(total))


def _inverse(matrix: Float[np.ndarray, "P P"]) -> Float[np.ndarray, "P P"]:
    """Of a positive definite matrix whose rows have different units."""
    scale = 1 / np.sqrt(np.diag(matrix))
    inverse = np.linalg.inv(matrix * scale[:, None] * scale) * scale[:, None] * scale
    return (inverse + inverse.T) / 2


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
