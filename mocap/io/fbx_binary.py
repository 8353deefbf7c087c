"""The binary encoding of FBX: records with lengths, arrays packed by zlib. Little-endian throughout.

Before 7.5 a record starts with three uint32 (end offset in the file, number and length of its properties), from 7.5 on
with three uint64; then the length and letters of its name. A list of children ends with a record of zeros. The layout
was published by the Blender Foundation ("FBX binary file format specification", 2013) and is that of ufbx and assimp.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from mocap.core.errors import FileFormatError
from mocap.io.fbx_node import FbxNode

MAGIC = b"Kaydara FBX Binary  \x00\x1a\x00"
WIDE_VERSION = 7500
FIRST_WITHOUT_LETTERS = 7000  # before, the type of truth values serves for the letters of animation keys too
# The end of a file is a function of FileId and CreationTime that nobody has published; these three belong together and
# are what every free writer puts.
FILE_ID = bytes.fromhex("28b32aebb624ccc2bfc8b02aa92bfcf1")
CREATION_TIME = "1970-01-01 10:00:00:000"
FOOTER = bytes.fromhex("fabcab09d0c8d466b176fb831cf7267e")
FOOTER_MAGIC = bytes.fromhex("f85a8c6adef5d97eece90ce3758f290b")

PACKED_FROM_BYTES = 128
ALWAYS_CLOSED = {"AnimationStack", "AnimationLayer"}  # the SDK wants the end of children even where there are none
MAX_DEPTH = 64

_SCALARS = {"C": "<?", "Y": "<h", "I": "<i", "L": "<q", "F": "<f", "D": "<d"}
_ARRAYS = {"b": "?", "i": "<i4", "l": "<i8", "f": "<f4", "d": "<f8"}
_ARRAY_CODES = {np.dtype(kind): code for code, kind in _ARRAYS.items()}
_SCALAR_CODES: tuple[tuple[type | tuple[type, ...], str], ...] = (
    ((bool, np.bool_), "C"),
    (np.int16, "Y"),
    (np.int64, "L"),
    ((int, np.int32), "I"),
    (np.float32, "F"),
    ((float, np.float64), "D"),
)
_READ_AS = {"C": np.bool_, "Y": np.int16, "I": int, "L": np.int64, "F": np.float32, "D": float}


def encode_binary(root: FbxNode) -> bytes:
    """The bytes of a file. `root.version` says which layout; the root itself has neither name nor properties."""
    parts = [MAGIC + struct.pack("<I", root.version)]
    position = len(parts[0])
    wide = root.version >= WIDE_VERSION
    for child in root.children:
        record = _record(child, position, wide)
        parts.append(record)
        position += len(record)
    parts += [_null(wide), FOOTER, bytes(4)]
    position += len(_null(wide)) + len(FOOTER) + 4
    parts += [bytes(16 - position % 16), struct.pack("<I", root.version), bytes(120), FOOTER_MAGIC]
    return b"".join(parts)


def _null(wide: bool) -> bytes:
    return bytes(25 if wide else 13)


def _record(node: FbxNode, start: int, wide: bool) -> bytes:
    name = node.name.encode()
    properties = b"".join(_property(value) for value in node.properties)
    position = start + (25 if wide else 13) + len(name) + len(properties)
    children = []
    for child in node.children:
        children.append(_record(child, position, wide))
        position += len(children[-1])
    if node.children or not node.properties or node.name in ALWAYS_CLOSED:
        children.append(_null(wide))
        position += len(children[-1])
    header = struct.pack("<3Q" if wide else "<3I", position, len(node.properties), len(properties))
    return b"".join([header, bytes([len(name)]), name, properties, *children])


def _property(value: Any) -> bytes:
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, (str, bytes)):
        content = value.encode() if isinstance(value, str) else value
        return (b"S" if isinstance(value, str) else b"R") + struct.pack("<I", len(content)) + content
    for kind, code in _SCALAR_CODES:
        if isinstance(value, kind):
            return code.encode() + struct.pack(_SCALARS[code], value)
    raise TypeError(f"{type(value).__name__} is no type of an FBX property")


def _array(values: np.ndarray) -> bytes:
    code = _ARRAY_CODES[values.dtype.newbyteorder("<")]
    content = np.ascontiguousarray(values, dtype=_ARRAYS[code]).tobytes()
    packed = len(content) >= PACKED_FROM_BYTES
    if packed:
        content = zlib.compress(content, 6)
    return code.encode() + struct.pack("<3I", values.size, packed, len(content)) + content


def decode_binary(data: bytes, where: str) -> FbxNode:
    """The tree of a file; every length is checked against the file before it is believed."""
    if len(data) < len(MAGIC) + 4 or not data.startswith(MAGIC):
        raise FileFormatError("is not a binary FBX file", where=where)
    (version,) = struct.unpack_from("<I", data, len(MAGIC))
    if not 6000 <= version < 8000:
        raise FileFormatError(f"is FBX of version {version}; 6000 to 7999 are known", where=where)
    reader = _Reader(data, where, version)
    children, _ = reader.records(len(MAGIC) + 4, len(data), depth=0)
    return FbxNode("", [], children, version)


class _Reader:
    def __init__(self, data: bytes, where: str, version: int) -> None:
        self.data, self.where = data, where
        self.head = struct.Struct("<3QB" if version >= WIDE_VERSION else "<3IB")
        self.has_letters = version < FIRST_WITHOUT_LETTERS

    def fail(self, what: str, at: int) -> FileFormatError:
        """An error that says where the file is damaged."""
        return FileFormatError(f"{what} at byte {at}; the file is damaged or cut short", where=self.where)

    def records(self, start: int, stop: int, *, depth: int) -> tuple[list[FbxNode], int]:
        """The records from `start` up to a null record or `stop`, and where they end."""
        if depth > MAX_DEPTH:
            raise self.fail(f"records nest deeper than {MAX_DEPTH}", start)
        found = []
        while start < stop:
            if start + self.head.size > stop:
                raise self.fail("a record is cut", start)
            end, count, length, name_length = self.head.unpack_from(self.data, start)
            if end == 0:
                return found, start + self.head.size
            first = start + self.head.size + name_length
            if not first + length <= end <= stop or count > length:
                raise self.fail("a record does not fit", start)
            name = self.data[first - name_length : first].decode("utf-8", errors="replace")
            properties = self.properties(first, first + length, count)
            children, _ = self.records(first + length, end, depth=depth + 1)
            found.append(FbxNode(name, properties, children))
            start = end
        if depth == 0:
            raise self.fail("the last record is missing", start)
        return found, start

    def properties(self, start: int, stop: int, count: int) -> list[Any]:
        """So many values in a row."""
        values = []
        for _ in range(count):
            if start >= stop:
                raise self.fail("properties are missing", start)
            value, start = self.one(start, stop)
            values.append(value)
        return values

    def one(self, start: int, stop: int) -> tuple[Any, int]:
        """A value, and where it ends."""
        code = chr(self.data[start])
        at = start + 1
        if code == "C" and self.has_letters and at < stop and self.data[at] > 1:
            return chr(self.data[at]), at + 1
        if code in _SCALARS:
            layout = struct.Struct(_SCALARS[code])
            self.require(at + layout.size, stop, start)
            return _READ_AS[code](layout.unpack_from(self.data, at)[0]), at + layout.size
        if code in "SR":
            self.require(at + 4, stop, start)
            end = at + 4 + struct.unpack_from("<I", self.data, at)[0]
            self.require(end, stop, start)
            content = self.data[at + 4 : end]
            return (content.decode("utf-8", errors="replace") if code == "S" else content), end
        if code in _ARRAYS:
            return self.array(code, at, stop)
        raise self.fail(f"no property has the type {code!r}", start)

    def array(self, code: str, at: int, stop: int) -> tuple[np.ndarray, int]:
        """An array of numbers after its letter, and where it ends."""
        self.require(at + 12, stop, at)
        count, packed, length = struct.unpack_from("<3I", self.data, at)
        end = at + 12 + length
        self.require(end, stop, at)
        content = self.data[at + 12 : end]
        kind = np.dtype(_ARRAYS[code])
        wanted = count * kind.itemsize
        if packed:
            try:  # never more than the array may hold: a few bytes of zlib can stand for gigabytes
                content = zlib.decompressobj().decompress(content, wanted + 1)
            except zlib.error as error:
                raise self.fail(f"an array does not unpack ({error})", at) from None
        if len(content) != wanted:
            raise self.fail(f"an array of {count} numbers has {len(content)} bytes", at)
        return np.frombuffer(content, dtype=kind).copy(), end

    def require(self, end: int, stop: int, at: int) -> None:
        """Refuse what would reach beyond `stop`."""
        if end > stop:
            raise self.fail("a property does not fit", at)
