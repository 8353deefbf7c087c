"""A plan made into a motion: the body balanced over its feet, legs bent to fit, arms and head as planned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import Float
from scipy.ndimage import maximum_filter1d
from scipy.spatial.transform import Rotation

from mocap.core.motion import Motion
from mocap.synthetic.gait import joint_poses
from mocap.synthetic.motion_arms import Chest, posed_arm
from mocap.synthetic.motion_build import SIDES, Build, leftwards
from mocap.synthetic.motion_curves import clipped_softly, drift, smooth
from mocap.synthetic.motion_limbs import leg_turns
from mocap.synthetic.motion_plan import Plan
from mocap.synthetic.motion_steps import ankle_path

SPINE_SHARES = {"Spine": 0.40, "Spine1": 0.33, "Spine2": 0.27}
NECK_SHARE = 0.45
HEAD_BOUNDS_RAD = np.deg2rad([65.0, 38.0, 72.0])
"""Nod, tilt and turn of the head against the chest; neck and head have 80, 60 and 95 degrees together."""
BALANCE_ROUNDS = 3
BALANCE_SMOOTHING_S = 0.1
LOWERING_S, LOWERING_REACH = 0.05, 1.0
SEGMENTS = (
    ("Hips", "Spine", 0.142, 0.5),
    ("Spine", "Spine2", 0.139, 0.5),
    ("Spine2", "Neck", 0.216, 0.45),
    ("Neck", "Head", 0.081, 1.2),
    *((f"{side}{a}", f"{side}{b}", mass, at) for side in SIDES for a, b, mass, at in (
        ("Arm", "ForeArm", 0.028, 0.436),
        ("ForeArm", "Hand", 0.022, 0.68),
        ("UpLeg", "Leg", 0.100, 0.433),
        ("Leg", "Foot", 0.0465, 0.433),
        ("Foot", "ToeBase", 0.0145, 0.5),
    )),
)  # fmt: skip
"""From, to, share of the mass, and where on the way its centre lies: Winter, "Biomechanics", table 4.1."""


def perform(plan: Plan, build: Build, rng: np.random.Generator) -> Motion:
    """The plan's motion, with breath, sway and small movements drawn from `rng`."""
    return balanced(enlivened(plan, build, rng), build)


def balanced(plan: Plan, build: Build) -> Motion:
    """The plan's motion and nothing else, the centre of mass over the support."""
    root = plan.support
    for _ in range(BALANCE_ROUNDS):
        motion = _posed(plan, build, root)
        off = plan.poise[:, None] * (plan.support - centre_of_mass(motion)[:, :2])
        root = root + smooth(off, BALANCE_SMOOTHING_S, plan.fps)
    return _posed(plan, build, root)


def centre_of_mass(motion: Motion) -> Float[np.ndarray, "T 3"]:
    """Of the whole body, m."""
    _, joints = joint_poses(motion)
    index = motion.skeleton.index
    centre = sum(m * ((1 - at) * joints[:, index(a)] + at * joints[:, index(b)]) for a, b, m, at in SEGMENTS)
    return np.asarray(centre) / sum(mass for _, _, mass, _ in SEGMENTS)


def enlivened(plan: Plan, build: Build, rng: np.random.Generator) -> Plan:
    """Breathes, sways, and holds neither head nor arms quite still."""
    time = plan.time

    def wander(size: float, *band_hz: float) -> Float[np.ndarray, "T"]:
        return size * drift(time, rng, (band_hz[0], band_hz[1]))

    rate, phase = rng.uniform(0.2, 0.32), rng.uniform(0, 2 * np.pi)
    breath = np.sin(2 * np.pi * rate * time + phase + 0.4 * np.sin(2 * np.pi * 0.5 * rate * time))
    sway = np.stack([wander(0.006, 0.1, 0.45), wander(0.005, 0.1, 0.5)], axis=-1) * build.size
    deg = np.deg2rad(1.0)
    trunk = np.stack([wander(0.7 * deg, 0.1, 0.5) - 0.5 * deg * breath, *(wander(0.7 * deg, 0.1, 0.4),) * 2], axis=-1)
    gaze = np.stack([wander(size * deg, 0.1, 0.6) for size in (2.0, 1.2, 3.0)], axis=-1)
    arms = {}
    for side, arm in plan.arms.items():
        loose = (1 - np.maximum(arm.held, arm.steered))[:, None]
        small = np.stack([wander(d * deg, 0.1, 0.6) for d in (0.3, 0.3, 0.8, 1.2, 1.5, 1.5, 2.0, 2.0)], axis=-1)
        small[:, 0] += 0.6 * deg * breath
        arms[side] = replace(arm, angles=arm.angles + small * np.maximum(loose, np.eye(8)[0]))
    pelvis = plan.pelvis + np.stack([wander(0.5 * deg, 0.1, 0.4) for _ in range(3)], axis=-1)
    return replace(
        plan,
        support=plan.support + sway,
        trunk=plan.trunk + trunk,
        gaze=plan.gaze + gaze,
        pelvis=pelvis,
        arms=arms,
    )


