"""Files of FBX 6.x (2005 to 2010) as 7.x would have them, so that one reader serves both.

In 6.x objects go by their full names, meshes lie in their models, values of properties have no own column for labels,
and takes hold a tree of channels: `Takes / Take / Model / Channel "Transform" / "T" / "X" / Key`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mocap.core.errors import FileFormatError
from mocap.io.fbx_document import CUSTOM_MODE
from mocap.io.fbx_legacy_keys import MalformedKeysError, curve_node
from mocap.io.fbx_node import FbxNode, full_name, object_name

SCENE = full_name("Scene", "Model")
CHANNELS = {"T": "Lcl Translation", "R": "Lcl Rotation", "S": "Lcl Scaling"}
GEOMETRY = ("Vertices", "PolygonVertexIndex")
FIRST_MODERN = 7000


def modern(root: FbxNode, where: str) -> FbxNode:
    """The tree of a 6.x file in the form of 7.x; a tree that has it already is returned as it is."""
    if root.version >= FIRST_MODERN:
        return root
    made = FbxNode("", version=root.version)
    book = _Book(made)
    for node in (root.find("Objects") or FbxNode("Objects")).children:
        if node.name == "GlobalSettings":
            made.children.append(_settings(node, root))
        elif node.properties:
            book.add_object(node)
    book.connect_all(root.find("Connections"))
    takes = root.find("Takes")
    try:
        for take in takes.all("Take") if takes is not None else ():
            book.add_take(take)
    except MalformedKeysError as error:
        raise FileFormatError(f"has a take that cannot be read: {error}", where=where) from None
    return made


class _Book:
    """Objects and connections of the new tree; ids by full name."""

    def __init__(self, root: FbxNode) -> None:
        self.objects, self.connections = root.add("Objects"), root.add("Connections")
        self.ids: dict[str, int] = {SCENE: 0}
        self.geometry: dict[int, int] = {}
        self.last = 0

    def new_id(self) -> np.int64:
        """A number that no object has yet."""
        self.last += 1
        return np.int64(self.last)

    def id_of(self, name: Any) -> int:
        """Of a full name, met now or later."""
        key = _full(name)
        if key not in self.ids:
            self.ids[key] = int(self.new_id())
        return self.ids[key]

    def add_object(self, node: FbxNode) -> None:
        """An object as the newer versions lay it out; a mesh becomes a geometry that hangs on its model."""
        name, kind = _full(node.properties[0]), str(node.properties[-1])
        own = self.id_of(name)
        made = self.objects.add(node.name, np.int64(own), name, kind)
        for child in node.children:
            if child.name == "Properties60":
                made.children.append(_properties(child))
            elif child.name == "PoseNode":
                made.children.append(_pose_node(child, self.id_of(child.value("Node", ""))))
            elif child.name not in GEOMETRY:
                made.children.append(child)
        if node.name == "Model" and node.find(GEOMETRY[0]) is not None:
            self.geometry[own] = int(self.new_id())
            mesh = self.objects.add("Geometry", np.int64(self.geometry[own]), object_name(node), "Mesh")
            mesh.children = [child for child in node.children if child.name in GEOMETRY]
            self.connect(self.geometry[own], own)

    def connect(self, child: int, parent: int, channel: str = "") -> None:
        """Hang an object on another one, or on its property `channel`."""
        more = [channel] if channel else []
        properties = ["OP" if more else "OO", np.int64(child), np.int64(parent), *more]
        self.connections.children.append(FbxNode("C", properties))

    def connect_all(self, node: FbxNode | None) -> None:
        """Deformers of a mesh hang on its geometry, all else as it is."""
        for link in node.all("Connect") if node is not None else ():
            if len(link.properties) >= 3 and link.properties[0] == "OO":
                child, parent = self.id_of(link.properties[1]), self.id_of(link.properties[2])
                if _kind(link.properties[1]) == "Deformer":
                    parent = self.geometry.get(parent, parent)
                self.connect(child, parent)

    def add_take(self, take: FbxNode) -> None:
        """An animation stack with one layer."""
        stack, layer = self.new_id(), self.new_id()
        node = self.objects.add("AnimationStack", stack, full_name(object_name(take), "AnimStack"), "")
        span = take.find("LocalTime") or take.find("ReferenceTime")
        values = (span.properties if span is not None else [])[:2]
        block = node.add("Properties70")
        for name, value in zip(("LocalStart", "LocalStop"), values, strict=False):
            block.add("P", name, "KTime", "Time", "", value)
        self.objects.add("AnimationLayer", layer, full_name("BaseLayer", "AnimLayer"), "")
        self.connect(int(layer), int(stack))
        for model in take.all("Model"):
            if model.properties:
                self.add_channels(model, self.id_of(model.properties[0]), int(layer))

    def add_channels(self, node: FbxNode, model: int, layer: int) -> None:
        """A curve node and its curve for every animated axis of a model."""
        for channel, axis, curve in _curves(node):
            nodes = self.new_id(), self.new_id()
            self.objects.add("AnimationCurveNode", nodes[0], full_name(channel[4], "AnimCurveNode"), "")
            curve.properties = [nodes[1], full_name("", "AnimCurve"), ""]
            self.objects.children.append(curve)
            self.connect(int(nodes[0]), layer)
            self.connect(int(nodes[0]), model, channel)
            self.connect(int(nodes[1]), int(nodes[0]), f"d|{axis}")


def _curves(model: FbxNode) -> Iterator[tuple[str, str, FbxNode]]:
    """Property, axis and curve of a model in a take."""
    for whole in model.all("Channel"):
        for part in whole.all("Channel"):
            channel = CHANNELS.get(str(part.properties[0])) if part.properties else None
            for line in part.all("Channel") if channel is not None else ():
                keys = line.find("Key")
                default = line.value("Default")
                curve = curve_node(
                    keys.properties if keys is not None else (),
                    float(default) if isinstance(default, (int, float, np.number)) else None,
                )
                if channel is not None and curve is not None and line.properties[:1] in (["X"], ["Y"], ["Z"]):
                    yield channel, str(line.properties[0]), curve


def _full(name: Any) -> str:
    """`Model::Hips` of text files as binary ones have it."""
    text = str(name)
    kind, separator, rest = text.partition("::")
    return full_name(rest, kind) if separator else text


def _kind(name: Any) -> str:
    """Class of a full name; that of skins and of clusters is one."""
    return _full(name).rpartition("\x01")[2].removeprefix("Sub")


def _properties(node: FbxNode) -> FbxNode:
    """`Property: name, type, flags, values` as `P: name, type, label, flags, values`."""
    made = FbxNode("Properties70")
    for entry in node.all("Property"):
        made.add("P", *entry.properties[:2], "", *entry.properties[2:])
    return made


def _pose_node(node: FbxNode, model: int) -> FbxNode:
    made = FbxNode("PoseNode")
    made.add("Node", np.int64(model))
    made.children += [child for child in node.children if child.name == "Matrix"]
    return made


def _settings(node: FbxNode, root: FbxNode) -> FbxNode:
    """Global settings; where they have no time mode, the frame rate of the older place for it."""
    made = FbxNode("GlobalSettings")
    block = _properties(node.find("Properties60") or FbxNode("Properties60"))
    made.children.append(block)
    version5 = root.find("Version5")
    older = version5.find("Settings") if version5 is not None else None
    rate = older.value("FrameRate") if older is not None else None
    known = {entry.properties[0] for entry in block.children}
    if "TimeMode" not in known and _is_rate(rate):
        block.add("P", "TimeMode", "enum", "", "", CUSTOM_MODE)
        block.add("P", "CustomFrameRate", "double", "Number", "", float(str(rate)))
    return made


def _is_rate(text: Any) -> bool:
    try:
        return 0 < float(str(text)) < 1000
    except ValueError:
        return False
