"""Every keypoint of every keypoint set on a body: where it lies in the T-pose, with what it moves, how deep it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import numpy as np
from jaxtyping import Float, Int, Int32
from scipy.sparse import csr_array

from mocap.core.keypoints import load_keypoint_set
from mocap.core.skeleton import SkeletonDefinition
from mocap.synthetic.skin_depth import depths_under_skin

DEFINITION = "anny_keypoints.toml"


@dataclass(frozen=True, eq=False)
class BodyKeypoints:
    """names: of the K keypoints. points: (K, 3) m in the T-pose. weights: (K, J) on the joints, rows sum to 1.

    depth_m: (K,) distance to the nearest skin, 0 on it.
    """

    names: tuple[str, ...]
    points: Float[np.ndarray, "K 3"]
    weights: Float[np.ndarray, "K J"]
    depth_m: Float[np.ndarray, "K"]

    def at(self, name: str) -> Float[np.ndarray, "3"]:
        """Where one keypoint lies."""
        return self.points[self.names.index(name)]


@dataclass(frozen=True, eq=False)
class JointedSkin:
    """A body in the T-pose as keypoints are put on it.

    joints: (J, 3) m. bones: name of a bone -> its head, m, and the joint that it belongs to. weights: (V, J).
    faces_around: (V, D) see `skin_depth`.
    """

    skeleton: SkeletonDefinition
    joints: Float[np.ndarray, "J 3"]
    bones: Mapping[str, tuple[Float[np.ndarray, "3"], int]]
    vertices: Float[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]
    faces_around: Int[np.ndarray, "V D"]
    weights: csr_array


@lru_cache(maxsize=1)
def all_keypoints() -> tuple[str, ...]:
    """The names of all sets, each once."""
    names = (name for set_name in _set_names() for name in load_keypoint_set(set_name).names)
    return tuple(dict.fromkeys(names))


@lru_cache(maxsize=1)
def mirrored_names() -> dict[str, str]:
    """The twin of every keypoint that has one, both ways."""
    pairs = [pair for set_name in _set_names() for pair in load_keypoint_set(set_name).mirror_pairs]
    return dict(pairs) | {b: a for a, b in pairs}


def keypoints_on(skin: JointedSkin) -> BodyKeypoints:
    """All keypoints of a body; the right ones mirror the left ones exactly."""
    names = all_keypoints()
    points, weights = np.zeros((len(names), 3)), np.zeros((len(names), len(skin.skeleton)))
    swap = skin.skeleton.mirror_permutation
    for k, name in enumerate(names):
        if name in _definition():
            points[k], weights[k] = _place(name, skin)
        else:
            point, weight = _place(mirrored_names()[name], skin)
            points[k], weights[k] = point * [-1.0, 1.0, 1.0], weight[swap]
    depth = depths_under_skin(points, skin.vertices, faces=skin.faces, around=skin.faces_around)
    return BodyKeypoints(names, points, weights, depth)


def _place(name: str, skin: JointedSkin) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "J"]]:
    entry = _definition()[name]
    if "vertices" in entry:
        rows = skin.weights[entry["vertices"]].toarray().mean(0, dtype=np.float64)
        return skin.vertices[entry["vertices"]].mean(0), rows / rows.sum()
    if "bone" in entry:
        point, joint = skin.bones[entry["bone"]]
    else:
        joint = skin.skeleton.index(entry["joint"])
        point = skin.joints[joint]
    if "middle_of" in entry:
        left = _place(entry["middle_of"][0], skin)[0]
        point = left * [0.0, 1.0, 1.0]
    return point, np.eye(len(skin.skeleton))[joint]


@lru_cache(maxsize=1)
def _definition() -> dict[str, dict]:
    file = resources.files("mocap.core.definitions") / DEFINITION
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _set_names() -> list[str]:
    files = (f.name for f in resources.files("mocap.core.definitions").iterdir())
    return sorted(
        name.removeprefix("keypoints_").removesuffix(".toml")
        for name in files
        if name.startswith("keypoints_") and name.endswith(".toml")
    )
