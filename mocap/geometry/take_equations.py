"""Gauss-Newton equations of a whole take: one block a frame, coupled in time by differences of steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.geometry.banded import BlockBanded

CORNER = 3
"""First of the three steps that turn the root: their couplings in time are full 3x3 blocks, all others diagonal."""

_TURN = slice(CORNER, CORNER + 3)
_FLOOR = 1e-9
"""Keeps unknowns that nothing acts on in the equations; every prior is at least a million times that."""


@dataclass(frozen=True, eq=False)
class TakeEquations:
    """`matrix @ step = -gradient`, with couplings to the next frame and the next but one (see BlockBanded).

    The tensors are filled in place while terms are added.
    """

    diagonal: Float[Tensor, "T n n"]
    gradient: Float[Tensor, "T n"]
    one: Float[Tensor, "T1 n"]
    two: Float[Tensor, "T2 n"]
    corner_one: Float[Tensor, "T1 c c"]
    corner_two: Float[Tensor, "T2 c c"]

    @classmethod
    def of_frames(cls, diagonal: Float[Tensor, "T n n"], gradient: Float[Tensor, "T n"]) -> TakeEquations:
        """Terms of single frames; nothing is coupled yet."""
        n_frames, n = gradient.shape
        one, two = (gradient.new_zeros(max(n_frames - k, 0), n) for k in (1, 2))
        corners = (gradient.new_zeros(max(n_frames - k, 0), 3, 3) for k in (1, 2))
        return cls(diagonal, gradient, one, two, *corners)

    def add_difference(
        self, values: Float[Tensor, "T n"], weights: tuple[float, ...], precision: Float[Tensor, "n"]
    ) -> None:
        """Half of precision * (sum_k weights[k] values[t + k])^2, over all t; values change by their steps."""
        count = len(values) - len(weights) + 1
        if count < 1:
            return
        residual = precision * difference(values, weights)
        entries = torch.diagonal(self.diagonal, dim1=1, dim2=2)
        for k, weight in enumerate(weights):
            self.gradient[k : k + count] += weight * residual
            entries[k : k + count] += weight**2 * precision
            for later in range(k + 1, len(weights)):
                coupling = (self.one, self.two)[later - k - 1]
                coupling[k : k + count] += weight * weights[later] * precision

    def add_turns(
        self, residual: Float[Tensor, "count 3"], parts: tuple[Float[Tensor, "count 3 3"], ...], precision: float
    ) -> None:
        """Half of precision * |residual[t]|^2, whose derivative by the root's turn in frame t + k is parts[k][t]."""
        count = len(residual)
        for k, part in enumerate(parts):
            self.gradient[k : k + count, _TURN] += precision * torch.einsum("tia,ti->ta", part, residual)
            self.diagonal[k : k + count, _TURN, _TURN] += precision * part.transpose(1, 2) @ part
            for later in range(k + 1, len(parts)):
                coupling = (self.corner_one, self.corner_two)[later - k - 1]
                coupling[k : k + count] += precision * parts[later].transpose(1, 2) @ part

    def matrix(self) -> BlockBanded:
        arrays = (self.diagonal, self.one, self.two, self.corner_one, self.corner_two)
        return BlockBanded(*(a.numpy() for a in arrays), corner=CORNER)

    def step(self, damping: float, free: Bool[Tensor, "T n"]) -> Float[Tensor, "T n"] | None:
        """The damped step in the free unknowns, 0 in the others; None where the matrix is not positive definite."""
        keep = free.to(self.gradient.dtype)
        diagonal = self.diagonal * keep[:, :, None] * keep[:, None, :]
        entries = torch.diagonal(diagonal, dim1=1, dim2=2)
        entries += damping * entries + (1 - keep) + _FLOOR
        turn = keep[:, _TURN]
        reduced = TakeEquations(
            diagonal,
            self.gradient * keep,
            self.one * keep[1:] * keep[:-1],
            self.two * keep[2:] * keep[:-2],
            self.corner_one * turn[1:, :, None] * turn[:-1, None, :],
            self.corner_two * turn[2:, :, None] * turn[:-2, None, :],
        )
        solution = reduced.matrix().solve(-reduced.gradient.numpy())
        return None if solution is None else torch.from_numpy(solution)


def difference(values: Float[Tensor, "T k"], weights: tuple[float, ...]) -> Float[Tensor, "count k"]:
    """sum_k weights[k] values[t + k] for every t; empty where there are too few frames."""
    count = max(len(values) - len(weights) + 1, 0)
    total = torch.zeros_like(values[:count])
    for k, weight in enumerate(weights):
        total += weight * values[k : k + count]
    return total
