"""Measures of a skeleton that motions are fitted to: lengths of limbs, where feet stand and hands hang."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.joint_transforms import rest_joints

SIDES = ("Left", "Right")
SIGN = {"Left": 1.0, "Right": -1.0}
"""Of x on a side; turns about y and z of the right are those of the left, negated."""
STANDING_STRETCH = 0.9985
"""Length of a standing leg of a straight one: a knee bent by 6 degrees."""
USUAL_LEG_M, USUAL_ARM_M = 0.8593, 0.581
"""Of the package's adult, for whom distances and times are given."""
TOES_OUT_RAD = np.deg2rad(6.0)
HEEL_SHARE = 0.4
"""The heel is that part of the way from ankle to ball behind the ankle."""


@dataclass(frozen=True, eq=False)
class Build:
    """A humanoid skeleton with what follows from its lengths (m, in the T-pose's axes)."""

    skeleton: SkeletonDefinition

    def offset(self, joint: str) -> Float[np.ndarray, "3"]:
        """From the parent joint."""
        return np.array(self.skeleton.rest_offsets[self.skeleton.index(joint)])

    @cached_property
    def rest(self) -> Float[np.ndarray, "J 3"]:
        """Joints in the T-pose, soles on the floor."""
        return rest_joints(self.skeleton)

    def at_rest(self, joint: str) -> Float[np.ndarray, "3"]:
        """Where a joint is at rest, m."""
        return self.rest[self.skeleton.index(joint)]

    @cached_property
    def leg(self) -> float:
        """Thigh and shin."""
        return float(np.linalg.norm(self.offset("LeftLeg")) + np.linalg.norm(self.offset("LeftFoot")))

    @cached_property
    def arm(self) -> float:
        """Upper arm and forearm, to the wrist."""
        return float(np.linalg.norm(self.offset("LeftForeArm")) + np.linalg.norm(self.offset("LeftHand")))

    @property
    def size(self) -> float:
        """Of the legs against the usual adult's."""
        return self.leg / USUAL_LEG_M

    @property
    def tempo(self) -> float:
        """How much longer movements take: a pendulum's time goes with the root of its length."""
        return float(np.sqrt(self.size))

    @cached_property
    def ankle_height(self) -> float:
        """Over the floor at rest, m."""
        return float(self.at_rest("LeftFoot")[2])

    @cached_property
    def half_stance(self) -> float:
        """Ankles from the middle when standing at ease."""
        return 1.1 * float(self.at_rest("LeftUpLeg")[0])

    @cached_property
    def standing_height(self) -> float:
        """Of the root joint over the floor."""
        hip, ankle = self.at_rest("LeftUpLeg"), self.at_rest("LeftFoot")
        aside = np.hypot(hip[0] - self.half_stance, hip[1] - ankle[1])
        rise = np.sqrt((STANDING_STRETCH * self.leg) ** 2 - aside**2)
        return float(rise + self.ankle_height - self.offset("LeftUpLeg")[2])

    def ball(self, side: str) -> Float[np.ndarray, "3"]:
        """The toes' joint, from the ankle."""
        return self.offset(f"{side}ToeBase")

    def heel(self, side: str) -> Float[np.ndarray, "3"]:
        """The point of the heel on the floor, from the ankle."""
        return np.array([0.0, -HEEL_SHARE * self.ball(side)[1], -self.ankle_height])

    def heel_rise(self, pitch: float) -> float:
        """How much higher the ankle is when the foot stands on its ball, turned up by `pitch` rad."""
        y, z = self.ball("Left")[1:]
        return float(z - (np.sin(pitch) * y + np.cos(pitch) * z))

    def shoulder(self, side: str) -> Float[np.ndarray, "3"]:
        """Where the shoulder is when standing upright at the origin."""
        return self.at_rest(f"{side}Arm") + [0.0, 0.0, self.standing_height - self.rest[0, 2]]


def direction(heading: Float[np.ndarray, "*T"] | float) -> Float[np.ndarray, "*T 2"]:
    """Unit vector on the floor that faces along a heading (0: -Y, a quarter turn: +X)."""
    heading = np.asarray(heading, dtype=np.float64)
    return np.stack([np.sin(heading), -np.cos(heading)], axis=-1)


def leftwards(heading: Float[np.ndarray, "*T"] | float) -> Float[np.ndarray, "*T 2"]:
    """Unit vector on the floor to the left of a heading."""
    heading = np.asarray(heading, dtype=np.float64)
    return np.stack([np.cos(heading), np.sin(heading)], axis=-1)


def in_frame(
    points: Float[np.ndarray, "*T 2"], origin: Float[np.ndarray, "2"], heading: float
) -> Float[np.ndarray, "*T 2"]:
    """Points given as (left, back) of someone at `origin` with that heading, in the world."""
    return origin + points[..., :1] * leftwards(heading) - points[..., 1:] * direction(heading)
