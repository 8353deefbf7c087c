"""Every keypoint of every keypoint set on a body: where it lies in the T-pose, with what it moves, how deep it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Int32
from scipy.sparse import csr_array

from mocap.core.keypoints import load_keypoint_set
from mocap.core.skeleton import SkeletonDefinition
from mocap.synthetic.skin_depth import depths_under_skin

DEFINITION = "anny_keypoints.toml"


@dataclass(frozen=True, eq=False)
class JointedSkin:
    """A body in the T-pose as keypoints are put on it.

    joints: (J, 3) m. bones: name of a bone -> its head, m. faces_around: (V, D) see `skin_depth`.
    """

    skeleton: SkeletonDefinition
    joints: Float[np.ndarray, "J 3"]
    bones: Mapping[str, Float[np.ndarray, "3"]]
    vertices: Float[np.ndarray, "V 3"]
    faces: Int32[np.ndarray, "F 3"]
    faces_around: Int[np.ndarray, "V D"]


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


def keypoints_on(skin: JointedSkin) -> tuple[Float[np.ndarray, "K 3"], Float[np.ndarray, "K"]]:
    """Where all keypoints lie, m, the right ones mirroring the left ones exactly, and how far from the nearest skin."""
    points = places_of_keypoints(skin)
    return points, depths_under_skin(points, skin.vertices, faces=skin.faces, around=skin.faces_around)


def places_of_keypoints(skin: JointedSkin) -> Float[np.ndarray, "K 3"]:
    """Where all keypoints lie, m; of the vertices, only those of `keypoint_vertices` matter."""
    points = np.zeros((len(all_keypoints()), 3))
    for k, name in enumerate(all_keypoints()):
        if name in _definition():
            points[k] = _point(_definition()[name], skin)
        else:
            points[k] = _point(_definition()[mirrored_names()[name]], skin) * [-1.0, 1.0, 1.0]
    return points


def keypoint_vertices() -> Int[np.ndarray, "n"]:
    """Those that keypoints are put on."""
    return np.unique([vertex for entry in _definition().values() for vertex in entry.get("vertices", ())])


def keypoint_weights(
    weights: csr_array, skeleton: SkeletonDefinition, joint_of_bone: Mapping[str, int]
) -> Float[np.ndarray, "K J"]:
    """Shares of the joints in every keypoint's movement, the same for all bodies. weights: (V, J) of the vertices."""
    shares = np.zeros((len(all_keypoints()), len(skeleton)))
    for k, name in enumerate(all_keypoints()):
        here = name in _definition()
        entry = _definition()[name if here else mirrored_names()[name]]
        if "vertices" in entry:
            share = weights[entry["vertices"]].toarray().mean(0)
        else:
            joint = joint_of_bone[entry["bone"]] if "bone" in entry else skeleton.index(entry["joint"])
            share = np.eye(len(skeleton))[joint]
        shares[k] = (share if here else share[skeleton.mirror_permutation]) / share.sum()
    return shares


def _point(entry: Mapping[str, Any], skin: JointedSkin) -> Float[np.ndarray, "3"]:
    if "vertices" in entry:
        return skin.vertices[entry["vertices"]].mean(0)
    if "bone" in entry:
        return skin.bones[entry["bone"]]
    if "middle_of" in entry:
        return _point(_definition()[entry["middle_of"][0]], skin) * [0.0, 1.0, 1.0]
    return skin.joints[skin.skeleton.index(entry["joint"])]


@lru_cache(maxsize=1)
def _definition() -> dict[str, dict[str, Any]]:
    file = resources.files("mocap.core.definitions") / DEFINITION
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _set_names() -> list[str]:
    files = (f.name for f in resources.files("mocap.core.definitions").iterdir())
    return sorted(
        name.removeprefix("keypoints_").removesuffix(".toml")
        for name in files
        if name.startswith("keypoints_") and name.endswith(".toml")
    )
