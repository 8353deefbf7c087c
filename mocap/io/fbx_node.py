"""The tree of which every FBX file is made, whatever its encoding.

A record has a name, properties and child records. A property's type on disk follows from its Python type:

    np.bool_ C | np.int16 Y | int, np.int32 I | np.int64 L | np.float32 F | float D | str S | bytes R
    arrays: bool b | int32 i | int64 l | float32 f | float64 d

Objects have names of two parts: "Hips" of class "Model" is `Hips\\0\\1Model` in binary files and `Model::Hips` in text.
Both are read as the first of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SEPARATOR = "\x00\x01"
TICKS_PER_SECOND = 46_186_158_000


@dataclass
class FbxNode:
    """One record. `version` counts for the root alone: 7400 is FBX 7.4."""

    name: str
    properties: list[Any] = field(default_factory=list)
    children: list[FbxNode] = field(default_factory=list)
    version: int = 0

    def add(self, name: str, *properties: Any) -> FbxNode:
        """Append a child and return it."""
        child = FbxNode(name, list(properties))
        self.children.append(child)
        return child

    def find(self, name: str) -> FbxNode | None:
        """The first child of that name."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[FbxNode]:
        """Every child of that name."""
        return (child for child in self.children if child.name == name)

    def value(self, name: str, default: Any = None) -> Any:
        """The first property of the first child of that name."""
        child = self.find(name)
        return child.properties[0] if child is not None and child.properties else default

    def array(self, name: str, kind: type = np.float64) -> np.ndarray:
        """The numbers of a child: its array (7.x), or its properties (6.x); empty where there is none."""
        child = self.find(name)
        if child is None:
            return np.zeros(0, dtype=kind)
        if len(child.properties) == 1 and isinstance(child.properties[0], np.ndarray):
            return child.properties[0].astype(kind)
        return np.array([p for p in child.properties if isinstance(p, (int, float, np.number))], dtype=kind)


def object_name(node: FbxNode) -> str:
    """The name of an object, without its class."""
    for value in node.properties:
        if isinstance(value, str):
            return value.split(SEPARATOR, 1)[0]
    return ""


def full_name(name: str, kind: str) -> str:
    """A name with its class."""
    return f"{name}{SEPARATOR}{kind}"
