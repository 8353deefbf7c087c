"""Orientations of the humanoid's joints that make its bones point where the source's do.

Of a limb's joint the file's own axes turn with the bone, so one constant rotation takes the humanoid's axes to them. It
has two directions: the bone's, and across it the hinge of knee or elbow (from the motion: thigh x shin is the
direction about which the knee bends), the palm's thumb side, the sole's normal while the foot stands. What is left
of the bone's direction in a frame, where joints in between bend, is made up by the shortest turn. Trunk, neck and head
have no such directions: they turn as they do from the upright pose, shared out over the joints there are.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation

from mocap.core.joint_names import is_thumb
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.rotations import quat_to_matrix, shortest_arc
from mocap.synthetic.retarget_source import SIDES, HumanSource, nearest_rotation

KNOWN_HINGE = 0.05
"""Mean sine of the bend, beyond STRAIGHT_SINE, that tells the hinge; with less the rest pose has a say."""
STRAIGHT_SINE = 0.2
"""A limb bent by less than 12 degrees says nothing of its hinge: joint centres off the line bend it any way."""
LIMB_JOINTS = {"Arm": ("UpperArm", "ForeArm", "Hand"), "Leg": ("Thigh", "Shin", "Foot")}
HUMANOID = {
    **{"Thigh": "UpLeg", "Shin": "Leg", "Foot": "Foot", "Toe": "ToeBase"},
    **{"Clavicle": "Shoulder", "UpperArm": "Arm", "ForeArm": "ForeArm", "Hand": "Hand"},
}
"""What the humanoid calls the parts of a limb, after the side."""
FORWARD, UP = np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])
HINGES = {("Arm", "Left"): -UP, ("Arm", "Right"): UP, ("Leg", "Left"): np.eye(3)[0], ("Leg", "Right"): np.eye(3)[0]}
"""Upper x lower bone in the T-pose when the limb bends: elbows forward, knees back."""

Turns = dict[str, Float[np.ndarray, "T 3 3"]]


def humanoid_turns(source: HumanSource, skeleton: SkeletonDefinition, standing: Bool[np.ndarray, "T 2"]) -> Turns:
    """world_from_joint of every humanoid joint. standing: whether the left and the right foot stand still."""
    turns = _trunk(source)
    for column, side in enumerate(SIDES):
        _leg(source, skeleton, side, turns)
        _foot(source, skeleton, side, standing[:, column], turns)
        _arm(source, skeleton, side, turns)
    return turns


def _trunk(source: HumanSource) -> Turns:
    def chain(nodes: tuple[int, ...]) -> Float[np.ndarray, "n T 3 3"]:
        return np.stack([source.rotations[:, node] @ source.upright[node].T for node in nodes])

    trunk = chain(source.trunk)
    turns = {name: _along(trunk, third / 3) for third, name in enumerate(("Hips", "Spine", "Spine1"))}
    turns["Spine2"] = trunk[-1]
    neck = np.concatenate([trunk[-1:], chain(source.neck)])
    return turns | {"Neck": _along(neck, 0.5), "Head": neck[-1]}


def _along(chain: Float[np.ndarray, "n T 3 3"], share: float) -> Float[np.ndarray, "T 3 3"]:
    """Orientation at a share of the way along a chain of joints, slerped between two of them."""
    at = share * (len(chain) - 1)
    before = min(int(at + 1e-9), len(chain) - 1)
    rest = at - before
    if rest < 1e-6:
        return chain[before]
    step = Rotation.from_matrix(chain[before].swapaxes(-1, -2) @ chain[before + 1]).as_rotvec()
    return chain[before] @ Rotation.from_rotvec(rest * step).as_matrix()


def _leg(source: HumanSource, skeleton: SkeletonDefinition, side: str, turns: Turns) -> None:
    turns[side + "UpLeg"], turns[side + "Leg"] = _hinged_limb(source, skeleton, ("Leg", side), turns["Hips"])


def _arm(source: HumanSource, skeleton: SkeletonDefinition, side: str, turns: Turns) -> None:
    clavicle = source.roles.get(side + "Clavicle")
    turns[side + "Shoulder"] = turns["Spine2"]
    if clavicle is not None and clavicle != source.trunk[-1]:
        turn = source.rotations[:, clavicle] @ source.upright[clavicle].T
        along_x = turns["Spine2"] @ _split_twist(turns["Spine2"].swapaxes(-1, -2) @ turn, np.eye(3)[0])[1]
        turns[side + "Shoulder"] = along_x
    upper, fore = _hinged_limb(source, skeleton, ("Arm", side), turns["Spine2"])
    hand = _hand(source, skeleton, side, fore)
    twist, _ = _split_twist(fore.swapaxes(-1, -2) @ hand, _bone(skeleton, side + "Hand"))
    turns |= {side + "Arm": upper, side + "ForeArm": fore @ twist, side + "Hand": hand}


def _bone(skeleton: SkeletonDefinition, child: str) -> Float[np.ndarray, "3"]:
    """Unit direction from its parent to a joint in the T-pose."""
    return unit(skeleton.rest_offsets[skeleton.index(child)])


def unit(vectors: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3"]:
    """Of length 1; a vector of no length stays."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, 1.0)


