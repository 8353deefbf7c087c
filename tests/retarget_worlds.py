"""A known motion written as another program would: other names, rest pose, axes of joints, unit and vertical."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.io.bvh import BvhFile
from mocap.io.euler import continuous_euler
from mocap.synthetic.posing import joint_transforms

FILE_FROM_WORLD = {
    "y": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "z": np.eye(3),
    "z, facing +Y": np.diag([-1.0, -1.0, 1.0]),
    "x": np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]]),
    "-y": np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]),
}
T_POSE: dict[str, Rotation] = {}
A_POSE = {
    "LeftArm": Rotation.from_euler("y", 50, degrees=True),
    "RightArm": Rotation.from_euler("y", -50, degrees=True),
}
HANGING = {
    "LeftArm": Rotation.from_euler("y", 90, degrees=True),
    "RightArm": Rotation.from_euler("y", -90, degrees=True),
}
ZOMBIE = {
    "LeftArm": Rotation.from_euler("z", -90, degrees=True),
    "RightArm": Rotation.from_euler("z", 90, degrees=True),
    "LeftUpLeg": Rotation.from_euler("z", 25, degrees=True),
    "RightUpLeg": Rotation.from_euler("z", -25, degrees=True),
    "LeftFoot": Rotation.from_euler("x", 30, degrees=True),
    "RightFoot": Rotation.from_euler("x", 30, degrees=True),
}
REST_POSES = {"T": T_POSE, "A": A_POSE, "arms hanging": HANGING, "zombie": ZOMBIE}
_HUMANOID = ("UpLeg", "Leg", "Foot", "ToeBase", "Shoulder", "Arm", "ForeArm", "Hand")


def _names(pattern: str, parts: str, middle: str) -> dict[str, str]:
    """Humanoid name to another program's; `pattern` with {side}, {s} or {low} (one letter) and {part}."""
    names = dict(zip(("Hips", "Spine", "Spine1", "Spine2", "Neck", "Head"), middle.split(), strict=True))
    for side in ("Left", "Right"):
        for ours, theirs in zip(_HUMANOID, parts.split(), strict=True):
            names[side + ours] = pattern.format(side=side, s=side[0], low=side[0].lower(), part=theirs)
    return names


NAMES: dict[str, dict[str, str]] = {
    "mixamo": _names(
        "mixamorig:{side}{part}",
        "UpLeg Leg Foot ToeBase Shoulder Arm ForeArm Hand",
        "mixamorig:Hips mixamorig:Spine mixamorig:Spine1 mixamorig:Spine2 mixamorig:Neck mixamorig:Head",
    ),
    "cmu": _names(
        "{low}{part}",
        "femur tibia foot toes clavicle humerus radius hand",
        "root lowerback upperback thorax lowerneck head",
    ),
    "collar and shoulder": _names(
        "{side}{part}", "Hip Knee Ankle Toe Collar Shoulder Elbow Wrist", "Hips Chest Chest2 Chest3 Neck Head"
    ),
    "unity": _names(
        "{side}{part}",
        "UpperLeg LowerLeg Foot Toes Shoulder UpperArm LowerArm Hand",
        "Hips Spine Chest UpperChest Neck Head",
    ),
    "unreal": _names(
        "{part}_{low}",
        "thigh calf foot ball clavicle upperarm lowerarm hand",
        "pelvis spine_01 spine_02 spine_03 neck_01 head",
    ),
    "biped": _names(
        "Bip01_{s}_{part}",
        "Thigh Calf Foot Toe0 Clavicle UpperArm Forearm Hand",
        "Bip01_Pelvis Bip01_Spine Bip01_Spine1 Bip01_Spine2 Bip01_Neck Bip01_Head",
    ),
    "poser": _names(
        "{low}{part}", "Thigh Shin Foot Toe Collar Shldr ForeArm Hand", "hip abdomen chest chest2 neck head"
    ),
    "smpl": _names(
        "{s}_{part}", "Hip Knee Ankle Foot Collar Shoulder Elbow Wrist", "Pelvis Spine1 Spine2 Spine3 Neck Head"
    ),
    "rokoko": _names(
        "{side}{part}", "Thigh Shin Foot Toe Shoulder Arm ForeArm Hand", "Hips Spine1 Spine2 Spine3 Neck Head"
    ),
    "rigify": _names(
        "DEF-{part}.{s}",
        "thigh shin foot toe shoulder upper_arm forearm hand",
        "DEF-spine.000 DEF-spine.001 DEF-spine.002 DEF-spine.003 DEF-neck DEF-head",
    ),
}
NAMES["none that mean anything"] = {ours: f"bone{number}" for number, ours in enumerate(NAMES["mixamo"])}


def as_file(
    motion: Motion,
    *,
    names: Mapping[str, str] | None = None,
    rest: Mapping[str, Rotation] | None = None,
    up: str = "y",
    unit_m: float = 0.01,
    axes_seed: int | None = None,
) -> BvhFile:
    """The motion as a file whose all-angles-zero is the pose `rest` (local rotations by joint); six channels each.

    axes_seed: joints' axes turned at random, so that all angles zero is a heap of bones.
    """
    skeleton, n = motion.skeleton, len(motion.skeleton)
    world = joint_transforms(motion)[..., :3]
    zero = np.tile(np.eye(3), (n, 1, 1))
    for joint, name in enumerate(skeleton.joint_names):
        local = (rest or {}).get(name, Rotation.identity()).as_matrix()
        zero[joint] = zero[skeleton.parents[joint]] @ local if joint else local
    axes = np.tile(np.eye(3), (n, 1, 1))
    if axes_seed is not None:
        axes = Rotation.random(n, random_state=np.random.default_rng(axes_seed)).as_matrix()
    to_file = FILE_FROM_WORLD[up]
    joint_from_ours = to_file @ axes.swapaxes(-1, -2) @ zero  # (n, 3, 3): joint's axes in the file from ours
    turns = to_file @ world @ zero.swapaxes(-1, -2) @ axes @ to_file.T
    offsets = np.einsum("jab,jb->ja", joint_from_ours[skeleton.parents], skeleton.rest_offsets) / unit_m
    offsets[0] = 0.0
    local = turns.copy()
    local[:, 1:] = turns[:, skeleton.parents[1:]].swapaxes(-1, -2) @ turns[:, 1:]
    quaternions = Rotation.from_matrix(local.reshape(-1, 3, 3)).as_quat()[:, [3, 0, 1, 2]].reshape(-1, n, 4)
    angles = np.rad2deg(continuous_euler(quaternions, "ZXY"))
    places = motion.root_translation @ to_file.T / unit_m
    leaves = np.flatnonzero(np.isfinite(skeleton.tips[:, 0]))
    rotations = ("Zrotation", "Xrotation", "Yrotation")
    return BvhFile(
        joint_names=tuple((names or {}).get(name, name) for name in skeleton.joint_names),
        parents=skeleton.parents.copy(),
        offsets=offsets,
        channels=(("Xposition", "Yposition", "Zposition", *rotations), *[rotations] * (n - 1)),
        end_parents=leaves,
        end_offsets=np.einsum("jab,jb->ja", joint_from_ours[leaves], skeleton.tips[leaves]) / unit_m,
        values=np.hstack([places, angles.reshape(len(angles), -1)]),
        frame_time=1.0 / motion.fps,
    )
