"""A mesh bound to a written skeleton: geometry, one cluster a joint, and the pose in which they were bound."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mocap.core.skin import SkinnedMesh
from mocap.io.axes import file_from_world, metres_per
from mocap.io.fbx_config import FbxConfig
from mocap.io.fbx_document import FbxObjects, set_properties
from mocap.io.fbx_node import FbxNode, full_name
from mocap.io.fbx_rig import Rig


def add_skin(objects: FbxObjects, skin: SkinnedMesh, rig: Rig, names: Sequence[str], config: FbxConfig) -> np.int64:
    """The mesh at rest, skinned to the joints. Returns the id of its model. names: of the joints, for the clusters."""
    vertices = skin.vertices @ file_from_world(config.up).T / metres_per(config.unit)
    model, model_id = objects.add("Model", full_name(skin.name, "Model"), "Mesh")
    model.add("Version", 232)
    set_properties(model, ("DefaultAttributeIndex", "int", "Integer", "", 0))
    model.add("Shading", np.bool_(True))
    model.add("Culling", "CullingOff")
    objects.connect(model_id, rig.above)
    geometry, geometry_id = objects.add("Geometry", full_name(skin.name, "Geometry"), "Mesh")
    _fill_geometry(geometry, vertices, skin)
    objects.connect(geometry_id, model_id)
    material, material_id = objects.add("Material", full_name("Body", "Material"), "")
    material.add("Version", 102)
    material.add("ShadingModel", "lambert")
    material.add("MultiLayer", 0)
    set_properties(material, ("DiffuseColor", "Color", "", "A", 0.72, 0.65, 0.58))
    objects.connect(material_id, model_id)
    deformer, deformer_id = objects.add("Deformer", full_name(skin.name, "Deformer"), "Skin")
    deformer.add("Version", 101)
    deformer.add("Link_DeformAcuracy", 50.0)
    deformer.add("SkinningType", "Linear")
    objects.connect(deformer_id, geometry_id)
    for joint, name in enumerate(names):
        _add_cluster(objects, skin, rig, joint=joint, name=name, deformer=deformer_id)
    return model_id


def _add_cluster(
    objects: FbxObjects, skin: SkinnedMesh, rig: Rig, *, joint: int, name: str, deformer: np.int64
) -> None:
    weights = np.where(skin.joints == joint, skin.weights, 0.0).sum(axis=1)
    moved = np.flatnonzero(weights > 0)
    if not moved.size:
        return
    cluster, cluster_id = objects.add("Deformer", full_name(name, "SubDeformer"), "Cluster")
    cluster.add("Version", 100)
    cluster.add("UserData", "", "")
    cluster.add("Indexes", moved.astype(np.int32))
    cluster.add("Weights", weights[moved])
    cluster.add("Transform", column_major(np.linalg.inv(rig.rest[joint])))
    cluster.add("TransformLink", column_major(rig.rest[joint]))
    objects.connect(cluster_id, deformer)
    objects.connect(rig.joints[joint], cluster_id)


def _fill_geometry(geometry: FbxNode, vertices: Float[np.ndarray, "V 3"], skin: SkinnedMesh) -> None:
    geometry.add("Vertices", vertices.ravel())
    corners = skin.faces.astype(np.int32).copy()
    corners[:, -1] ^= -1  # the last corner of a polygon is its index's complement
    geometry.add("PolygonVertexIndex", corners.ravel())
    geometry.add("GeometryVersion", 124)
    normals = geometry.add("LayerElementNormal", 0)
    for name, value in (("Version", 101), ("Name", ""), ("MappingInformationType", "ByVertice")):
        normals.add(name, value)
    normals.add("ReferenceInformationType", "Direct")
    normals.add("Normals", vertex_normals(vertices, skin.faces).ravel())
    materials = geometry.add("LayerElementMaterial", 0)
    for name, value in (("Version", 101), ("Name", ""), ("MappingInformationType", "AllSame")):
        materials.add(name, value)
    materials.add("ReferenceInformationType", "IndexToDirect")
    materials.add("Materials", np.zeros(1, dtype=np.int32))
    layer = geometry.add("Layer", 0)
    layer.add("Version", 100)
    for kind in ("LayerElementNormal", "LayerElementMaterial"):
        element = layer.add("LayerElement")
        element.add("Type", kind)
        element.add("TypedIndex", 0)


def vertex_normals(vertices: Float[np.ndarray, "V 3"], faces: np.ndarray) -> Float[np.ndarray, "V 3"]:
    """Unit normals, each the mean of its faces' weighted by their areas; +Z where a vertex has no face."""
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    across = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], across)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.where(length > 0, normals / np.where(length > 0, length, 1.0), [0.0, 0.0, 1.0])


def add_bind_pose(objects: FbxObjects, rigs: Sequence[Rig], meshes: Sequence[np.int64]) -> None:
    """World transforms of everything at rest: what programs take as the rest pose of a skeleton without a mesh."""
    pose, _ = objects.add("Pose", full_name("BindPose", "Pose"), "BindPose")
    entries = [
        (node, matrix) for rig in rigs for node, matrix in zip((*rig.joints, *rig.others), rig.rest, strict=True)
    ]
    entries += [(mesh, np.eye(4)) for mesh in meshes]
    pose.add("Type", "BindPose")
    pose.add("Version", 100)
    pose.add("NbPoseNodes", len(entries))
    for node, matrix in entries:
        place = pose.add("PoseNode")
        place.add("Node", node)
        place.add("Matrix", column_major(matrix))


def column_major(matrix: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "16"]:
    """FBX multiplies rows by matrices, so ours (of columns) is written column by column."""
    return np.ascontiguousarray(matrix.T).ravel()
