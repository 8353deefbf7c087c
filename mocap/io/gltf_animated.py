"""A motion put into somebody's glTF file: everything in it stays, one animation is added before those it has.

With G_j the world turns from rest, A_j the joints' axes at rest, P what the root hangs on, all in the file's axes: the
rotation of a joint's node is A_p' L_j A_j with L_j = G_p' G_j (`local_rotations`), the root's is P' G_0 A_0.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.io.artefacts import atomic_path
from mocap.io.axes import file_from_world, turn_quaternions
from mocap.io.gltf_buffer import GltfBuilder
from mocap.io.gltf_file import GltfNodes, gltf_document, read_gltf
from mocap.io.gltf_motion import world_matrices

GLTF_FROM_WORLD = file_from_world("y")


def write_animated_gltf(
    source: Path,
    motion: Motion,
    path: Path,
    *,
    nodes: Int[np.ndarray, "J"],
    axes: Float[np.ndarray, "J 4"],
    clip: str = "motion",
) -> None:
    """A .glb of `source` with the motion of one of its skeletons.

    nodes: the motion's joints in the file. axes: world_from_joint at rest, wxyz, our world (see `FilePerson`). Numbers
    of a .gltf that lie beside it are taken in; pictures that do are not, they stay where they are.
    """
    if not len(nodes) == len(axes) == len(motion.skeleton):
        raise InputError(f"{len(nodes)} nodes and {len(axes)} axes for {len(motion.skeleton)} joints")
    tree = read_gltf(source).nodes
    document, numbers = gltf_document(source)
    builder = GltfBuilder.of_document(document, numbers)
    for node in nodes.tolist():
        _take_apart(document["nodes"][node], tree, node)
    channels: list[dict[str, Any]] = []
    samplers: list[dict[str, Any]] = []
    times = builder.add_accessor((np.arange(motion.n_frames) / motion.fps).astype(np.float32), bounds=True)
    for node, what, values in _tracks(motion, tree, nodes, axes):
        samplers.append({"input": times, "output": builder.add_accessor(values.astype(np.float32))})
        channels.append({"sampler": len(samplers) - 1, "target": {"node": node, "path": what}})
    timing = {"fps": motion.fps, "n_frames": motion.n_frames}
    added = {"name": clip, "channels": channels, "samplers": samplers, "extras": timing}
    document["animations"] = [added, *document.get("animations", [])]
    with atomic_path(path) as temporary:
        temporary.write_bytes(builder.to_bytes())


def _take_apart(node: dict[str, Any], tree: GltfNodes, index: int) -> None:
    """Animated nodes must not have a matrix."""
    if node.pop("matrix", None) is not None:
        node["translation"] = tree.translations[index].tolist()
        node["rotation"] = tree.rotations[index].tolist()
        node["scale"] = tree.scales[index].tolist()


def _tracks(
    motion: Motion, tree: GltfNodes, nodes: Int[np.ndarray, "J"], axes: Float[np.ndarray, "J 4"]
) -> list[tuple[int, str, np.ndarray]]:
    """Nodes, what of them moves, and the values of every frame (rotations xyzw)."""
    at_rest = GLTF_FROM_WORLD @ Rotation.from_quat(axes[:, [1, 2, 3, 0]]).as_matrix()
    local = turn_quaternions(motion.local_rotations, GLTF_FROM_WORLD)[..., [1, 2, 3, 0]]
    above = _above(tree, int(nodes[0]))
    upright = above[:3, :3] / np.cbrt(np.linalg.det(above[:3, :3]))
    place = motion.root_translation @ GLTF_FROM_WORLD.T - above[:3, 3]
    tracks = [(int(nodes[0]), "translation", place @ np.linalg.inv(above[:3, :3]).T)]
    for joint, parent in enumerate(motion.skeleton.parents.tolist()):
        before = Rotation.from_matrix(at_rest[parent] if parent >= 0 else upright).inv()
        turned = before * Rotation.from_quat(local[:, joint]) * Rotation.from_matrix(at_rest[joint])
        tracks.append((int(nodes[joint]), "rotation", _continuous(turned.as_quat())))
    return tracks


def _above(tree: GltfNodes, node: int) -> Float[np.ndarray, "4 4"]:
    """world_from_node of what a node hangs on; of nothing, the world itself."""
    path = []
    while (node := int(tree.parents[node])) >= 0:
        path.append(node)
    if not path:
        return np.eye(4)
    return world_matrices(tree, np.array(path[::-1]), None, np.zeros(1))[0, -1]


def _continuous(quaternions: Float[np.ndarray, "T 4"]) -> Float[np.ndarray, "T 4"]:
    """The same rotations without changes of sign, which would be played as a turn."""
    signs = np.where((quaternions[1:] * quaternions[:-1]).sum(-1) < 0, -1.0, 1.0)
    return quaternions * np.cumprod(np.concatenate([[1.0], signs]))[:, None]
