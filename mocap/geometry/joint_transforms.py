"""What joints do to points that move with them."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float

from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.kinematics import forward_kinematics
from mocap.geometry.rotations import quat_to_matrix


def rest_joints(skeleton: SkeletonDefinition) -> Float[np.ndarray, "J 3"]:
    """Where the joints are in the T-pose, m: the root above the origin, soles on the floor."""
    joints = np.array(skeleton.rest_offsets)
    for joint in range(1, len(skeleton)):
        joints[joint] += joints[skeleton.parents[joint]]
    return joints


def world_from_tpose(
    skeleton: SkeletonDefinition, local_rotations: Float[np.ndarray, "T J 4"], root: Float[np.ndarray, "T 3"]
) -> Float[np.ndarray, "T J 3 4"]:
    """Rigid transforms (R | t) of every joint in every frame, of points given where they are in the T-pose, m."""
    local, path, offsets = (torch.from_numpy(np.array(a)) for a in (local_rotations, root, skeleton.rest_offsets))
    world, positions = forward_kinematics(local, path, offsets, skeleton.parents)
    R = quat_to_matrix(world).numpy()
    shift = positions.numpy() - np.einsum("tjab,jb->tja", R, rest_joints(skeleton))
    return np.concatenate([R, shift[..., None]], axis=-1)
