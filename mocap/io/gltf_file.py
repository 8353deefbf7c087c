"""What a glTF 2.0 file says, .glb or .gltf: nodes, skins, meshes and animations as arrays, in the file's own axes.

Buffers may lie in the file, in a data URI, or in a file beside it (within its folder). Sparse accessors, morph targets
and compressed meshes are not read.
"""

from __future__ import annotations

import base64
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from mocap.core.errors import FileFormatError
from mocap.io.gltf_buffer import BINARY_CHUNK, COMPONENTS, JSON_CHUNK, MAGIC, SHAPES, VERSION

MAX_NODES = 100_000


@dataclass(frozen=True, eq=False)
class GltfNodes:
    """The tree of the scene. parents: -1 at the top. rotations: xyzw. All local, of the file's axes, in metres."""

    names: tuple[str, ...]
    parents: Int[np.ndarray, "N"]
    translations: Float[np.ndarray, "N 3"]
    rotations: Float[np.ndarray, "N 4"]
    scales: Float[np.ndarray, "N 3"]
    extras: tuple[dict[str, Any], ...]


@dataclass(frozen=True, eq=False)
class GltfChannel:
    """Keys of one node: `what` is translation, rotation (xyzw) or scale; values (K, C), for CUBICSPLINE (K, 3, C)."""

    node: int
    what: str
    times_s: Float[np.ndarray, "K"]
    values: Float[np.ndarray, "K *c"]
    interpolation: str


@dataclass(frozen=True, eq=False)
class GltfClip:
    """One animation."""

    name: str
    channels: tuple[GltfChannel, ...]
    extras: dict[str, Any]


@dataclass(frozen=True, eq=False)
class GltfSkin:
    """Joints are nodes; inverse_bind: (J, 4, 4) joint_from_mesh at bind time."""

    joints: Int[np.ndarray, "J"]
    inverse_bind: Float[np.ndarray, "J 4 4"]


@dataclass(frozen=True, eq=False)
class GltfMesh:
    """The triangles of a node with a skin. joints (V, K): places in the skin's list; weights (V, K)."""

    name: str
    skin: int
    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 3"]
    joints: Int[np.ndarray, "V K"]
    weights: Float[np.ndarray, "V K"]


@dataclass(frozen=True, eq=False)
class GltfFile:
    """Everything that is read."""

    nodes: GltfNodes
    skins: tuple[GltfSkin, ...]
    meshes: tuple[GltfMesh, ...]
    clips: tuple[GltfClip, ...]


