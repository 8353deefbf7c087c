"""The normal equations of a bundle adjustment and their solution through the Schur complement of the board's motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve, get_lapack_funcs

from calibration.errors import CalibrationError

NEGLIGIBLE = 1e-100
"""What knots know of cameras far away in time fades to numbers so small that arithmetic with them is slow."""


_pbtrf, _tbtrs = get_lapack_funcs(("pbtrf", "tbtrs"), dtype=np.float64)
"""Cholesky factor of a banded matrix, and solutions with it."""

LARGEST_PIECE = 200_000
"""Multiplications of a matrix product that OpenBLAS does in the calling thread (its threshold is 262144)."""


RIDGES = (0.0, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4)
"""Shares by which a diagonal is raised when rounding has cost the knots' information its positive sign: next to a
smooth motion (a small q) the sight of a single picture is lost in the digits."""


@dataclass(frozen=True, eq=False)
class Normal:
    """Information about P numbers of cameras and K knots of D numbers, and the downhill gradient.

    cameras: (P, P); knots: (K, D, D) diagonal blocks; beside: (K - 1, D, D) of knots and the next ones, None where no
    prior ties them; mixed: (K, D, P).
    """

    cameras: Float[np.ndarray, "P P"]
    knots: Float[np.ndarray, "K D D"]
    beside: Float[np.ndarray, "E D D"] | None
    mixed: Float[np.ndarray, "K D P"]
    camera_gradient: Float[np.ndarray, "P"]
    knot_gradient: Float[np.ndarray, "K D"]

    def damped(self, factor: float) -> Normal:
        """Levenberg–Marquardt with Marquardt's scaling: the diagonals times 1 + factor."""
        cameras, knots = self.cameras.copy(), self.knots.copy()
        cameras[np.diag_indices(len(cameras))] *= 1 + factor
        each = np.arange(knots.shape[1])
        knots[:, each, each] *= 1 + factor
        return Normal(cameras, knots, self.beside, self.mixed, self.camera_gradient, self.knot_gradient)


@dataclass(frozen=True, eq=False)
class Solved:
    """reduced: (P, P) information about the cameras when the motion is free; log_det: of the knots' information."""

    step: Float[np.ndarray, "P"]
    knot_step: Float[np.ndarray, "K D"]
    reduced: Float[np.ndarray, "P P"]


def solve(normal: Normal, gauge: Float[np.ndarray, "P G"]) -> Solved:
    """The Newton step. gauge: directions (columns) in which nothing is known of the cameras; the step has none of
    them."""
    eliminate = _eliminate_blocks if normal.beside is None else _eliminate_band
    count, size, wide = normal.mixed.shape
    right = np.concatenate([normal.mixed, normal.knot_gradient[:, :, None]], axis=2)
    half, finish = eliminate(normal, right)
    flat = half.reshape(count * size, wide + 1)
    of_cameras = products(flat[:, :wide], flat)
    reduced = normal.cameras - of_cameras[:, :wide]
    reduced = (reduced + reduced.T) / 2
    step = np.zeros(wide)
    if wide:
        held = reduced + gauge @ gauge.T
        step = _solve_positive(held, normal.camera_gradient - of_cameras[:, wide])
    rest = half[:, :, wide] - half[:, :, :wide] @ step
    return Solved(step, finish(rest[:, :, None])[:, :, 0], reduced)


def products(left: Float[np.ndarray, "n P"], right: Float[np.ndarray, "n Q"]) -> Float[np.ndarray, "P Q"]:
    """left^T right, in pieces so small that no BLAS spreads one over threads: its sums would depend on their number,
    and waiting for busy cores costs more than the product."""
    count = len(left)
    rows = max(LARGEST_PIECE // max(left.shape[1] * right.shape[1], 1), 1)
    pieces = count // rows
    whole = pieces * rows
    head = [side[:whole].reshape(pieces, rows, side.shape[1]) for side in (left, right)]
    return (np.swapaxes(head[0], 1, 2) @ head[1]).sum(axis=0) + left[whole:].T @ right[whole:]


def knots_by_cameras(normal: Normal) -> Float[np.ndarray, "K D P"]:
    """How far knots follow a unit step of each number of the cameras, backwards: V^-1 B."""
    eliminate = _eliminate_blocks if normal.beside is None else _eliminate_band
    half, finish = eliminate(normal, normal.mixed)
    return finish(half)


def knots_log_det(normal: Normal) -> float:
    """Of the information about the knots, cameras held."""
    if normal.beside is None:
        return float(np.linalg.slogdet(normal.knots)[1].sum())
    factor = _band_cholesky(normal)
    return 2 * float(np.log(factor[0]).sum())


def _solve_positive(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Scaled to a unit diagonal first: focal lengths in px stand beside angles in rad."""
    scale = 1 / np.sqrt(np.maximum(np.diag(matrix), 1e-300))
    try:
        factor = cho_factor(matrix * scale[:, None] * scale, lower=True)
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(matrix * scale[:, None] * scale, right * scale, rcond=None)[0] * scale
    return np.asarray(cho_solve(factor, right * scale)) * scale


def _eliminate_blocks(normal: Normal, right: np.ndarray):
    """L^-1 right per knot for the blocks' Cholesky factors L, and what finishes a solution."""
    factor = np.linalg.cholesky(normal.knots)
    inverse = np.linalg.inv(factor)

    def finish(rest: np.ndarray) -> np.ndarray:
        return np.swapaxes(inverse, 1, 2) @ rest

    return inverse @ right, finish


def _band_cholesky(normal: Normal) -> np.ndarray:
    count, size, _ = normal.knots.shape
    band = np.zeros((2 * size, count, size))
    for row in range(size):
        for column in range(row + 1):
            band[row - column, :, column] = normal.knots[:, row, column]
        if count > 1:
            for column in range(size):
                # Lower triangle: the next knot's row by this knot's column.
                band[size + row - column, :-1, column] = normal.beside[:, column, row]  # type: ignore[index]
    band = band.reshape(2 * size, count * size)
    diagonal = band[0].copy()
    for ridge in RIDGES:
        band[0] = diagonal * (1 + ridge)
        factor, info = _pbtrf(band, lower=1)
        if info == 0:
            return factor
    raise CalibrationError(
        "the board's motion is not determined by what was seen of it",
        remedy="Check the times of the pictures and the noise that was given.",
    )


def _eliminate_band(normal: Normal, right: np.ndarray):
    """As `_eliminate_blocks` for knots that are tied to the next one: a banded Cholesky factor."""
    factor = _band_cholesky(normal)
    count, size, wide = right.shape
    half, _ = _tbtrs(factor, right.reshape(count * size, wide), uplo="L")
    half[np.abs(half) < NEGLIGIBLE] = 0.0

    def finish(rest: np.ndarray) -> np.ndarray:
        solution, _ = _tbtrs(factor, rest.reshape(count * size, -1), uplo="L", trans="T")
        return solution.reshape(rest.shape)

    return half.reshape(count, size, wide), finish
