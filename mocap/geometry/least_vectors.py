"""The least eigenvectors of many symmetric 4×4 matrices at once, in element-wise arithmetic.

A general eigensolver treats one matrix after the other: 2 µs each, most of a triangulation's time. Here numbers are
kept as (10, *b), the upper triangle by rows, so that a step of the iteration is a few operations over all matrices.
What the iteration cannot prove to be the least eigenvector is left to the eigensolver: see `least_vectors`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

LEAST_GAP = 1e-13
"""Between the two smallest eigenvalues, as a share of the largest: below it there is no least vector. Rounding is
1e-15."""
PROVEN_GAP = 1e-10
"""Of the 3×3 block's eigenvalues above the least one, as a share of their sum: far from its determinant's rounding."""
PROVEN_CHANGE = 1e-8
"""Of the eigenvalue in the last round, as a share of the gap: the error of the vector, which a Newton step squares."""
ROUNDS = 3
"""Solutions of the 3×3 system. Two do for pixels with some noise, where the eigenvalue is 1e-4 of the gap."""

UPPER = ((0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 3))
"""(row, column) of the ten numbers."""
ROW, COLUMN = ([place[axis] for place in UPPER] for axis in (0, 1))
FEW = 192
"""Matrices for which the eigensolver takes less time than some ninety small operations."""
AT_ONCE = 4096
"""Matrices whose numbers stay in a core's cache."""


class LeastVectors(NamedTuple):
    """vector: of length 1 and either sign. inverse: pseudo-inverse of M - its least eigenvalue. Both 0 unless fixed."""

    vector: Float[Tensor, "4 *b"]
    inverse: Float[Tensor, "10 *b"]
    fixed: Bool[Tensor, "*b"]


def least_vectors(matrix: Float[Tensor, "10 *b"], solvable: Bool[Tensor, "*b"]) -> LeastVectors:
    """Of positive semi-definite matrices, where `solvable` and where the two least eigenvalues differ (`LEAST_GAP`).

    With M = [[A, w], [wᵀ, s]] and the eigenvector (x, 1): x = -(A - λ)⁻¹ w, and the next λ is the Rayleigh quotient of
    (x, 1). Where A - λ is positive definite at the end, λ is the least, as at most one eigenvalue of M lies below the
    least of A (Cauchy's interlacing); where it is not, or λ still moves, `torch.linalg.eigh` decides. No tape.
    """
    with torch.no_grad():
        shape = solvable.shape
        flat = matrix.reshape(10, -1)
        parts = zip(flat.split(AT_ONCE, dim=1), solvable.reshape(-1).split(AT_ONCE), strict=True)
        if matrix.is_cuda:
            parts = [(flat, solvable.reshape(-1))]
        vector, inverse, fixed = zip(*(_least_of_some(*part) for part in parts), strict=True)
        return LeastVectors(
            torch.cat(vector, 1).reshape(4, *shape),
            torch.cat(inverse, 1).reshape(10, *shape),
            torch.cat(fixed).reshape(shape),
        )


def times(matrix: Float[Tensor, "10 *b"], vector: Float[Tensor, "4 *b"]) -> Float[Tensor, "4 *b"]:
    """Symmetric matrices times vectors."""
    a, b, c, d, e, f, g, h, i, j = matrix
    x, y, z, w = vector
    rows = ((a, b, c, d), (b, e, f, g), (c, f, h, i), (d, g, i, j))
    return torch.stack([p * x + q * y + r * z + s * w for p, q, r, s in rows])


def _least_of_some(matrix: Float[Tensor, "10 n"], solvable: Bool[Tensor, "n"]) -> LeastVectors:
    if matrix.shape[1] < FEW:
        return _by_eigensolver(matrix, solvable)
    found = _iterated(matrix)
    proven = found.fixed & solvable
    if proven.all():
        return found
    vector, inverse = torch.where(proven, found.vector, 0.0), torch.where(proven, found.inverse, 0.0)
    rest = (solvable & ~proven).nonzero()[:, 0]
    if len(rest):
        vector[:, rest], inverse[:, rest], proven[rest] = _by_eigensolver(matrix[:, rest], solvable[rest])
    return LeastVectors(vector, inverse, proven)


class _Solved(NamedTuple):
    """(A - λ) x = -w: the upper triangle of the adjugate of A - λ, what it is to be divided by, and x."""

    adjugate: tuple[Tensor, ...]
    determinant: Float[Tensor, "n"]
    x: tuple[Tensor, Tensor, Tensor]

    def inverse(self) -> tuple[Tensor, ...]:
        return tuple(entry / self.determinant for entry in self.adjugate)


