"""Motions made by formula: a person whose every limb moves differently, and trees that look like nobody."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition, load_skeleton


def quaternions(rotation: Rotation) -> np.ndarray:
    """wxyz of a scipy rotation."""
    return rotation.as_quat()[..., [3, 0, 1, 2]]


def marching_person(n_frames: int = 90, fps: float = 59.94, person: str = "person", *, turn_deg: float = 500) -> Motion:
    """T-pose in the first frame, then the arms sink and the person marches while turning, by more than a whole turn.

    Left and right differ, feet stay within a few centimetres of the floor, no joint bends the wrong way.
    """
    skeleton = load_skeleton()
    time = np.arange(n_frames) / fps
    effort = 1 - np.exp(-4 * time)  # 0 in the first frame
    stride = np.sin(2 * np.pi * 0.9 * time) * effort
    turns = {
        "Spine": ("x", 0.1 * effort),
        "Spine2": ("z", 0.25 * stride),
        "Head": ("z", -0.5 * stride),
        "LeftArm": ("y", 1.25 * effort),
        "RightArm": ("y", -1.35 * effort),
        "LeftForeArm": ("z", -0.9 * effort + 0.2 * stride),
        "RightForeArm": ("z", 0.6 * effort + 0.2 * stride),
        "LeftHand": ("y", 0.3 * effort),
        "LeftUpLeg": ("x", -0.6 * np.maximum(stride, 0)),
        "LeftLeg": ("x", 1.1 * np.maximum(stride, 0)),
        "LeftFoot": ("x", -0.2 * np.maximum(stride, 0)),
        "RightUpLeg": ("x", -0.5 * np.maximum(-stride, 0)),
        "RightLeg": ("x", 0.9 * np.maximum(-stride, 0)),
        "RightToeBase": ("x", -0.3 * np.maximum(-stride, 0)),
    }
    rotations = np.zeros((n_frames, len(skeleton), 4))
    rotations[..., 0] = 1
    for name, (axis, angle) in turns.items():
        rotations[:, skeleton.index(name)] = quaternions(Rotation.from_euler(axis, angle[:, None]))
    heading = np.deg2rad(turn_deg) * (time / max(time[-1], 1e-9)) ** 2
    rotations[:, 0] = quaternions(Rotation.from_euler("z", heading[:, None]))
    root = np.stack([0.3 * time, -0.9 * time, np.full(n_frames, skeleton.rest_offsets[0, 2])], axis=-1)
    return Motion(skeleton, root, rotations, float(fps), person)


def crooked_motion(seed: int, n_joints: int = 9, n_frames: int = 4, fps: float = 23.976) -> Motion:
    """A random tree, not listed depth first, in random poses; some leaves have tips, some have not."""
    rng = np.random.default_rng(seed)
    parents = np.array([-1, *[rng.integers(max(0, j - 4), j) for j in range(1, n_joints)]])
    tips = np.where(rng.uniform(size=(n_joints, 1)) < 0.7, rng.normal(size=(n_joints, 3)), np.nan)
    tips[np.isin(np.arange(n_joints), parents)] = np.nan
    skeleton = SkeletonDefinition(
        name="crooked",
        joint_names=tuple(f"joint{j}" for j in range(n_joints)),
        parents=parents,
        rest_offsets=rng.normal(size=(n_joints, 3)) * [0.2, 0.3, 0.4],
        limits=np.tile([-np.pi, np.pi], (n_joints, 3, 1)),
        tips=tips,
        mirror_pairs=(),
    )
    rotations = quaternions(Rotation.random(n_frames * n_joints, random_state=rng)).reshape(n_frames, n_joints, 4)
    return Motion(skeleton, rng.normal(size=(n_frames, 3)), rotations, fps)
