"""A first pose of every frame in closed form: the torso from hips and shoulders, limbs by shortest arcs."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mocap.core.markers import Limb, MarkerSet, Torso
from mocap.geometry.kinematics import descends_from, forward_kinematics
from mocap.geometry.pose_model import Pose, PoseModel, angles_from_rotations, local_rotations, rest_pose
from mocap.geometry.rotations import (
    matrix_to_quat,
    quat_conjugate,
    quat_identity,
    quat_multiply,
    quat_rotate,
    quat_to_rotvec,
    rotvec_to_quat,
    shortest_arc,
)

SPIKE_M = 0.15
"""A point that far from the median of its neighbours in time is left out of the first pose (not of the solution)."""

_BENT_RAD = 0.25
"""A hinge bent less than that does not show how the bone above it is turned about its length."""


_ROOM = 0.05
"""The first pose keeps that share of each angle's range from its limits: the solver is slow to leave a limit again."""


def start_pose(
    model: PoseModel,
    markers: MarkerSet,
    rest: Float[Tensor, "D"],
    targets: Float[Tensor, "T M 3"],
    confidence: Float[Tensor, "T M"],
) -> Pose:
    """A pose near the targets (m, of any finite value where their confidence is 0).

    Points that are missing for a while are interpolated in time; joints that nothing ever shows take the `rest` angles.
    """
    tracks = _filled(targets, confidence)
    exact = [m for m in range(len(markers)) if markers.means_joint[m] and m in tracks]
    seen = {int(markers.at[m]): tracks[m] for m in exact}
    root, chest, translation = _torso(model, markers.torso, seen, len(targets))
    if not (seen.keys() & {*markers.torso.lower, *markers.torso.upper}) and tracks:
        translation = torch.stack(list(tracks.values())).mean(0)
    at_rest = rest_pose(model, len(targets))
    rotations = local_rotations(model, Pose(at_rest.translation, root, rest.expand(len(targets), -1)))
    turn = quat_to_rotvec(quat_multiply(quat_conjugate(root), chest))
    for joint in markers.torso.between:
        rotations[:, joint] = rotvec_to_quat(turn / len(markers.torso.between))
    above = descends_from(model.parents)
    for limb in markers.limbs:
        on_chest = any(above[limb.ball][joint] for joint in markers.torso.between)
        _bend(model, limb, seen, chest if on_chest else root, rotations)
    inside = _ROOM * (model.upper - model.lower)
    angles = angles_from_rotations(model, rotations)
    return Pose(translation, root, torch.minimum(torch.maximum(angles, model.lower + inside), model.upper - inside))


def _filled(targets: Float[Tensor, "T M 3"], confidence: Float[Tensor, "T M"]) -> dict[int, Float[Tensor, "T 3"]]:
    """Tracks without spikes and without gaps, by marker; markers that are never seen are left out."""
    frames = np.arange(len(targets))
    tracks = {}
    for m in np.flatnonzero((confidence > 0).any(0).numpy()):
        seen = (confidence[:, m] > 0).numpy()
        track = targets[seen, m].numpy()
        near = np.linalg.norm(track - _running_median(track), axis=-1) < SPIKE_M
        if not near.any():
            near[:] = True
        columns = [np.interp(frames, frames[seen][near], track[near, i]) for i in range(3)]
        tracks[int(m)] = torch.from_numpy(np.stack(columns, axis=-1))
    return tracks


def _running_median(track: Float[np.ndarray, "n 3"], half: int = 2) -> Float[np.ndarray, "n 3"]:
    padded = np.pad(track, ((half, half), (0, 0)), mode="reflect" if len(track) > half else "edge")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1, axis=0), axis=-1)


