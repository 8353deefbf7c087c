"""A motion onto somebody's own character."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from mocap.core.character import HUMANOID, Character, nodes_of, roles_of, standing
from mocap.core.config import Config, Report
from mocap.core.errors import InputError
from mocap.core.joint_roles import SIDES
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.geometry.kinematics import forward_kinematics
from mocap.geometry.retargeting import LEG_SPREAD, TRUNK_LEAN, Body, Transfer, body_of, lean, transfer
from mocap.geometry.rotations import quat_conjugate, quat_identity, quat_multiply
from mocap.geometry.threads import one_thread

FAR_OFF_M = 0.02
"""An ankle that misses its place by more is told of."""


class RetargetConfig(Config):
    """scale: of the path, None for the ratio of the legs. keep_feet: bend the legs so that feet that stood still stand
    still. joints, source_joints: names of the character's (the motion's) joints by ours, where they cannot be guessed.
    """

    scale: float | None = Field(default=None, gt=0)
    keep_feet: bool = True
    joints: Mapping[str, str] = {}
    source_joints: Mapping[str, str] = {}


class RetargetReport(Report):
    """joints: the character's joint for each of ours. following: the character's joints that only follow others.
    ankle_miss_mm: by how much ankles miss their places at most, because the legs are too short for the step."""

    person: str
    character: str
    scale: float
    joints: dict[str, str]
    following: list[str]
    ankle_miss_mm: float
    frames_out_of_reach: int
    sentences: tuple[str, ...]


def retarget(
    motion: Motion, character: SkeletonDefinition, config: RetargetConfig, *, acting: Motion | None = None
) -> tuple[Motion, RetargetReport]:
    """The motion of the character: its joints and lengths, turned away from its own rest pose, in world axes.

    acting: a motion of the character, which shows it standing where its rest pose does not.
    """
    if not motion.n_frames:
        raise InputError(f"the motion of {motion.person!r} has no frames")
    with one_thread():
        source, own_pose = _body(motion.skeleton, motion, config.source_joints)
        target, its_pose = _body(character, acting, config.joints)
        turns, places = _world(motion)
        from_source = quat_multiply(turns, quat_conjugate(torch.from_numpy(source.character.turns)))
        moved = transfer((source, from_source, places), target, scale=config.scale, keep_feet=config.keep_feet)
        from_rest = quat_multiply(moved.turns, torch.from_numpy(target.character.turns))
    result = Motion(
        skeleton=character,
        root_translation=moved.root.numpy(),
        local_rotations=_local(from_rest, character).numpy(),
        fps=motion.fps,
        person=motion.person,
    )
    scale = config.scale or target.leg_m / source.leg_m
    report = _report(motion.person, target, moved, scale)
    return result, report.model_copy(update={"sentences": (*own_pose, *its_pose, *report.sentences)})


def _world(motion: Motion) -> tuple[Float[Tensor, "T N 4"], Float[Tensor, "T N 3"]]:
    """World rotations and positions (m) of joints, then of the ends of bones."""
    nodes, n_joints = nodes_of(motion.skeleton), len(motion.skeleton)
    at = torch.from_numpy(nodes.parents[n_joints:].copy())
    rotations = torch.from_numpy(motion.local_rotations.copy())
    still = quat_identity(motion.n_frames, len(at))
    return forward_kinematics(
        torch.cat([rotations, still], dim=1),
        torch.from_numpy(motion.root_translation.copy()),
        torch.from_numpy(nodes.offsets),
        nodes.parents,
    )


def _body(
    skeleton: SkeletonDefinition, acting: Motion | None, given: Mapping[str, str]
) -> tuple[Body, tuple[str, ...]]:
    """A skeleton at rest, or, where its rest pose is nobody standing, in the most upright frame of a motion."""
    roles = roles_of(skeleton, given)
    rest = standing(skeleton, roles)
    trunk, legs = lean(torch.from_numpy(rest.positions), roles)
    if float(trunk) < TRUNK_LEAN and float(legs) < LEG_SPREAD:
        return body_of(rest), ()
    if acting is None or not acting.n_frames:
        raise InputError(
            f"the rest pose of {skeleton.name!r} is nobody standing, and it has no motion to take a pose from",
            remedy="Export the character in a T-pose or an A-pose.",
        )
    turns, places = _world(acting)
    trunk, legs = lean(places, roles)
    frame = int((trunk + legs).argmin())
    if float(trunk[frame]) > TRUNK_LEAN:
        raise InputError(f"{skeleton.name!r} stands upright neither at rest nor in any of {acting.n_frames} frames")
    told = f"The rest pose of {skeleton.name} is nobody standing; frame {frame} of its motion was taken for one."
    posed = standing(skeleton, roles, positions=places[frame].numpy(), turns=turns[frame].numpy())
    return body_of(posed), (told,)


def _local(turns: Float[Tensor, "T N 4"], skeleton: SkeletonDefinition) -> Float[Tensor, "T J 4"]:
    """Of the joints, parent_from_joint."""
    turns, parents = turns[:, : len(skeleton)], skeleton.parents.tolist()
    above = turns[:, [0, *parents[1:]]]
    local = quat_multiply(quat_conjugate(above), turns)
    local[:, 0] = turns[:, 0]
    return local / local.norm(dim=-1, keepdim=True)


def _report(person: str, target: Body, moved: Transfer, scale: float) -> RetargetReport:
    character, known = target.character, _known(target.character)
    names = character.names[: character.n_joints]
    miss = moved.ankle_miss_m.max(dim=-1).values.numpy()
    far = int((miss > FAR_OFF_M).sum())
    sentences = []
    if far:
        sentences.append(
            f"{person}: in {far} of {len(miss)} frames the legs of {character.name} are too short for the step "
            f"(by {1000 * float(np.max(miss)):.0f} mm at most)."
        )
    return RetargetReport(
        person=person,
        character=character.name,
        scale=scale,
        joints={ours: names[j] for ours, j in known.items()},
        following=[name for j, name in enumerate(names) if j not in known.values()],
        ankle_miss_mm=1000 * float(miss.max()),
        frames_out_of_reach=far,
        sentences=tuple(sentences),
    )


def _known(character: Character) -> dict[str, int]:
    """The character's joints by the names of our humanoid."""
    roles = character.roles
    chains = [("Spine", character.trunk), ("Neck", character.neck)]
    middle = {f"{name}{i or ''}": joint for name, chain in chains for i, joint in enumerate(chain)}
    limbs = {f"{side}{ours}": f"{side}{part}" for side in SIDES for part, ours in HUMANOID.items()}
    own = {"Hips": roles["Hips"], **middle, "Head": roles["Head"]}
    own |= {ours: roles[part] for ours, part in limbs.items() if part in roles}
    return {name: node for name, node in own.items() if node < character.n_joints}
