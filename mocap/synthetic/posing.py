"""Points that follow a skeleton: rigid transforms of its joints at any moment, and linear blend skinning with them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from mocap.core.motion import Motion
from mocap.geometry.joint_transforms import world_from_tpose
from mocap.signal.resample_motion import poses_at


def joint_transforms(motion: Motion, time_s: Float[np.ndarray, "N"] | None = None) -> Float[np.ndarray, "N J 3 4"]:
    """world_from_tpose of every joint: what it does to points that move with it, given where they are in the T-pose.

    time_s: moments since the motion's first frame (slerp in between, held before and after); by default its frames.
    """
    if time_s is None:
        rotations, root = motion.local_rotations, motion.root_translation
    else:
        rotations, root = poses_at(motion, time_s)
    return world_from_tpose(motion.skeleton, rotations, root)


def follow(
    points: Float[np.ndarray, "V 3"], weights: csr_array, transforms: Float[np.ndarray, "J 3 4"]
) -> Float[np.ndarray, "V 3"]:
    """Linear blend skinning of one moment. weights: (V, J), rows sum to 1. Keeps the points' precision."""
    blended = (weights @ transforms.reshape(len(transforms), 12).astype(points.dtype)).reshape(-1, 3, 4)
    return np.einsum("vab,vb->va", blended[..., :3], points) + blended[..., 3]


def follow_in_time(
    points: Float[np.ndarray, "K 3"], weights: Float[np.ndarray, "K J"], transforms: Float[np.ndarray, "N J 3 4"]
) -> Float[np.ndarray, "N K 3"]:
    """The same for a few points at many moments."""
    blended = np.einsum("kj,njab->nkab", weights, transforms, optimize=True)
    return np.einsum("nkab,kb->nka", blended[..., :3], points) + blended[..., 3]
