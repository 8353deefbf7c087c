"""Diagonal blocks of the inverse of block-banded systems: what every frame's unknowns are uncertain by."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Block = Float[Tensor, "W n n"]


def inverse_blocks(
    diagonal: Float[Tensor, "W T n n"], one: Float[Tensor, "W T1 n n"], two: Float[Tensor, "W T2 n n"]
) -> Float[Tensor, "W T n n"]:
    """Blocks [t, t] of the inverse of W symmetric positive definite matrices at once.

    one, two: the blocks [t + 1, t] and [t + 2, t]; there are no others below the diagonal. Takahashi's recurrence on
    the block Cholesky factor (Erisman & Tinney, "On computing certain elements of the inverse of a sparse matrix",
    1975): linear in T, one step of it for all W matrices at a time.
    """
    count = diagonal.shape[1]
    factors = _factors(diagonal, one, two)
    found: list[Block] = [diagonal[:, 0]] * count
    after = two_after = beside = torch.zeros_like(diagonal[:, 0])  # Z[t+1, t+1], Z[t+2, t+2], Z[t+2, t+1]
    for t in reversed(range(count)):
        root, near, far = factors[t]
        inverse = torch.linalg.solve_triangular(root, _eye(root), upper=False)
        near, far = near @ inverse, far @ inverse
        to_near = -(after @ near + beside.transpose(-1, -2) @ far)
        to_far = -(beside @ near + two_after @ far)
        own = inverse.transpose(-1, -2) @ inverse
        own = own - near.transpose(-1, -2) @ to_near - far.transpose(-1, -2) @ to_far
        own = (
            own + own.transpose(-1, -2)
        ) / 2  # the recurrence damps symmetric errors only: others grow threefold a step
        found[t] = own
        after, two_after, beside = own, after, to_near
    return torch.stack(found, dim=1)


def _factors(
    diagonal: Float[Tensor, "W T n n"], one: Float[Tensor, "W T1 n n"], two: Float[Tensor, "W T2 n n"]
) -> list[tuple[Block, Block, Block]]:
    """Blocks [t, t], [t + 1, t] and [t + 2, t] of the Cholesky factor; zero beyond the end."""
    count = diagonal.shape[1]
    nothing = torch.zeros_like(diagonal[:, 0])
    near = far = far_before = nothing  # of the factor: [t, t-1], [t, t-2], and [t+1, t-1]
    factors = []
    for t in range(count):
        left = diagonal[:, t] - near @ near.transpose(-1, -2) - far @ far.transpose(-1, -2)
        root = torch.linalg.cholesky(left)
        coupling = one[:, t] if t + 1 < count else nothing
        coupling = coupling - far_before @ near.transpose(-1, -2)
        beyond = two[:, t] if t + 2 < count else nothing
        below = torch.linalg.solve_triangular(root, torch.cat([coupling, beyond], dim=1).transpose(-1, -2), upper=False)
        next_near, next_far = below.transpose(-1, -2).split(root.shape[-1], dim=1)
        factors.append((root, next_near, next_far))
        near, far, far_before = next_near, far_before, next_far
    return factors


def _eye(block: Block) -> Block:
    return torch.eye(block.shape[-1], dtype=block.dtype).expand_as(block)
