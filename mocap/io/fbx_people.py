"""Skeletons, takes and bodies out of an FBX file: ours, or anybody's character. Metres, Z up.

A joint's own axes, which a file may lay as it likes, are kept apart: the motion turns joints away from the rest pose in
world axes, and `axes` has how the file's joints stand at rest. The rest pose is the one in which the file says that its
joints were bound (BindPose, clusters), or that of its nodes where it does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from mocap.core.errors import FileFormatError, InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.core.skin import SkinnedMesh
from mocap.io.fbx_mesh import meshes_of
from mocap.io.fbx_read import bind_transforms, frame_times, pick_stack, read_fbx, world_transforms
from mocap.io.fbx_scene import FbxScene
from mocap.io.point_tracks import distinct_labels

BONES = ("LimbNode", "Limb", "Root")
MAX_STRETCH_M = 1e-3
SMALLEST_SCALE = 1e-9


@dataclass(frozen=True, eq=False)
class FbxPerson:
    """One skeleton of a file. axes: (J, 4) wxyz, world_from_joint at rest as the file has it. skins: meshes, at rest.

    motion: of no frames where the file has no take. nodes: (J,) the joints' models in the scene.
    """

    motion: Motion
    axes: Float[np.ndarray, "J 4"]
    skins: tuple[SkinnedMesh, ...]
    nodes: Int[np.ndarray, "J"]


def read_fbx_people(
    path: Path,
    *,
    take: str | None = None,
    fps: float | None = None,
    max_stretch_m: float = MAX_STRETCH_M,
) -> tuple[FbxPerson, ...]:
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
            motion, axes = _motion(scene, nodes, poses[:, nodes], at_rest[nodes], max_stretch_m)
            motion = Motion(motion.skeleton, *_posed(motion), fps or scene.fps, _person_name(scene, nodes))
            people.append(FbxPerson(motion, axes, meshes_of(scene, nodes), nodes))
    except InputError as error:
        raise FileFormatError(error.what, where=path, remedy=error.remedy) from None
    return tuple(people)


def _posed(motion: Motion) -> tuple[np.ndarray, np.ndarray]:
    return motion.root_translation, motion.local_rotations


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


def _motion(
    scene: FbxScene,
    nodes: Int[np.ndarray, "J"],
    poses: Float[np.ndarray, "T J 4 4"],
    at_rest: Float[np.ndarray, "J 4 4"],
    max_stretch_m: float,
) -> tuple[Motion, Float[np.ndarray, "J 4"]]:
    """A skeleton with world axes in motion, and how the file's joints stand at rest."""
    place = {int(node): index for index, node in enumerate(nodes)}
    parents = np.array([place.get(scene.models[int(node)].parent, -1) for node in nodes])
    rest_axes = rotations_of(at_rest)
    moved = rotations_of(poses) @ rest_axes.swapaxes(-1, -2)
    above = moved[:, np.maximum(parents, 0)].swapaxes(-1, -2)
    local = above @ moved
    local[:, 0] = moved[:, 0]
    bones = (above @ (poses[..., :3, 3] - poses[:, np.maximum(parents, 0)][..., :3, 3])[..., None])[..., 0]
    names = _names(scene, nodes)
    skeleton = SkeletonDefinition(
        name="fbx",
        joint_names=names,
        parents=parents,
        rest_offsets=_offsets(names, parents, bones, at_rest[:, :3, 3], max_stretch_m),
        limits=np.tile([-2 * np.pi, 2 * np.pi], (len(nodes), 3, 1)),
        tips=np.full((len(nodes), 3), np.nan),
        mirror_pairs=_pairs(names),
    )
    motion = Motion(skeleton, poses[:, 0, :3, 3], _quaternions(local), scene.fps)
    return motion, _quaternions(rest_axes)


def _names(scene: FbxScene, nodes: Int[np.ndarray, "J"]) -> tuple[str, ...]:
    """Without the person's own name before all of them, which our writer puts there when there are several."""
    names = [scene.models[int(node)].name for node in nodes]
    prefix = f"{_person_name(scene, nodes)}:"
    if all(name.startswith(prefix) for name in names):
        names = [name.removeprefix(prefix) for name in names]
    return distinct_labels(names)


def _pairs(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    opposite = {name: name.replace("Left", "Right").replace("left", "right") for name in names}
    return tuple((left, right) for left, right in opposite.items() if left != right and right in names)


def _offsets(
    names: tuple[str, ...],
    parents: Int[np.ndarray, "J"],
    bones: Float[np.ndarray, "T J 3"],
    rest: Float[np.ndarray, "J 3"],
    max_stretch_m: float,
) -> Float[np.ndarray, "J 3"]:
    """As at rest; where the take's bones (in the axes of their parents) differ by more than 1 mm, their median."""
    offsets = rest - np.where(parents[:, None] >= 0, rest[np.maximum(parents, 0)], 0.0)
    if not len(bones) or len(names) == 1:
        return offsets
    if np.linalg.norm(bones[:, 1:] - offsets[1:], axis=-1).max() > MAX_STRETCH_M:
        offsets[1:] = np.median(bones[:, 1:], axis=0)
    stretch = np.linalg.norm(bones[:, 1:] - offsets[1:], axis=-1).max(axis=0)
    worst = int(stretch.argmax())
    if stretch[worst] > max_stretch_m:
        raise InputError(
            f"joint {names[worst + 1]!r} moves against its parent by {stretch[worst] * 1000:.3g} mm",
            remedy="Bones must be constant; allow it with max_stretch_m, and the median length is taken.",
        )
    return offsets


def rotations_of(matrices: Float[np.ndarray, "*b 4 4"]) -> Float[np.ndarray, "*b 3 3"]:
    """Without scale and shear: the nearest rotations; a mirrored axis counts as turned."""
    columns = matrices[..., :3, :3]
    length = np.linalg.norm(columns, axis=-2, keepdims=True)
    if (length < SMALLEST_SCALE).any():
        raise InputError("has joints of scale 0, whose direction nobody knows")
    left, _, right = np.linalg.svd(columns / length)
    sign = np.linalg.det(left @ right)
    left = np.concatenate([left[..., :2], left[..., 2:] * sign[..., None, None]], axis=-1)
    return left @ right


def _quaternions(matrices: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 4"]:
    """wxyz."""
    if not matrices.size:
        return np.zeros((*matrices.shape[:-2], 4))
    flat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat()[:, [3, 0, 1, 2]]
    return flat.reshape(*matrices.shape[:-2], 4)
