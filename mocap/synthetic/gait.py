"""A person made by formula: walks, slows down, stands and reaches for something.

Sagittal angles of a stride are those of normal walking as printed in Winter, "Biomechanics and Motor Control of Human
Movement" (fig. 3 of the gait chapter), sampled every tenth of a stride and rounded to degrees. Everything else is
chosen to look right: pelvis and trunk turn against each other, arms swing against legs.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.kinematics import forward_kinematics

HIP_FLEXION_DEG = (28, 26, 19, 9, -1, -9, -6, 12, 26, 31)
KNEE_FLEXION_DEG = (4, 16, 18, 11, 6, 12, 35, 60, 53, 20)
ANKLE_DORSIFLEXION_DEG = (0, -4, 3, 7, 10, 5, -17, -8, 1, 1)
TOE_EXTENSION_DEG = (8, 0, 0, 0, 5, 24, 22, 4, 6, 10)

STRIDES_PER_S = 0.95
PELVIS_TILT_DEG = 3.0

CONTACT_HEIGHT_M = 0.004
"""Sole points this near to the lowest one share in carrying the body."""
LEAD_IN_S = 1.0
"""Walked before the first frame, so that the person comes in at full speed."""
SMOOTHING_S = 0.13
"""Takes most of the step's own rhythm (1.9 Hz) out of the body's speed."""


def walk_and_reach(
    skeleton: SkeletonDefinition, *, seconds: float = 4.0, fps: float = 30.0, person: str = "person"
) -> Motion:
    """Walks for about 2.5 s towards -Y in a bend to the left, then reaches up and forward with the right hand.

    The mean place of the root is above the world's origin.
    The lowest point of the soles is always on the floor, and the feet carry the body along: they slide only as much as
    a body of even speed asks of angles that were measured on another one.
    """
    before = round(LEAD_IN_S * fps)
    time = np.arange(-before, round(seconds * fps)) / fps
    walking = 1 - _ramp(time, 2.2, 2.9)
    reaching = _ramp(time, 2.5, 3.3)
    turns = _legs(time, walking, reaching) | _trunk(time, walking, reaching) | _arms(time, walking, reaching)
    rotations = np.zeros((len(time), len(skeleton), 4))
    rotations[..., 0] = 1.0
    for name, turn in turns.items():
        rotations[:, skeleton.index(name)] = turn.as_quat()[:, [3, 0, 1, 2]]
    root = _carried_by_feet(skeleton, rotations, fps)[before:]
    root[:, :2] -= root[:, :2].mean(0)
    return Motion(skeleton, root, rotations[before:], fps, person)


def joint_poses(motion: Motion) -> tuple[Float[np.ndarray, "T J 4"], Float[np.ndarray, "T J 3"]]:
    """World rotations (wxyz) and positions (m) of every joint."""
    rotations, positions = forward_kinematics(
        torch.from_numpy(np.array(motion.local_rotations)),
        torch.from_numpy(np.array(motion.root_translation)),
        torch.from_numpy(np.array(motion.skeleton.rest_offsets)),
        motion.skeleton.parents,
    )
    return rotations.numpy(), positions.numpy()


def _ramp(time: Float[np.ndarray, "T"], start: float, end: float) -> Float[np.ndarray, "T"]:
    """From 0 to 1 with no jump in acceleration (minimum jerk)."""
    x = np.clip((time - start) / (end - start), 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


def _stride(samples: tuple[int, ...], phase: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """A periodic curve through values given at every tenth of a stride; phase counts strides."""
    knots = np.linspace(0.0, 1.0, len(samples) + 1)
    return CubicSpline(knots, [*samples, samples[0]], bc_type="periodic")(phase % 1.0)


def _turned(axes: str, *degrees: Float[np.ndarray, "T"] | float) -> Rotation:
    """Turned about the parent's axes one after the other."""
    return Rotation.from_euler(axes, np.stack(np.broadcast_arrays(*degrees), axis=-1), degrees=True)


