"""Motions to binary glTF 2.0 (GLB): a skin, an animation and, where there is one, the body's mesh for every person.

Convention: metres, Y up, a T-pose facing +Z, as the format demands. The nodes' own transforms are the rest pose (the
T-pose, not a frame of the take), where every joint's axes are the file's, or turned as `axes` says. Time starts at 0,
one key a frame at `frame / fps`; the exact rate, which float32 times only tell nearly, lies in the animation's `extras`
as `fps`, with `n_frames`. `extras` of a joint without children may hold its bone's end, `tip_m`, in the joint's axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mocap.core.config import Config
from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh
from mocap.io.artefacts import atomic_path
from mocap.io.axes import file_from_world
from mocap.io.file_rig import FileRig, paired_with_skins, rigs_of
from mocap.io.gltf_buffer import INDICES, VERTICES, GltfBuilder
from mocap.io.gltf_mesh import float32_weights, vertex_normals

GENERATOR = "mocap-pipeline"
SKIN_COLOUR = [0.72, 0.63, 0.56, 1.0]
GLTF_FROM_WORLD = file_from_world("y")


class GltfConfig(Config):
    """How a GLB is written.

    name_prefix: put before joint names. clip: name of the animation, of all people together; with clip_per_person each
    has one of their own, called after them (viewers play one animation at a time).
    """

    name_prefix: str = ""
    clip: str = "take"
    clip_per_person: bool = False


def write_gltf(
    motions: Sequence[Motion],
    path: Path,
    config: GltfConfig | None = None,
    *,
    skins: Sequence[SkinnedMesh | None] = (),
    axes: Sequence[Float[np.ndarray, "J 4"] | None] = (),
) -> None:
    """Write one file for all people, whole or not at all; the same motions give the same bytes.

    skins, axes: one or None for each motion, or none at all. axes: world_from_joint at rest, wxyz; None for the axes of
    the file. A motion without frames is a skeleton in its rest pose.
    """
    content = gltf_bytes(motions, config or GltfConfig(), skins=skins, axes=axes)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def gltf_bytes(
    motions: Sequence[Motion],
    config: GltfConfig,
    *,
    skins: Sequence[SkinnedMesh | None] = (),
    axes: Sequence[Float[np.ndarray, "J 4"] | None] = (),
) -> bytes:
    """The bytes of the file; see `write_gltf`."""
    pairs = paired_with_skins(motions, skins)
    rigs = rigs_of(motions, axes, GLTF_FROM_WORLD)
    builder = GltfBuilder(GENERATOR)
    tops: list[int] = []
    clips: dict[str, dict[str, Any]] = {}
    for (motion, skin), rig in zip(pairs, rigs, strict=True):
        first_joint, person = _add_person(builder, motion, rig, config)
        tops.append(person)
        gltf_skin = _add_skin(builder, rig, first_joint)
        if skin is not None:
            tops.append(_add_mesh(builder, skin, gltf_skin))
        if motion.n_frames:
            name = _unused(motion.person, clips) if config.clip_per_person else config.clip
            clip = clips.setdefault(name, {"name": name, "channels": [], "samplers": [], "extras": _timing(motion)})
            _add_channels(builder, clip, rig, first_joint)
    builder.document |= {"scene": 0, "scenes": [{"name": config.clip, "nodes": tops}]}
    if clips:
        builder.document["animations"] = list(clips.values())
    return builder.to_bytes()


def _unused(name: str, taken: dict[str, dict[str, Any]]) -> str:
    """The name, or `name_2`, `name_3`, … where another person has it."""
    number = sum(other == name or other.startswith(f"{name}_") for other in taken)
    return name if name not in taken else f"{name}_{number + 1}"


def _timing(motion: Motion) -> dict[str, Any]:
    return {"fps": motion.fps, "n_frames": motion.n_frames}


def _add_person(builder: GltfBuilder, motion: Motion, rig: FileRig, config: GltfConfig) -> tuple[int, int]:
    """The joints in their order, then a node above them named after the person: indices of the first and of that."""
    skeleton = motion.skeleton
    first = len(builder.document.get("nodes", []))
    for joint, name in enumerate(skeleton.joint_names):
        node: dict[str, Any] = {"name": config.name_prefix + name, "translation": _plain(rig.offsets[joint])}
        if rig.has_axes:
            node["rotation"] = _plain(rig.rest_rotations[joint, [1, 2, 3, 0]])
        children = skeleton.children(joint)
        if len(children):
            node["children"] = (first + children).tolist()
        elif np.isfinite(rig.tips[joint]).all():
            node["extras"] = {"tip_m": _plain(rig.tips[joint])}
        builder.add("nodes", node)
    return first, builder.add("nodes", {"name": motion.person, "children": [first]})


def _plain(vector: Float[np.ndarray, "n"]) -> list[float]:
    return (vector + 0.0).tolist()  # + 0.0 turns -0.0 into 0.0


def _add_skin(builder: GltfBuilder, rig: FileRig, first_joint: int) -> int:
    matrices = builder.add_accessor(rig.inverse_bind_matrices.astype(np.float32))
    joints = list(range(first_joint, first_joint + len(rig.offsets)))
    return builder.add("skins", {"inverseBindMatrices": matrices, "joints": joints, "skeleton": first_joint})


def _add_mesh(builder: GltfBuilder, skin: SkinnedMesh, gltf_skin: int) -> int:
    """A node at the top of the scene, as the format advises for skinned meshes; its index."""
    if "materials" not in builder.document:
        surface = {"baseColorFactor": SKIN_COLOUR, "metallicFactor": 0.0, "roughnessFactor": 0.8}
        builder.add("materials", {"name": "body", "pbrMetallicRoughness": surface})
    vertices = skin.vertices @ GLTF_FROM_WORLD.T
    joints, weights = float32_weights(skin.joints, skin.weights)
    small = np.uint8 if joints.max(initial=0) < 256 else np.uint16
    attributes = {
        "POSITION": builder.add_accessor(vertices.astype(np.float32), target=VERTICES, bounds=True),
        "NORMAL": builder.add_accessor(vertex_normals(vertices, skin.faces).astype(np.float32), target=VERTICES),
        "JOINTS_0": builder.add_accessor(joints.astype(small), target=VERTICES),
        "WEIGHTS_0": builder.add_accessor(weights, target=VERTICES),
    }
    indices = builder.add_accessor(skin.faces.reshape(-1).astype(np.uint32), target=INDICES)
    mesh = builder.add(
        "meshes", {"name": skin.name, "primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}
    )
    return builder.add("nodes", {"name": skin.name, "mesh": mesh, "skin": gltf_skin})


def _add_channels(builder: GltfBuilder, clip: dict[str, Any], rig: FileRig, first_joint: int) -> None:
    """Rotations of every joint and the place of the root, one key a frame."""
    times = (np.arange(len(rig.root)) / clip["extras"]["fps"]).astype(np.float32)
    time_accessor = builder.add_accessor(times, bounds=True)
    rotations = rig.rotations[..., [1, 2, 3, 0]].astype(np.float32)
    tracks = [(first_joint, "translation", rig.root.astype(np.float32))]
    tracks += [(first_joint + joint, "rotation", rotations[:, joint]) for joint in range(rotations.shape[1])]
    for node, what, values in tracks:
        clip["samplers"].append({"input": time_accessor, "output": builder.add_accessor(values)})
        sampler = len(clip["samplers"]) - 1
        clip["channels"].append({"sampler": sampler, "target": {"node": node, "path": what}})
