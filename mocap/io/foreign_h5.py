"""HDF5 files that strangers wrote: only plain arrays inside the file itself, bounded in size."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mocap.core.errors import FileFormatError

MAX_ELEMENTS = 200_000_000
"""1.6 GB as float64: three hours at 60 Hz of two people with 133 keypoints. A compressed file can claim any size."""


@contextmanager
def open_foreign_h5(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; what h5py raises while it is open becomes a FileFormatError."""
    if not path.is_file():
        raise FileFormatError("no such file", where=path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except FileFormatError:
        raise
    except (OSError, RuntimeError, KeyError) as error:
        raise FileFormatError(
            f"not a readable HDF5 file ({error})",
            where=path,
            remedy="If it was compressed with blosc, save it again without compression or with zlib.",
        ) from None


def child_group(parent: h5py.Group, name: str, path: Path) -> h5py.Group:
    """A group that lies in this very file."""
    child = _hard_child(parent, name, path)
    if not isinstance(child, h5py.Group):
        raise FileFormatError(f"{_place(parent, name)}: expected a group", where=path)
    return child


def read_array(parent: h5py.Group, name: str, path: Path) -> np.ndarray:
    """A numeric or record dataset as an array."""
    dataset = _plain_dataset(parent, name, path)
    if dataset.dtype.hasobject:
        raise FileFormatError(f"{_place(parent, name)}: holds objects, which are not read", where=path)
    return np.asarray(dataset[()])


def read_texts(parent: h5py.Group, name: str, path: Path) -> tuple[str, ...]:
    """A dataset of texts of fixed or variable length, flattened."""
    dataset = _plain_dataset(parent, name, path)
    if h5py.check_string_dtype(dataset.dtype) is None:
        raise FileFormatError(f"{_place(parent, name)}: expected a list of texts", where=path)
    return tuple(as_text(item) for item in np.asarray(dataset[()]).reshape(-1))


def whole_number(parent: h5py.Group, name: str, path: Path) -> int:
    """An attribute that counts something."""
    value = parent.attrs.get(name)
    if not isinstance(value, (int, np.integer)) or value < 0:
        raise FileFormatError(f"{_place(parent, name)} is not a count", where=path)
    return int(value)


def as_text(value: Any) -> str:
    """An attribute or element as text; HDF5 writers leave bytes, numpy bytes or str."""
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _hard_child(parent: h5py.Group, name: str, path: Path) -> object:
    link = parent.get(name, getlink=True)
    if link is None:
        raise FileFormatError(f"{_place(parent, name)} is missing", where=path)
    if not isinstance(link, h5py.HardLink):
        raise FileFormatError(f"{_place(parent, name)}: links to elsewhere are not followed", where=path)
    return parent[name]


def _plain_dataset(parent: h5py.Group, name: str, path: Path) -> h5py.Dataset:
    dataset = _hard_child(parent, name, path)
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise FileFormatError(f"{_place(parent, name)}: expected an array", where=path)
    if dataset.is_virtual or dataset.external:
        raise FileFormatError(f"{_place(parent, name)}: its data lies in other files", where=path)
    elements = int(np.prod(dataset.shape, dtype=object)) * _numbers_per_record(dataset.dtype)
    if elements > MAX_ELEMENTS:
        raise FileFormatError(f"{_place(parent, name)}: {elements} numbers; up to {MAX_ELEMENTS} are read", where=path)
    return dataset


def _numbers_per_record(dtype: np.dtype) -> int:
    """PyTables keeps a whole row in one record."""
    return max(1, dtype.itemsize // 8)


def _place(parent: h5py.Group, name: str) -> str:
    return f"{(parent.name or '').rstrip('/')}/{name}"
