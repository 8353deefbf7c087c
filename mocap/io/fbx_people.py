"""Skeletons, takes and bodies out of an FBX file: ours, or anybody's character. Metres, Z up.

The rest pose is the one in which the file says that its joints were bound (BindPose, clusters), or that of its nodes
where it does not say.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import FileFormatError, InputError
from mocap.io.fbx_mesh import meshes_of
from mocap.io.fbx_read import bind_transforms, frame_times, pick_stack, read_fbx, world_transforms
from mocap.io.fbx_scene import FbxScene
from mocap.io.file_people import MAX_STRETCH_M, FileJoints, FilePerson
from mocap.io.point_tracks import distinct_labels

BONES = ("LimbNode", "Limb", "Root")


def read_fbx_people(
    path: Path,
    *,
    take: str | None = None,
    fps: float | None = None,
    max_stretch_m: float = MAX_STRETCH_M,
) -> tuple[FilePerson, ...]:
    """Everybody in an .fbx: each topmost bone with all that hangs on it.

    take: the name of the animation stack, None for the first. fps: else the file's own. Bones of a `Motion` are
    constant: a joint that moves against its parent by more than `max_stretch_m` is refused, else the median counts.
    """
    scene = read_fbx(path)
    stack = pick_stack(scene, take)
    times = frame_times(scene, stack, fps) if stack is not None else np.zeros(0)
    poses = to_world(scene, world_transforms(scene, stack, times))
    at_rest = to_world(scene, bind_transforms(scene)[None])[0]
    groups = skeletons(scene)
    if not groups:
        raise FileFormatError("has no skeleton: no bones, and no mesh that is bound to any", where=path)
    people = []
    try:
        for nodes in groups:
            joints = _joints(scene, nodes, poses[:, nodes], at_rest[nodes])
            name = _person_name(scene, nodes)
            motion, axes = joints.motion(fps=fps or scene.fps, person=name, max_stretch_m=max_stretch_m)
            people.append(FilePerson(motion, axes, meshes_of(scene, nodes), nodes))
    except InputError as error:
        raise FileFormatError(error.what, where=path, remedy=error.remedy) from None
    return tuple(people)


def to_world(scene: FbxScene, matrices: Float[np.ndarray, "T N 4 4"]) -> Float[np.ndarray, "T N 4 4"]:
    """From the file's axes and unit to metres, Z up; the joints keep their own axes."""
    turned = matrices.copy()
    turned[..., :3, :] = scene.world_from_file @ matrices[..., :3, :]
    turned[..., :3, 3] *= scene.metres_per_unit
    return turned


def skeletons(scene: FbxScene) -> list[Int[np.ndarray, "J"]]:
    """Models of every skeleton, parents first: bones, what meshes are bound to, and what lies between them."""
    bones = {index for index, model in enumerate(scene.models) if model.kind in BONES} | set(scene.bound)
    wanted: set[int] = set()
    tops: dict[int, int] = {}
    for bone in sorted(bones):
        path = [bone]
        while scene.models[path[-1]].parent >= 0:
            path.append(scene.models[path[-1]].parent)
        highest = max(place for place, node in enumerate(path) if node in bones)
        wanted |= set(path[: highest + 1])
        tops |= dict.fromkeys(path[: highest + 1], path[highest])
    groups: dict[int, list[int]] = {}
    for node in sorted(wanted):  # models are listed parents first
        groups.setdefault(tops[node], []).append(node)
    return [np.array(nodes) for nodes in groups.values()]


def _person_name(scene: FbxScene, nodes: Int[np.ndarray, "J"]) -> str:
    """Of the node above the root, as our writer and Blender's have it; of the root where there is none."""
    above = scene.models[int(nodes[0])].parent
    return scene.models[above if above >= 0 else int(nodes[0])].name


def _joints(
    scene: FbxScene,
    nodes: Int[np.ndarray, "J"],
    poses: Float[np.ndarray, "T J 4 4"],
    at_rest: Float[np.ndarray, "J 4 4"],
) -> FileJoints:
    place = {int(node): index for index, node in enumerate(nodes)}
    parents = np.array([place.get(scene.models[int(node)].parent, -1) for node in nodes])
    return FileJoints("fbx", _names(scene, nodes), parents, at_rest, poses, np.full((len(nodes), 3), np.nan))


def _names(scene: FbxScene, nodes: Int[np.ndarray, "J"]) -> tuple[str, ...]:
    """Without the person's own name before all of them, which our writer puts there when there are several."""
    names = [scene.models[int(node)].name for node in nodes]
    prefix = f"{_person_name(scene, nodes)}:"
    if all(name.startswith(prefix) for name in names):
        names = [name.removeprefix(prefix) for name in names]
    return distinct_labels(names)
