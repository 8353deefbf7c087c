"""Poses by the thousand: frames of motions, limbs of different frames put together, and any angles within limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field

from mocap.core.config import Config
from mocap.core.markers import load_markers
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.rotations import quat_conjugate, quat_multiply, rotvec_to_quat

GROUPS = (
    ("Hips", "UpLeg", "Leg", "Foot", "ToeBase"),
    ("Spine", "Spine1", "Spine2", "Neck", "Head"),
    ("LeftShoulder", "LeftArm", "LeftForeArm", "LeftHand"),
    ("RightShoulder", "RightArm", "RightForeArm", "RightHand"),
)
"""Joints (of both sides where none is named) that come from one frame."""
MOTION_S, MOTION_FPS = 5.0, 15.0
"""Neighbouring frames of a motion are much alike: 15 a second lose nothing."""
TILT_RAD = 0.2
"""Spread of the root's lean about a random horizontal axis in poses of random angles."""


class PoseConfig(Config):
    """Shares of poses. mixed: legs, trunk and arms come from different frames. any_angles: every joint anywhere within
    its limits, more often near its rest. any_way_up: the root turned any way, as in falls and on the floor.

    jitter_rad: spread of an extra turn of every joint that has a freedom, so that no pose occurs twice.
    """

    mixed: float = Field(default=0.4, ge=0, le=1)
    any_angles: float = Field(default=0.2, ge=0, le=1)
    any_way_up: float = Field(default=0.03, ge=0, le=1)
    jitter_rad: float = Field(default=0.06, ge=0)


@dataclass(frozen=True, eq=False)
class PoseBank:
    """rotations: (F, J, 4) wxyz, parent_from_joint, headings taken out. rest: (J, 3) rad, swing and twist at ease."""

    skeleton: SkeletonDefinition
    rotations: Float[np.ndarray, "F J 4"]
    rest: Float[np.ndarray, "J 3"]

    def draw(self, n: int, rng: np.random.Generator, config: PoseConfig) -> Float[np.ndarray, "n J 4"]:
        """`n` poses."""
        joints = np.arange(len(self.skeleton))
        frames = rng.integers(len(self.rotations), size=(n, len(GROUPS)))
        mixed = rng.random((n, 1)) < config.mixed
        frames = np.where(mixed, frames, frames[:, :1])
        poses = self.rotations[frames[:, _group_of(self.skeleton)], joints]
        anyhow = rng.random(n) < config.any_angles
        poses[anyhow] = random_angles(self.skeleton, self.rest, int(anyhow.sum()), rng)
        free = (self.skeleton.limits[..., 1] > self.skeleton.limits[..., 0]).astype(np.float64)
        extra = config.jitter_rad * rng.standard_normal((n, len(self.skeleton), 3)) * free
        tumbling = rng.random(n) < config.any_way_up
        extra[tumbling, 0] = np.pi * rng.standard_normal((int(tumbling.sum()), 3))
        return _times(poses, extra)


def bank_of_motions(motions: Sequence[Motion]) -> PoseBank:
    """All frames of motions of one skeleton."""
    rotations = np.concatenate([np.array(motion.local_rotations) for motion in motions])
    rotations[:, 0] = _without_heading(rotations[:, 0])
    skeleton = motions[0].skeleton
    return PoseBank(skeleton, rotations, load_markers("humanoid", skeleton).priors.rest)


def some_motions(skeleton: SkeletonDefinition, kinds: Sequence[str], rng: np.random.Generator) -> list[Motion]:
    """Some seconds of each kind of built-in motion (all of them for none), at a low frame rate."""
    from mocap.synthetic.motions import MOTIONS, make_motion  # a dozen modules that a given bank does without

    kinds = kinds or tuple(MOTIONS)
    return [make_motion(kind, skeleton, seconds=MOTION_S, fps=MOTION_FPS, rng=rng) for kind in kinds]


def random_angles(
    skeleton: SkeletonDefinition, rest: Float[np.ndarray, "J 3"], n: int, rng: np.random.Generator
) -> Float[np.ndarray, "n J 4"]:
    """Joints anywhere within their limits, denser near their rest; the root leans a little."""
    low, high = skeleton.limits[..., 0], skeleton.limits[..., 1]
    rest = np.clip(rest, low, high)
    way = rng.uniform(-1, 1, (n, *rest.shape))
    way = np.sign(way) * np.abs(way) ** 1.5
    angles = rest + way * np.where(way > 0, high - rest, rest - low)
    angles[:, 0] = TILT_RAD * rng.standard_normal((n, 3)) * [1.0, 1.0, 0.0]
    along = np.eye(3)[skeleton.twist_axes]
    swing, twist = (rotvec_to_quat(torch.from_numpy(angles * part)) for part in (1 - along, along))
    return quat_multiply(swing, twist).numpy()


def _group_of(skeleton: SkeletonDefinition) -> np.ndarray:
    found = []
    for name in skeleton.joint_names:
        plain = name.removeprefix("Left").removeprefix("Right")
        found.append(next(g for g, names in enumerate(GROUPS) if name in names or plain in names))
    return np.array(found)


def _times(poses: Float[np.ndarray, "n J 4"], rotvec: Float[np.ndarray, "n J 3"]) -> Float[np.ndarray, "n J 4"]:
    return quat_multiply(torch.from_numpy(poses), rotvec_to_quat(torch.from_numpy(rotvec))).numpy()


def _without_heading(root: Float[np.ndarray, "F 4"]) -> Float[np.ndarray, "F 4"]:
    """Turned about the vertical so that the twist about it is none."""
    heading = root * [1.0, 0.0, 0.0, 1.0]
    length = np.linalg.norm(heading, axis=-1, keepdims=True)
    upside = length < 1e-9  # a half turn about a horizontal axis has no heading
    heading = np.where(upside, [1.0, 0.0, 0.0, 0.0], heading / np.where(upside, 1.0, length))
    return quat_multiply(quat_conjugate(torch.from_numpy(heading)), torch.from_numpy(root)).numpy()
