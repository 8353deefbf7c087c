"""A tree of named joints. Rest pose is the T-pose: facing -Y, left is +X, up is +Z, every joint's axes the world's."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import InputError


@dataclass(frozen=True, eq=False)
class SkeletonDefinition:
    """Joints in topological order (parents[j] < j, parents[0] = -1).

    rest_offsets: (J, 3) m, position in the parent's frame in the T-pose (the root's is its rest height).
    limits: (J, 3, 2) rad, bounds about x, y, z of swing and twist: parent_from_joint = exp(swing) exp(twist)
    with the twist about the joint's `twist_axes` and the swing a rotation vector over the other two axes. A joint that
    cannot turn about an axis has 0, 0 there. tips: (J, 3) m, end of the bone that has no child joint (NaN elsewhere).
    """

    name: str
    joint_names: tuple[str, ...]
    parents: Int[np.ndarray, "J"]
    rest_offsets: Float[np.ndarray, "J 3"]
    limits: Float[np.ndarray, "J 3 2"]
    tips: Float[np.ndarray, "J 3"]
    mirror_pairs: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        parents = np.array(self.parents, dtype=np.int64)
        offsets = np.array(self.rest_offsets, dtype=np.float64)
        limits = np.array(self.limits, dtype=np.float64)
        tips = np.array(self.tips, dtype=np.float64)
        n = len(self.joint_names)
        if len(set(self.joint_names)) != n:
            raise InputError(f"skeleton {self.name!r} repeats a joint name")
        shapes = (parents.shape, offsets.shape, limits.shape, tips.shape)
        if shapes != ((n,), (n, 3), (n, 3, 2), (n, 3)):
            raise InputError(f"skeleton {self.name!r} has {n} joints but arrays of shape {shapes}")
        if n == 0 or parents[0] != -1 or (parents[1:] < 0).any() or (parents[1:] >= np.arange(1, n)).any():
            raise InputError(f"skeleton {self.name!r}: one root first, and every parent before its children")
        crossed = [
            joint
            for joint, (low, high) in zip(self.joint_names, np.moveaxis(limits, -1, 1), strict=True)
            if (low > high).any()
        ]
        if crossed:
            raise InputError(f"skeleton {self.name!r}: the lower limit is above the upper at {', '.join(crossed)}")
        for name, array in (("parents", parents), ("rest_offsets", offsets), ("limits", limits), ("tips", tips)):
            array.setflags(write=False)
            object.__setattr__(self, name, array)

    def __len__(self) -> int:
        return len(self.joint_names)

    def index(self, name: str) -> int:
        try:
            return self.joint_names.index(name)
        except ValueError:
            raise InputError(
                f"no joint {name!r} in skeleton {self.name!r}; it has {', '.join(self.joint_names)}"
            ) from None

    def children(self, joint: int) -> Int[np.ndarray, "n"]:
        return np.flatnonzero(self.parents == joint)

    @property
    def twist_axes(self) -> Int[np.ndarray, "J"]:
        """The coordinate axis (0, 1, 2) nearest to the bone, which points to the mean of the children or to the tip."""
        bones = np.where(np.isfinite(self.tips), self.tips, 0.0)
        np.add.at(bones, self.parents[1:], self.rest_offsets[1:])
        return np.abs(bones).argmax(-1)

    @property
    def mirror_permutation(self) -> Int[np.ndarray, "J"]:
        """`positions[..., permutation, :]` has the left and right joints exchanged."""
        permutation = np.arange(len(self))
        for left, right in self.mirror_pairs:
            a, b = self.index(left), self.index(right)
            permutation[[a, b]] = [b, a]
        return permutation

    @property
    def bone_lengths(self) -> Float[np.ndarray, "J"]:
        """Distance to the parent in metres; the root's is 0."""
        lengths = np.linalg.norm(self.rest_offsets, axis=-1)
        lengths[0] = 0.0
        return lengths


def load_skeleton(name: str = "humanoid") -> SkeletonDefinition:
    """A skeleton of the package (`mocap/core/definitions/skeleton_<name>.toml`)."""
    file = resources.files("mocap.core.definitions") / f"skeleton_{name}.toml"
    if not file.is_file():
        raise InputError(f"no skeleton {name!r} in the package")
    return skeleton_from_table(name, tomllib.loads(file.read_text(encoding="utf-8")))


def skeleton_from_table(name: str, table: dict) -> SkeletonDefinition:
    """From a TOML table: `[[joint]] name parent offset_m limits_deg tip_m`, `mirror_pairs`."""
    joints = table["joint"]
    names = tuple(j["name"] for j in joints)
    parents = [-1 if not j.get("parent") else names.index(j["parent"]) for j in joints]
    return SkeletonDefinition(
        name=name,
        joint_names=names,
        parents=np.array(parents),
        rest_offsets=np.array([j["offset_m"] for j in joints], dtype=np.float64),
        limits=np.deg2rad([j["limits_deg"] for j in joints]),
        tips=np.array([j.get("tip_m", [np.nan] * 3) for j in joints], dtype=np.float64),
        mirror_pairs=tuple((a, b) for a, b in table["mirror_pairs"]),
    )
