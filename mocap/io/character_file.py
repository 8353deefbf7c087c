"""Somebody's character out of a BVH, FBX or glTF file: its skeleton, and its own motion where it has one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import FileFormatError, InputError
from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh
from mocap.io.axes import Up
from mocap.io.bvh import guess_conventions, motion_from_bvh, read_bvh, split_roots
from mocap.io.fbx_people import read_fbx_people
from mocap.io.gltf_people import read_gltf_people

STRETCH_M = 10.0
"""A character's own motion may stretch its bones as it likes: only a pose of it is looked at, if anything."""


@dataclass(frozen=True, eq=False)
class CharacterFile:
    """motion: the skeleton and its own motion, of no frames where the file has none.

    axes: (J, 4) wxyz, world_from_joint at rest as the file has them, None for the file's own axes. skins: meshes at
    rest. nodes: (J,) of a glTF. up, metres_per_unit: of a BVH. notes: what was guessed.
    """

    motion: Motion
    axes: Float[np.ndarray, "J 4"] | None = None
    skins: tuple[SkinnedMesh, ...] = ()
    nodes: Int[np.ndarray, "J"] | None = None
    up: Up = "y"
    metres_per_unit: float = 0.01
    notes: tuple[str, ...] = ()


def read_character(path: Path, *, person: str | None = None) -> CharacterFile:
    """person: which of several skeletons in the file, by the name of its root or its own."""
    readers = {".bvh": _from_bvh, ".fbx": _from_fbx, ".glb": _from_gltf, ".gltf": _from_gltf}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise FileFormatError(
            f"characters are read from {', '.join(readers)}, not from {suffix or 'a name without suffix'}", where=path
        )
    if not path.is_file():
        raise InputError("no such file", where=path)
    own = _chosen(readers[suffix](path), person, path)
    return replace(own, motion=replace(own.motion, skeleton=replace(own.motion.skeleton, name=path.stem)))


def _chosen(found: list[CharacterFile], person: str | None, path: Path) -> CharacterFile:
    """By name; without one, the largest skeleton, which is the body where props have bones too."""
    names = [f"{own.motion.person} ({len(own.motion.skeleton)} joints)" for own in found]
    fitting = [own for own in found if person in (None, own.motion.person, own.motion.skeleton.joint_names[0])]
    if not fitting:
        raise InputError(f"has no skeleton called {person!r}, but {', '.join(names)}", where=path)
    largest = max(fitting, key=lambda own: len(own.motion.skeleton))
    if sum(len(own.motion.skeleton) == len(largest.motion.skeleton) for own in fitting) > 1:
        raise InputError(f"has several skeletons: {', '.join(names)}", where=path, remedy="Name one with --person.")
    if len(fitting) == 1:
        return largest
    told = f"{path.name} has {len(found)} skeletons; the largest was taken, {largest.motion.person}."
    return replace(largest, notes=(*largest.notes, told))


def _from_bvh(path: Path) -> list[CharacterFile]:
    found = []
    for part in split_roots(read_bvh(path)):
        still = not part.n_frames
        if still:  # only a skeleton
            part = replace(part, values=np.zeros((1, sum(len(names) for names in part.channels))))
        guess = guess_conventions(part)
        unit = guess.metres_per_unit
        motion = motion_from_bvh(part, up=guess.up, unit=unit, person=part.joint_names[0], max_stretch_m=STRETCH_M)
        if still:
            motion = replace(
                motion, root_translation=motion.root_translation[:0], local_rotations=motion.local_rotations[:0]
            )
        told = (f"{path.name}: {guess.reason} (guessed).",)
        found.append(CharacterFile(motion, up=guess.up, metres_per_unit=unit, notes=told))
    return found


def _from_fbx(path: Path) -> list[CharacterFile]:
    people = read_fbx_people(path, max_stretch_m=STRETCH_M)
    return [CharacterFile(own.motion, own.axes, own.skins) for own in people]


def _from_gltf(path: Path) -> list[CharacterFile]:
    people = read_gltf_people(path, max_stretch_m=STRETCH_M)
    return [CharacterFile(own.motion, own.axes, own.skins, own.nodes) for own in people]


def enlarged(motion: Motion, factor: float) -> Motion:
    """Every length times `factor`: the motion in other units."""
    skeleton = motion.skeleton
    larger = replace(skeleton, rest_offsets=skeleton.rest_offsets * factor, tips=skeleton.tips * factor)
    return replace(motion, skeleton=larger, root_translation=motion.root_translation * factor)
