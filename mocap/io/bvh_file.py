"""What a BVH file says, neither more nor less: a tree, channels, numbers. No unit, no up axis: the format has none.

Convention: a joint's local rotation is the product of its rotation channels in the order they are listed
(`Zrotation Xrotation Yrotation` is `Rz @ Rx @ Ry`), in degrees. A position channel replaces the OFFSET on its axis, as
in Blender and MotionBuilder. (Some readers add the two; files whose root OFFSET is zero mean the same to both.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError

CHANNELS = ("Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation")


@dataclass(frozen=True, eq=False)
class BvhFile:
    """Joints in the order of the file (depth first; several roots are allowed, each with parent -1).

    offsets: (J, 3) in units of the file. channels: names per joint, in their order. end_parents (E,), end_offsets
    (E, 3): the End Sites. values: (T, C) as in the file, C the number of all channels; degrees and units of the file.
    frame_time: seconds.
    """

    joint_names: tuple[str, ...]
    parents: Int[np.ndarray, "J"]
    offsets: Float[np.ndarray, "J 3"]
    channels: tuple[tuple[str, ...], ...]
    end_parents: Int[np.ndarray, "E"]
    end_offsets: Float[np.ndarray, "E 3"]
    values: Float[np.ndarray, "T C"]
    frame_time: float

    def __post_init__(self) -> None:
        n = len(self.joint_names)
        n_columns = sum(len(names) for names in self.channels)
        shapes = (self.parents.shape, self.offsets.shape, len(self.channels), self.end_offsets.shape)
        if shapes != ((n,), (n, 3), n, (*self.end_parents.shape, 3)):
            raise InputError(f"BvhFile has {n} joints but arrays of shape {shapes}")
        if self.values.ndim != 2 or self.values.shape[1] != n_columns:
            raise InputError(f"BvhFile.values has shape {self.values.shape}, expected (T, {n_columns})")
        if not n or not _is_depth_first(self.parents):
            raise InputError("BvhFile: joints must be listed depth first, as a file lists them")
        if len(self.end_parents) and (self.end_parents.min() < 0 or self.end_parents.max() >= n):
            raise InputError(f"BvhFile: end sites must hang on joints 0 to {n - 1}")
        if not np.isfinite(self.frame_time) or self.frame_time <= 0:
            raise InputError(f"{self.frame_time} seconds is not a frame time")
        for joint, names in zip(self.joint_names, self.channels, strict=True):
            if len(set(names)) != len(names) or not set(names) <= set(CHANNELS):
                raise InputError(f"joint {joint!r} has channels {' '.join(names)}; allowed, once each: {CHANNELS}")
        for name in ("parents", "offsets", "end_parents", "end_offsets", "values"):
            getattr(self, name).setflags(write=False)

    @property
    def n_frames(self) -> int:
        return len(self.values)

    @property
    def fps(self) -> float:
        """Frames a second."""
        return 1.0 / self.frame_time

    @property
    def roots(self) -> Int[np.ndarray, "R"]:
        """Indices of the joints without a parent."""
        return np.flatnonzero(self.parents < 0)

    def columns(self, joint: int) -> Float[np.ndarray, "T c"]:
        """The values of one joint's channels."""
        start = sum(len(names) for names in self.channels[:joint])
        return self.values[:, start : start + len(self.channels[joint])]


def _is_depth_first(parents: np.ndarray) -> bool:
    path: list[int] = []
    for joint, parent in enumerate(parents.tolist()):
        while path and path[-1] != parent:
            path.pop()
        if not path and parent != -1:
            return False
        path.append(joint)
    return True


def rotation_order(channels: Sequence[str]) -> str:
    """Axes of the rotation channels in their order, e.g. "ZXY"; empty where the joint cannot turn."""
    return "".join(name[0] for name in channels if name.endswith("rotation"))


def local_translations(bvh: BvhFile) -> Float[np.ndarray, "T J 3"]:
    """Position of every joint in its parent's frame, units of the file."""
    translations = np.tile(bvh.offsets, (bvh.n_frames, 1, 1))
    for joint, names in enumerate(bvh.channels):
        values = bvh.columns(joint)
        for column, name in enumerate(names):
            if name.endswith("position"):
                translations[:, joint, "XYZ".index(name[0])] = values[:, column]
    return translations


def local_rotations(bvh: BvhFile) -> Float[np.ndarray, "T J 4"]:
    """parent_from_joint as unit quaternions wxyz (not sign-continuous)."""
    rotations = np.zeros((bvh.n_frames, len(bvh.joint_names), 4))
    rotations[..., 0] = 1.0
    for joint, names in enumerate(bvh.channels):
        order = rotation_order(names)
        if order and bvh.n_frames:
            is_rotation = [name.endswith("rotation") for name in names]
            turn = Rotation.from_euler(order, bvh.columns(joint)[:, is_rotation], degrees=True)
            rotations[:, joint] = turn.as_quat()[:, [3, 0, 1, 2]]
    return rotations


def world_transforms(bvh: BvhFile) -> tuple[Float[np.ndarray, "T J 3 3"], Float[np.ndarray, "T J 3"]]:
    """Orientation and position of every joint in the file's world, units of the file."""
    local = local_rotations(bvh)
    matrices = Rotation.from_quat(local[..., [1, 2, 3, 0]].reshape(-1, 4)).as_matrix().reshape(*local.shape[:2], 3, 3)
    positions = local_translations(bvh)
    for joint, parent in enumerate(bvh.parents.tolist()):
        if parent >= 0:
            positions[:, joint] = positions[:, parent] + _turned(matrices[:, parent], positions[:, joint])
            matrices[:, joint] = matrices[:, parent] @ matrices[:, joint]
    return matrices, positions


def joint_positions(bvh: BvhFile) -> Float[np.ndarray, "T J 3"]:
    """Position of every joint in the file's world, units of the file."""
    return world_transforms(bvh)[1]


def end_positions(bvh: BvhFile) -> Float[np.ndarray, "T E 3"]:
    """Position of every End Site in the file's world, units of the file."""
    matrices, positions = world_transforms(bvh)
    return positions[:, bvh.end_parents] + _turned(matrices[:, bvh.end_parents], bvh.end_offsets)


def _turned(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (matrices @ vectors[..., None])[..., 0]


def split_roots(bvh: BvhFile) -> tuple[BvhFile, ...]:
    """One file for each root: several people or props in one BVH."""
    widths = np.array([len(names) for names in bvh.channels])
    bounds = [*bvh.roots.tolist(), len(bvh.joint_names)]
    parts = []
    for start, stop in pairwise(bounds):
        ends = (bvh.end_parents >= start) & (bvh.end_parents < stop)
        first = int(widths[:start].sum())
        parts.append(
            BvhFile(
                joint_names=bvh.joint_names[start:stop],
                parents=np.where(bvh.parents[start:stop] < 0, -1, bvh.parents[start:stop] - start),
                offsets=bvh.offsets[start:stop].copy(),
                channels=bvh.channels[start:stop],
                end_parents=bvh.end_parents[ends] - start,
                end_offsets=bvh.end_offsets[ends],
                values=bvh.values[:, first : first + int(widths[start:stop].sum())].copy(),
                frame_time=bvh.frame_time,
            )
        )
    return tuple(parts)
