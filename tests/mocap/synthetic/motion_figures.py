"""Figures of a motion that a person could not have: sliding and sinking feet, pops, angles beyond a joint's limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mocap.core.skeleton import load_skeleton
from mocap.geometry.joint_transforms import rest_joints
from mocap.geometry.rotations import quat_conjugate, quat_multiply, quat_to_rotvec
from mocap.synthetic.body_parts import body_parts
from mocap.synthetic.capsules import place_parts
from mocap.synthetic.contacts import foot_contacts, sole_paths
from mocap.synthetic.gait import joint_poses
from mocap.synthetic.motion_build import Build
from mocap.synthetic.posing import joint_transforms
from mocap.synthetic.retarget_report import outside_limits

EDGE_S = 0.025
"""Left out at both ends of a contact: there the foot begins to move."""
LEGS = ("UpLeg", "Leg", "Foot")
TRUNK = ("Hips", "Spine1", "Spine2", "Neck", "Head")


def subject(height_m, *, legs=1.0, arms=1.0):
    """The package's skeleton at another height, with longer or shorter legs and arms."""
    usual = load_skeleton()
    size = height_m / 1.75
    offsets, tips = np.array(usual.rest_offsets) * size, np.array(usual.tips) * size
    for joint, name in enumerate(usual.joint_names):
        if (name[-3:] == "Leg" and "Up" not in name) or name.endswith("Foot"):
            offsets[joint] *= legs
        if name.endswith(("ForeArm", "Hand")):
            offsets[joint] *= arms
    down = [offsets[usual.index(f"Left{part}"), 2] for part in (*LEGS, "ToeBase")]
    sole = usual.rest_offsets[0, 2] + sum(
        usual.rest_offsets[usual.index(f"Left{part}"), 2] for part in (*LEGS, "ToeBase")
    )
    offsets[0, 2] = sole * size - sum(down)
    return replace(usual, rest_offsets=offsets, tips=tips)


SUBJECTS = {
    "short": subject(1.2, legs=0.93, arms=0.95),
    "neutral": subject(1.75),
    "tall": subject(2.0, legs=1.05, arms=1.03),
}


@dataclass(frozen=True)
class Figures:
    """sinking, floating: mm, of the lowest point of the soles (floating: not while flying). slide: cm/s, largest of a
    point in contact, but for the first and last EDGE_S; edge: there too. turning: rad/s², largest of a joint, by the
    size of the legs; root: m/s². limits: degrees beyond. arms, legs: mm that lower arms are clear of trunk and
    thighs, and that the legs are apart, by size. hands: mm that finger tips stay over the floor."""

    sinking: float
    floating: float
    slide: float
    edge: float
    turning: float
    root: float
    limits: float
    arms: float
    legs: float
    hands: float


def figures(motion) -> Figures:
    size = Build(motion.skeleton).size
    paths = sole_paths(motion)
    height = paths[..., 2].min(axis=(1, 2))
    contact = foot_contacts(motion)
    standing = contact.any(axis=1)
    return Figures(
        sinking=-1e3 * min(0.0, height.min()),
        floating=1e3 * height[standing].max(),
        slide=slide(paths, eroded(contact, round(EDGE_S * motion.fps)), motion.fps),
        edge=slide(paths, contact, motion.fps),
        turning=turning(motion).max() * size,
        root=float(np.linalg.norm(np.diff(motion.root_translation, 2, axis=0), axis=-1).max()) * motion.fps**2,
        limits=max(outside_limits(motion).values(), default=0.0),
        arms=1e3 * arm_clearance(motion) / size,
        legs=1e3 * leg_clearance(motion) / size,
        hands=1e3 * hand_height(motion),
    )


def slide(paths, contact, fps):
    """Largest horizontal speed in contact, cm/s; of ball and tip the slower, which is the one that carries."""
    speed = np.linalg.norm(np.diff(paths[..., :2], axis=0), axis=-1) * fps
    speed = np.stack([speed[..., 0], speed[..., 1:].min(axis=-1)], axis=-1).reshape(-1, 4)
    return 100 * float(np.max(speed[contact[1:] & contact[:-1]], initial=0.0))


def eroded(contact, frames):
    inner = contact.copy()
    for n in range(1, frames + 1):
        inner[n:] &= contact[:-n]
        inner[:-n] &= contact[n:]
    inner[-frames:] = False  # what goes on after the take may be the foot's leaving
    return inner


def turning(motion):
    """Angular acceleration of every joint in its parent, rad/s²."""
    import torch

    q = torch.from_numpy(np.array(motion.local_rotations))
    velocity = quat_to_rotvec(quat_multiply(quat_conjugate(q[:-1]), q[1:])).numpy() * motion.fps
    return np.linalg.norm(np.diff(velocity, axis=0), axis=-1) * motion.fps


def leg_clearance(motion):
    """Least distance between the axes of both shins, m."""
    _, joints = joint_poses(motion)
    lines = []
    for side in ("Left", "Right"):
        knee, ankle = (joints[:, motion.skeleton.index(side + part)] for part in ("Leg", "Foot"))
        lines.append(knee[:, None] + np.linspace(0, 1, 8)[:, None] * (ankle - knee)[:, None])
    return float(np.linalg.norm(lines[0][:, :, None] - lines[1][:, None], axis=-1).min())


def hand_height(motion):
    """Of the lowest finger tip over the floor, m."""
    world = joint_transforms(motion)
    rest = rest_joints(motion.skeleton)
    hands = [motion.skeleton.index(f"{side}Hand") for side in ("Left", "Right")]
    tips = np.stack([rest[hand] + motion.skeleton.tips[hand] for hand in hands])
    height = np.einsum("thj,hj->th", world[:, hands, 2, :3], tips) + world[:, hands, 2, 3]
    return float(height.min())


def arm_clearance(motion):
    """How far the axes of forearms and hands stay outside the capsules of trunk and thighs, m."""
    parts = body_parts(motion.skeleton)
    placed = place_parts(parts, joint_transforms(motion))
    names = [motion.skeleton.joint_names[joint] for joint in parts.joint]
    clear = np.inf
    for arm in (row for row, name in enumerate(names) if name.endswith(("ForeArm", "Hand"))):
        far = (
            placed.start[:, arm]
            + np.linalg.solve(placed.unit_from_world[:, arm], placed.along[:, arm][..., None])[..., 0]
        )
        for share in (0.3, 0.6, 0.8, 1.0):
            point = placed.start[:, arm] + share * (far - placed.start[:, arm])
            for body in (row for row, name in enumerate(names) if name in TRUNK or name.endswith("UpLeg")):
                clear = min(clear, _outside(point, placed, body) * parts.radii[body].min())
    return float(clear)


def _outside(point, placed, body):
    p = np.einsum("tij,tj->ti", placed.unit_from_world[:, body], point - placed.start[:, body])
    u = placed.along[:, body]
    t = np.clip((p * u).sum(-1) / (u * u).sum(-1), 0, 1)
    return (np.linalg.norm(p - t[:, None] * u, axis=-1) - 1).min()
