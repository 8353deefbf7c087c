"""A still pose before a motion, as capture systems ask for it, with feet that stay or step but never slide."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.ndimage import maximum_filter1d
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.geometry.rotations import shortest_arc
from mocap.signal.resample_motion import poses_at
from mocap.synthetic.contacts import sole_paths
from mocap.synthetic.gait import joint_poses
from mocap.synthetic.motion_build import SIDES, SIGN, TOES_OUT_RAD, Build, in_frame
from mocap.synthetic.motion_curves import bump, ramp, smooth
from mocap.synthetic.motion_gestures import at_ease
from mocap.synthetic.motion_limbs import blended, unit
from mocap.synthetic.motion_perform import balanced
from mocap.synthetic.motion_plan import Plan, arm_pose, standing_places

START_POSES = {"T": arm_pose(), "A": arm_pose(lower=48.0, lift=-3.0)}
AT_REST_M_S = 0.15
"""A motion whose joints are all slower at its beginning starts at once, any other one slowly."""
START_S = 0.25
FLAT_M = 0.015
"""Feet whose heels and balls are lower stand where they are; others step there from a stand at ease."""
STEP_HEIGHT_M = 0.06
STEPPING_STRETCH, STEPPING_S = 0.994, 0.06
"""Longest leg, of a straight one, while stepping from the pose; the body is lowered for it that smoothly."""


def with_start_pose(motion: Motion, pose: str = "T", hold_s: float = 1.0, blend_s: float = 0.8) -> Motion:
    """The motion after a pose held still for `hold_s`, blended into over `blend_s`; longer by both.

    Trunk and arms are those of the pose exactly, legs straight on feet that stand where the motion has them at first.
    Where one of those is in the air, the person stands at ease below the hips, and steps from there. The motion's own
    time starts smoothly around the end of the blend.
    """
    if pose not in START_POSES:
        raise InputError(f"no start pose {pose!r}", remedy=f"There are {', '.join(START_POSES)}.")
    if blend_s <= 0 or hold_s < 0:
        raise InputError(f"a start pose held for {hold_s} s and blended for {blend_s} s")
    still, steps = _still(motion, pose)
    fps = motion.fps
    n_frames = round((hold_s + blend_s) * fps) + motion.n_frames
    since = np.arange(n_frames) / fps - hold_s
    soft = blend_s if _is_moving(motion) else min(START_S, blend_s)
    rotations, root = poses_at(motion, _played(since, blend_s, soft))
    there = replace(motion, root_translation=root, local_rotations=rotations)
    here = replace(
        motion,
        root_translation=np.repeat(still.root_translation, n_frames, axis=0),
        local_rotations=np.repeat(still.local_rotations, n_frames, axis=0),
    )
    mixed = _mixed(here, there, ramp(since, 0.0, blend_s))
    windows = ((0.0, 0.5), (0.5, 1.0)) if steps else ((0.0, 1.0), (0.0, 1.0))
    feet = []
    for side, (start, end) in zip(SIDES, windows, strict=True):
        share = (since / blend_s - start) / (end - start)
        feet.append(_foot_between(here, there, side, ramp(share, 0.0, 1.0), STEP_HEIGHT_M * steps * bump(share)))
    mixed = _within_reach(mixed, feet) if steps else mixed
    for foot in feet:
        mixed = _footed(mixed, foot)
    return mixed


def _played(since: Float[np.ndarray, "T"], blend_s: float, soft: float) -> Float[np.ndarray, "T"]:
    """The motion's own time: its rate goes from 0 to 1 within `soft` seconds before and after the end of the blend."""
    x = np.clip((since - blend_s + soft) / (2 * soft), 0.0, 1.0)
    started = 2 * soft * x**4 * (2.5 - 3 * x + x**2)
    return started + np.maximum(since - blend_s - soft, 0.0)


def _is_moving(motion: Motion) -> bool:
    if motion.n_frames < 2:
        return False
    _, joints = joint_poses(
        replace(motion, root_translation=motion.root_translation[:2], local_rotations=motion.local_rotations[:2])
    )
    return bool(np.linalg.norm(joints[1] - joints[0], axis=-1).max() * motion.fps > AT_REST_M_S)


