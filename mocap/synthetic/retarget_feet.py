"""Feet on the floor: where they stand they neither slide, float nor sink, and the legs are bent to fit.

The feet are where the bones' directions put them plus a small shift that changes in time. Three wishes are weighed by
least squares: a point of the sole that carries stays where it is, the shift is small, it changes smoothly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d

from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.joint_transforms import rest_joints
from mocap.synthetic.retarget_pose import Turns, arc, unit
from mocap.synthetic.retarget_source import SIDES, HumanSource

STILL_M_S = (0.15, 0.40)
"""A sole point slower than the first carries for sure, one faster than the second does not. Noise of optical capture
is under 0.1 m/s, a walking foot swings at 2 to 4."""
TOUCHING_M_S = 0.275
"""The middle of both."""
LOW_M = (0.025, 0.060)
"""The same of its height over the floor."""
SPEED_SMOOTHING_S = 0.02
SLIDING_SD_M_S, SHIFT_SD_M, ACCELERATION_SD_M_S2 = 0.003, 0.10, 3.0
HEIGHT_SD_M = 0.005
LIFT_ROUNDS = 5
STANDING_HEIGHT_M = 0.04
"""An ankle stands that is no higher than this over its lowest (2 % of the frames aside)."""
STRETCH = 0.9998
"""The longest a leg may be, of thigh and shin: at 1 the knee has no direction and its speed no bound."""
SOFT_STRETCH = 0.98
"""Up to here, a knee bent by 23 degrees, a leg may always be stretched; farther only softly, or as the source's is."""
SWINGING_SHARE = 0.05
POLE_BIAS = 0.02


@dataclass(frozen=True, eq=False)
class Soles:
    """Points under both feet: joint, and offset in its frame (m) so that it lies on the floor in the T-pose."""

    points: tuple[tuple[str, Float[np.ndarray, "3"]], ...]
    toe_offset: dict[str, Float[np.ndarray, "3"]]

    def paths(self, side: str, ankle: Float[np.ndarray, "T 3"], turns: Turns) -> Float[np.ndarray, "T P 3"]:
        """Heel, ball and toe tip of one foot, given where its ankle is."""
        paths = []
        for joint, offset in self.points:
            if joint.startswith(side):
                base = ankle
                if joint.endswith("ToeBase"):
                    base = ankle + turns[side + "Foot"] @ self.toe_offset[side]
                paths.append(base + turns[joint] @ offset)
        return np.stack(paths, axis=1)


def soles_of(skeleton: SkeletonDefinition) -> Soles:
    """Heel (0.4 of ankle to ball behind the ankle), ball and toe tip."""
    rest = rest_joints(skeleton)
    points, toe_offset = [], {}
    for side in SIDES:
        foot, toe = skeleton.index(f"{side}Foot"), skeleton.index(f"{side}ToeBase")
        ball = skeleton.rest_offsets[toe]
        tip = np.nan_to_num(skeleton.tips[toe])
        toe_offset[side] = np.array(ball)
        points += [
            (f"{side}Foot", np.array([0.0, -0.4 * ball[1], -rest[foot, 2]])),
            (f"{side}ToeBase", np.array([0.0, 0.0, -rest[toe, 2]])),
            (f"{side}ToeBase", np.array([tip[0], tip[1], -rest[toe, 2]])),
        ]
    return Soles(tuple(points), toe_offset)


def standing_feet(source: HumanSource) -> Bool[np.ndarray, "T 2"]:
    """Whether each foot stands whole: ankle and toes still, the ankle low. The source is in metres."""
    still = [_speeds(source, side).max(axis=1) < STILL_M_S[0] for side in SIDES]
    low = [_is_low(source.positions[:, [source.roles[side + "Foot"]]])[:, 0] for side in SIDES]
    return np.stack(still, axis=-1) & np.stack(low, axis=-1)


