"""OpenCV's FileStorage files (YAML or XML), read as plain values by OpenCV itself and written as text.

OpenCV's reader knows maps, sequences, numbers and strings; tags of other languages in a YAML file build nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from calibration.errors import CalibrationError
from calibration.file_fields import Document

HEADER = "%YAML:1.0\n---\n"
Entry = str | int | float | Sequence[str] | np.ndarray


def is_storage(document: Document) -> bool:
    """Whether the text starts like a file of OpenCV."""
    head = document.text.lstrip()[:400]
    return head.startswith("%YAML") or "<opencv_storage>" in head


def read_storage(document: Document) -> dict[str, object]:
    """The entries of the file; a matrix is a list of rows."""
    mode = cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY
    headed = document.text if document.text.lstrip().startswith(("%YAML", "---", "<")) else f"{HEADER}{document.text}"
    try:
        storage = cv2.FileStorage(headed, mode)
        root = storage.root()
        return {key: _value(root.getNode(key)) for key in root.keys()}  # noqa: SIM118  (a FileNode is no dict)
    except (cv2.error, SystemError) as error:
        reason = str(error.__cause__ or error).split("error: ")[-1].splitlines()[0]
        raise CalibrationError(f"OpenCV cannot parse it: {reason}", where=document.path) from None


def _value(node: cv2.FileNode) -> object:
    if node.isMap():
        entries = {key: _value(node.getNode(key)) for key in node.keys()}  # noqa: SIM118
        return _matrix(entries) if {"rows", "cols", "data"} <= set(entries) else entries
    if node.isSeq():
        return [_value(node.at(index)) for index in range(node.size())]
    if node.isInt():
        return int(node.real())
    return node.real() if node.isReal() else node.string()


def _matrix(entries: Mapping[str, object]) -> object:
    rows, cols, data = entries["rows"], entries["cols"], entries["data"]
    if not (isinstance(rows, int) and isinstance(cols, int) and isinstance(data, list)):
        return dict(entries)
    if rows * cols != len(data):
        return f"a {rows}x{cols} matrix with {len(data)} numbers"
    return [data[row * cols : (row + 1) * cols] for row in range(rows)]


def storage_text(entries: Mapping[str, Entry]) -> str:
    """YAML that every version of OpenCV reads; floats keep every digit."""
    return HEADER + "".join(f"{line}\n" for key, value in entries.items() for line in _lines(key, value))


def _lines(key: str, value: Entry) -> list[str]:
    if isinstance(value, np.ndarray):
        numbers = ", ".join(repr(float(v)) for v in value.reshape(-1))
        rows, cols = value.reshape(len(value), -1).shape
        head = [f"{key}: !!opencv-matrix", f"   rows: {rows}", f"   cols: {cols}", "   dt: d"]
        return [*head, f"   data: [ {numbers} ]"]
    if isinstance(value, str):
        return [f"{key}: {json.dumps(value, ensure_ascii=False)}"]
    if isinstance(value, int | float):
        return [f"{key}: {value!r}"]
    return [f"{key}:", *(f"   - {json.dumps(item, ensure_ascii=False)}" for item in value)]
