"""The banded solver against a dense one."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.geometry.banded import BlockBanded


def blocks(n_blocks: int, n: int = 7, corner: int = 2, *, coupled: bool = True) -> tuple[BlockBanded, np.ndarray]:
    """A random matrix of the kind, and the same as a dense array."""
    rng = np.random.default_rng(n_blocks)
    dense = np.zeros((n_blocks * n, n_blocks * n))
    square = rng.normal(size=(n_blocks, n, n))
    diagonal = square @ square.transpose(0, 2, 1) + 20 * np.eye(n)
    one, two = (coupled * rng.normal(size=(max(n_blocks - k, 0), n)) for k in (1, 2))
    corners = tuple(coupled * rng.normal(size=(max(n_blocks - k, 0), 3, 3)) for k in (1, 2))
    for t in range(n_blocks):
        dense[t * n : (t + 1) * n, t * n : (t + 1) * n] = diagonal[t]
    for k, straight, full in ((1, one, corners[0]), (2, two, corners[1])):
        for t in range(n_blocks - k):
            block = np.diag(straight[t])
            block[corner : corner + 3, corner : corner + 3] = full[t]
            rows, columns = slice((t + k) * n, (t + k + 1) * n), slice(t * n, (t + 1) * n)
            dense[rows, columns], dense[columns, rows] = block, block.T
    return BlockBanded(diagonal, one, two, *corners, corner), dense


@pytest.mark.parametrize("n_blocks", [1, 2, 3, 4, 11])
@pytest.mark.parametrize("coupled", [True, False])
def test_solves_what_a_dense_solver_solves(n_blocks, coupled):
    banded, dense = blocks(n_blocks, coupled=coupled)
    right = np.random.default_rng(1).normal(size=(n_blocks, 7))
    expected = np.linalg.solve(dense, right.ravel()).reshape(right.shape)
    np.testing.assert_allclose(banded.solve(right), expected, atol=1e-12)  # condition number under 100


@pytest.mark.parametrize("coupled", [True, False])
def test_an_indefinite_matrix_has_no_solution(coupled):
    banded, _ = blocks(5, coupled=coupled)
    banded.diagonal[3, 2, 2] = -1.0
    assert banded.solve(np.ones((5, 7))) is None


def test_the_upper_triangle_is_not_read():
    banded, _ = blocks(4)
    right = np.ones((4, 7))
    expected = banded.solve(right)
    banded.diagonal[:, *np.triu_indices(7, 1)] = np.nan
    np.testing.assert_array_equal(banded.solve(right), expected)
