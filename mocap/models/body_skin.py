"""Linear blend skinning of a body's mesh, frame by frame, and the same mesh as file formats hold it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh, four_weights
from mocap.geometry.joint_transforms import world_from_tpose
from mocap.models.body_family import BodyMesh


def joint_transforms(motion: Motion) -> Float[np.ndarray, "T J 3 4"]:
    """world_from_tpose of every joint in every frame: what it does to points given where they are in the T-pose, m."""
    return world_from_tpose(motion.skeleton, motion.local_rotations, motion.root_translation)


def skinned(
    vertices: Float[np.ndarray, "V 3"] | Float[np.ndarray, "T V 3"],
    weights: csr_array,
    transforms: Float[np.ndarray, "T J 3 4"],
) -> Float[np.ndarray, "T V 3"]:
    """The skin in every frame, m, world. vertices: in the T-pose, the same in all frames or of each."""
    n_frames, n_joints = transforms.shape[:2]
    table = transforms.transpose(1, 0, 2, 3).reshape(n_joints, -1)  # one product for all frames
    blended = np.asarray(weights @ table).reshape(-1, n_frames, 3, 4)
    moved = blended[..., :3] @ np.moveaxis(np.broadcast_to(vertices, (n_frames, *vertices.shape[-2:])), 0, 1)[..., None]
    return np.moveaxis(moved[..., 0] + blended[..., 3], 0, 1)


def skinned_mesh(name: str, mesh: BodyMesh) -> SkinnedMesh:
    """At most four joints a vertex, as game engines want it."""
    joints, weights = four_weights(mesh.weights)
    return SkinnedMesh(name, mesh.vertices, mesh.faces, joints, weights)