def arc(start: Float[np.ndarray, "*#b 3"], end: Float[np.ndarray, "*#b 3"]) -> Float[np.ndarray, "*b 3 3"]:
    """The least turn from one unit vector to another."""
    start, end = np.broadcast_arrays(start, end)
    return quat_to_matrix(shortest_arc(torch.from_numpy(start.copy()), torch.from_numpy(end.copy()))).numpy()


def _frame(main: Float[np.ndarray, "*b 3"], across: Float[np.ndarray, "*b 3"]) -> Float[np.ndarray, "*b 3 3"]:
    """Columns: main, what of `across` is perpendicular to it, and their cross product."""
    main = unit(main)
    across = unit(across - (across * main).sum(-1, keepdims=True) * main)
    return np.stack([main, across, np.cross(main, across)], axis=-1)


def _apply(matrices: Float[np.ndarray, "*#b 3 3"], vectors: Float[np.ndarray, "*#b 3"]) -> Float[np.ndarray, "*b 3"]:
    return (matrices @ vectors[..., None])[..., 0]


def _mean_in(node_turn: Float[np.ndarray, "T 3 3"], vectors: Float[np.ndarray, "T 3"]) -> Float[np.ndarray, "3"]:
    """Mean of world vectors in the axes of something that turns."""
    return _apply(node_turn.swapaxes(-1, -2), vectors).mean(axis=0)


def _hinged_limb(
    source: HumanSource, skeleton: SkeletonDefinition, limb: tuple[str, str], trunk: Float[np.ndarray, "T 3 3"]
) -> tuple[Float[np.ndarray, "T 3 3"], Float[np.ndarray, "T 3 3"]]:
    """Upper and lower bone."""
    kind, side = limb
    upper, lower, end = (side + part for part in LIMB_JOINTS[kind])
    joints = [side + HUMANOID[part] for part in LIMB_JOINTS[kind]]
    bones = [_bone(skeleton, joints[1]), _bone(skeleton, joints[2])]
    first = unit(source.place(lower) - source.place(upper))
    second = unit(source.place(end) - source.place(lower))
    turn = source.turn(upper)
    hinge = HINGES[limb]
    prior = _unbent_hinge(source, limb, bones[0], trunk, first)
    bend = np.cross(first, second)
    sine = np.linalg.norm(bend, axis=-1, keepdims=True)
    seen = _mean_in(turn, np.maximum(sine - STRAIGHT_SINE, 0.0) * unit(bend))
    across = seen + max(KNOWN_HINGE - float(np.linalg.norm(seen)), 0.0) * prior
    upper_turn = _aimed(turn, _frame(_mean_in(turn, first), across) @ _frame(bones[0], hinge).T, bones[0], first)
    turn = source.turn(lower)
    across = _mean_in(turn, _apply(upper_turn, hinge))
    lower_turn = _aimed(turn, _frame(_mean_in(turn, second), across) @ _frame(bones[1], hinge).T, bones[1], second)
    return upper_turn, lower_turn


def _unbent_hinge(
    source: HumanSource,
    limb: tuple[str, str],
    bone: Float[np.ndarray, "3"],
    trunk: Float[np.ndarray, "T 3 3"],
    first: Float[np.ndarray, "T 3"],
) -> Float[np.ndarray, "3"]:
    """The hinge in the node's axes, were the limb brought from the T-pose to the pose at rest by the shortest turn.

    Where the rest pose is no body's: to the poses of the motion, and the mean of that.
    """
    kind, side = limb
    upper, lower, _ = (side + part for part in LIMB_JOINTS[kind])
    node, hinge = source.roles[upper], HINGES[limb]
    if source.is_rest_human:
        body_from_node = source.upright[node]
        rest = unit(body_from_node @ source.rest_from(node, source.roles[lower]))
        return body_from_node.T @ arc(bone, rest) @ hinge
    swung = arc(bone, unit(_apply(trunk.swapaxes(-1, -2), first)))
    return _mean_in(source.rotations[:, node], _apply(trunk @ swung, hinge))


def _aimed(
    node_turn: Float[np.ndarray, "T 3 3"],
    node_from_joint: Float[np.ndarray, "3 3"],
    bone: Float[np.ndarray, "3"],
    direction: Float[np.ndarray, "T 3"],
) -> Float[np.ndarray, "T 3 3"]:
    """world_from_joint whose bone points exactly in the direction."""
    turn = node_turn @ node_from_joint
    return arc(_apply(turn, bone), direction) @ turn


def _split_twist(
    turns: Float[np.ndarray, "T 3 3"], axis: Float[np.ndarray, "3"]
) -> tuple[Float[np.ndarray, "T 3 3"], Float[np.ndarray, "T 3 3"]]:
    """twist @ swing, the twist about `axis`."""
    q = Rotation.from_matrix(turns).as_quat()
    twist = np.concatenate([(q[:, :3] @ axis)[:, None] * axis, q[:, 3:]], axis=-1)
    twist[np.linalg.norm(twist, axis=-1) < 1e-9] = [0.0, 0.0, 0.0, 1.0]  # half a turn of swing leaves it open
    matrices = Rotation.from_quat(twist).as_matrix()
    return matrices, matrices.swapaxes(-1, -2) @ turns


