"""Skeletons as files of animation have them, made into ours: joints with axes of their own, which may scale and mirror.

A joint's own axes, which a file may lay as it likes, are kept apart: the motion turns joints away from the rest pose in
world axes, and `axes` has how the file's joints stand at rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skeleton import SkeletonDefinition
from mocap.core.skin import SkinnedMesh

MAX_STRETCH_M = 1e-3
SMALLEST_SCALE = 1e-9


@dataclass(frozen=True, eq=False)
class FilePerson:
    """One skeleton of a file. axes: (J, 4) wxyz, world_from_joint at rest as the file has it. skins: meshes, at rest.

    motion: of no frames where the file has no take. nodes: (J,) the numbers of the joints in the file.
    """

    motion: Motion
    axes: Float[np.ndarray, "J 4"]
    skins: tuple[SkinnedMesh, ...]
    nodes: Int[np.ndarray, "J"]


@dataclass(frozen=True, eq=False)
class FileJoints:
    """The joints of one skeleton, parents first. kind: of the file. parents: (J,), -1 for the root. at_rest, poses:
    world_from_joint, m, Z up, with the axes and scales of the file. tips: (J, 3) m, from joints without children to
    where they end, at rest in world axes; NaN where unknown."""

    kind: str
    names: tuple[str, ...]
    parents: Int[np.ndarray, "J"]
    at_rest: Float[np.ndarray, "J 4 4"]
    poses: Float[np.ndarray, "T J 4 4"]
    tips: Float[np.ndarray, "J 3"]

    def motion(
        self, *, fps: float, person: str, max_stretch_m: float = MAX_STRETCH_M
    ) -> tuple[Motion, Float[np.ndarray, "J 4"]]:
        """With world axes, and how the file's joints stand at rest (wxyz). Raises InputError for a joint that moves
        against its parent by more than that."""
        rest_axes = rotations_of(self.at_rest)
        moved = rotations_of(self.poses) @ rest_axes.swapaxes(-1, -2)
        above = moved[:, np.maximum(self.parents, 0)].swapaxes(-1, -2)
        local = above @ moved
        local[:, 0] = moved[:, 0]
        skeleton = SkeletonDefinition(
            name=self.kind,
            joint_names=self.names,
            parents=self.parents,
            rest_offsets=self._offsets(above, max_stretch_m),
            limits=np.tile([-2 * np.pi, 2 * np.pi], (len(self.names), 3, 1)),
            tips=self.tips,
            mirror_pairs=mirror_pairs(self.names),
        )
        motion = Motion(skeleton, self.poses[:, 0, :3, 3], _quaternions(local), fps, person)
        return motion, _quaternions(rest_axes)

    def _offsets(self, above: Float[np.ndarray, "T J 3 3"], max_stretch_m: float) -> Float[np.ndarray, "J 3"]:
        """As at rest; where the take's bones, in the axes of their parents, differ by more than 1 mm, their median."""
        parents, rest, places = np.maximum(self.parents, 0), self.at_rest[:, :3, 3], self.poses[..., :3, 3]
        offsets = rest - np.where(self.parents[:, None] >= 0, rest[parents], 0.0)
        if not len(places) or len(parents) == 1:
            return offsets
        bones = (above @ (places - places[:, parents])[..., None])[:, 1:, :, 0]
        if np.linalg.norm(bones - offsets[1:], axis=-1).max() > MAX_STRETCH_M:
            offsets[1:] = np.median(bones, axis=0)
        check_stretch(self.names[1:], np.linalg.norm(bones - offsets[1:], axis=-1).max(axis=0), max_stretch_m)
        return offsets


def check_stretch(names: Sequence[str], stretch_m: Float[np.ndarray, "J"], max_stretch_m: float) -> None:
    """Refuse joints that move against their parents: the bones of a `Motion` are constant."""
    worst = int(stretch_m.argmax())
    if stretch_m[worst] > max_stretch_m:
        raise InputError(
            f"joint {names[worst]!r} moves against its parent by {stretch_m[worst] * 1000:.3g} mm",
            remedy="Bones must be constant; allow it with max_stretch_m, and the median length is taken.",
        )


def mirror_pairs(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """(left, right) joints, whose names differ by those words only."""
    opposite = {name: name.replace("Left", "Right").replace("left", "right") for name in names}
    return tuple((left, right) for left, right in opposite.items() if left != right and right in names)


def rotations_of(matrices: Float[np.ndarray, "*b 4 4"]) -> Float[np.ndarray, "*b 3 3"]:
    """Without scale and shear: the nearest rotations. Of a mirrored joint the x axis is turned round, at rest and in
    motion alike, so that it counts for nothing."""
    columns = matrices[..., :3, :3]
    length = np.linalg.norm(columns, axis=-2, keepdims=True)
    if (length < SMALLEST_SCALE).any():
        raise InputError("has joints of scale 0, whose direction nobody knows")
    columns = columns / length
    mirrored = np.linalg.det(columns) < 0
    left, _, right = np.linalg.svd(np.where(mirrored[..., None, None], columns * [-1.0, 1.0, 1.0], columns))
    return left @ right


def _quaternions(matrices: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 4"]:
    """wxyz."""
    if not matrices.size:
        return np.zeros((*matrices.shape[:-2], 4))
    flat = Rotation.from_matrix(matrices.reshape(-1, 3, 3)).as_quat()[:, [3, 0, 1, 2]]
    return flat.reshape(*matrices.shape[:-2], 4)
