"""Skeletons, animation and bodies out of a glTF file: ours, or anybody's character. Metres, Z up."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import FileFormatError, InputError
from mocap.core.skin import SkinnedMesh
from mocap.io.axes import file_from_world
from mocap.io.file_people import MAX_STRETCH_M, FileJoints, FilePerson, rotations_of
from mocap.io.gltf_file import GltfClip, GltfFile, GltfMesh, GltfNodes, read_gltf
from mocap.io.gltf_motion import frame_rate, frame_times, world_matrices
from mocap.io.point_tracks import distinct_labels

WORLD_FROM_GLTF = file_from_world("y").T

Rest = Literal["nodes", "bind"]


def read_gltf_people(
    path: Path,
    *,
    clip: str | int | None = 0,
    rest: Rest = "nodes",
    fps: float | None = None,
    max_stretch_m: float = MAX_STRETCH_M,
) -> tuple[FilePerson, ...]:
    """Everybody in a .glb or .gltf, each skin with the others that share its joints; without skins, what is animated.

    clip: name or number of the animation, None for the skeletons alone. rest: the nodes' own transforms (what exporters
    call the rest pose), or the pose in which the mesh was bound. fps: else the file's own, see `frame_rate`. Bones of a
    `Motion` are constant: a joint that moves against its parent by more than `max_stretch_m` is refused, else the
    median counts.
    """
    file = read_gltf(path)
    chosen = _clip(file, clip, path)
    try:
        groups = _groups(file)
        if not groups:
            raise InputError("has no skeleton: neither a skin nor an animated node")
        rate = fps or (frame_rate(chosen) if chosen is not None else 30.0)
        times = frame_times(chosen, rate) if chosen is not None else np.zeros(0)
        rig = _Rig(file, chosen, rest, times, rate)
        return tuple(rig.person(joints, max_stretch_m) for joints in groups)
    except InputError as error:
        raise FileFormatError(error.what, where=path, remedy=error.remedy) from None


def _clip(file: GltfFile, clip: str | int | None, path: Path) -> GltfClip | None:
    if clip is None or (not file.clips and clip == 0):
        return None
    names = [found.name for found in file.clips]
    if isinstance(clip, int) and 0 <= clip < len(names):
        return file.clips[clip]
    if clip in names:
        return file.clips[names.index(str(clip))]
    raise FileFormatError(f"has no animation {clip!r}; there are {', '.join(map(repr, names)) or 'none'}", where=path)


def _groups(file: GltfFile) -> list[Int[np.ndarray, "J"]]:
    """Nodes of every skeleton, parents first, the root above all."""
    sets = [_connected(skin.joints.tolist(), file.nodes) for skin in file.skins if len(skin.joints)]
    if not sets:
        animated = {channel.node for clip in file.clips for channel in clip.channels}
        tops: dict[int, list[int]] = {}
        for node in sorted(animated):
            tops.setdefault(_upward(node, file.nodes)[-1], []).append(node)
        sets = [_connected(nodes, file.nodes) for nodes in tops.values()]
    merged: list[set[int]] = []
    for nodes in sets:
        sharing = [other for other in merged if other & nodes]
        merged = [other for other in merged if not other & nodes]
        merged.append(_connected(sorted(nodes.union(*sharing)), file.nodes))
    return [_parents_first(nodes, file.nodes) for nodes in merged]


def _upward(node: int, nodes: GltfNodes) -> list[int]:
    """The node, its parent, and so on to the top."""
    path = [node]
    while nodes.parents[path[-1]] >= 0:
        path.append(int(nodes.parents[path[-1]]))
    return path


def _connected(wanted: Iterable[int], nodes: GltfNodes) -> set[int]:
    """The wanted nodes and all between them and the lowest one that is above (or is) all of them."""
    paths = [_upward(node, nodes)[::-1] for node in wanted]
    shortest = min(len(path) for path in paths)
    shared = next((k for k in range(shortest) if len({path[k] for path in paths}) > 1), shortest)
    if not shared:
        names = ", ".join(nodes.names[path[0]] for path in paths[:2])
        raise InputError(f"has a skin whose joints hang on nothing in common ({names}, …)")
    return {node for path in paths for node in path[shared - 1 :]}


def _parents_first(wanted: Iterable[int], nodes: GltfNodes) -> Int[np.ndarray, "n"]:
    return np.array(sorted(wanted, key=lambda node: (len(_upward(node, nodes)), node)), dtype=np.int64)


class _Rig:
    """One file, one animation, one rest pose."""

    def __init__(
        self, file: GltfFile, clip: GltfClip | None, rest: Rest, times_s: Float[np.ndarray, "T"], fps: float
    ) -> None:
        self.file, self.clip, self.rest, self.times_s, self.fps = file, clip, rest, times_s, fps

    def person(self, joints: Int[np.ndarray, "J"], max_stretch_m: float) -> FilePerson:
        """A group of nodes as a skeleton with world axes."""
        nodes = self.file.nodes
        everything = _parents_first({up for joint in joints.tolist() for up in _upward(joint, nodes)}, nodes)
        places = np.array([_place(everything, joint) for joint in joints.tolist()])
        parents = np.array([_place(joints, int(nodes.parents[joint])) for joint in joints.tolist()])
        at_rest = _to_world(world_matrices(nodes, everything, None, np.zeros(1))[0, places])
        if self.rest == "bind":
            at_rest = self._bound(joints, parents, at_rest)
        poses = _to_world(world_matrices(nodes, everything, self.clip, self.times_s)[:, places])
        names = distinct_labels([nodes.names[joint] for joint in joints])
        found = FileJoints("gltf", names, parents, at_rest, poses, self._tips(joints, parents, at_rest))
        motion, axes = found.motion(fps=self.fps, person=self._name(joints), max_stretch_m=max_stretch_m)
        skins = [self._skin(mesh, joints, at_rest) for mesh in self.file.meshes if self._wears(mesh, joints)]
        return FilePerson(motion, axes, tuple(skins), joints)

    def _bound(self, joints: np.ndarray, parents: np.ndarray, at_rest: np.ndarray) -> np.ndarray:
        """The pose of the inverse bind matrices, put where the first bound joint is; others follow their parent."""
        bound: dict[int, np.ndarray] = {}
        for skin in self.file.skins:
            if np.isin(skin.joints, joints).all():
                bound |= {_place(joints, j): m for j, m in zip(skin.joints.tolist(), skin.inverse_bind, strict=True)}
        found = at_rest.copy()
        if not bound:
            return found
        first = min(bound)
        world_from_mesh = at_rest[first] @ bound[first]
        for place, parent in enumerate(parents.tolist()):
            if place in bound:
                found[place] = world_from_mesh @ np.linalg.inv(bound[place])
            elif parent >= 0:
                found[place] = found[parent] @ np.linalg.inv(at_rest[parent]) @ at_rest[place]
        return found

    def _tips(self, joints: np.ndarray, parents: np.ndarray, at_rest: np.ndarray) -> Float[np.ndarray, "J 3"]:
        """Ends of joints without children, as our writer notes them in the axes of the joint."""
        tips = np.full((len(joints), 3), np.nan)
        for place, joint in enumerate(joints.tolist()):
            tip = np.array(self.file.nodes.extras[joint].get("tip_m", []), dtype=object)
            if tip.shape == (3,) and place not in parents:
                tips[place] = rotations_of(at_rest[place]) @ tip.astype(np.float64)
        return tips

    def _name(self, joints: np.ndarray) -> str:
        """Of the node above the root, as our writer and Blender's have it."""
        above = int(self.file.nodes.parents[joints[0]])
        return self.file.nodes.names[above if above >= 0 else int(joints[0])]

    def _wears(self, mesh: GltfMesh, joints: np.ndarray) -> bool:
        return bool(np.isin(self.file.skins[mesh.skin].joints, joints).all())

    def _skin(self, mesh: GltfMesh, joints: np.ndarray, at_rest: np.ndarray) -> SkinnedMesh:
        """The mesh as the joints at rest deform it, with the four greatest weights of each vertex."""
        skin = self.file.skins[mesh.skin]
        order = np.argsort(-mesh.weights, axis=1, kind="stable")[:, :4]
        weights = np.take_along_axis(mesh.weights, order, axis=1)
        total = weights.sum(axis=1, keepdims=True)
        weights = np.where(total > 0, weights / np.where(total > 0, total, 1.0), [1.0, 0.0, 0.0, 0.0])
        in_skin = np.where(weights > 0, np.take_along_axis(mesh.joints, order, axis=1), 0)
        place_of = np.array([_place(joints, joint) for joint in skin.joints.tolist()])
        deform = at_rest[place_of] @ skin.inverse_bind
        blended = np.einsum("vk,vkij->vij", weights, deform[in_skin])
        vertices = np.einsum("vij,vj->vi", blended[:, :3, :3], mesh.vertices) + blended[:, :3, 3]
        return SkinnedMesh(
            name=mesh.name,
            vertices=vertices,
            faces=mesh.faces,
            joints=np.where(weights > 0, place_of[in_skin], 0),
            weights=weights,
        )


def _to_world(matrices: Float[np.ndarray, "*b n 4 4"]) -> Float[np.ndarray, "*b n 4 4"]:
    """From the file's axes, Y up; the nodes keep their own axes."""
    turned = matrices.copy()
    turned[..., :3, :] = WORLD_FROM_GLTF @ matrices[..., :3, :]
    return turned


def _place(joints: Int[np.ndarray, "J"], node: int) -> int:
    """Where a node stands among the joints; -1 where it does not."""
    found = np.flatnonzero(joints == node)
    return int(found[0]) if len(found) else -1