def _torso(
    model: PoseModel, torso: Torso, seen: dict[int, Float[Tensor, "T 3"]], n_frames: int
) -> tuple[Float[Tensor, "T 4"], Float[Tensor, "T 4"], Float[Tensor, "T 3"]]:
    """World rotations of the root and of the chest, and the root's position; upright where only one end is seen."""
    pairs = {pair: all(j in seen for j in pair) for pair in (torso.lower, torso.upper)}
    upright = quat_identity(n_frames)
    if not any(pairs.values()):
        return upright, upright, torch.zeros(n_frames, 3, dtype=torch.float64)
    _, rest = forward_kinematics(
        quat_identity(len(model.parents)), torch.zeros(3, dtype=torch.float64), model.rest_offsets, model.parents
    )
    middle = {pair: (seen[pair[0]] + seen[pair[1]]) / 2 for pair, known in pairs.items() if known}
    left = {pair: seen[pair[0]] - seen[pair[1]] for pair in middle}
    both = len(middle) == 2
    up = middle[torso.upper] - middle[torso.lower] if both else torch.tensor([0.0, 0, 1], dtype=torch.float64)
    root, chest = (_frame(up, left.get(pair, next(iter(left.values())))) for pair in pairs)
    pair = torso.lower if torso.lower in middle else torso.upper
    arm = quat_rotate(root, (rest[pair[0]] + rest[pair[1]]) / 2)
    return root, chest, middle[pair] - arm


def _frame(up: Float[Tensor, "*#T 3"], left: Float[Tensor, "*#T 3"]) -> Float[Tensor, "*T 4"]:
    """World rotation of a body whose +Z is `up` and whose +X is `left` made perpendicular to it."""
    up, left = torch.broadcast_tensors(up, left)
    z = up / torch.linalg.vector_norm(up, dim=-1, keepdim=True).clamp_min(1e-9)
    across = left - (left * z).sum(-1, keepdim=True) * z
    length = torch.linalg.vector_norm(across, dim=-1, keepdim=True)
    least = torch.zeros_like(z).scatter(-1, z.abs().argmin(-1, keepdim=True), 1.0)
    across = torch.where(length < 1e-6, torch.linalg.cross(z, least), across)
    x = across / torch.linalg.vector_norm(across, dim=-1, keepdim=True)
    return matrix_to_quat(torch.stack([x, torch.linalg.cross(z, x), z], dim=-1))


def _bend(
    model: PoseModel,
    limb: Limb,
    seen: dict[int, Float[Tensor, "T 3"]],
    parent: Float[Tensor, "T 4"],
    rotations: Float[Tensor, "T J 4"],
) -> None:
    """Write the rotations of a limb's ball joint and hinge: the bone's direction, then its turn by the bend."""
    if limb.ball not in seen or limb.hinge not in seen:
        return
    bone = _unit(model.rest_offsets[limb.hinge])
    swing = shortest_arc(bone, _unit(_into(parent, seen[limb.hinge] - seen[limb.ball])))
    rotations[:, limb.ball] = swing
    if limb.end not in seen:
        return
    axis = _hinge_axis(model, limb.hinge)
    after = _unit(model.rest_offsets[limb.end])
    direction = _unit(_into(quat_multiply(parent, swing), seen[limb.end] - seen[limb.hinge]))
    along = (direction * after).sum(-1)
    across = direction - along[:, None] * after
    bend = torch.atan2(torch.linalg.vector_norm(across, dim=-1), along)
    forward = torch.linalg.cross(axis, after)
    turn = torch.atan2((torch.linalg.cross(forward.expand_as(across), across) * after).sum(-1), across @ forward)
    turn = torch.where(bend > _BENT_RAD, turn, 0.0)
    rotations[:, limb.ball] = quat_multiply(swing, rotvec_to_quat(turn[:, None] * after))
    rotations[:, limb.hinge] = rotvec_to_quat(bend[:, None] * axis)


def _hinge_axis(model: PoseModel, joint: int) -> Float[Tensor, "3"]:
    """The axis, with sign, about which a joint bends furthest."""
    mine = (model.joint == joint) & (model.axis != model.twist_axes[joint])
    reach = torch.where(mine, torch.maximum(model.upper, -model.lower), -1.0)
    best = int(reach.argmax())
    axis = torch.zeros(3, dtype=torch.float64)
    axis[model.axis[best]] = 1.0 if model.upper[best] > -model.lower[best] else -1.0
    return axis


def _into(frame: Float[Tensor, "T 4"], vector: Float[Tensor, "T 3"]) -> Float[Tensor, "T 3"]:
    return quat_rotate(quat_conjugate(frame), vector)


def _unit(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    return v / torch.linalg.vector_norm(v, dim=-1, keepdim=True).clamp_min(1e-9)
