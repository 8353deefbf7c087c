"""A motion as files of skeletons want it: in their axes and unit, its joints turned at rest as somebody likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.core.skin import SkinnedMesh
from mocap.io.axes import turn_quaternions
from mocap.io.world_joints import quat_inverse, quat_product, quat_turned, rest_positions, with_axes


@dataclass(frozen=True, eq=False)
class FileRig:
    """Rotations are quaternions wxyz, lengths in the file's unit.

    offsets: (J, 3) at rest, in the parent's axes, the root's in the file's. rest_rotations: (J, 4) parent_from_joint at
    rest. tips: (J, 3) in the joint's axes. bind_matrices: (J, 4, 4) file_from_joint at rest. root: (T, 3). rotations:
    (T, J, 4) parent_from_joint. has_axes: whether any joint is turned at rest.
    """

    offsets: Float[np.ndarray, "J 3"]
    rest_rotations: Float[np.ndarray, "J 4"]
    tips: Float[np.ndarray, "J 3"]
    bind_matrices: Float[np.ndarray, "J 4 4"]
    root: Float[np.ndarray, "T 3"]
    rotations: Float[np.ndarray, "T J 4"]
    has_axes: bool

    @property
    def inverse_bind_matrices(self) -> Float[np.ndarray, "J 4 4"]:
        """joint_from_file at rest; the last row is exactly (0, 0, 0, 1), as glTF demands."""
        inverse = self.bind_matrices.copy()
        inverse[:, :3, :3] = self.bind_matrices[:, :3, :3].swapaxes(-1, -2)
        inverse[:, :3, 3] = -(inverse[:, :3, :3] @ self.bind_matrices[:, :3, 3:])[..., 0]
        return inverse


def rigs_of(
    motions: Sequence[Motion],
    axes: Sequence[Float[np.ndarray, "J 4"] | None],
    file_from_world: Float[np.ndarray, "3 3"],
    unit_m: float = 1.0,
) -> list[FileRig]:
    """axes: one or None for each motion, or none at all: world_from_joint at rest; None for the axes of the file."""
    if axes and len(axes) != len(motions):
        raise InputError(f"{len(axes)} sets of axes for {len(motions)} motions; one or None for each")
    given = axes or [None] * len(motions)
    return [_rig(motion, own, file_from_world, unit_m) for motion, own in zip(motions, given, strict=True)]


def _rig(
    motion: Motion, axes: Float[np.ndarray, "J 4"] | None, file_from_world: Float[np.ndarray, "3 3"], unit_m: float
) -> FileRig:
    skeleton = motion.skeleton
    turns = np.tile([1.0, 0.0, 0.0, 0.0], (len(skeleton), 1))
    if axes is not None:
        if axes.shape != turns.shape:
            raise InputError(f"axes {axes.shape} for the {len(skeleton)} joints of {motion.person!r}")
        to_file = Rotation.from_matrix(file_from_world).as_quat()[[3, 0, 1, 2]]
        turns = quat_product(np.broadcast_to(to_file, turns.shape), axes)
    above = np.where(skeleton.parents[:, None] >= 0, turns[skeleton.parents], [1.0, 0.0, 0.0, 0.0])
    to_unit = file_from_world.T / unit_m
    bind = np.tile(np.eye(4), (len(skeleton), 1, 1))
    bind[:, :3, :3] = Rotation.from_quat(turns[:, [1, 2, 3, 0]]).as_matrix()
    bind[:, :3, 3] = rest_positions(skeleton) @ to_unit
    return FileRig(
        offsets=quat_turned(quat_inverse(above), skeleton.rest_offsets @ to_unit),
        rest_rotations=quat_product(quat_inverse(above), turns),
        tips=quat_turned(quat_inverse(turns), skeleton.tips @ to_unit),
        bind_matrices=bind,
        root=motion.root_translation @ to_unit,
        rotations=with_axes(turn_quaternions(motion.local_rotations, file_from_world), turns, skeleton.parents),
        has_axes=axes is not None,
    )


def paired_with_skins(
    motions: Sequence[Motion], skins: Sequence[SkinnedMesh | None]
) -> list[tuple[Motion, SkinnedMesh | None]]:
    """Every motion with its mesh; refuses what does not belong together."""
    if not motions:
        raise InputError("there is no motion to write")
    if skins and len(skins) != len(motions):
        raise InputError(f"{len(skins)} skins for {len(motions)} motions; one or None for each")
    pairs = list(zip(motions, skins or [None] * len(motions), strict=True))
    for motion, skin in pairs:
        if skin is not None and not len(skin.faces):
            raise InputError(f"the mesh {skin.name!r} has no faces")
        if skin is not None and skin.n_joints_used > len(motion.skeleton):
            raise InputError(
                f"the mesh {skin.name!r} hangs on joint {skin.n_joints_used - 1}, "
                f"and the skeleton of {motion.person!r} has {len(motion.skeleton)}"
            )
    return pairs