@dataclass(frozen=True, eq=False)
class _Stand:
    """Where feet stand: place (2,) m and yaw rad of each side; the body's heading."""

    place: dict[str, Float[np.ndarray, "2"]]
    yaw: dict[str, float]
    heading: float


def _still(motion: Motion, pose: str) -> tuple[Motion, bool]:
    """The pose in one frame, and whether feet have to step from it to where the motion has them."""
    first = replace(motion, root_translation=motion.root_translation[:1], local_rotations=motion.local_rotations[:1])
    build = Build(motion.skeleton)
    stand, stands = _where(first, build)
    plan, _ = at_ease(build, 1 / motion.fps, motion.fps)
    return balanced(_standing(plan, build, stand, START_POSES[pose]), build), not stands


def _where(first: Motion, build: Build) -> tuple[_Stand, bool]:
    world, joints = joint_poses(first)
    heading = _yaw(world[0, 0])
    index = first.skeleton.index
    if (sole_paths(first)[0, :, :2, 2] < FLAT_M).all():
        feet = {side: index(f"{side}Foot") for side in SIDES}
        place = {side: joints[0, foot, :2] for side, foot in feet.items()}
        return _Stand(place, {side: _yaw(world[0, foot]) for side, foot in feet.items()}, heading), True
    places = {side: in_frame(place, joints[0, 0, :2], heading) for side, place in standing_places(build).items()}
    return _Stand(places, {side: heading + SIGN[side] * TOES_OUT_RAD for side in SIDES}, heading), False


def _yaw(quaternion: Float[np.ndarray, "4"]) -> float:
    """The turn about the vertical, of the way the joint's front points."""
    front = Rotation.from_quat(quaternion[[1, 2, 3, 0]]).apply([0.0, -1.0, 0.0])
    return float(np.arctan2(front[0], -front[1]))


def _standing(plan: Plan, build: Build, stand: _Stand, arms: Float[np.ndarray, "8"]) -> Plan:
    feet, support = {}, np.zeros(2)
    for side in SIDES:
        foot = plan.feet[side]
        yaw = np.full_like(foot.yaw, stand.yaw[side])
        moved_by = stand.place[side] - standing_places(build)[side]
        feet[side] = replace(foot, place=foot.place + moved_by, yaw=yaw)
        support += moved_by / 2
    back = plan.support[0, 1]
    ahead = in_frame(np.array([0.0, back]), np.zeros(2), stand.heading) - [0.0, back]
    posed = {side: replace(arm, angles=np.tile(arms, (plan.n_frames, 1))) for side, arm in plan.arms.items()}
    heading = np.full_like(plan.heading, stand.heading)
    return replace(plan, heading=heading, support=plan.support + support + ahead, feet=feet, arms=posed)


def _rotation(quaternions: Float[np.ndarray, "T 4"]) -> Rotation:
    return Rotation.from_quat(quaternions[:, [1, 2, 3, 0]])


def _mixed(here: Motion, there: Motion, weight: Float[np.ndarray, "T"]) -> Motion:
    """Between two motions, joint by joint."""
    rotations = np.array(there.local_rotations)
    for joint in range(len(there.skeleton)):
        mixed = blended(_rotation(here.local_rotations[:, joint]), _rotation(there.local_rotations[:, joint]), weight)
        rotations[:, joint] = mixed.as_quat()[:, [3, 0, 1, 2]]
    root = here.root_translation + weight[:, None] * (there.root_translation - here.root_translation)
    return replace(there, root_translation=root, local_rotations=rotations)


@dataclass(frozen=True, eq=False)
class _Foot:
    """Where a foot shall be: the ankle (T, 3) m, the sole's turn in the world, the toes' against the foot. weight: (T,)
    how much it is the motion's own."""

    side: str
    weight: Float[np.ndarray, "T"]
    ankle: Float[np.ndarray, "T 3"]
    sole: Rotation
    toes: Rotation


def _foot_between(
    here: Motion, there: Motion, side: str, weight: Float[np.ndarray, "T"], lift: Float[np.ndarray, "T"]
) -> _Foot:
    """Between where both motions have it in the world, and higher by `lift` m."""
    foot, toe = (here.skeleton.index(side + part) for part in ("Foot", "ToeBase"))
    (world_a, joints_a), (world_b, joints_b) = (joint_poses(motion) for motion in (here, there))
    ankle = joints_a[:, foot] + weight[:, None] * (joints_b[:, foot] - joints_a[:, foot])
    ankle[:, 2] += lift
    sole = blended(_rotation(world_a[:, foot]), _rotation(world_b[:, foot]), weight)
    toes = blended(_rotation(here.local_rotations[:, toe]), _rotation(there.local_rotations[:, toe]), weight)
    return _Foot(side, weight, ankle, sole, toes)


