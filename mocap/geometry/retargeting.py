"""A motion from one body to another: turns carried over by way of the T-pose, feet put where they belong.

Every joint's turn is taken relative to a T-pose that both bodies are brought into first (limbs straight along the
world's axes, feet pointing forward), so the rest poses of files may differ. Lengths differ too: the whole path is
scaled by the ratio of the legs, and the legs are bent so that ankles lie where the scaled ones do; what stood still
stands still. World: metres, Z up, T-pose facing -Y with the left hand at +X. Axes: T frames, N nodes (joints, then ends
of bones), M those of the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mocap.core.character import Character
from mocap.core.joint_names import LEFT, RIGHT
from mocap.geometry.leg_bending import reach
from mocap.geometry.rotations import (
    quat_conjugate,
    quat_identity,
    quat_multiply,
    quat_rotate,
    shortest_arc,
    slerp,
)

NO_FOOT_M = 1e-6
NEAR_FLOOR = 0.06
"""Share of a body's height within which its lowest joint is of the world's floor: else the floor is that joint."""
SIDES = {LEFT: 1.0, RIGHT: -1.0}
"""And on which side of the X axis they are."""
LIMBS = (("UpperArm", "ForeArm", "Hand"), ("Thigh", "Shin", "Foot"))
TRUNK_LEAN, LEG_SPREAD = 0.7, 1.0
"""Angles (rad) from the vertical up to which trunk and legs are those of somebody standing."""


@dataclass(frozen=True, eq=False)
class Body:
    """tpose: (N, 4), the turns in the world that bring a standing character into the T-pose; joints that are none of a
    human's follow what they hang on. leg_m: from the hip joints to the floor, legs straight. ankle_m: height of the
    ankles over the floor.
    """

    character: Character
    tpose: Float[Tensor, "N 4"]
    leg_m: float
    ankle_m: float


@dataclass(frozen=True, eq=False)
class Transfer:
    """What a body does. turns: (T, N, 4) in the world, from standing. root: (T, 3) m.

    ankle_miss_m: (T, 2), left and right: how far ankles are from where the scaled ones were, as legs are not endless.
    """

    turns: Float[Tensor, "T N 4"]
    root: Float[Tensor, "T 3"]
    ankle_miss_m: Float[Tensor, "T 2"]


def body_of(character: Character) -> Body:
    """Its T-pose and the height of its legs."""
    positions, roles = torch.from_numpy(character.positions.copy()), character.roles
    bones = [(f"{side}{a}", f"{side}{b}") for side in SIDES for a, b in pairwise(LIMBS[1])]
    length = sum(float((positions[roles[a]] - positions[roles[b]]).norm()) for a, b in bones) / 2
    ankle = float(positions[[roles[f"{side}Foot"] for side in SIDES], 2].mean()) - _floor(character)
    return Body(character, _tpose(character, positions), length + ankle, ankle)


def _floor(character: Character) -> float:
    """Height of the floor that it stands on, m."""
    height = character.positions[:, 2]
    lowest = float(height.min())
    return 0.0 if abs(lowest) < NEAR_FLOOR * (float(height.max()) - lowest) else lowest


def _tpose(character: Character, positions: Float[Tensor, "N 3"]) -> Float[Tensor, "N 4"]:
    roles = character.roles
    root = _facing(positions, roles)
    clavicles = [roles[f"{side}Clavicle"] for side in SIDES if f"{side}Clavicle" in roles]
    known = dict.fromkeys([roles["Hips"], *character.trunk, *character.neck, roles["Head"], *clavicles], root)
    for side, sign in SIDES.items():
        directions = positions.new_tensor([[sign, 0.0, 0.0], [0.0, 0.0, -1.0]])
        for parts, wanted in zip(LIMBS, directions, strict=True):
            turn = root
            for part, child in pairwise(parts):
                bone = positions[roles[side + child]] - positions[roles[side + part]]
                turn = quat_multiply(shortest_arc(_unit(quat_rotate(turn, bone)), wanted), turn)
                known[roles[side + part]] = turn
        known[roles[f"{side}Hand"]] = known[roles[f"{side}ForeArm"]]
        known[roles[f"{side}Foot"]] = known[roles.get(f"{side}Toe", roles[f"{side}Foot"])] = _foot(
            positions, roles, side, root
        )
    turns = quat_identity(len(character))
    for node, parent in enumerate(character.parents.tolist()):
        above = turns[parent] if parent >= 0 else root
        turns[node] = known.get(node, above) if node < character.n_joints else above
    return turns


def _foot(
    positions: Float[Tensor, "N 3"], roles: Mapping[str, int], side: str, root: Float[Tensor, "4"]
) -> Float[Tensor, "4"]:
    """The sole stays as it is when standing (flat), the toes are turned to point forward."""
    toe = roles.get(f"{side}Toe")
    if toe is None:
        return root
    ahead = quat_rotate(root, positions[toe] - positions[roles[f"{side}Foot"]]) * positions.new_tensor([1.0, 1.0, 0.0])
    if float(ahead.norm()) < NO_FOOT_M:
        return root
    return quat_multiply(shortest_arc(_unit(ahead), positions.new_tensor([0.0, -1.0, 0.0])), root)


def lean(
    positions: Float[Tensor, "*b N 3"], roles: Mapping[str, int]
) -> tuple[Float[Tensor, "*b"], Float[Tensor, "*b"]]:
    """Angles (rad) of the trunk to the vertical, and of the thigh or shank that is farthest from hanging down."""
    hips = (positions[..., roles["LeftThigh"], :] + positions[..., roles["RightThigh"], :]) / 2
    arms = (positions[..., roles["LeftUpperArm"], :] + positions[..., roles["RightUpperArm"], :]) / 2
    pairs = [(f"{side}{above}", f"{side}{below}") for side in SIDES for above, below in pairwise(LIMBS[1])]
    bones = torch.stack([positions[..., roles[a], :] - positions[..., roles[b], :] for a, b in pairs], dim=-2)
    trunk, legs = (torch.acos(_unit(v)[..., 2].clamp(-1, 1)) for v in (arms - hips, bones))
    return trunk, legs.amax(-1)


def _facing(positions: Float[Tensor, "N 3"], roles: Mapping[str, int]) -> Float[Tensor, "4"]:
    """The turn about the vertical after which left is +X."""
    thighs, arms = (
        positions[roles[f"Left{part}"]] - positions[roles[f"Right{part}"]] for part in ("Thigh", "UpperArm")
    )
    across = thighs + arms
    half = torch.atan2(across[1], across[0]) / -2
    return torch.stack([half.cos(), 0 * half, 0 * half, half.sin()])


def _unit(vector: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3"]:
    return torch.nn.functional.normalize(vector, dim=-1)


def transfer(
    source: tuple[Body, Float[Tensor, "T N 4"], Float[Tensor, "T N 3"]],
    target: Body,
    *,
    scale: float | None = None,
    keep_feet: bool = True,
) -> Transfer:
    """source: a body, its turns in the world from standing, and where its nodes are (m).

    scale: of the whole path, None for the ratio of the legs. keep_feet: bend the legs so that ankles are where the
    scaled ones of the source were.
    """
    body, turns, places = source
    scale = target.leg_m / body.leg_m if scale is None else scale
    from_tpose = quat_multiply(turns, quat_conjugate(body.tpose))
    carried = _carried(from_tpose, body.character, target.character)
    own = quat_multiply(carried, target.tpose)
    positions, parents = torch.from_numpy(target.character.positions), target.character.parents
    hips = places[:, [body.character.roles[f"{s}Thigh"] for s in SIDES]].mean(1) * scale
    relative = _placed(own, positions, parents)
    root = hips - relative[:, [target.character.roles[f"{s}Thigh"] for s in SIDES]].mean(1)
    miss = torch.zeros(len(turns), 2, dtype=turns.dtype)
    lift = places.new_tensor([0.0, 0.0, target.ankle_m - scale * body.ankle_m])
    for column, side in enumerate(SIDES if keep_feet else ()):
        wanted = places[:, body.character.roles[f"{side}Foot"]] * scale + lift
        hinge = quat_rotate(carried[:, target.character.roles[f"{side}Thigh"]], positions.new_tensor([1.0, 0.0, 0.0]))
        own, off = _bent(own, (relative + root[:, None], wanted), target, side, hinge)
        miss[:, column] = off
    return Transfer(own, root, miss)


def _carried(from_tpose: Float[Tensor, "T M 4"], source: Character, target: Character) -> Float[Tensor, "T N 4"]:
    """Turns from the T-pose for every node of the target; joints that no human has follow what they hang on."""
    mine, theirs = source.roles, target.roles
    chest = source.trunk[-1] if source.trunk else mine["Hips"]
    known = {role_node: from_tpose[:, mine[role]] for role, role_node in theirs.items() if role in mine}
    known |= _along(from_tpose, (mine["Hips"], *source.trunk), target.trunk)
    known |= _along(from_tpose, (chest, *source.neck), target.neck)
    turns = quat_identity(len(from_tpose), len(target), dtype=from_tpose.dtype)
    for node, parent in enumerate(target.parents.tolist()):
        above = turns[:, parent] if parent >= 0 else known[theirs["Hips"]]
        turns[:, node] = known.get(node, above) if node < target.n_joints else above
    return turns


def _along(
    turns: Float[Tensor, "T M 4"], chain: tuple[int, ...], wanted: tuple[int, ...]
) -> dict[int, Float[Tensor, "T 4"]]:
    """A chain of joints spread over one of another number; the ends agree. chain: with the joint it starts from."""
    known = {}
    for number, joint in enumerate(wanted, start=1):
        place = number / len(wanted) * (len(chain) - 1)
        low = min(int(place), len(chain) - 1)
        high = min(low + 1, len(chain) - 1)
        share = torch.full((len(turns),), place - low, dtype=turns.dtype)
        known[joint] = slerp(turns[:, chain[low]], turns[:, chain[high]], share)
    return known


def _placed(
    turns: Float[Tensor, "T N 4"], positions: Float[Tensor, "N 3"], parents: Int[np.ndarray, "N"]
) -> Float[Tensor, "T N 3"]:
    """Where joints are, from the root, m."""
    places = torch.zeros(*turns.shape[:2], 3, dtype=turns.dtype)
    for joint, parent in enumerate(parents.tolist()):
        if parent >= 0:
            places[:, joint] = places[:, parent] + quat_rotate(turns[:, parent], positions[joint] - positions[parent])
    return places


def _bent(
    turns: Float[Tensor, "T N 4"],
    places: tuple[Float[Tensor, "T N 3"], Float[Tensor, "T 3"]],
    body: Body,
    side: str,
    hinge: Float[Tensor, "T 3"],
) -> tuple[Float[Tensor, "T N 4"], Float[Tensor, "T"]]:
    """Turns with one leg bent to its ankle's place, and by how much (m) it misses it. The foot keeps its direction."""
    present, wanted = places
    hip, knee, ankle = (body.character.roles[side + part] for part in ("Thigh", "Shin", "Foot"))
    thigh, shank = present[:, knee] - present[:, hip], present[:, ankle] - present[:, knee]
    upper, lower = reach((thigh, shank), wanted - present[:, hip], hinge)
    feet = _below(body.character.parents, ankle)
    turns = turns.clone()
    for joint in _below(body.character.parents, hip):
        if joint not in feet:
            turn = lower if joint in _below(body.character.parents, knee) else upper
            turns[:, joint] = quat_multiply(turn, turns[:, joint])
    end = present[:, hip] + quat_rotate(upper, thigh) + quat_rotate(lower, shank)
    return turns, (end - wanted).norm(dim=-1)


def _below(parents: Int[np.ndarray, "N"], joint: int) -> set[int]:
    below = {joint}
    for j, parent in enumerate(parents.tolist()):
        if parent in below:
            below.add(j)
    return below
