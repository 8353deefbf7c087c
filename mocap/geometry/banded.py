"""Symmetric positive definite systems of blocks in a row, each coupled with the next two: a take's normal equations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.linalg import get_lapack_funcs

_factor_band, _solve_band = get_lapack_funcs(("pbtrf", "pbtrs"), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class BlockBanded:
    """A symmetric matrix of T by T blocks of n rows, given by its lower half.

    diagonal: (T, n, n), of which the lower triangles are read. one: (T - 1, n) and two: (T - 2, n), the diagonals of
    the blocks [t + 1, t] and [t + 2, t], which have no other entries but for a square of c rows and columns that begins
    at `corner`: corner_one (T - 1, c, c) and corner_two (T - 2, c, c) stand there in full.
    """

    diagonal: Float[np.ndarray, "T n n"]
    one: Float[np.ndarray, "T1 n"]
    two: Float[np.ndarray, "T2 n"]
    corner_one: Float[np.ndarray, "T1 c c"]
    corner_two: Float[np.ndarray, "T2 c c"]
    corner: int

    def solve(self, right: Float[np.ndarray, "T n"]) -> Float[np.ndarray, "T n"] | None:
        """The solution, or None where the matrix is not positive definite.

        LAPACK's banded Cholesky: about 4 T n^3 operations and 2 T n^2 numbers, linear in T; blocks without couplings
        are solved one by one.
        """
        n_blocks, n = right.shape
        if not any(a.any() for a in (self.one, self.two, self.corner_one, self.corner_two)):
            factors, failures = torch.linalg.cholesky_ex(torch.from_numpy(self.diagonal))
            return (
                None
                if failures.any()
                else torch.cholesky_solve(torch.from_numpy(right)[..., None], factors)[..., 0].numpy()
            )
        factor, failed = _factor_band(self._lower_band(n_blocks, n), lower=1, overwrite_ab=1)
        if failed:
            return None
        solution, _ = _solve_band(factor, right.reshape(-1, 1), lower=1)
        return solution.reshape(n_blocks, n)

    def _lower_band(self, n_blocks: int, n: int) -> Float[np.ndarray, "width N"]:
        """LAPACK's storage: entry [i - j, j] is that of row i and column j, here as a transposed C-ordered array."""
        size = self.corner_one.shape[-1]
        band = np.zeros((n_blocks, n, 2 * n + size))
        rows, columns = np.tril_indices(n)
        band[:, columns, rows - columns] = self.diagonal[:, rows, columns]
        rows, columns = np.indices((size, size)).reshape(2, -1)
        couplings = ((1, self.one, self.corner_one), (2, self.two, self.corner_two))
        for distance, straight, square in couplings[: n_blocks - 1]:
            band[:-distance, :, distance * n] = straight
            band[:-distance, self.corner + columns, distance * n + rows - columns] = square[:, rows, columns]
        return band.reshape(n_blocks * n, 2 * n + size)[:, : n_blocks * n].T
