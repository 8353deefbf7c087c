"""The same motion told from another rest pose, and the axes that a program's bones have at rest.

Convention: G_j is the world rotation of joint j when a skeleton at rest is bent into the other rest pose. A joint that
stood at W_j from the old rest stands at W_j G_j' from the new one, so its `local_rotations` become G_p L_j G_j' and its
offset G_p offset_j. Positions and the body's shape in every frame stay what they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.core.skin import SkinnedMesh

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]
Direction = Literal["left", "right", "up", "down", "front", "back"]
RestPose = Literal["T", "A"]

DIRECTIONS: dict[str, tuple[float, float, float]] = {
    "left": (1, 0, 0),
    "right": (-1, 0, 0),
    "up": (0, 0, 1),
    "down": (0, 0, -1),
    "front": (0, -1, 0),
    "back": (0, 1, 0),
}
A_POSE_DROP_RAD = np.deg2rad(45.0)
PARALLEL = 1e-3  # sine of the angle between a bone and the direction that is to tell its roll


class BoneAxes(Config):
    """Axes of some joints at rest. along: which of them points along the bone; second: which of them looks `to` a side.

    The second is turned about the bone until it looks there as straight as it can. Sides are those of the person.
    """

    joints: tuple[str, ...] = ()
    along: Axis = "y"
    second: Axis = "z"
    to: Direction = "front"


def a_pose(skeleton: SkeletonDefinition) -> Mapping[str, Rotation]:
    """What bends the T-pose into an A: arms 45 degrees down."""
    if not {"LeftArm", "RightArm"} <= set(skeleton.joint_names):
        raise InputError(
            f"skeleton {skeleton.name!r} has no joints LeftArm and RightArm to lower into an A-pose",
            remedy="Keep the rest pose that it has (rest_pose T).",
        )
    down = [0.0, A_POSE_DROP_RAD, 0.0]
    return {"LeftArm": Rotation.from_rotvec(down), "RightArm": Rotation.from_rotvec(down).inv()}


def rest_turns(skeleton: SkeletonDefinition, bent: Mapping[str, Rotation]) -> Float[np.ndarray, "J 3 3"]:
    """World rotations G of all joints when those named are bent (rotations in the parent's frame)."""
    turns = np.tile(np.eye(3), (len(skeleton), 1, 1))
    for joint, (name, parent) in enumerate(zip(skeleton.joint_names, skeleton.parents.tolist(), strict=True)):
        local = bent[name].as_matrix() if name in bent else np.eye(3)
        turns[joint] = (turns[parent] if parent >= 0 else np.eye(3)) @ local
    return turns


def with_rest(motion: Motion, turns: Float[np.ndarray, "J 3 3"]) -> Motion:
    """The same motion from the rest pose that `turns` bends the old one into. The joints' limits are let go."""
    skeleton = motion.skeleton
    parents = np.maximum(skeleton.parents, 0)
    above = np.where((skeleton.parents >= 0)[:, None, None], turns[parents], np.eye(3))
    left = Rotation.from_matrix(above).as_quat()[:, [3, 0, 1, 2]]
    right = Rotation.from_matrix(turns.swapaxes(-1, -2)).as_quat()[:, [3, 0, 1, 2]]
    rested = replace(
        skeleton,
        rest_offsets=np.einsum("jab,jb->ja", above, skeleton.rest_offsets),
        tips=np.einsum("jab,jb->ja", turns, skeleton.tips),
        limits=np.tile([-2 * np.pi, 2 * np.pi], (len(skeleton), 3, 1)),
    )
    rotations = _product(_product(left, motion.local_rotations), right)
    return replace(motion, skeleton=rested, local_rotations=rotations)


def _product(a: Float[np.ndarray, "... 4"], b: Float[np.ndarray, "... 4"]) -> Float[np.ndarray, "... 4"]:
    """Hamilton product of quaternions wxyz."""
    vector = a[..., :1] * b[..., 1:] + b[..., :1] * a[..., 1:] + np.cross(a[..., 1:], b[..., 1:])
    scalar = a[..., :1] * b[..., :1] - (a[..., 1:] * b[..., 1:]).sum(-1, keepdims=True)
    return np.concatenate([scalar, vector], axis=-1)


def skin_at_rest(skin: SkinnedMesh, skeleton: SkeletonDefinition, turns: Float[np.ndarray, "J 3 3"]) -> SkinnedMesh:
    """The mesh bent by linear blend skinning into the rest pose of `turns`; `skeleton` is the one before."""
    before, after = skeleton.rest_offsets.copy(), skeleton.rest_offsets.copy()
    for joint in range(1, len(skeleton)):
        parent = int(skeleton.parents[joint])
        before[joint] += before[parent]
        after[joint] = after[parent] + turns[parent] @ skeleton.rest_offsets[joint]
    relative = skin.vertices[:, None] - before[skin.joints]
    placed = np.einsum("vkab,vkb->vka", turns[skin.joints], relative) + after[skin.joints]
    return replace(skin, vertices=(skin.weights[..., None] * placed).sum(axis=1))


def bone_axes(skeleton: SkeletonDefinition, rules: Sequence[BoneAxes]) -> Float[np.ndarray, "J 4"]:
    """world_from_joint (wxyz) at rest of every joint, by the first rule that names it; the world's where none does.

    A rule without joints stands for all that are left, and takes another side where a bone points to its own.
    `skeleton` is at rest in the T-pose.
    """
    along = bone_directions(skeleton)
    axes = np.tile(np.eye(3), (len(skeleton), 1, 1))
    for joint, name in enumerate(skeleton.joint_names):
        rule = next((rule for rule in rules if name in rule.joints or not rule.joints), None)
        if rule is not None:
            axes[joint] = _axes_of(along[joint], rule, name)
    return Rotation.from_matrix(axes).as_quat()[:, [3, 0, 1, 2]]


def turned_axes(axes: Float[np.ndarray, "J 4"], turns: Float[np.ndarray, "J 3 3"]) -> Float[np.ndarray, "J 4"]:
    """The axes of bones that are bent with their joints into another rest pose."""
    turned = Rotation.from_matrix(turns) * Rotation.from_quat(axes[:, [1, 2, 3, 0]])
    return turned.as_quat()[:, [3, 0, 1, 2]]


def renamed(skeleton: SkeletonDefinition, names: Mapping[str, str]) -> SkeletonDefinition:
    """The skeleton with other names for some of its joints; those without a new name keep theirs."""
    if not set(names) & set(skeleton.joint_names):
        return skeleton
    return replace(
        skeleton,
        joint_names=tuple(names.get(name, name) for name in skeleton.joint_names),
        mirror_pairs=tuple((names.get(a, a), names.get(b, b)) for a, b in skeleton.mirror_pairs),
    )


def bone_directions(skeleton: SkeletonDefinition) -> Float[np.ndarray, "J 3"]:
    """Unit vectors along the bones at rest: to the child in the body's middle, or the only one, or the tip.

    A joint with neither has its parent's direction; one whose children are pairs alone looks to their mean.
    """
    paired = {name for pair in skeleton.mirror_pairs for name in pair}
    directions = np.zeros((len(skeleton), 3))
    for joint in range(len(skeleton)):
        children = skeleton.children(joint).tolist()
        middle = [child for child in children if skeleton.joint_names[child] not in paired]
        if children:
            vector = skeleton.rest_offsets[middle or children].mean(axis=0)
        else:
            vector = np.nan_to_num(skeleton.tips[joint])
        length = np.linalg.norm(vector)
        parent = int(skeleton.parents[joint])
        if length > 0:
            directions[joint] = vector / length
        else:
            directions[joint] = directions[parent] if parent >= 0 else [0.0, 0.0, 1.0]
    return directions


def _axes_of(along: Float[np.ndarray, "3"], rule: BoneAxes, joint: str) -> Float[np.ndarray, "3 3"]:
    """Columns x, y, z: one along the bone, one to the side as nearly as may be, the third right-handed."""
    first, second = "xyz".index(rule.along[-1]), "xyz".index(rule.second[-1])
    if first == second:
        raise InputError(f"axis {rule.along!r} of {joint!r} cannot point along the bone and to the {rule.to}")
    side = np.array(DIRECTIONS[rule.to], dtype=np.float64)
    if abs(side @ along) > 1 - PARALLEL and not rule.joints:
        side = np.eye(3)[np.abs(along).argmin()]
    side -= (side @ along) * along
    if np.linalg.norm(side) < PARALLEL:
        raise InputError(f"the bone of {joint!r} points to the {rule.to} itself, which cannot tell its roll")
    columns = np.zeros((3, 3))
    columns[:, first] = -along if rule.along[0] == "-" else along
    columns[:, second] = side / np.linalg.norm(side) * (-1 if rule.second[0] == "-" else 1)
    third = 3 - first - second
    cross = np.cross(columns[:, first], columns[:, second])
    columns[:, third] = cross if (second - first) % 3 == 1 else -cross
    return columns