def _hand(
    source: HumanSource, skeleton: SkeletonDefinition, side: str, fore: Float[np.ndarray, "T 3 3"]
) -> Float[np.ndarray, "T 3 3"]:
    """Fingers along the bone, the thumb to the front of the T-pose."""
    node = source.roles[side + "Hand"]
    turn = source.rotations[:, node]
    bone = _bone(skeleton, side + "Hand")
    below = source.seen_from(node)
    thumbs = [place for n, place in below.items() if is_thumb(source.names[n])]
    others = [place for n, place in below.items() if not is_thumb(source.names[n])]
    fingers = np.sum(others, axis=0) if others else np.zeros(3)
    if not np.linalg.norm(fingers):
        fingers = _mean_in(turn, _apply(fore, bone))
    if thumbs:
        across = np.sum(thumbs, axis=0)
        across = across - (across @ unit(fingers)) * unit(fingers)
        if np.linalg.norm(across) > 0:
            return turn @ _frame(fingers, across) @ _frame(bone, FORWARD).T
    if source.is_rest_human:
        rest = source.upright[node] @ unit(fingers)
        across = source.upright[node].T @ arc(bone, rest) @ FORWARD
    else:
        across = _mean_in(turn, _apply(fore, FORWARD))
    return turn @ _frame(fingers, across) @ _frame(bone, FORWARD).T


def _foot(
    source: HumanSource, skeleton: SkeletonDefinition, side: str, standing: Bool[np.ndarray, "T"], turns: Turns
) -> None:
    """Sole level while it stands; where it never does, as in the rest pose, or with the toes in line with the shin."""
    node, toe = source.roles[side + "Foot"], source.roles.get(side + "Toe")
    turn = source.rotations[:, node]
    forward = _foot_forward(source, side)
    up = turn[standing].swapaxes(-1, -2) @ UP
    tip = skeleton.rest_offsets[skeleton.index(side + "ToeBase")]
    tip = unit(tip + np.nan_to_num(skeleton.tips[skeleton.index(side + "ToeBase")]))
    if len(up) > 0 and float(np.linalg.norm(up.mean(axis=0))) > LEVEL and _is_across(up.mean(axis=0), forward):
        node_from_foot = _frame(up.mean(axis=0), forward) @ _frame(UP, tip).T
    elif source.is_rest_human and _is_across(source.upright[node].T @ UP, forward):
        node_from_foot = _frame(source.upright[node].T @ UP, forward) @ _frame(UP, tip).T
    else:
        shin = _mean_in(turn, source.place(side + "Shin") - source.place(side + "Foot"))
        node_from_foot = _frame(forward, shin) @ _frame(tip, UP).T
    turns[side + "Foot"] = turn @ node_from_foot
    turns[side + "ToeBase"] = turns[side + "Foot"]
    if toe is not None:
        turns[side + "ToeBase"] = _toes(source.rotations[:, toe], turns[side + "Foot"], standing)


LEVEL = 0.97
"""Mean of the sole's normal over the standing frames, at least: it varies by less than 14 degrees."""


def _is_across(normal: Float[np.ndarray, "3"], forward: Float[np.ndarray, "3"]) -> bool:
    """Whether heel to toe is nearer to the level than to the vertical."""
    return bool(abs(unit(normal) @ unit(forward)) < np.sin(np.deg2rad(60.0)))


def _foot_forward(source: HumanSource, side: str) -> Float[np.ndarray, "3"]:
    """Ankle to the farthest end of the toes in the foot's axes; without any, where the body faces on the average."""
    node = source.roles[side + "Foot"]
    ends = source.descendants(node)
    if ends:
        farthest = max(ends, key=lambda n: float(np.linalg.norm(source.rest_from(node, n))))
        path = source.positions[:, farthest] - source.positions[:, node]
        place = source.rest_from(node, farthest) if source.is_rest_human else _mean_in(source.rotations[:, node], path)
        if np.linalg.norm(place) > 0:
            return place
    shin = source.place(side + "Thigh") - source.place(side + "Shin")
    across = source.place("LeftThigh") - source.place("RightThigh")
    return _mean_in(source.rotations[:, node], np.cross(across, shin))


def _toes(
    toe: Float[np.ndarray, "T 3 3"], foot: Float[np.ndarray, "T 3 3"], standing: Bool[np.ndarray, "T"]
) -> Float[np.ndarray, "T 3 3"]:
    """Bent up and down only, level with the sole while the foot stands (else on the average)."""
    chosen = standing if standing.any() else np.ones_like(standing)
    toe_from_foot = nearest_rotation((toe[chosen].swapaxes(-1, -2) @ foot[chosen]).mean(axis=0))
    bend, _ = _split_twist(foot.swapaxes(-1, -2) @ toe @ toe_from_foot, np.eye(3)[0])
    return foot @ bend
