"""What an FBX file says of nodes, their transforms at rest and their animation, in its own units and axes.

Files of 6.x are brought into the form of 7.x first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from mocap.io.fbx_curve import FbxCurve, read_curve
from mocap.io.fbx_document import CUSTOM_MODE, TIME_MODES
from mocap.io.fbx_legacy import modern
from mocap.io.fbx_node import TICKS_PER_SECOND, FbxNode, object_name

CHANNELS = ("Lcl Translation", "Lcl Rotation", "Lcl Scaling")
_FILM_RATE = 24.0
_MODES = {mode: rate for rate, mode in TIME_MODES.items()} | {7: 30.0, 8: 30 / 1.001}


@dataclass
class FbxModel:
    """A node of the scene. parent: its index, -1 at the top. values: properties by name, as the file has them.

    bind: its world transform when it was bound to a mesh or put into a BindPose; None where the file has none.
    """

    name: str
    kind: str
    parent: int
    values: Mapping[str, list[Any]]
    bind: Float[np.ndarray, "4 4"] | None = None

    def vector(self, name: str, default: float = 0.0) -> Float[np.ndarray, "3"]:
        """A property of three numbers."""
        values = [v for v in self.values.get(name, []) if isinstance(v, (int, float, np.number))]
        return np.array(values[:3], dtype=np.float64) if len(values) >= 3 else np.full(3, default)

    def number(self, name: str, default: int = 0) -> int:
        """A property of one number."""
        values = self.values.get(name) or [default]
        return int(values[0]) if isinstance(values[0], (int, float, np.number)) else default


@dataclass
class FbxStack:
    """One take. curves: (model, channel, axis 0..2) to its curve. start_s, stop_s: seconds."""

    name: str
    start_s: float
    stop_s: float
    curves: dict[tuple[int, str, int], FbxCurve] = field(default_factory=dict)


@dataclass(frozen=True)
class FbxCluster:
    """What one model moves of a mesh. mesh_to_world: where the mesh was when it was bound, in the file."""

    model: int
    indices: Int[np.ndarray, "n"]
    weights: Float[np.ndarray, "n"]
    mesh_to_world: Float[np.ndarray, "4 4"]


@dataclass(frozen=True)
class FbxGeometry:
    """A mesh with its clusters. corners: indices of vertices, the last of each polygon as its complement."""

    name: str
    vertices: Float[np.ndarray, "V 3"]
    corners: Int[np.ndarray, "C"]
    clusters: tuple[FbxCluster, ...]


@dataclass(frozen=True)
class FbxScene:
    """models: parents before their children. world_from_file: (3, 3) proper, to Z up with the front at -Y.

    meshes: those that are bound to models.
    """

    where: str
    version: int
    models: Sequence[FbxModel]
    stacks: Sequence[FbxStack]
    meshes: Sequence[FbxGeometry]
    fps: float
    metres_per_unit: float
    world_from_file: Float[np.ndarray, "3 3"]

    @property
    def bound(self) -> tuple[int, ...]:
        """Models that meshes are bound to."""
        return tuple(dict.fromkeys(cluster.model for mesh in self.meshes for cluster in mesh.clusters))


def scene_of(root: FbxNode, where: str) -> FbxScene:
    """The scene of a file's records."""
    version, root = root.version, modern(root, where)
    settings = _properties(root.find("GlobalSettings"), {})
    objects = root.find("Objects") or FbxNode("Objects")
    links = _Links(root.find("Connections"))
    models, index_of = _models(root, objects, links)
    _bind(objects, links, models, index_of)
    rate = _rate(settings)
    return FbxScene(
        where=where,
        version=version,
        models=models,
        stacks=_stacks(objects, links, index_of),
        meshes=_meshes(objects, links, index_of),
        fps=rate,
        metres_per_unit=float(_first(settings, "UnitScaleFactor", 1.0)) * 0.01,
        world_from_file=_world_from_file(settings),
    )


class _Links:
    """Connections, by parent: (child, property)."""

    def __init__(self, node: FbxNode | None) -> None:
        self.children: dict[int, list[tuple[int, str]]] = {}
        for link in node.children if node is not None else []:
            if link.name == "C" and len(link.properties) >= 3 and link.properties[0] in ("OO", "OP"):
                child, parent = (int(value) for value in link.properties[1:3])
                name = str(link.properties[3]) if len(link.properties) > 3 else ""
                self.children.setdefault(parent, []).append((child, name))


