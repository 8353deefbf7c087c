"""Points under the feet of a skeleton: heel, ball and tip of the toes, on the floor in its T-pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.kinematics import forward_kinematics
from mocap.geometry.rotations import quat_rotate

SOLE_POINTS = ("left_heel", "left_ball", "left_tip", "right_heel", "right_ball", "right_tip")
SOLE_JOINTS = (("LeftFoot", "LeftToeBase"), ("RightFoot", "RightToeBase"))
HEEL_SHARE = 0.4
"""Of the way from ankle to ball, which a heel lies behind the ankle."""


@dataclass(frozen=True, eq=False)
class Soles:
    """joint: (6,) that each of SOLE_POINTS hangs on; offsets: (6, 3) m in that joint's axes."""

    joint: Int[np.ndarray, "6"]
    offsets: Float[np.ndarray, "6 3"]


def has_soles(skeleton: SkeletonDefinition) -> bool:
    """Whether it has ankles and balls of the feet by their names in `humanoid`."""
    return {name for pair in SOLE_JOINTS for name in pair} <= set(skeleton.joint_names)


def soles(skeleton: SkeletonDefinition) -> Soles:
    """The soles of a skeleton that has some (`has_soles`); a toe without a tip ends half a foot before the ball."""
    height = np.zeros(len(skeleton))
    for joint in range(len(skeleton)):
        above = height[skeleton.parents[joint]] if joint else 0.0
        height[joint] = above + skeleton.rest_offsets[joint, 2]
    joints, offsets = [], []
    for names in SOLE_JOINTS:
        foot, ball = (skeleton.index(name) for name in names)
        forward = skeleton.rest_offsets[ball] * [1.0, 1.0, 0.0]
        tip = skeleton.tips[ball] if np.isfinite(skeleton.tips[ball]).all() else forward / 2
        joints += [foot, ball, ball]
        offsets += [
            [-HEEL_SHARE * forward[0], -HEEL_SHARE * forward[1], -height[foot]],
            [0.0, 0.0, -height[ball]],
            [tip[0], tip[1], -height[ball]],
        ]
    return Soles(np.array(joints), np.array(offsets))


def sole_points(motion: Motion) -> Float[np.ndarray, "T 6 3"]:
    """SOLE_POINTS in the world, m."""
    under = soles(motion.skeleton)
    rotations, joints = forward_kinematics(
        torch.from_numpy(np.array(motion.local_rotations)),
        torch.from_numpy(np.array(motion.root_translation)),
        torch.from_numpy(np.array(motion.skeleton.rest_offsets)),
        motion.skeleton.parents,
    )
    hung = quat_rotate(rotations[:, under.joint], torch.from_numpy(under.offsets))
    return (joints[:, under.joint] + hung).numpy()
