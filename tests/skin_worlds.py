"""Bodies made by formula: a box around every joint, and a tube whose vertices hang on two joints each."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.core.skin import SkinnedMesh
from mocap.io.world_joints import joint_worlds, rest_positions

CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)]) - 0.5
CUBE_FACES = np.array(
    [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1], [2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4]]
    + [[1, 5, 7], [1, 7, 3]]
)


def boxed_body(skeleton: SkeletonDefinition, size: float = 0.06) -> SkinnedMesh:
    """A box at every joint; half of its corners hang on the parent too, in shares that float32 cannot sum exactly."""
    rest = rest_positions(skeleton)
    n = len(rest)
    joints = np.zeros((n, 8, 4), dtype=np.int64)
    weights = np.zeros((n, 8, 4))
    joints[..., 0] = np.arange(n)[:, None]
    joints[:, :4, 1] = np.maximum(skeleton.parents, 0)[:, None]
    weights[:, :4, :2] = [2 / 3, 1 / 3]
    weights[:, 4:, 0] = 1.0
    return SkinnedMesh(
        name="Body",
        vertices=(rest[:, None] + CUBE * size).reshape(-1, 3),
        faces=(CUBE_FACES + 8 * np.arange(n)[:, None, None]).reshape(-1, 3),
        joints=joints.reshape(-1, 4),
        weights=weights.reshape(-1, 4),
    )


def skinned_vertices(motion: Motion, skin: SkinnedMesh) -> np.ndarray:
    """(T, V, 3) m, linear blend skinning by the definition: sum over joints of share * (where the joint takes it)."""
    rotations, positions = joint_worlds(motion)
    rest = rest_positions(motion.skeleton)
    turned = Rotation.from_quat(rotations[..., [1, 2, 3, 0]].reshape(-1, 4)).as_matrix()
    turned = turned.reshape(*rotations.shape[:2], 3, 3)
    moved = np.einsum("tvkij,vkj->tvki", turned[:, skin.joints], skin.vertices[:, None] - rest[skin.joints])
    return np.einsum("tvki,vk->tvi", moved + positions[:, skin.joints], skin.weights)
