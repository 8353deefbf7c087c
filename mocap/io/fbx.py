"""FBX: writing people as skeletons with a rest pose, takes and meshes; reading skeletons and takes of any program."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.core.skin import SkinnedMesh
from mocap.io.artefacts import atomic_path
from mocap.io.axes import metres_per
from mocap.io.fbx_binary import encode_binary
from mocap.io.fbx_config import FbxConfig, FbxLayout
from mocap.io.fbx_curves import add_stack
from mocap.io.fbx_document import FbxObjects, TimeSpan, document
from mocap.io.fbx_node import FbxNode
from mocap.io.fbx_rig import Rig, add_rig
from mocap.io.fbx_skin import add_bind_pose, add_skin

__all__ = ["FbxConfig", "FbxLayout", "fbx_from_motions", "write_fbx"]


def write_fbx(
    motions: Sequence[Motion],
    path: Path,
    config: FbxConfig | None = None,
    *,
    skins: Sequence[SkinnedMesh | None] = (),
    axes: Sequence[Float[np.ndarray, "J 4"] | None] = (),
) -> None:
    """Write people, or several takes of them, into one binary file; the same motions give the same bytes.

    Motions of one person's name with the same skeleton are takes of that person: a stack each. Else all play together
    in one stack. skins, axes: one or None for each motion, or none; a person has those of the first of its motions.
    axes: world_from_joint at rest, wxyz; None for the axes of the file. Without frames, a person stands at rest.
    """
    data = encode_binary(fbx_from_motions(motions, config or FbxConfig(), skins=skins, axes=axes))
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def fbx_from_motions(
    motions: Sequence[Motion],
    config: FbxConfig,
    *,
    skins: Sequence[SkinnedMesh | None] = (),
    axes: Sequence[Float[np.ndarray, "J 4"] | None] = (),
) -> FbxNode:
    """The records of the file that `write_fbx` writes."""
    _require(motions, skins, axes)
    people = _people(motions)
    objects, rigs, meshes = FbxObjects(), list[Rig](), list[np.int64]()
    for person in people:
        first = person[0]
        names = _bone_names(motions[first], config, alone=len(people) == 1)
        rig = add_rig(objects, motions[first], config, axes[first] if axes else None, names)
        rigs.append(rig)
        skin = skins[first] if skins else None
        if skin is not None:
            meshes.append(add_skin(objects, skin, rig, names, config))
    add_bind_pose(objects, rigs, meshes)
    takes = [
        TimeSpan(name, add_stack(objects, name, [(motions[m], rigs[p]) for p, m in played], config))
        for name, played in _stacks(people, motions, config.stack or "Take 001")
        if played
    ]
    return document(
        objects,
        version=config.version,
        up=config.up,
        metres_per_unit=metres_per(config.unit),
        fps=max(motion.fps for motion in motions),
        takes=takes,
    )


def _require(motions: Sequence[Motion], skins: Sequence[object], axes: Sequence[object]) -> None:
    if not motions:
        raise InputError("there is no motion to write")
    for what, given in (("skins", skins), ("axes", axes)):
        if given and len(given) != len(motions):
            raise InputError(f"{len(given)} {what} for {len(motions)} motions; one or None for each")


def _people(motions: Sequence[Motion]) -> list[list[int]]:
    """Indices of the motions of each person."""
    people: list[list[int]] = []
    for index, motion in enumerate(motions):
        for takes in people:
            other = motions[takes[0]]
            if other.person == motion.person and _same_skeleton(other.skeleton, motion.skeleton):
                takes.append(index)
                break
        else:
            people.append([index])
    return people


def _same_skeleton(a: SkeletonDefinition, b: SkeletonDefinition) -> bool:
    if a.joint_names != b.joint_names:
        return False
    return np.array_equal(a.parents, b.parents) and np.array_equal(a.rest_offsets, b.rest_offsets)


def _stacks(people: list[list[int]], motions: Sequence[Motion], name: str) -> list[tuple[str, list[tuple[int, int]]]]:
    """Name of each stack, with (person, motion) of those who play in it; who has no frames does not."""
    if all(len(takes) == 1 for takes in people):
        return [(name, [(person, takes[0]) for person, takes in enumerate(people) if motions[takes[0]].n_frames])]
    stacks = []
    for person, takes in enumerate(people):
        several = len(people) > 1
        for number, index in enumerate(takes, 1):
            label = f"{motions[index].person} {number}" if several else f"{name} {number}"
            stacks.append((label, [(person, index)] if motions[index].n_frames else []))
    return stacks


def _bone_names(motion: Motion, config: FbxConfig, *, alone: bool) -> list[str]:
    """Names in the file; several people in it have their own name before those of their bones, so that all differ."""
    prefix = config.name_prefix if alone else f"{motion.person}:{config.name_prefix}"
    names = [re.sub(r"[\x00-\x1f]+", "_", prefix + name).strip() for name in motion.skeleton.joint_names]
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(f"two bones of {motion.person!r} would be called {repeated[0]!r}")
    return names