def _sway(time: Float[np.ndarray, "T"], walking: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """The once-a-stride turn of pelvis and trunk, in [-1, 1]: 1 when the right leg is foremost."""
    return walking * np.sin(2 * np.pi * (STRIDES_PER_S * time + 0.37))


def _legs(
    time: Float[np.ndarray, "T"], walking: Float[np.ndarray, "T"], reaching: Float[np.ndarray, "T"]
) -> dict[str, Rotation]:
    turns = {}
    sway = _sway(time, walking)
    for side, outward, start, bend in (("Left", 1, 0.62, 18), ("Right", -1, 0.12, 10)):
        phase = start + STRIDES_PER_S * time
        hip = walking * _stride(HIP_FLEXION_DEG, phase) + (1 - walking) * 3 + reaching * 0.6 * bend
        knee = walking * _stride(KNEE_FLEXION_DEG, phase) + (1 - walking) * 6 + reaching * bend
        flat_foot = PELVIS_TILT_DEG + 6.0 * reaching - hip + knee
        ankle = walking * _stride(ANKLE_DORSIFLEXION_DEG, phase) + (1 - walking) * flat_foot
        turns[f"{side}UpLeg"] = _turned("xyz", -hip, -1.5 * outward - 2.0 * sway, 6.0 * outward - 4.0 * sway)
        turns[f"{side}Leg"] = _turned("x", knee)
        turns[f"{side}Foot"] = _turned("xyz", -ankle, 2.0 * outward, 3.0 * outward)
        turns[f"{side}ToeBase"] = _turned("x", -walking * _stride(TOE_EXTENSION_DEG, phase))
    return turns


def _trunk(
    time: Float[np.ndarray, "T"], walking: Float[np.ndarray, "T"], reaching: Float[np.ndarray, "T"]
) -> dict[str, Rotation]:
    sway = _sway(time, walking)
    nod = walking * np.cos(4 * np.pi * (STRIDES_PER_S * time + 0.37))
    heading = 34.0 * _ramp(time, -1.0, 4.0)
    return {
        "Hips": _turned("xyz", PELVIS_TILT_DEG + 1.5 * nod + 6.0 * reaching, 3.0 * sway, heading + 5.0 * sway),
        "Spine": _turned("xyz", 2.0 + 5.0 * reaching, -2.0 * sway, -3.0 * sway + 3.0 * reaching),
        "Spine1": _turned("xyz", 1.0 + 3.0 * reaching, -1.0 * sway, -4.0 * sway + 5.0 * reaching),
        "Spine2": _turned("xz", 1.0, -4.0 * sway + 6.0 * reaching),
        "Neck": _turned("xz", -2.0 - 6.0 * reaching, 3.0 * sway - 4.0 * reaching),
        "Head": _turned("xyz", -1.0 - 9.0 * reaching, 2.0 * np.sin(1.3 * time), 3.0 * sway - 6.0 * reaching),
        "LeftShoulder": _turned("z", 2.0 * sway),
        "RightShoulder": _turned("yz", 14.0 * reaching, 2.0 * sway + 12.0 * reaching),
    }


def _arms(
    time: Float[np.ndarray, "T"], walking: Float[np.ndarray, "T"], reaching: Float[np.ndarray, "T"]
) -> dict[str, Rotation]:
    """Lowered about y, then swung about x: 0 hangs, -90 points ahead, -120 is above the head's height."""
    swing = _sway(time, walking)
    bending = 4 * reaching * (1 - reaching)
    return {
        "LeftArm": _turned("yx", 74.0, -18.0 * swing - 4.0),
        "LeftForeArm": _turned("xz", -25.0, -22.0 + 12.0 * swing - 25.0 * reaching),
        "LeftHand": _turned("yz", 8.0, 4.0 * np.sin(2.1 * time)),
        "RightArm": _turned("yx", -74.0 + 8.0 * reaching, 18.0 * swing - 4.0 - 116.0 * reaching),
        "RightForeArm": _turned("xz", -25.0 + 20.0 * reaching, 22.0 + 12.0 * swing + 30.0 * bending),
        "RightHand": _turned("y", -6.0 - 20.0 * reaching * np.sin(5.0 * time)),
    }


def _sole_points(skeleton: SkeletonDefinition) -> tuple[np.ndarray, np.ndarray]:
    """Joints, and offsets in their frames (m), of heel, ball and toe tip of both feet; in the T-pose on the floor."""
    joints, offsets = [], []
    for side in ("Left", "Right"):
        foot, toe = skeleton.index(f"{side}Foot"), skeleton.index(f"{side}ToeBase")
        ball = skeleton.rest_offsets[toe]
        heel = np.array([0.0, -0.4 * ball[1], ball[2]])
        joints += [foot, toe, toe]
        offsets += [heel, np.zeros(3), skeleton.tips[toe]]
    return np.array(joints), np.array(offsets)


def _carried_by_feet(
    skeleton: SkeletonDefinition, rotations: Float[np.ndarray, "T J 4"], fps: float
) -> Float[np.ndarray, "T 3"]:
    """Where the root must be so that the lowest sole point is on the floor and stays where it is while it carries."""
    still = Motion(skeleton, np.zeros((len(rotations), 3)), rotations, fps=1.0)
    world, positions = joint_poses(still)
    joints, offsets = _sole_points(skeleton)
    turned = np.stack(
        [Rotation.from_quat(world[:, j][:, [1, 2, 3, 0]]).apply(o) for j, o in zip(joints, offsets, strict=True)],
        axis=1,
    )
    points = positions[:, joints] + turned
    rest = Motion(skeleton, np.zeros((1, 3)), np.eye(1, 4)[None].repeat(len(skeleton), 1), fps=1.0)
    floor = (joint_poses(rest)[1][0, joints] + offsets)[:, 2] + skeleton.rest_offsets[0, 2]
    height = points[..., 2] - floor
    share = np.exp(-(height - height.min(1, keepdims=True)) / CONTACT_HEIGHT_M)
    share /= share.sum(1, keepdims=True)
    between = (share[1:] + share[:-1])[..., None] / 2
    steps = -(between * np.diff(points[..., :2], axis=0)).sum(1)
    root = np.zeros((len(rotations), 3))
    root[1:, :2] = np.cumsum(steps, axis=0)
    root[:, :2] = gaussian_filter1d(root[:, :2], SMOOTHING_S * fps, axis=0, mode="nearest")
    root[:, 2] = -height.min(1)
    return root
