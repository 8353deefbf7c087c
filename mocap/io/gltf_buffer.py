"""The container of a binary glTF: a JSON document beside one buffer of numbers (glTF 2.0, Khronos, ISO/IEC 12113:2022).

A GLB is 12 bytes of header (magic, version 2, length), then chunks (length, type, content, each a multiple of 4 bytes):
the JSON, padded by spaces, and the buffer, padded by zeros.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Literal

import numpy as np

MAGIC, VERSION = b"glTF", 2
JSON_CHUNK, BINARY_CHUNK = b"JSON", b"BIN\0"

COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
"""componentType to numpy's little-endian name."""

SHAPES: dict[str, tuple[int, ...]] = {
    "SCALAR": (),
    "VEC2": (2,),
    "VEC3": (3,),
    "VEC4": (4,),
    "MAT2": (2, 2),
    "MAT3": (3, 3),
    "MAT4": (4, 4),
}
"""Shape of one element. Matrices are stored column by column."""

VERTICES, INDICES = 34962, 34963


class GltfBuilder:
    """Collects the lists of a document and the numbers they refer to."""

    def __init__(self, generator: str) -> None:
        self.document: dict[str, Any] = {"asset": {"version": "2.0", "generator": generator}}
        self._buffer = bytearray()

    @classmethod
    def of_document(cls, document: dict[str, Any], buffer: bytes) -> GltfBuilder:
        """To add to a file; the document itself is changed."""
        builder = cls("")
        builder.document, builder._buffer = document, bytearray(buffer)
        return builder

    def add(self, section: str, item: dict[str, Any]) -> int:
        """Append to `nodes`, `meshes`, …; its index there."""
        items = self.document.setdefault(section, [])
        items.append(item)
        return len(items) - 1

    def add_accessor(
        self, values: np.ndarray, *, target: Literal[34962, 34963] | None = None, bounds: bool = False
    ) -> int:
        """Numbers as they are typed (float32, uint8, uint16, uint32), one row an element; its index among accessors.

        bounds: state the least and greatest of each component, as positions and times of animation must.
        """
        component = next(code for code, name in COMPONENTS.items() if np.dtype(name) == values.dtype)
        kind = next(name for name, shape in SHAPES.items() if shape == values.shape[1:])
        columns = values.swapaxes(-1, -2) if values.ndim == 3 else values
        view: dict[str, Any] = {"buffer": 0, "byteOffset": len(self._buffer), "byteLength": values.nbytes}
        if target is not None:
            view["target"] = target
        self._buffer += np.ascontiguousarray(columns).astype(COMPONENTS[component]).tobytes()
        self._buffer += b"\0" * (-len(self._buffer) % 4)
        accessor: dict[str, Any] = {
            "bufferView": self.add("bufferViews", view),
            "componentType": component,
            "count": len(values),
            "type": kind,
        }
        if bounds:
            flat = values.reshape(len(values), -1)
            accessor |= {"min": flat.min(axis=0).tolist(), "max": flat.max(axis=0).tolist()}
        return self.add("accessors", accessor)

    def to_bytes(self) -> bytes:
        """The file."""
        document = dict(self.document)
        if self._buffer:
            document["buffers"] = [{"byteLength": len(self._buffer)}]
        text = json.dumps(document, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
        chunks = _chunk(JSON_CHUNK, text + b" " * (-len(text) % 4))
        if self._buffer:
            chunks += _chunk(BINARY_CHUNK, bytes(self._buffer))
        return struct.pack("<4sII", MAGIC, VERSION, 12 + len(chunks)) + chunks


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack("<I4s", len(content), kind) + content
