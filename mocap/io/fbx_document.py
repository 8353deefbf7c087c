"""What every FBX file says before and after its objects: header, axes, unit, frame rate, counts, connections.

Convention: right-handed; `UnitScaleFactor` is centimetres a unit. Time is counted in 1 / 46,186,158,000 s.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mocap.io.axes import Up, metres_per
from mocap.io.fbx_binary import CREATION_TIME, FILE_ID
from mocap.io.fbx_node import TICKS_PER_SECOND, FbxNode

CREATOR = "mocap-pipeline"
# FbxTime::EMode of the rates that have one. Readers know them by heart; every other rate is custom, with its number.
TIME_MODES = {
    **{120.0: 1, 100.0: 2, 60.0: 3, 50.0: 4, 48.0: 5, 30.0: 6, 25.0: 10, 24.0: 11, 1000.0: 12, 96.0: 15, 72.0: 16},
    **{30 / 1.001: 9, 24 / 1.001: 13, 60 / 1.001: 17, 120 / 1.001: 18},
}
CUSTOM_MODE = 14
SAME_RATE = 1e-12
AXES = {  # up, front, side: the axis and its sign; see mocap.io.axes
    "y": {"Up": (1, 1), "Front": (2, 1), "Coord": (0, 1)},
    "z": {"Up": (2, 1), "Front": (1, -1), "Coord": (0, 1)},
}
_TEMPLATES = {"Model": "FbxNode", "Geometry": "FbxMesh", "Material": "FbxSurfaceLambert"}


def ticks(seconds: np.ndarray | float) -> np.ndarray:
    """Seconds in the unit of time of FBX, to the nearest."""
    return np.rint(np.asarray(seconds, dtype=np.float64) * TICKS_PER_SECOND).astype(np.int64)


def frame_ticks(n_frames: int, fps: float) -> np.ndarray:
    """Times of the frames, the first at 0."""
    return ticks(np.arange(n_frames) / fps)


def set_properties(node: FbxNode, *entries: tuple[Any, ...]) -> FbxNode:
    """`Properties70` with entries of (name, type, label, flags, values…)."""
    properties = node.add("Properties70")
    for entry in entries:
        properties.add("P", *entry)
    return properties


@dataclass
class FbxObjects:
    """Objects of a document and what hangs on what. Ids are counted, so the same scene gives the same bytes."""

    nodes: list[FbxNode] = field(default_factory=list)
    connections: list[FbxNode] = field(default_factory=list)
    last_id: int = 1_000_000

    def add(self, kind: str, name: str, subtype: str) -> tuple[FbxNode, np.int64]:
        """A new object and its id; `name` is the full one (`fbx_node.full_name`)."""
        self.last_id += 1
        node = FbxNode(kind, [np.int64(self.last_id), name, subtype])
        self.nodes.append(node)
        return node, np.int64(self.last_id)

    def connect(self, child: np.int64, parent: np.int64 | int, to_property: str = "") -> None:
        """Hang an object on another (0 is the scene), or on a property of it."""
        more = (to_property,) if to_property else ()
        self.connections.append(FbxNode("C", ["OP" if more else "OO", child, np.int64(parent), *more]))


@dataclass(frozen=True)
class TimeSpan:
    """Name and length of a take."""

    name: str
    stop_ticks: int


def document(
    objects: FbxObjects, *, version: int, up: Up, metres_per_unit: float, fps: float, takes: list[TimeSpan]
) -> FbxNode:
    """A whole file, ready to be encoded. `takes`: the first is the one that plays; none in a file without motion."""
    root = FbxNode("", version=version)
    _header(root, version)
    _global_settings(root, up, metres_per(metres_per_unit), fps, takes)
    active = takes[0].name if takes else ""
    documents = root.add("Documents")
    documents.add("Count", 1)
    scene = documents.add("Document", np.int64(999_999), "Scene", "Scene")
    set_properties(scene, ("SourceObject", "object", "", ""), ("ActiveAnimStackName", "KString", "", "", active))
    scene.add("RootNode", np.int64(0))
    root.add("References")
    _definitions(root, objects)
    root.add("Objects").children = objects.nodes
    root.add("Connections").children = objects.connections
    _takes(root, takes)
    return root


def _header(root: FbxNode, version: int) -> None:
    header = root.add("FBXHeaderExtension")
    header.add("FBXHeaderVersion", 1003)
    header.add("FBXVersion", version)
    header.add("EncryptionType", 0)
    stamp = header.add("CreationTimeStamp")
    for name, value in zip(
        ("Version", "Year", "Month", "Day", "Hour", "Minute", "Second", "Millisecond"),
        (1000, 1970, 1, 1, 10, 0, 0, 0),
        strict=True,
    ):
        stamp.add(name, value)
    header.add("Creator", CREATOR)
    info = header.add("SceneInfo", "GlobalInfo\x00\x01SceneInfo", "UserData")
    info.add("Type", "UserData")
    info.add("Version", 100)
    meta = info.add("MetaData")
    meta.add("Version", 100)
    for name in ("Title", "Subject", "Author", "Keywords", "Revision", "Comment"):
        meta.add(name, "")
    set_properties(
        info,
        ("Original|ApplicationName", "KString", "", "", CREATOR),
        ("LastSaved|ApplicationName", "KString", "", "", CREATOR),
    )
    root.add("FileId", FILE_ID)
    root.add("CreationTime", CREATION_TIME)
    root.add("Creator", CREATOR)


def _global_settings(root: FbxNode, up: Up, metres_per_unit: float, fps: float, takes: list[TimeSpan]) -> None:
    settings = root.add("GlobalSettings")
    settings.add("Version", 1000)
    entries: list[tuple[Any, ...]] = []
    for name, (axis, sign) in AXES[up].items():
        entries.append((f"{name}Axis", "int", "Integer", "", axis))
        entries.append((f"{name}AxisSign", "int", "Integer", "", sign))
    stop = max((take.stop_ticks for take in takes), default=0)
    mode = next((mode for rate, mode in TIME_MODES.items() if abs(rate / fps - 1) < SAME_RATE), CUSTOM_MODE)
    centimetres = metres_per_unit * 100
    set_properties(
        settings,
        *entries,
        ("OriginalUpAxis", "int", "Integer", "", AXES[up]["Up"][0]),
        ("OriginalUpAxisSign", "int", "Integer", "", 1),
        ("UnitScaleFactor", "double", "Number", "", centimetres),
        ("OriginalUnitScaleFactor", "double", "Number", "", centimetres),
        ("AmbientColor", "ColorRGB", "Color", "", 0.0, 0.0, 0.0),
        ("DefaultCamera", "KString", "", "", "Producer Perspective"),
        ("TimeMode", "enum", "", "", mode),
        ("TimeProtocol", "enum", "", "", 2),
        ("SnapOnFrameMode", "enum", "", "", 0),
        ("TimeSpanStart", "KTime", "Time", "", np.int64(0)),
        ("TimeSpanStop", "KTime", "Time", "", np.int64(stop)),
        ("CustomFrameRate", "double", "Number", "", fps if mode == CUSTOM_MODE else -1.0),
        ("CurrentTimeMarker", "int", "Integer", "", -1),
    )


def _definitions(root: FbxNode, objects: FbxObjects) -> None:
    counts = Counter(node.name for node in objects.nodes)
    definitions = root.add("Definitions")
    definitions.add("Version", 100)
    definitions.add("Count", sum(counts.values()) + 1)
    for name, count in {"GlobalSettings": 1, **counts}.items():
        kind = definitions.add("ObjectType", name)
        kind.add("Count", count)
        if name in _TEMPLATES:
            template = kind.add("PropertyTemplate", _TEMPLATES[name])
            set_properties(template, *_template(name))


def _template(name: str) -> list[tuple[Any, ...]]:
    """Values that objects have where they say nothing."""
    if name != "Model":
        return [("Color", "ColorRGB", "Color", "", 0.8, 0.8, 0.8)] if name == "Geometry" else _material_template()
    vectors = ("RotationOffset", "RotationPivot", "ScalingOffset", "ScalingPivot", "PreRotation", "PostRotation")
    return [
        ("QuaternionInterpolate", "enum", "", "", 0),
        *[(vector, "Vector3D", "Vector", "", 0.0, 0.0, 0.0) for vector in vectors],
        ("RotationOrder", "enum", "", "", 0),
        ("RotationActive", "bool", "", "", 0),
        ("InheritType", "enum", "", "", 0),
        ("GeometricTranslation", "Vector3D", "Vector", "", 0.0, 0.0, 0.0),
        ("GeometricRotation", "Vector3D", "Vector", "", 0.0, 0.0, 0.0),
        ("GeometricScaling", "Vector3D", "Vector", "", 1.0, 1.0, 1.0),
        ("Show", "bool", "", "", 1),
        ("DefaultAttributeIndex", "int", "Integer", "", -1),
        ("Lcl Translation", "Lcl Translation", "", "A", 0.0, 0.0, 0.0),
        ("Lcl Rotation", "Lcl Rotation", "", "A", 0.0, 0.0, 0.0),
        ("Lcl Scaling", "Lcl Scaling", "", "A", 1.0, 1.0, 1.0),
        ("Visibility", "Visibility", "", "A", 1.0),
        ("Visibility Inheritance", "Visibility Inheritance", "", "", 1),
    ]


def _material_template() -> list[tuple[Any, ...]]:
    return [
        ("ShadingModel", "KString", "", "", "Lambert"),
        ("DiffuseColor", "Color", "", "A", 0.8, 0.8, 0.8),
        ("DiffuseFactor", "Number", "", "A", 1.0),
    ]


def _takes(root: FbxNode, takes: list[TimeSpan]) -> None:
    node = root.add("Takes")
    node.add("Current", takes[0].name if takes else "")
    for span in takes:
        take = node.add("Take", span.name)
        take.add("FileName", f"{span.name}.tak")
        for name in ("LocalTime", "ReferenceTime"):
            take.add(name, np.int64(0), np.int64(span.stop_ticks))