def touching_feet(source: HumanSource) -> Bool[np.ndarray, "T 2"]:
    """Whether ankle or toes of each foot are slow and low: all contacts, of running too, and no others."""
    slow = [_speeds(source, side) < TOUCHING_M_S for side in SIDES]
    low = [_is_low(source.positions[:, foot_nodes(source, side)]) for side in SIDES]
    return np.stack([(a & b).any(axis=1) for a, b in zip(slow, low, strict=True)], axis=-1)


def foot_nodes(source: HumanSource, side: str) -> list[int]:
    """Ankle and, where there is one, toe joint."""
    return [source.roles[side + part] for part in ("Foot", "Toe") if side + part in source.roles]


def _speeds(source: HumanSource, side: str) -> Float[np.ndarray, "T P"]:
    return np.stack([_speed(source.positions[:, n], source.fps) for n in foot_nodes(source, side)], axis=-1)


def _is_low(paths: Float[np.ndarray, "T P 3"]) -> Bool[np.ndarray, "T P"]:
    return paths[..., 2] < np.percentile(paths[..., 2], 2, axis=0) + STANDING_HEIGHT_M


def _speed(path: Float[np.ndarray, "T 3"], fps: float) -> Float[np.ndarray, "T"]:
    if len(path) < 2:
        return np.zeros(len(path))
    smooth = gaussian_filter1d(path, SPEED_SMOOTHING_S * fps, axis=0, mode="nearest")
    return np.linalg.norm(np.gradient(smooth, axis=0), axis=-1) * fps


def carrying(paths: Float[np.ndarray, "T P 3"], fps: float) -> Float[np.ndarray, "T P"]:
    """How surely each sole point carries, 0 to 1: slow and low."""
    speed = np.stack([_speed(paths[:, point], fps) for point in range(paths.shape[1])], axis=-1)
    return falling(speed, STILL_M_S) * falling(paths[..., 2], LOW_M)


def falling(values: Float[np.ndarray, "*b"], bounds: tuple[float, float]) -> Float[np.ndarray, "*b"]:
    """From 1 below the first bound to 0 above the second, smoothly."""
    x = np.clip((bounds[1] - values) / (bounds[1] - bounds[0]), 0.0, 1.0)
    return x * x * (3 - 2 * x)


def planted_ankle(
    soles: Soles, side: str, ankle: Float[np.ndarray, "T 3"], turns: Turns, fps: float
) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T"]]:
    """The shift of one ankle that keeps carrying points where they are, on the floor; and whether the foot carries."""
    paths = soles.paths(side, ankle, turns)
    carries = carrying(paths, fps)
    foot = carries.max(axis=1)
    shift = np.zeros_like(ankle)
    if len(ankle) > 2:
        share = np.minimum(carries[1:], carries[:-1])
        total = share.sum(axis=1, keepdims=True)
        share = share / np.where(total > 0, total, 1.0)
        velocity = (share[..., None] * np.diff(paths, axis=0)).sum(axis=1) * fps
        still = np.minimum(foot[1:], foot[:-1])
        shift[:, :2] = _least_squares(fps, -velocity[:, :2], still, np.zeros((len(ankle), 2)), np.zeros(len(ankle)))
    shift[:, 2] = _lifted(-paths[..., 2].min(axis=1), foot**2, fps)
    return shift, foot


def _lifted(height: Float[np.ndarray, "T"], carries: Float[np.ndarray, "T"], fps: float) -> Float[np.ndarray, "T"]:
    """Smoothly at `height` where it carries, and nowhere below it: where it would be, it is made to carry too."""
    lift = np.where(carries > 0, height, 0.0)
    nothing = np.zeros((max(len(height) - 1, 0), 1))
    for _ in range(LIFT_ROUNDS if len(height) > 2 else 0):
        lift = _least_squares(fps, nothing, nothing[:, 0], height[:, None], carries)[:, 0]
        carries = np.where(lift < height, 1.0, carries)
    return np.maximum(lift, height)


