"""The parameter section of a C3D file: named groups of named arrays (the C3D user guide, Motion Lab Systems, 2021).

A record is the length of its name, the group's number (negative for the group itself), the name, the distance from here
to the next record (0 in the last), then for a parameter its type (-1 text, 1 bytes, 2 int16, 4 float32), dimensions and
values, first index fastest; then a description.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mocap.core.errors import InputError

BLOCK = 512
INTEL, DEC, MIPS = 84, 85, 86
Groups = dict[str, dict[str, np.ndarray]]
"""Values by group and parameter, names in capitals. Texts are arrays of str; numbers have indices in C's order."""


@dataclass(frozen=True)
class Processor:
    """How numbers are kept: of Intel, of MIPS (big-endian) and of DEC (words swapped, exponent larger by 2)."""

    kind: int

    @property
    def order(self) -> Literal["<", ">"]:
        return ">" if self.kind == MIPS else "<"

    def integers(self, content: bytes) -> np.ndarray:
        """int16."""
        return np.frombuffer(content, f"{self.order}i2").astype(np.int16)

    def floats(self, content: bytes) -> np.ndarray:
        """float32."""
        if self.kind != DEC:
            return np.frombuffer(content, f"{self.order}f4").astype(np.float32)
        words = np.frombuffer(content, "<u2").reshape(-1, 2)[:, ::-1]
        return np.ascontiguousarray(words).view("<f4")[:, 0] / np.float32(4)


def processor_of(section: bytes) -> Processor:
    """From the fourth byte of the parameter section."""
    kind = section[3] if len(section) > 3 else 0
    if kind not in (INTEL, DEC, MIPS):
        raise InputError(f"states processor {kind}; known are {INTEL} (Intel), {DEC} (DEC) and {MIPS} (MIPS)")
    return Processor(kind)


def read_parameters(section: bytes) -> Groups:
    """All groups of a parameter section, which begins with its own four bytes."""
    processor = processor_of(section)
    names: dict[int, str] = {}
    found: dict[int, dict[str, np.ndarray]] = {}
    place = 4
    while place + 2 <= len(section):
        length, number = struct.unpack_from("bb", section, place)
        if length == 0 or number == 0:
            break
        start = place + 2 + abs(length)  # a negative length locks the record
        name = section[place + 2 : start].decode("ascii", errors="replace").strip().upper()
        if start + 2 > len(section):
            raise InputError(f"ends within its parameter {name}")
        step = int(processor.integers(section[start : start + 2])[0])
        if number < 0:
            names[-number] = name
        else:
            found.setdefault(number, {})[name] = _value(section, start + 2, processor, name)
        if step <= 0:
            break
        place = start + step
    return {names.get(number, f"GROUP{number}"): values for number, values in found.items()}


def _value(section: bytes, place: int, processor: Processor, name: str) -> np.ndarray:
    kind, n_dimensions = struct.unpack_from("bB", section, place)
    shape = tuple(section[place + 2 : place + 2 + n_dimensions])
    start = place + 2 + n_dimensions
    content = section[start : start + int(np.prod(shape)) * abs(kind)]
    if kind not in (-1, 1, 2, 4) or len(content) < int(np.prod(shape)) * abs(kind):
        raise InputError(f"has a parameter {name} of type {kind} and shape {shape} that it does not hold")
    if kind == -1:
        return _texts(content, shape)
    if kind == 1:
        values = np.frombuffer(content, np.uint8)
    else:
        values = processor.integers(content) if kind == 2 else processor.floats(content)
    return values.reshape(shape[::-1])


def _texts(content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The first dimension is the length of each text."""
    text = content.decode("utf-8", errors="replace") if len(shape) < 2 else ""
    if len(shape) < 2:
        return np.array([text.rstrip("\0 ")], dtype=np.str_)
    width, count = shape[0], int(np.prod(shape[1:]))
    pieces = (content[width * n : width * (n + 1)] for n in range(count))
    return np.array([piece.decode("utf-8", errors="replace").rstrip("\0 ") for piece in pieces], dtype=np.str_)


def parameter_bytes(groups: Mapping[str, Mapping[str, object]]) -> bytes:
    """A parameter section in whole blocks, of an Intel processor.

    A value is a text, a list of texts (of bytes for those that are padded already), an int16 or float32 array, an int
    (int16) or a float (float32).
    """
    records: list[bytes] = []
    for number, (group, parameters) in enumerate(groups.items(), start=1):
        records.append(_record(group, -number, b""))
        records += [_record(name, number, _packed(value)) for name, value in parameters.items()]
    content = b"".join(records[:-1]) + _record_without_next(records[-1])
    n_blocks = -(-(len(content) + 4) // BLOCK)
    if n_blocks > 255:
        raise InputError(f"needs {n_blocks} blocks for its parameters; a C3D file has at most 255")
    return (bytes([1, 0x50, n_blocks, INTEL]) + content).ljust(n_blocks * BLOCK, b"\0")


def _record(name: str, number: int, value: bytes) -> bytes:
    encoded = name.encode("ascii")
    return struct.pack("bb", len(encoded), number) + encoded + struct.pack("<h", 2 + len(value) + 1) + value + b"\0"


def _record_without_next(record: bytes) -> bytes:
    start = 2 + record[0]
    return record[:start] + b"\0\0" + record[start + 2 :]


def _packed(value: object) -> bytes:
    """Type, dimensions and values."""
    if isinstance(value, str):
        encoded = value.encode()
        return struct.pack("bBB", -1, 1, len(encoded)) + encoded
    if isinstance(value, list):
        encoded = [str(text).encode() for text in value]
        width = max((len(text) for text in encoded), default=0)
        return struct.pack("bBBB", -1, 2, width, len(encoded)) + b"".join(text.ljust(width) for text in encoded)
    array = np.asarray(value)
    kind, dtype = (4, "<f4") if array.dtype.kind == "f" else (2, "<i2")
    return struct.pack("bB", kind, array.ndim) + bytes(array.shape[::-1]) + array.astype(dtype).tobytes()
