"""Somebody's own character, standing in our world, and which of its joints is what.

Animation is turns away from a pose, in world axes: which axes a file gives its joints matters only to the file. World:
metres, Z up. Nodes are the joints, then the ends of bones that have no child joint; those turn with their joint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import InputError
from mocap.core.joint_roles import SIDES, joint_roles
from mocap.core.joint_topology import chain_between, common_ancestor
from mocap.core.skeleton import SkeletonDefinition

HUMANOID = {
    **{"Thigh": "UpLeg", "Shin": "Leg", "Foot": "Foot", "Toe": "ToeBase"},
    **{"Clavicle": "Shoulder", "UpperArm": "Arm", "ForeArm": "ForeArm", "Hand": "Hand"},
}
"""What our humanoid calls the parts of a limb, after the side."""


@dataclass(frozen=True, eq=False)
class Character:
    """Nodes in topological order, the first `n_joints` of them joints; names of ends are their joint's and "end".

    positions: (N, 3) m, standing. turns: (N, 4) unit quaternions wxyz, in the world, that bring the rest pose of the
    file into this one: none at all in most files, whose rest pose is a person standing. roles: part of the body
    (LeftThigh, Head, …) to node. trunk: from above the hips to the joint that carries the arms; neck: from above it to
    below the head.
    """

    name: str
    names: tuple[str, ...]
    parents: Int[np.ndarray, "N"]
    n_joints: int
    positions: Float[np.ndarray, "N 3"]
    turns: Float[np.ndarray, "N 4"]
    roles: Mapping[str, int]
    trunk: tuple[int, ...]
    neck: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.names)

    def limb_roles(self) -> dict[str, int]:
        """Those of arms and legs that can turn."""
        return {f"{s}{part}": j for s in SIDES for part in HUMANOID if (j := self.roles.get(f"{s}{part}", -1)) >= 0}


@dataclass(frozen=True, eq=False)
class Nodes:
    """A skeleton's joints and the ends of its bones. offsets: (N, 3) m, from the parent in its axes at rest."""

    names: tuple[str, ...]
    parents: Int[np.ndarray, "N"]
    offsets: Float[np.ndarray, "N 3"]

    def at_rest(self) -> Float[np.ndarray, "N 3"]:
        """Positions in the rest pose, m."""
        positions = self.offsets.copy()
        for node in range(1, len(positions)):
            positions[node] += positions[self.parents[node]]
        return positions


def nodes_of(skeleton: SkeletonDefinition) -> Nodes:
    """Joints, then the ends that are known."""
    ends = np.flatnonzero(np.isfinite(skeleton.tips).all(-1))
    return Nodes(
        names=(*skeleton.joint_names, *(f"{skeleton.joint_names[joint]} end" for joint in ends)),
        parents=np.concatenate([skeleton.parents, ends]),
        offsets=np.concatenate([skeleton.rest_offsets, skeleton.tips[ends]]),
    )


def roles_of(skeleton: SkeletonDefinition, given: Mapping[str, str]) -> dict[str, int]:
    """given: joints by the names of our humanoid, for those that cannot be guessed: {"LeftArm": "bone_17"}."""
    nodes, names = nodes_of(skeleton), skeleton.joint_names
    ours = {f"{side}{theirs}": f"{side}{part}" for side in SIDES for part, theirs in HUMANOID.items()}
    ours |= {name: name for name in ("Hips", "Neck", "Head")}
    unknown = [name for name in given if name not in ours]
    if unknown:
        raise InputError(f"there is no {', '.join(unknown)} in our humanoid; there are {', '.join(ours)}")
    fixed = {ours[name]: skeleton.index(theirs) for name, theirs in given.items()}
    places = nodes.at_rest()[None]
    return joint_roles(nodes.names, nodes.parents.tolist(), nodes.offsets, places, n_joints=len(names), given=fixed)


def standing(
    skeleton: SkeletonDefinition,
    roles: Mapping[str, int],
    *,
    positions: Float[np.ndarray, "N 3"] | None = None,
    turns: Float[np.ndarray, "N 4"] | None = None,
) -> Character:
    """positions, turns: of a pose; without, at rest."""
    nodes = nodes_of(skeleton)
    parents = nodes.parents.tolist()
    chest = common_ancestor(parents, roles["LeftUpperArm"], roles["RightUpperArm"])
    return Character(
        name=skeleton.name,
        names=nodes.names,
        parents=nodes.parents,
        n_joints=len(skeleton),
        positions=nodes.at_rest() if positions is None else positions,
        turns=np.tile([1.0, 0.0, 0.0, 0.0], (len(nodes.names), 1)) if turns is None else turns,
        roles=dict(roles),
        trunk=tuple(chain_between(parents, roles["Hips"], chest)),
        neck=tuple(chain_between(parents, chest, roles["Head"])[:-1]),
    )