def _solved(matrix: Float[Tensor, "10 n"], value: Float[Tensor, "n"]) -> _Solved:
    a, b, c, p, d, e, q, f, r, _ = matrix
    a, d, f = a - value, d - value, f - value
    A, B, C = d * f - e * e, c * e - b * f, b * e - c * d
    D, E, F = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * A + b * B + c * C
    part = -1 / determinant
    x = (A * p + B * q + C * r) * part, (B * p + D * q + E * r) * part, (C * p + E * q + F * r) * part
    return _Solved((A, B, C, D, E, F), determinant, x)


def _iterated(matrix: Float[Tensor, "10 n"]) -> LeastVectors:
    """fixed: where the result is proven."""
    value = torch.zeros_like(matrix[9])
    for _ in range(ROUNDS - 1):
        value = value + _step(matrix, value, _solved(matrix, value))[0]
    solved = _solved(matrix, value)
    change, vector = _step(matrix, value, solved)
    return LeastVectors(vector, _beside(solved.inverse(), vector), _proven(matrix, value, solved, change))


def _step(
    matrix: Float[Tensor, "10 n"], value: Float[Tensor, "n"], solved: _Solved
) -> tuple[Float[Tensor, "n"], Float[Tensor, "4 n"]]:
    """From λ to the Rayleigh quotient of (x, 1), and that vector at length 1."""
    x, y, z = solved.x
    square = x * x + y * y + z * z + 1
    change = (matrix[9] - value + matrix[3] * x + matrix[6] * y + matrix[8] * z) / square
    scale = square.rsqrt()
    return change, torch.stack([x * scale, y * scale, z * scale, scale])


def _proven(
    matrix: Float[Tensor, "10 n"], value: Float[Tensor, "n"], solved: _Solved, change: Float[Tensor, "n"]
) -> Bool[Tensor, "n"]:
    """Where A - λ is positive definite (Sylvester), well away from rounding, and λ no longer moves."""
    first, corner = matrix[0] - value, matrix[9]
    trace = matrix[0] + matrix[4] + matrix[7]
    minors = solved.adjugate[0] + solved.adjugate[3] + solved.adjugate[5]
    gap = solved.determinant / minors  # 1/gap = Σ 1/gaps, so that it is at most the least
    positive = (first > 0) & (solved.adjugate[5] > 0) & (solved.determinant > 0)
    apart = (gap > PROVEN_GAP * trace) & (minors > PROVEN_GAP * trace * trace) & (gap > LEAST_GAP * (trace + corner))
    return positive & apart & (change.abs() < PROVEN_CHANGE * gap)


def _beside(inverse: tuple[Tensor, ...], vector: Float[Tensor, "4 n"]) -> Float[Tensor, "10 n"]:
    """The pseudo-inverse of M - λ from the upper triangle of (A - λ)⁻¹: (1 - v vᵀ) (A - λ)⁻¹ (1 - v vᵀ)."""
    A, B, C, D, E, F = inverse
    x, y, z, w = vector
    i, j, k = A * x + B * y + C * z, B * x + D * y + E * z, C * x + E * y + F * z
    half = (i * x + j * y + k * z) / 2
    i, j, k, m = i - half * x, j - half * y, k - half * z, -half * w
    rows = [A - 2 * i * x, B - i * y - j * x, C - i * z - k * x, -i * w - m * x]
    rows += [D - 2 * j * y, E - j * z - k * y, -j * w - m * y, F - 2 * k * z, -k * w - m * z, -2 * m * w]
    return torch.stack(rows)


def _by_eigensolver(matrix: Float[Tensor, "10 n"], solvable: Bool[Tensor, "n"]) -> LeastVectors:
    place = [UPPER.index((min(i, j), max(i, j))) for i in range(4) for j in range(4)]
    whole = torch.where(solvable, matrix, 0.0)[place].T.unflatten(1, (4, 4))
    values, vectors = torch.linalg.eigh(whole)
    gaps = values[:, 1:] - values[:, :1]
    fixed = solvable & (gaps[:, 0] > LEAST_GAP * values[:, -1])
    others = torch.where(fixed[:, None, None], vectors[..., 1:], 0.0)
    inverse = (others / torch.where(fixed[:, None], gaps, 1.0)[:, None]) @ others.mT
    vector = torch.where(fixed[:, None], vectors[..., 0], 0.0)
    return LeastVectors(vector.T, inverse[:, ROW, COLUMN].T, fixed)