def _least_squares(
    fps: float,
    velocity: Float[np.ndarray, "t n"],
    velocity_weight: Float[np.ndarray, "t"],
    value: Float[np.ndarray, "T n"],
    value_weight: Float[np.ndarray, "T"],
) -> Float[np.ndarray, "T n"]:
    """The curve c with c' near `velocity` and c near `value` where these weigh (0 to 1), small and smooth elsewhere.

    Three diagonals on either side of a positive definite matrix: linear in the number of frames.
    """
    n = len(value)
    upper = np.zeros((3, n))
    right = np.zeros_like(value)
    upper[2] += 1 / SHIFT_SD_M**2 + value_weight / HEIGHT_SD_M**2
    right += (value_weight / HEIGHT_SD_M**2)[:, None] * value
    w = velocity_weight * (fps / SLIDING_SD_M_S) ** 2
    upper[2, 1:] += w
    upper[2, :-1] += w
    upper[1, 1:] -= w
    right[1:] += w[:, None] * velocity / fps
    right[:-1] -= w[:, None] * velocity / fps
    a = (fps**2 / ACCELERATION_SD_M_S2) ** 2
    for i, x in enumerate((1.0, -2.0, 1.0)):
        for j, y in enumerate((1.0, -2.0, 1.0)):
            if j >= i:
                upper[2 - (j - i), j : n - 2 + j] += a * x * y
    return solveh_banded(upper, right)


@dataclass(frozen=True, eq=False)
class Placed:
    """Where hips and ankles shall be: hip_centre (T, 3), ankles by side (T, 3), m.

    own_reach: by side (T,), hip to ankle when the bones point as the source's.
    """

    hip_centre: Float[np.ndarray, "T 3"]
    ankles: dict[str, Float[np.ndarray, "T 3"]]
    own_reach: dict[str, Float[np.ndarray, "T"]]


def place_feet(
    own: dict[str, Float[np.ndarray, "T 3"]],
    hip_centre: Float[np.ndarray, "T 3"],
    skeleton: SkeletonDefinition,
    turns: Turns,
    fps: float,
) -> Placed:
    """Ankles that stand where they stand, and hips that go along with them. own: the ankles as the bones point."""
    soles = soles_of(skeleton)
    ankles, carries, shifts, reach = {}, {}, [], {}
    for side in SIDES:
        shift, carries[side] = planted_ankle(soles, side, own[side], turns, fps)
        ankles[side] = own[side] + shift
        shifts.append(shift * [1.0, 1.0, 0.0])
        reach[side] = np.linalg.norm(own[side] - hip_joint(hip_centre, skeleton, side, turns), axis=-1)
    placed = Placed(hip_centre + np.mean(shifts, axis=0), ankles, reach)
    return replace(placed, hip_centre=_at_reach(placed, skeleton, turns, carries, fps))


def _at_reach(
    placed: Placed,
    skeleton: SkeletonDefinition,
    turns: Turns,
    carries: dict[str, Float[np.ndarray, "T"]],
    fps: float,
) -> Float[np.ndarray, "T 3"]:
    """The hips at the height at which the legs are as long as they were, those that carry above all."""
    n = len(placed.hip_centre)
    weight, wanted = np.zeros(n), np.zeros(n)
    for side, ankle in placed.ankles.items():
        leg = hip_joint(placed.hip_centre, skeleton, side, turns) - ankle
        level = (leg[:, :2] ** 2).sum(axis=1)
        height = np.sqrt(np.maximum(placed.own_reach[side] ** 2 - level, 0.0))
        upright = np.maximum(leg[:, 2], 0.0) / np.maximum(np.linalg.norm(leg, axis=-1), 1e-9)
        share = upright**2 * (carries[side] + SWINGING_SHARE)
        wanted += share * (height - leg[:, 2])
        weight += share
    wanted = np.where(weight > 0, wanted / np.where(weight > 0, weight, 1.0), 0.0)
    if n > 2:
        nothing = np.zeros((n - 1, 1))
        weight = np.minimum(weight, 1.0)
        wanted = _least_squares(fps, nothing, nothing[:, 0], wanted[:, None], weight)[:, 0]
    return placed.hip_centre + wanted[:, None] * [0.0, 0.0, 1.0]


