"""Meshes of FBX files that are bound to bones, in the pose in which they were bound. Metres, Z up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from mocap.core.skin import SkinnedMesh, four_weights
from mocap.io.fbx_scene import FbxGeometry, FbxScene


def meshes_of(scene: FbxScene, nodes: Int[np.ndarray, "J"]) -> tuple[SkinnedMesh, ...]:
    """Those whose vertices these models move for the greater part; what else moves them is left out."""
    place = {int(node): index for index, node in enumerate(nodes)}
    return tuple(_skin(scene, mesh, place) for mesh in scene.meshes if len(mesh.vertices) and _share(mesh, place) > 0.5)


def _share(mesh: FbxGeometry, place: Mapping[int, int]) -> float:
    """How much of all that moves a mesh is among these models."""
    whole = sum(float(cluster.weights.sum()) for cluster in mesh.clusters)
    own = sum(float(cluster.weights.sum()) for cluster in mesh.clusters if cluster.model in place)
    return own / whole if whole > 0 else 0.0


def _skin(scene: FbxScene, mesh: FbxGeometry, place: Mapping[int, int]) -> SkinnedMesh:
    """A vertex that nothing moves follows the first of the models."""
    weights = np.zeros((len(mesh.vertices), len(place)))
    for cluster in mesh.clusters:
        if cluster.model in place:
            np.add.at(weights[:, place[cluster.model]], cluster.indices, np.maximum(cluster.weights, 0.0))
    weights[weights.sum(axis=1) <= 0, 0] = 1.0
    joints, shares = four_weights(weights)
    bound = mesh.clusters[0].mesh_to_world
    vertices = mesh.vertices @ bound[:3, :3].T + bound[:3, 3]
    return SkinnedMesh(
        name=mesh.name or "mesh",
        vertices=vertices @ scene.world_from_file.T * scene.metres_per_unit,
        faces=triangles(mesh.corners, len(mesh.vertices)),
        joints=joints,
        weights=shares,
    )


def triangles(corners: Int[np.ndarray, "C"], n_vertices: int) -> Int[np.ndarray, "F 3"]:
    """Every polygon as a fan about its first corner; polygons of vertices that are not there are left out."""
    ends = np.flatnonzero(corners < 0)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(np.int64)[: len(ends)]
    plain = np.where(corners < 0, ~corners, corners)
    middle = np.concatenate([np.arange(start + 1, end) for start, end in zip(starts, ends, strict=True)] or [[]])
    first = np.repeat(starts, np.maximum(ends - starts - 1, 0))
    middle = middle.astype(np.int64)
    faces = np.stack([plain[first], plain[middle], plain[middle + 1]], axis=-1).reshape(-1, 3)
    return faces[((faces >= 0) & (faces < n_vertices)).all(axis=1)]
