"""The person in a tree of joints: which node is which part of the body."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError
from mocap.core.joint_names import LEFT, NEEDED_LIMBS, RIGHT, ancestors, roles_by_name
from mocap.core.joint_topology import chain_between, common_ancestor, roles_by_shape

SIDES = (LEFT, RIGHT)


def joint_roles(
    names: Sequence[str],
    parents: Sequence[int],
    offsets: Float[np.ndarray, "N 3"],
    positions: Float[np.ndarray, "T N 3"],
    *,
    n_joints: int,
    given: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Part of the body (LeftThigh, Hips, …) to node: by name, and where names fail by the shape of the tree.

    Nodes are the joints, then the ends of bones without a child joint. offsets: in the parent's axes; positions: in any
    axes and unit. given: what is known beforehand.
    """
    given = dict(given or {})
    roles = _completed(roles_by_name(names[:n_joints], parents[:n_joints]) | given, parents)
    missing = _missing(roles)
    if missing:
        by_shape = roles_by_shape(parents, np.linalg.norm(offsets, axis=-1), positions)
        roles = _completed(by_shape | given, parents)
    if _missing(roles):
        raise InputError(
            f"no {', '.join(missing)} found among the joints {', '.join(names[:n_joints])}, and the tree does not look "
            "like a body: two legs, a trunk, two arms and a head",
            remedy="Only people can be retargeted; name the joints as Mixamo, CMU, Unity or Biped do.",
        )
    if not given:
        _settle_wrist(roles, names, parents, offsets)
    return _mirrored(roles) if not given and _looks_backwards(roles, positions) else roles


def _looks_backwards(roles: dict[str, int], positions: Float[np.ndarray, "T N 3"]) -> bool:
    """Whether toes point and knees bend the wrong way, with left and right as named: a mirrored file."""
    if "LeftToe" not in roles or "RightToe" not in roles:
        return False
    place = {role: positions[:, node] for role, node in roles.items()}
    across = place["LeftThigh"] - place["RightThigh"]
    toes, knees, knees_size = 0.0, 0.0, 0.0
    for side in SIDES:
        shin = place[side + "Shin"] - place[side + "Foot"]
        bend = np.cross(place[side + "Shin"] - place[side + "Thigh"], -shin)
        toes += float((np.cross(across, shin) * (place[side + "Toe"] - place[side + "Foot"])).sum())
        knees += float((bend * across).sum())
        knees_size += float(np.linalg.norm(bend, axis=-1) @ np.linalg.norm(across, axis=-1))
    return toes < 0 and knees < -0.5 * knees_size


def _mirrored(roles: dict[str, int]) -> dict[str, int]:
    swap = {LEFT: RIGHT, RIGHT: LEFT}
    sides = {role: next((side for side in SIDES if role.startswith(side)), "") for role in roles}
    return {swap.get(sides[role], "") + role.removeprefix(sides[role]): node for role, node in roles.items()}


def _missing(roles: dict[str, int]) -> list[str]:
    needed = [*[side + part for side in SIDES for part in (*NEEDED_LIMBS, "Hand")], "Head"]
    return [role for role in needed if role not in roles]


def _completed(roles: dict[str, int], parents: Sequence[int]) -> dict[str, int]:
    """Hands without a joint are the forearms' ends; a head without one is the neck's; hips are where the legs meet."""
    roles = dict(roles)
    for side in SIDES:
        ends = [node for node, parent in enumerate(parents) if parent == roles.get(side + "ForeArm", -2)]
        if side + "Hand" not in roles and len(ends) == 1:
            roles[side + "Hand"] = ends[0]
    if "Head" not in roles and "Neck" in roles:
        roles["Head"] = roles["Neck"]
    if "LeftThigh" in roles and "RightThigh" in roles:
        meeting = common_ancestor(parents, roles["LeftThigh"], roles["RightThigh"])
        hips = roles.get("Hips", -1)
        if hips not in [meeting, *ancestors(parents, meeting)] and parents[hips] != meeting:
            roles["Hips"] = meeting
    for side in SIDES:
        if side + "UpperArm" in roles and side + "Clavicle" not in roles:
            other = roles.get((RIGHT if side == LEFT else LEFT) + "UpperArm", roles[side + "UpperArm"])
            chain = chain_between(
                parents, common_ancestor(parents, other, roles[side + "UpperArm"]), roles[side + "UpperArm"]
            )
            if len(chain) > 1:
                roles[side + "Clavicle"] = chain[0]
    return roles


def _settle_wrist(roles: dict[str, int], names: Sequence[str], parents: Sequence[int], offsets: np.ndarray) -> None:
    """A hand some way behind a wrist is the palm (SMPL): the wrist turns it. Acclaim's `lwrist` is half the forearm."""
    for side in SIDES:
        hand, fore = roles[side + "Hand"], roles[side + "ForeArm"]
        between = [node for node in ancestors(parents, hand) if fore in ancestors(parents, node)]
        wrists = [node for node in between if names[node].lower().endswith("wrist")]
        if wrists and "radius" not in names[fore].lower() and np.linalg.norm(offsets[hand]) > 0:
            roles[side + "Hand"] = wrists[-1]