def _within_reach(mixed: Motion, feet: list[_Foot]) -> Motion:
    """The body lower, smoothly, where a leg would not reach its foot."""
    _, joints = joint_poses(mixed)
    need, own = np.zeros(mixed.n_frames), np.zeros(mixed.n_frames)
    for foot in feet:
        hip, knee, ankle = (joints[:, mixed.skeleton.index(foot.side + part)] for part in ("UpLeg", "Leg", "Foot"))
        leg = STEPPING_STRETCH * (np.linalg.norm(knee - hip, axis=-1) + np.linalg.norm(ankle - knee, axis=-1))
        apart = hip - foot.ankle
        allowed = np.sqrt(np.maximum(leg**2 - (apart[:, :2] ** 2).sum(axis=-1), 0.0))
        need = np.maximum(need, apart[:, 2] - allowed)
        own = np.maximum(own, 1 - foot.weight)
    width = STEPPING_S * mixed.fps
    need = np.where(own > 0, need, 0.0)
    drop = smooth(maximum_filter1d(need, 2 * round(width) + 1, mode="nearest"), STEPPING_S, mixed.fps)
    return replace(mixed, root_translation=mixed.root_translation - drop[:, None] * [0.0, 0.0, 1.0])


def _footed(mixed: Motion, goal: _Foot) -> Motion:
    """With a foot where it shall be, and the leg bent to fit; nothing changes where it is there."""
    index = mixed.skeleton.index
    hip, knee, foot, toe = (index(goal.side + part) for part in ("UpLeg", "Leg", "Foot", "ToeBase"))
    world, joints = joint_poses(mixed)
    thigh, shin = _rotation(world[:, hip]), _rotation(world[:, knee])
    first, second = joints[:, knee] - joints[:, hip], joints[:, foot] - joints[:, knee]
    front = (1 - goal.weight)[:, None] * thigh.apply([0.0, -0.02, 0.0])
    new_first, new_second = _two_bones(goal.ankle - joints[:, hip], first, second, front)
    thigh, shin = _arc(first, new_first) * thigh, _arc(second, new_second) * shin
    pelvis = _rotation(world[:, 0])
    turns = {hip: pelvis.inv() * thigh, knee: thigh.inv() * shin, foot: shin.inv() * goal.sole, toe: goal.toes}
    rotations = np.array(mixed.local_rotations)
    for joint, turn in turns.items():
        rotations[:, joint] = turn.as_quat()[:, [3, 0, 1, 2]]
    return replace(mixed, local_rotations=rotations)


def _two_bones(
    reach: Float[np.ndarray, "T 3"],
    first: Float[np.ndarray, "T 3"],
    second: Float[np.ndarray, "T 3"],
    front: Float[np.ndarray, "T 3"],
) -> tuple[Float[np.ndarray, "T 3"], Float[np.ndarray, "T 3"]]:
    """Thigh and shin that lead to `reach`, bent in the plane they are in (and towards `front`)."""
    a, b = np.linalg.norm(first, axis=-1), np.linalg.norm(second, axis=-1)
    distance = np.clip(np.linalg.norm(reach, axis=-1), np.abs(a - b) + 1e-6, (a + b) * (1 - 1e-7))
    axis, line = unit(reach), unit(first + second)
    out = first - (first * line).sum(-1, keepdims=True) * line + front
    out = unit(out - (out * axis).sum(-1, keepdims=True) * axis)
    cosine = ((a**2 + distance**2 - b**2) / (2 * a * distance)).clip(-1.0, 1.0)
    sine = np.sqrt(1 - cosine**2)
    thigh = a[:, None] * (cosine[:, None] * axis + sine[:, None] * out)
    return thigh, distance[:, None] * axis - thigh


def _arc(start: Float[np.ndarray, "T 3"], end: Float[np.ndarray, "T 3"]) -> Rotation:
    return _rotation(shortest_arc(torch.from_numpy(unit(start)), torch.from_numpy(unit(end))).numpy())
