"""Joints of skeletons as named points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.evaluation.evaluate_points import NamedPoints
from mocap.synthetic.gait import joint_poses

LIMB_JOINTS = {"Arm": "shoulder", "ForeArm": "elbow", "Hand": "wrist", "UpLeg": "hip", "Leg": "knee", "Foot": "ankle"}
"""Joints of the humanoid (and of most BVH files) -> the keypoints that mean them."""

AS_KEYPOINTS = {
    f"{side}{joint}": f"{side.lower()}_{part}" for side in ("Left", "Right") for joint, part in LIMB_JOINTS.items()
}


def point_name(joint: str) -> str:
    """The keypoint of the same place where there is one, else the joint's own name; `mixamorig:` and such dropped."""
    plain = joint.rpartition(":")[2]
    return AS_KEYPOINTS.get(plain, plain)


def named_joints(motions: Sequence[Motion]) -> NamedPoints:
    """Centres of the joints of people who share a skeleton's names; limbs under the names of keypoints."""
    skeleton = motions[0].skeleton
    names = tuple(point_name(name) for name in skeleton.joint_names)
    order = [[motion.skeleton.index(name) for name in skeleton.joint_names] for motion in motions]
    xyz = np.stack([joint_poses(m)[1][:, columns] for m, columns in zip(motions, order, strict=True)], axis=1)
    edges = tuple((names[parent], names[joint]) for joint, parent in enumerate(skeleton.parents) if parent >= 0)
    people = tuple(motion.person for motion in motions)
    return NamedPoints(names, xyz, motions[0].fps, people, edges, of_joints=True)


def moved_motion(motion: Motion, scale: float, R: Float[np.ndarray, "3 3"], t: Float[np.ndarray, "3"]) -> Motion:
    """The motion in another world: x becomes scale R x + t."""
    skeleton = motion.skeleton
    skeleton = replace(skeleton, rest_offsets=scale * skeleton.rest_offsets, tips=scale * skeleton.tips)
    rotations = np.array(motion.local_rotations)
    turned = Rotation.from_matrix(R) * Rotation.from_quat(rotations[:, 0][:, [1, 2, 3, 0]])
    rotations[:, 0] = turned.as_quat()[:, [3, 0, 1, 2]]
    root = scale * motion.root_translation @ R.T + t
    return replace(motion, skeleton=skeleton, local_rotations=rotations, root_translation=root)
