"""What touches: soles the floor, and palms each other."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from mocap.core.config import Config
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.joint_transforms import rest_joints
from mocap.signal.contacts import hysteresis, without_short
from mocap.synthetic.gait import joint_poses

SIDES = ("Left", "Right")
HEEL_SHARE = 0.4
PALM_SHARE = 0.48
"""The palm's middle is that part of the way from wrist to finger tip."""
PALM_DEPTH_SHARE = 0.095
"""Half a hand's thickness, of its length (18 mm of 189)."""
CLAP_GAP_M = 0.03
CLAP_OPEN_M = 0.06
CLAP_WINDOW_S = 0.3


class FootContactConfig(Config):
    """A contact begins and ends in frames in which a point is lower than `low_m` and slower than `slow_m_s`; in between
    it is never higher than `high_m` nor faster than `fast_m_s`. Shorter contacts, and shorter gaps between them, than
    `min_s` are left out."""

    low_m: float = 0.006
    high_m: float = 0.010
    slow_m_s: float = 0.05
    fast_m_s: float = 0.12
    min_s: float = 0.05


def sole_paths(motion: Motion) -> Float[np.ndarray, "T 2 3 3"]:
    """Heel, ball and toe tip of the left and the right foot in the world, m; on the floor in the T-pose.

    The heel lies behind the ankle by 0.4 of the way from ankle to ball.
    """
    skeleton = motion.skeleton
    rest = rest_joints(skeleton)
    rotations, positions = joint_poses(motion)
    paths = np.zeros((motion.n_frames, 2, 3, 3))
    for column, side in enumerate(SIDES):
        foot, toe = skeleton.index(f"{side}Foot"), skeleton.index(f"{side}ToeBase")
        tip = np.nan_to_num(skeleton.tips[toe])
        points = (
            (foot, [0.0, -HEEL_SHARE * skeleton.rest_offsets[toe, 1], -rest[foot, 2]]),
            (toe, [0.0, 0.0, -rest[toe, 2]]),
            (toe, [tip[0], tip[1], -rest[toe, 2]]),
        )
        for row, (joint, offset) in enumerate(points):
            turn = Rotation.from_quat(rotations[:, joint][:, [1, 2, 3, 0]])
            paths[:, column, row] = positions[:, joint] + turn.apply(np.array(offset))
    return paths


def foot_contacts(motion: Motion, config: FootContactConfig | None = None) -> Bool[np.ndarray, "T 4"]:
    """Whether left heel, left toes, right heel and right toes carry: low and slow, with hysteresis.

    Toes carry where the ball or the tip does. A speed is that of the slower of the two intervals beside a frame.
    """
    config = config or FootContactConfig()
    paths = sole_paths(motion)
    height = paths[..., 2]
    speed = _slower_speed(paths, motion.fps)
    height = np.stack([height[..., 0], height[..., 1:].min(axis=-1)], axis=-1)
    speed = np.stack([speed[..., 0], speed[..., 1:].min(axis=-1)], axis=-1)
    sure = ((height < config.low_m) & (speed < config.slow_m_s)).reshape(-1, 4)
    maybe = ((height < config.high_m) & (speed < config.fast_m_s)).reshape(-1, 4)
    shortest = config.min_s * motion.fps
    return without_short(hysteresis(sure, maybe), shortest)


def _slower_speed(paths: Float[np.ndarray, "T *n 3"], fps: float) -> Float[np.ndarray, "T *n"]:
    if len(paths) < 2:
        return np.zeros(paths.shape[:-1])
    speed = np.linalg.norm(np.diff(paths, axis=0), axis=-1) * fps
    return np.minimum(np.concatenate([speed[:1], speed]), np.concatenate([speed, speed[-1:]]))


def palm_point(skeleton: SkeletonDefinition, side: str) -> Float[np.ndarray, "3"]:
    """The middle of the palm's skin in the hand's axes, m."""
    tip = np.nan_to_num(skeleton.tips[skeleton.index(f"{side}Hand")])
    return PALM_SHARE * tip - [0.0, 0.0, PALM_DEPTH_SHARE * float(np.linalg.norm(tip))]


def palm_gap(motion: Motion) -> Float[np.ndarray, "T"]:
    """From the middle of one palm to that of the other, m."""
    rotations, positions = joint_poses(motion)
    palms = []
    for side in SIDES:
        joint = motion.skeleton.index(f"{side}Hand")
        turn = Rotation.from_quat(rotations[:, joint][:, [1, 2, 3, 0]])
        palms.append(positions[:, joint] + turn.apply(palm_point(motion.skeleton, side)))
    return np.linalg.norm(palms[0] - palms[1], axis=-1)


def clap_times(motion: Motion) -> Float[np.ndarray, "n"]:
    """When palms meet, s since the first frame: between frames, at the vertex of the parabola through the least gaps.

    A clap is a least gap below CLAP_GAP_M that was over CLAP_OPEN_M within CLAP_WINDOW_S before.
    """
    gap = palm_gap(motion)
    times, before = [], max(1, round(CLAP_WINDOW_S * motion.fps))
    for frame in range(1, len(gap) - 1):
        least = gap[frame] <= gap[frame - 1] and gap[frame] < gap[frame + 1]
        if least and gap[frame] < CLAP_GAP_M and gap[max(0, frame - before) : frame].max() > CLAP_OPEN_M:
            a, b, c = gap[frame - 1 : frame + 2]
            times.append((frame + 0.5 * (a - c) / (a - 2 * b + c)) / motion.fps)
    return np.array(times, dtype=np.float64)