def read_gltf(path: Path) -> GltfFile:
    """Read a .glb or a .gltf."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    try:
        document, binary = _container(content)
        reader = _Reader(document, binary, path)
        return GltfFile(reader.nodes(), reader.skins(), reader.meshes(), reader.clips())
    except FileFormatError as error:
        raise FileFormatError(error.what, where=path, remedy=error.remedy) from None
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error) as error:
        raise FileFormatError(f"is a damaged glTF ({type(error).__name__}: {error})", where=path) from None


def gltf_document(path: Path) -> tuple[dict[str, Any], bytes]:
    """The JSON of a file that `read_gltf` reads, with all its buffers made one, which comes with it."""
    document, binary = _container(path.read_bytes())
    reader = _Reader(document, binary, path)
    merged, starts = bytearray(), list[int]()
    for index in range(len(reader.items("buffers"))):
        starts.append(len(merged))
        merged += reader.buffer(index)
        merged += b"\0" * (-len(merged) % 4)
    for view in reader.items("bufferViews"):
        view["byteOffset"] = view.get("byteOffset", 0) + starts[view["buffer"]]
        view["buffer"] = 0
    return document, bytes(merged)


def _container(content: bytes) -> tuple[dict[str, Any], bytes]:
    """The document and the buffer beside it."""
    if content[:4] != MAGIC:
        if content.lstrip()[:1] != b"{":
            raise FileFormatError("is not a glTF: neither the letters glTF nor a JSON document begin it")
        return json.loads(content), b""
    version, length = struct.unpack_from("<II", content, 4)
    if version != VERSION:
        raise FileFormatError(f"is glTF version {version}; version {VERSION} is read")
    if len(content) < length:
        raise FileFormatError(f"has {len(content)} of {length} bytes")
    chunks: dict[bytes, bytes] = {}
    place = 12
    while place + 8 <= length:
        size, kind = struct.unpack_from("<I4s", content, place)
        chunks.setdefault(kind, content[place + 8 : place + 8 + size])
        place += 8 + size
    return json.loads(chunks[JSON_CHUNK]), chunks.get(BINARY_CHUNK, b"")


class _Reader:
    """Follows the indices of one document."""

    def __init__(self, document: dict[str, Any], binary: bytes, path: Path) -> None:
        self.document = document
        self.path = path
        self.buffers: dict[int, bytes] = {}
        self.binary = binary

    def items(self, section: str) -> list[dict[str, Any]]:
        return self.document.get(section, [])

    def buffer(self, index: int) -> bytes:
        """Loaded when first wanted."""
        if index not in self.buffers:
            uri = self.items("buffers")[index].get("uri")
            self.buffers[index] = self.binary if uri is None else self._of_uri(uri)
        return self.buffers[index]

    def _of_uri(self, uri: str) -> bytes:
        if uri.startswith("data:"):
            return base64.b64decode(uri.partition(",")[2], validate=True)
        file = self.path.parent / unquote(uri)
        inside = file.resolve().is_relative_to(self.path.parent.resolve())
        if "://" in uri or not inside:
            raise FileFormatError(f"keeps numbers outside of its folder ({uri!r}), where they are not looked for")
        if not file.is_file():
            raise FileFormatError(f"needs the file {uri!r} beside it")
        return file.read_bytes()

    def accessor(self, index: int) -> np.ndarray:
        """Numbers as float64 or integers, normalised integers as fractions; matrices by rows."""
        accessor = self.items("accessors")[index]
        if "sparse" in accessor:
            raise FileFormatError("has sparse accessors, which are not read")
        dtype, shape = np.dtype(COMPONENTS[accessor["componentType"]]), SHAPES[accessor["type"]]
        count, width = int(accessor["count"]), int(np.prod(shape, dtype=int)) * dtype.itemsize
        if "bufferView" not in accessor:
            return np.zeros((count, *shape))
        view = self.items("bufferViews")[accessor["bufferView"]]
        start = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        stride = view.get("byteStride", width)
        content = self.buffer(view["buffer"])
        if count and (start < 0 or stride < width or start + stride * (count - 1) + width > len(content)):
            raise FileFormatError(f"ends within the numbers of accessor {index}")
        raw = np.ndarray((count, width), np.uint8, content, start, (stride, 1)) if count else np.zeros((0, width), "u1")
        values = np.ascontiguousarray(raw).view(dtype).reshape(count, *shape)
        if len(shape) == 2:
            values = values.swapaxes(-1, -2)
        if accessor.get("normalized") and dtype.kind != "f":
            return np.maximum(values / np.iinfo(dtype).max, -1.0)
        return values.astype(np.float64 if dtype.kind == "f" else np.int64)

    def nodes(self) -> GltfNodes:
        """The tree with a name for every node."""
        nodes = self.items("nodes")
        if len(nodes) > MAX_NODES:
            raise FileFormatError(f"has {len(nodes)} nodes")
        parents = np.full(len(nodes), -1)
        for index, node in enumerate(nodes):
            for child in node.get("children", []):
                if parents[child] != -1 or child == index:
                    raise FileFormatError(f"node {child} hangs on two nodes")
                parents[child] = index
        local = [_transform(node) for node in nodes]
        return GltfNodes(
            names=tuple(str(node.get("name", f"node{index}")) for index, node in enumerate(nodes)),
            parents=_rooted(parents),
            translations=np.array([t for t, _, _ in local], dtype=np.float64).reshape(-1, 3),
            rotations=np.array([r for _, r, _ in local], dtype=np.float64).reshape(-1, 4),
            scales=np.array([s for _, _, s in local], dtype=np.float64).reshape(-1, 3),
            extras=tuple(node["extras"] if isinstance(node.get("extras"), dict) else {} for node in nodes),
        )

    def skins(self) -> tuple[GltfSkin, ...]:
        found = []
        for skin in self.items("skins"):
            joints = np.array(skin["joints"], dtype=np.int64)
            bind = skin.get("inverseBindMatrices")
            matrices = np.tile(np.eye(4), (len(joints), 1, 1)) if bind is None else self.accessor(bind)[: len(joints)]
            found.append(GltfSkin(joints, matrices))
        return tuple(found)

    def meshes(self) -> tuple[GltfMesh, ...]:
        """Meshes of nodes that have a skin; of their parts, those of triangles."""
        found = []
        for node in self.items("nodes"):
            if "mesh" in node and "skin" in node:
                mesh = self.items("meshes")[node["mesh"]]
                triangles = [p for p in mesh["primitives"] if p.get("mode", 4) == 4 and "POSITION" in p["attributes"]]
                parts = [self._part(triangle) for triangle in triangles]
                if parts:
                    name = str(mesh.get("name", node.get("name", "mesh")))
                    found.append(GltfMesh(name, node["skin"], *_joined(parts)))
        return tuple(found)

    def _part(self, part: dict[str, Any]) -> tuple[np.ndarray, ...]:
        attributes = part["attributes"]
        if "KHR_draco_mesh_compression" in part.get("extensions", {}):
            raise FileFormatError("has meshes compressed by Draco, which are not read")
        vertices = self.accessor(attributes["POSITION"])
        n = len(vertices)
        faces = self.accessor(part["indices"]) if "indices" in part else np.arange(n)
        sets = [k for k in range(4) if f"JOINTS_{k}" in attributes]
        joints = [self.accessor(attributes[f"JOINTS_{k}"]) for k in sets] or [np.zeros((n, 4), dtype=np.int64)]
        weights = [self.accessor(attributes[f"WEIGHTS_{k}"]) for k in sets] or [np.tile([1.0, 0, 0, 0], (n, 1))]
        return vertices, faces.reshape(-1, 3).astype(np.int64), np.hstack(joints).astype(np.int64), np.hstack(weights)

    def clips(self) -> tuple[GltfClip, ...]:
        found = []
        for index, clip in enumerate(self.items("animations")):
            channels = tuple(
                self._channel(channel["target"], clip["samplers"][channel["sampler"]])
                for channel in clip["channels"]
                if "node" in channel["target"] and channel["target"]["path"] in ("translation", "rotation", "scale")
            )
            extras = clip["extras"] if isinstance(clip.get("extras"), dict) else {}
            found.append(GltfClip(str(clip.get("name", f"clip{index}")), channels, extras))
        return tuple(found)

    def _channel(self, target: dict[str, Any], sampler: dict[str, Any]) -> GltfChannel:
        interpolation = sampler.get("interpolation", "LINEAR")
        times, values = self.accessor(sampler["input"]), self.accessor(sampler["output"])
        if interpolation == "CUBICSPLINE":
            values = values.reshape(len(times), 3, -1)
        if len(values) != len(times):
            raise FileFormatError(f"has {len(values)} values for {len(times)} keys of node {target['node']}")
        return GltfChannel(int(target["node"]), target["path"], times, values, interpolation)


def _rooted(parents: Int[np.ndarray, "N"]) -> Int[np.ndarray, "N"]:
    """The same parents; refuses nodes that hang on themselves through others."""
    place = np.append(parents, -1)
    for _ in range(len(parents).bit_length()):  # twice as far up each time
        place = place[place]
    if (place >= 0).any():
        raise FileFormatError("has nodes that hang on themselves")
    return parents


def _transform(node: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Translation, rotation (xyzw) and scale, from a matrix where there is one."""
    if "matrix" not in node:
        translation = np.array(node.get("translation", [0.0, 0.0, 0.0]), dtype=np.float64)
        rotation = np.array(node.get("rotation", [0.0, 0.0, 0.0, 1.0]), dtype=np.float64)
        return translation, rotation, np.array(node.get("scale", [1.0, 1.0, 1.0]), dtype=np.float64)
    matrix = np.array(node["matrix"], dtype=np.float64).reshape(4, 4).T
    scale = np.linalg.norm(matrix[:3, :3], axis=0)
    scale[0] *= np.sign(np.linalg.det(matrix[:3, :3])) or 1.0
    return matrix[:3, 3], Rotation.from_matrix(matrix[:3, :3] / scale).as_quat(), scale


def _joined(parts: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, ...]:
    """Parts of a mesh as one, the narrower lists of joints filled up."""
    width = max(part[2].shape[1] for part in parts)
    starts = np.cumsum([0, *(len(part[0]) for part in parts[:-1])])
    faces = [part[1] + start for part, start in zip(parts, starts, strict=True)]
    fill = [((0, 0), (0, width - part[2].shape[1])) for part in parts]
    joints = [np.pad(part[2], pad) for part, pad in zip(parts, fill, strict=True)]
    weights = [np.pad(part[3], pad) for part, pad in zip(parts, fill, strict=True)]
    return np.vstack([part[0] for part in parts]), np.vstack(faces), np.vstack(joints), np.vstack(weights)
