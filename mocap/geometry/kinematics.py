"""Joint rotations to joint positions, all frames and all joints of one depth at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mocap.core.errors import InputError
from mocap.geometry.rotations import quat_multiply, quat_rotate


def forward_kinematics(
    local_rotations: Float[Tensor, "*b J 4"],
    root_translation: Float[Tensor, "*b 3"],
    rest_offsets: Float[Tensor, "J 3"],
    parents: Sequence[int] | Int[np.ndarray, "J"],
) -> tuple[Float[Tensor, "*b J 4"], Float[Tensor, "*b J 3"]]:
    """World rotation (wxyz, world_from_joint) and world position (m) of every joint.

    local_rotations: unit, parent_from_joint. root_translation is where the root joint is; its rest offset is not added.
    parents: -1 for the root, which comes first; every parent comes before its children.
    """
    levels, restore = _levels(tuple(int(p) for p in parents))
    rotations = [local_rotations[..., :1, :]]
    positions = [root_translation[..., None, :]]
    for joints, parent_places in levels[1:]:
        parent_rotation = rotations[-1][..., parent_places, :]
        rotations.append(quat_multiply(parent_rotation, local_rotations[..., joints, :]))
        positions.append(positions[-1][..., parent_places, :] + quat_rotate(parent_rotation, rest_offsets[joints]))
    return torch.cat(rotations, dim=-2)[..., restore, :], torch.cat(positions, dim=-2)[..., restore, :]


@lru_cache(maxsize=64)
def _levels(parents: tuple[int, ...]) -> tuple[list[tuple[list[int], list[int]]], list[int]]:
    """For every depth its joints and where their parents stand in the depth above; then the way back to joint order."""
    if not parents or parents[0] != -1 or any(not 0 <= p < j for j, p in enumerate(parents) if j):
        raise InputError("one root first, and every parent before its children")
    depth = [0]
    for parent in parents[1:]:
        depth.append(depth[parent] + 1)
    by_depth = [[j for j, d in enumerate(depth) if d == level] for level in range(max(depth) + 1)]
    levels = [(by_depth[0], [0])]
    for above, joints in pairwise(by_depth):
        levels.append((joints, [above.index(parents[j]) for j in joints]))
    order = [j for joints in by_depth for j in joints]
    return levels, [order.index(j) for j in range(len(parents))]


def descends_from(parents: Sequence[int]) -> list[list[bool]]:
    """`table[j][k]`: whether joint j moves when joint k turns (k is j or one of its ancestors)."""
    n = len(parents)
    table = [[j == k for k in range(n)] for j in range(n)]
    for j, parent in enumerate(parents):
        if parent >= 0:
            table[j] = [own or above for own, above in zip(table[j], table[parent], strict=True)]
    return table
