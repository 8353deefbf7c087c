"""What a person means to do, apart from the lengths of the limbs: feet, pelvis, trunk, gaze and arms over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError
from mocap.synthetic.motion_build import SIDES, Build

ARM_ANGLES = ("lift", "forward", "lower", "swing", "twist", "elbow", "pronation", "wrist")
"""Collar bone up and forward; the arm lowered from the T-pose and then swung about the axis through both shoulders
(negative: forward), turned about itself (negative: outward); elbow; forearm; hand (towards the palm)."""


@dataclass(frozen=True)
class Occasion:
    """What a plan is asked for: about `seconds` at `fps`. ends: whether it must come to rest within them if it can."""

    seconds: float
    fps: float
    ends: bool = True


@dataclass(frozen=True, eq=False)
class Timeline:
    """When: `time` (T,) s from 0 at `fps`."""

    time: Float[np.ndarray, "T"]
    fps: float

    @staticmethod
    def lasting(seconds: float, fps: float) -> Timeline:
        return Timeline(np.arange(max(1, round(seconds * fps))) / fps, fps)

    def zeros(self, *shape: int) -> np.ndarray:
        return np.zeros((len(self.time), *shape))


@dataclass(frozen=True, eq=False)
class FootTrack:
    """One foot. place: (T, 2) m, the ankle over the floor were the foot flat. yaw: (T,) rad. pitch: (T,) rad, heel up;
    the foot rolls over the ball, or (on_ball (T,) from 1 to 0) over the heel. toe: (T,) rad, toes bent up against
    the foot. offset: (T, 3) m, off the floor. load: (T,) share of the weight."""

    place: Float[np.ndarray, "T 2"]
    yaw: Float[np.ndarray, "T"]
    pitch: Float[np.ndarray, "T"]
    on_ball: Float[np.ndarray, "T"]
    toe: Float[np.ndarray, "T"]
    offset: Float[np.ndarray, "T 3"]
    load: Float[np.ndarray, "T"]


@dataclass(frozen=True, eq=False)
class ArmTrack:
    """One arm. angles: (T, 8) rad, see ARM_ANGLES. held: (T,) how much the wrist is at `wrist` (T, 3) m instead, in the
    world, or (to_chest (T,) = 1) from the shoulder in the chest's axes. steered: (T,) how much the hand has the
    orientation `hand` (T, 3), a rotation vector from the T-pose in the same axes."""

    angles: Float[np.ndarray, "T 8"]
    held: Float[np.ndarray, "T"]
    wrist: Float[np.ndarray, "T 3"]
    to_chest: Float[np.ndarray, "T"]
    steered: Float[np.ndarray, "T"]
    hand: Float[np.ndarray, "T 3"]


@dataclass(frozen=True, eq=False)
class Plan:
    """A whole person; begins and ends standing at ease, so that plans can follow one another.

    heading: (T,) rad. drop: (T,) m, the root below its standing height. pelvis, trunk: (T, 3) rad, forward, to the
    left side, turned left; the pelvis's against upright and heading, the trunk's all spine joints together. gaze:
    (T, 3) rad, the head against upright and heading. support: (T, 2) m, what the body is balanced over; poise: (T,)
    how much. stretch: (T,) longest leg allowed, of a straight one. anchor: (2,) m, what belongs to the origin.
    """

    fps: float
    heading: Float[np.ndarray, "T"]
    drop: Float[np.ndarray, "T"]
    pelvis: Float[np.ndarray, "T 3"]
    trunk: Float[np.ndarray, "T 3"]
    gaze: Float[np.ndarray, "T 3"]
    support: Float[np.ndarray, "T 2"]
    poise: Float[np.ndarray, "T"]
    stretch: Float[np.ndarray, "T"]
    feet: Mapping[str, FootTrack]
    arms: Mapping[str, ArmTrack]
    anchor: Float[np.ndarray, "2"]

    @property
    def n_frames(self) -> int:
        return len(self.heading)

    @property
    def time(self) -> Float[np.ndarray, "T"]:
        return np.arange(self.n_frames) / self.fps

    def end_frame(self) -> tuple[Float[np.ndarray, "2"], float]:
        """Middle between the feet, and where they point, in the last frame."""
        ends = [(self.feet[side].place[-1], self.feet[side].yaw[-1]) for side in SIDES]
        return np.mean([place for place, _ in ends], axis=0), float(np.mean([yaw for _, yaw in ends]))


def arm_pose(**degrees: float | int) -> Float[np.ndarray, "8"]:
    """Angles of an arm, rad; those not named are 0."""
    unknown = set(degrees) - set(ARM_ANGLES)
    if unknown:
        raise InputError(f"an arm has no angle {', '.join(sorted(unknown))}; it has {', '.join(ARM_ANGLES)}")
    return np.deg2rad([degrees.get(name, 0.0) for name in ARM_ANGLES])


HANGING = arm_pose(lower=73.0, swing=-3.0, elbow=14.0, pronation=22.0, wrist=4.0)


def resting_arm(line: Timeline) -> ArmTrack:
    """Hanging at the side."""
    return ArmTrack(
        line.zeros()[:, None] + HANGING, line.zeros(), line.zeros(3), line.zeros(), line.zeros(), line.zeros(3)
    )


def toward(
    angles: Float[np.ndarray, "T 8"], weight: Float[np.ndarray, "T"], pose: Float[np.ndarray, "*#T 8"]
) -> Float[np.ndarray, "T 8"]:
    """Angles that are those of `pose` where the weight is 1."""
    return angles + weight[:, None] * (pose - angles)


def standing_places(build: Build) -> dict[str, Float[np.ndarray, "2"]]:
    """The ankles of someone at ease at the origin, facing -Y."""
    return {"Left": np.array([build.half_stance, 0.0]), "Right": np.array([-build.half_stance, 0.0])}