def _posed(plan: Plan, build: Build, root_xy: Float[np.ndarray, "T 2"]) -> Motion:
    upright = Rotation.from_rotvec(plan.heading[:, None] * [0.0, 0.0, 1.0])
    hips = upright * Rotation.from_rotvec(plan.pelvis)
    ankles = {side: ankle_path(build, side, plan.feet[side]) for side in SIDES}
    root = np.concatenate([root_xy, (build.standing_height - plan.drop)[:, None]], axis=1)
    root[:, 2] -= _lowering(plan, build, root, hips, ankles)
    turns = {"Hips": hips}
    for side in SIDES:
        turns |= _leg(plan, build, side, hips=hips, root=root, ankle=ankles[side])
    place, turn = root, hips
    for joint, share in SPINE_SHARES.items():
        place = place + turn.apply(build.offset(joint))
        turns[joint] = Rotation.from_rotvec(share * plan.trunk)
        turn = turn * turns[joint]
    chest = Chest(upright, turn, place)
    turns |= _head(plan, chest)
    for side in SIDES:
        turns |= posed_arm(plan.arms[side], build, side, chest)
    rotations = np.zeros((plan.n_frames, len(build.skeleton), 4))
    rotations[..., 0] = 1.0
    for name, rotation in turns.items():
        rotations[:, build.skeleton.index(name)] = rotation.as_quat()[:, [3, 0, 1, 2]]
    return Motion(build.skeleton, root, rotations, plan.fps)


def _lowering(
    plan: Plan,
    build: Build,
    root: Float[np.ndarray, "T 3"],
    hips: Rotation,
    ankles: dict[str, Float[np.ndarray, "T 3"]],
) -> Float[np.ndarray, "T"]:
    """How far the body comes down, smoothly, for the feet to be within reach."""
    need = np.zeros(plan.n_frames)
    for side in SIDES:
        leg = root + hips.apply(build.offset(f"{side}UpLeg")) - ankles[side]
        allowed = np.sqrt(np.maximum((plan.stretch * build.leg) ** 2 - (leg[:, :2] ** 2).sum(-1), 0.0))
        need = np.maximum(need, leg[:, 2] - allowed)
    width = LOWERING_S * build.tempo * plan.fps
    held = maximum_filter1d(need, 2 * round(LOWERING_REACH * width) + 1, mode="nearest")
    return smooth(held, LOWERING_S * build.tempo, plan.fps)


def _leg(
    plan: Plan,
    build: Build,
    side: str,
    *,
    hips: Rotation,
    root: Float[np.ndarray, "T 3"],
    ankle: Float[np.ndarray, "T 3"],
) -> dict[str, Rotation]:
    foot = plan.feet[side]
    hip = root + hips.apply(build.offset(f"{side}UpLeg"))
    facing = 0.5 * foot.yaw + 0.5 * (plan.heading + plan.pelvis[:, 2])
    across = np.concatenate([leftwards(facing), np.zeros((plan.n_frames, 1))], axis=1)
    thigh, knee = leg_turns(ankle - hip, across, (build.offset(f"{side}Leg"), build.offset(f"{side}Foot")))
    bend = Rotation.from_rotvec(knee[:, None] * [1.0, 0.0, 0.0])
    sole = Rotation.from_rotvec(foot.yaw[:, None] * [0.0, 0.0, 1.0])
    sole = sole * Rotation.from_rotvec(foot.pitch[:, None] * [1.0, 0.0, 0.0])
    return {
        f"{side}UpLeg": hips.inv() * thigh,
        f"{side}Leg": bend,
        f"{side}Foot": (thigh * bend).inv() * sole,
        f"{side}ToeBase": Rotation.from_rotvec(foot.toe[:, None] * [1.0, 0.0, 0.0]),
    }


def _head(plan: Plan, chest: Chest) -> dict[str, Rotation]:
    looking = chest.upright * Rotation.from_rotvec(plan.gaze)
    against = clipped_softly((chest.turn.inv() * looking).as_rotvec() / HEAD_BOUNDS_RAD, 1.0) * HEAD_BOUNDS_RAD
    return {
        "Neck": Rotation.from_rotvec(NECK_SHARE * against),
        "Head": Rotation.from_rotvec((1 - NECK_SHARE) * against),
    }