def _properties(node: FbxNode | None, below: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Values of `Properties70` by name, over those of a template."""
    found = dict(below)
    block = node.find("Properties70") if node is not None else None
    for entry in block.children if block is not None else []:
        if entry.properties:
            found[str(entry.properties[0])] = entry.properties[4:]
    return found


def _first(values: Mapping[str, list[Any]], name: str, default: float | int) -> float:
    value = (values.get(name) or [default])[0]
    return float(value if isinstance(value, (int, float, np.number)) else default)


def _rate(settings: Mapping[str, list[Any]]) -> float:
    mode, custom = int(_first(settings, "TimeMode", 0)), _first(settings, "CustomFrameRate", 0)
    if mode == CUSTOM_MODE and custom > 0:
        return custom
    return _MODES.get(mode, _FILM_RATE)


def _world_from_file(settings: Mapping[str, list[Any]]) -> Float[np.ndarray, "3 3"]:
    """Rows: our x is the file's side, our z its up; y follows, so that nothing is mirrored."""
    rows = np.zeros((3, 3))
    for row, name, usual in ((0, "Coord", 0), (2, "Up", 1)):
        axis = int(_first(settings, f"{name}Axis", usual))
        rows[row, axis if 0 <= axis < 3 else usual] = -1.0 if _first(settings, f"{name}AxisSign", 1) < 0 else 1.0
    rows[1] = np.cross(rows[2], rows[0])
    return rows if abs(np.linalg.det(rows)) > 0.5 else np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def _models(root: FbxNode, objects: FbxNode, links: _Links) -> tuple[list[FbxModel], dict[int, int]]:
    """Models from the top down, and their index by id."""
    template = _template(root, "Model")
    by_id = {int(node.properties[0]): node for node in objects.all("Model") if len(node.properties) >= 3}
    models: list[FbxModel] = []
    index_of: dict[int, int] = {}
    waiting = [(0, -1)]
    while waiting:
        above, parent = waiting.pop(0)
        for child, _ in links.children.get(above, []):
            if child in by_id and child not in index_of:
                node = by_id[child]
                index_of[child] = len(models)
                values = _properties(node, template)
                models.append(FbxModel(object_name(node), str(node.properties[-1]), parent, values))
                waiting.append((child, index_of[child]))
    return models, index_of


def _template(root: FbxNode, kind: str) -> dict[str, list[Any]]:
    definitions = root.find("Definitions")
    for entry in definitions.all("ObjectType") if definitions is not None else []:
        if entry.properties and entry.properties[0] == kind:
            return _properties(entry.find("PropertyTemplate"), {})
    return {}


def _bind(objects: FbxNode, links: _Links, models: list[FbxModel], index_of: Mapping[int, int]) -> None:
    """World transforms at binding: of a BindPose, and over it those of the clusters of skins."""
    for pose in objects.all("Pose"):
        if pose.value("Type", "BindPose") == "BindPose":
            for entry in pose.all("PoseNode"):
                _set_bind(models, index_of.get(int(entry.value("Node", -1))), entry.array("Matrix"))
    for node in objects.all("Deformer"):
        if node.properties and node.properties[-1] == "Cluster":
            for child, _ in links.children.get(int(node.properties[0]), []):
                _set_bind(models, index_of.get(child), node.array("TransformLink"))


def _set_bind(models: list[FbxModel], index: int | None, matrix: np.ndarray) -> None:
    if index is not None and matrix.size == 16 and np.isfinite(matrix).all():
        models[index].bind = matrix.reshape(4, 4).T


def _stacks(objects: FbxNode, links: _Links, index_of: Mapping[int, int]) -> list[FbxStack]:
    curves = {int(node.properties[0]): node for node in objects.all("AnimationCurve")}
    owners = {
        node: (index_of[model], channel)
        for model, children in links.children.items()
        if model in index_of
        for node, channel in children
        if channel in CHANNELS
    }
    stacks = []
    for node in objects.all("AnimationStack"):
        values = _properties(node, {})
        span = [_first(values, name, 0.0) / TICKS_PER_SECOND for name in ("LocalStart", "LocalStop")]
        stack = FbxStack(object_name(node), span[0], span[1])
        layers = [child for child, _ in links.children.get(int(node.properties[0]), [])]
        for curve_node, _ in links.children.get(layers[0], []) if layers else []:
            if curve_node in owners:
                model, channel = owners[curve_node]
                for child, axis in links.children.get(curve_node, []):
                    if child in curves and axis in ("d|X", "d|Y", "d|Z"):
                        stack.curves[model, channel, "XYZ".index(axis[-1])] = read_curve(curves[child])
        stacks.append(stack)
    return stacks


def _meshes(objects: FbxNode, links: _Links, index_of: Mapping[int, int]) -> list[FbxGeometry]:
    by_id = {int(node.properties[0]): node for node in objects.children if len(node.properties) >= 3}
    meshes = []
    for node in objects.all("Geometry"):
        skins = [child for child, _ in links.children.get(int(node.properties[0]), []) if child in by_id]
        vertices, corners = node.array("Vertices"), node.array("PolygonVertexIndex", np.int64)
        clusters = [
            _cluster(by_id[cluster], index_of[bone], len(vertices) // 3)
            for skin in skins
            for cluster, _ in links.children.get(skin, [])
            if cluster in by_id and by_id[cluster].properties[-1] == "Cluster"
            for bone, _ in links.children.get(cluster, [])
            if bone in index_of
        ]
        if clusters:
            points = vertices[: len(vertices) // 3 * 3].reshape(-1, 3)
            meshes.append(FbxGeometry(object_name(node), points, corners, tuple(clusters)))
    return meshes


def _cluster(node: FbxNode, model: int, n_vertices: int) -> FbxCluster:
    """`Transform` takes the mesh to the bone, `TransformLink` the bone to the world; both when they were bound."""
    indices, weights = node.array("Indexes", np.int64), node.array("Weights")
    count = min(len(indices), len(weights))
    usable = (indices[:count] >= 0) & (indices[:count] < n_vertices)
    matrices = [node.array(name) for name in ("TransformLink", "Transform")]
    link, mesh = (m.reshape(4, 4).T if m.size == 16 else np.eye(4) for m in matrices)
    return FbxCluster(model, indices[:count][usable], weights[:count][usable], link @ mesh)
