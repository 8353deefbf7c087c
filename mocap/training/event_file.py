"""Scalars as TensorBoard reads them, without TensorBoard.

An event file is a row of records: length (uint64), its checksum, the content, its checksum (TFRecord; CRC-32C rotated
by 15 bits plus a constant). A content is the protocol buffer `Event`: wall_time = 1, step = 2, file_version = 3,
summary = 5 (value = 1: tag = 1, simple_value = 2), session_log = 7 (status = 1).
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

CASTAGNOLI = 0x82F63B78
MASK_DELTA = 0xA282EAD8
VERSION = b"brain.Event:2"
SESSION_START = 1
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (CASTAGNOLI if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


_TABLE = _crc_table()


class EventFile:
    """A new event file in a folder. Steps from `start_step` on in older files of the folder count no longer."""

    def __init__(self, folder: Path, start_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns() // 1000}.{os.getpid()}"
        self._stream = (folder / name).open("wb")
        self._write(_event(0) + _bytes(3, VERSION))
        self._write(_event(start_step) + _bytes(7, _number(1, SESSION_START)))

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars of a step, by tag."""
        summary = b"".join(
            _bytes(1, _bytes(1, tag.encode()) + _key(2, FIXED32) + struct.pack("<f", value))
            for tag, value in values.items()
        )
        self._write(_event(step) + _bytes(5, summary))

    def close(self) -> None:
        self._stream.close()

    def _write(self, content: bytes) -> None:
        length = struct.pack("<Q", len(content))
        self._stream.write(length + _checksum(length) + content + _checksum(content))
        self._stream.flush()


def masked_crc32c(data: bytes) -> int:
    """TFRecord's checksum."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """The cyclic redundancy check of Castagnoli's polynomial (RFC 3720, B.4)."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _checksum(data: bytes) -> bytes:
    return struct.pack("<I", masked_crc32c(data))


def _event(step: int) -> bytes:
    return _key(1, FIXED64) + struct.pack("<d", time.time()) + (_number(2, step) if step else b"")


def _key(field: int, kind: int) -> bytes:
    return _varint(field << 3 | kind)


def _number(field: int, value: int) -> bytes:
    return _key(field, VARINT) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, BYTES) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    parts.append(value)
    return bytes(parts)