def leg_lengths(skeleton: SkeletonDefinition, side: str) -> tuple[float, float]:
    """Thigh and shin, m."""
    thigh, shin = (np.linalg.norm(skeleton.rest_offsets[skeleton.index(side + name)]) for name in ("Leg", "Foot"))
    return float(thigh), float(shin)


def hip_offset(skeleton: SkeletonDefinition) -> Float[np.ndarray, "3"]:
    """Midway between the hips from the root joint, in the root's axes, m."""
    return skeleton.rest_offsets[[skeleton.index(side + "UpLeg") for side in SIDES]].mean(axis=0)


def hip_joint(
    hip_centre: Float[np.ndarray, "T 3"], skeleton: SkeletonDefinition, side: str, turns: Turns
) -> Float[np.ndarray, "T 3"]:
    """One hip, given where the middle of both is."""
    offset = skeleton.rest_offsets[skeleton.index(side + "UpLeg")] - hip_offset(skeleton)
    return hip_centre + turns["Hips"] @ offset


def bend_legs(placed: Placed, skeleton: SkeletonDefinition, turns: Turns) -> Turns:
    """Thighs and shins turned so that the ankles are where they shall be, knees to the side they were bent to."""
    turns = dict(turns)
    for side, ankle in placed.ankles.items():
        lengths = leg_lengths(skeleton, side)
        bones = [unit(skeleton.rest_offsets[skeleton.index(side + name)]) for name in ("Leg", "Foot")]
        old = [turns[side + "UpLeg"] @ bones[0], turns[side + "Leg"] @ bones[1]]
        hint = lengths[0] * old[0] - _along(lengths[0] * old[0], lengths[0] * old[0] + lengths[1] * old[1])
        hint = hint + POLE_BIAS * sum(lengths) * (turns[side + "UpLeg"] @ np.array([0.0, -1.0, 0.0]))
        reach = ankle - hip_joint(placed.hip_centre, skeleton, side, turns)
        reach = _within(reach, sum(lengths), placed.own_reach[side])
        thigh, shin = two_bones(reach, lengths, hint)
        turns[side + "UpLeg"] = arc(old[0], thigh) @ turns[side + "UpLeg"]
        turns[side + "Leg"] = arc(old[1], shin) @ turns[side + "Leg"]
    return turns


def _within(reach: Float[np.ndarray, "T 3"], leg: float, own: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T 3"]:
    """Shortened where a leg would have to be straighter than the source's, smoothly up to nearly straight."""
    distance = np.linalg.norm(reach, axis=-1)
    free = np.clip(own, SOFT_STRETCH * leg, (STRETCH - 1e-4) * leg)
    room = STRETCH * leg - free
    beyond = np.maximum(distance - free, 0.0)
    allowed = np.where(beyond > 0, free + room * -np.expm1(-beyond / room), distance)
    return reach * (allowed / np.maximum(distance, 1e-9))[:, None]


def _along(vectors: Float[np.ndarray, "T 3"], axis: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "T 3"]:
    axis = unit(axis)
    return (vectors * axis).sum(-1, keepdims=True) * axis


def two_bones(
    reach: Float[np.ndarray, "T 3"], lengths: tuple[float, float], hint: Float[np.ndarray, "T 3"]
) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T 3"]]:
    """Unit directions of two bones that lead along `reach`, bent towards `hint`; stretched where it is too far."""
    a, b = lengths
    distance = np.clip(np.linalg.norm(reach, axis=-1), abs(a - b) + 1e-6, STRETCH * (a + b))[:, None]
    axis = unit(reach)
    out = unit(hint - _along(hint, reach))
    cosine = np.clip((a * a + distance**2 - b * b) / (2 * a * distance), -1.0, 1.0)
    upper = cosine * axis + np.sqrt(1 - cosine**2) * out
    return upper, unit(distance * axis - a * upper)
