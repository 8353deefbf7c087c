"""Calibration files as text and numbers: every failure names the file, the camera and the key."""

from __future__ import annotations

import os
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Rig
from calibration.errors import CalibrationError

METRES_PER_UNIT = {"m": 1.0, "cm": 0.01, "mm": 0.001, "inch": 0.0254}
"""Length units that calibration files use for translations."""

FARTHEST_CAMERAS_M = 50.0
"""Cameras farther apart than this are taken for a file in millimetres when nobody has said otherwise."""


@dataclass(frozen=True)
class Known:
    """What the user knows and a file may not say: the unit of its lengths, the size (w, h) px of its images."""

    unit: str | None = None
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.unit is not None and self.unit not in METRES_PER_UNIT:
            raise CalibrationError(f"unknown length unit {self.unit!r}", remedy=f"Known: {', '.join(METRES_PER_UNIT)}.")


@dataclass(frozen=True)
class Document:
    """A calibration file, or a folder of them (`text` is empty then)."""

    path: Path
    text: str

    @staticmethod
    def open(path: str | Path) -> Document:
        path = Path(path)
        return Document(path, "" if path.is_dir() else read_text(path))

    @cached_property
    def toml(self) -> Mapping[str, Any]:
        """The parsed tables; empty when the text is not TOML."""
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError:
            return {}

    @property
    def toml_fault(self) -> str | None:
        """Why the text is not TOML, with the line."""
        try:
            tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            return str(error)
        return None

    @property
    def tables(self) -> Mapping[str, Mapping[str, Any]]:
        """The top-level tables of a TOML file."""
        return {key: value for key, value in self.toml.items() if isinstance(value, dict)}


@dataclass(frozen=True)
class CameraFields:
    """The entries that one camera has in a file. `camera` is the name used in messages."""

    path: Path
    camera: str
    entries: Mapping[str, object]

    def __contains__(self, key: str) -> bool:
        return self.entries.get(key) is not None

    def error(self, what: str, remedy: str | None = None) -> CalibrationError:
        return CalibrationError(f"camera {self.camera!r}: {what}", where=self.path, remedy=remedy)

    @contextmanager
    def located(self) -> Iterator[None]:
        """Gives errors of the types (a matrix that is no rotation, ...) the place in the file."""
        try:
            yield
        except CalibrationError as error:
            raise error if error.where else self.error(error.what, error.remedy) from None

    def require(self, key: str) -> object:
        if key not in self:
            raise self.error(f"{key!r} is missing", f"Its entries are: {', '.join(self.entries) or 'none'}.")
        return self.entries[key]

    def array(self, key: str, *shapes: tuple[int, ...]) -> Float[np.ndarray, "..."]:
        """Finite numbers in one of `shapes` (any shape when none is given)."""
        value = self.require(key)
        try:
            array = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise self.error(f"{key!r} is not a list of numbers: {_shortened(value)}") from None
        if not np.isfinite(array).all():
            raise self.error(f"{key!r} has values that are not finite: {_shortened(value)}")
        if shapes and array.shape not in shapes:
            wanted = " or ".join("x".join(map(str, shape)) or "one" for shape in shapes)
            found = "x".join(map(str, array.shape)) or "one"
            raise self.error(f"{key!r} should have {wanted} numbers, not {found}")
        return array

    def number(self, key: str, default: float | None = None) -> float:
        if default is not None and key not in self:
            return default
        return float(self.array(key, ()))

    def flag(self, key: str, default: bool = False) -> bool:
        value = self.entries.get(key, default)
        if value not in (True, False):
            raise self.error(f"{key!r} should be true or false, not {_shortened(value)}")
        return bool(value)


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_text(path: Path) -> str:
    """The file as UTF-8 text; a missing, locked or binary file is the user's to mend."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CalibrationError("no such file", where=path) from None
    except UnicodeDecodeError:
        raise CalibrationError("is not a text file", where=path) from None
    except OSError as error:
        raise CalibrationError(f"cannot be read: {error.strerror}", where=path) from None


def write_text(path: Path, text: str) -> None:
    """Write through a temporary file beside it, so that a reader never sees half a calibration."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as stream:
            temporary = Path(stream.name)
            stream.write(text)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise CalibrationError(f"cannot be written: {error.strerror}", where=path) from None


def _umask() -> int:
    """The process's file creation mask; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def metres_per_unit(default: str, known: Known) -> float:
    """Factor to metres: the user's word before the file's."""
    return METRES_PER_UNIT[known.unit or default]


def check_extent(rig: Rig, document: Document, known: Known) -> Rig:
    """The rig itself, unless nobody stated a unit and its cameras are farther apart than any capture volume."""
    extent = float(np.linalg.norm(rig.centers[:, None] - rig.centers, axis=-1).max())
    if known.unit is None and extent > FARTHEST_CAMERAS_M:
        raise CalibrationError(
            f"its cameras are {extent:.0f} m apart when its lengths are read as metres",
            where=document.path,
            remedy=f"The file states no unit: name it ({', '.join(METRES_PER_UNIT)}; most likely mm).",
        )
    return rig


def rig_of(cameras: list[Camera], path: Path) -> Rig:
    """The rig of the cameras of one file; two of the same name are the file's fault."""
    try:
        return Rig(tuple(cameras))
    except CalibrationError as error:
        raise CalibrationError(error.what, where=path, remedy=error.remedy) from None
