"""Heatmaps of a take in HDF5 files, one per segment, one dataset per frame, camera and person: `f000012/c1/t0`.

Each dataset is (K, H, W), probabilities as half floats, compressed; its attribute `px_from_heatmap` is the (2, 3)
affine map from cells to image px. Written as a stream and in the end renamed, so that a broken run leaves nothing.
A file is called after the first frame of its segment; its root attribute `key` is that of the detections.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float

from mocap.core.errors import FileFormatError

SCHEMA = "mocap/heatmaps/1"


class HeatmapWriter:
    """A sink for heatmaps; use as a context manager. Only what is written within a block that ends well is kept."""

    def __init__(self, path: Path, cameras: Sequence[str], key: str = "") -> None:
        self._path, self._key = path, key
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._cameras = tuple(cameras)
        self._file: h5py.File | None = None

    def __enter__(self) -> HeatmapWriter:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = h5py.File(self._part, "w")
        self._file.attrs["schema"] = SCHEMA
        self._file.attrs["key"] = self._key
        self._file.attrs["cameras"] = list(self._cameras)
        return self

    def write(
        self,
        place: tuple[int, int, int],
        heatmaps: Float[np.ndarray, "K H W"],
        px_from_heatmap: Float[np.ndarray, "2 3"],
    ) -> None:
        """Add one person's heatmaps. place: frame, index of the camera, track."""
        assert self._file is not None, "the writer is a context manager"
        data = heatmaps.astype(np.float16)
        dataset = self._file.create_dataset(_name(place), data=data, compression="lzf", shuffle=True)
        dataset.attrs["px_from_heatmap"] = px_from_heatmap

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._file is not None:
                self._file.close()
            if kind is None:
                self._part.replace(self._path)
        finally:
            self._part.unlink(missing_ok=True)


class HeatmapFile:
    """Reads what a `HeatmapWriter` wrote; use as a context manager."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = h5py.File(path, "r")
        except OSError as error:
            raise FileFormatError(f"cannot be read as HDF5 ({error})", where=path) from None
        if self._file.attrs.get("schema") != SCHEMA:
            self._file.close()
            raise FileFormatError(f"not a file of heatmaps ({SCHEMA})", where=path)
        self.cameras = tuple(str(name) for name in np.asarray(self._file.attrs["cameras"]))

    def __enter__(self) -> HeatmapFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def tracks(self, frame: int, camera: int) -> tuple[int, ...]:
        """Who has heatmaps in that frame of that camera."""
        group = self._file.get(f"f{frame:06d}/c{camera}")
        return tuple(sorted(int(str(name)[1:]) for name in group)) if isinstance(group, h5py.Group) else ()

    def read(self, frame: int, camera: int, track: int) -> tuple[np.ndarray, np.ndarray]:
        """Heatmaps (K, H, W) half floats, and the affine map (2, 3) from cells to image px."""
        dataset: Any = self._file.get(_name((frame, camera, track)))
        if dataset is None:
            raise FileFormatError(f"no heatmaps of track {track} in frame {frame} of camera {camera}")
        return np.asarray(dataset), np.asarray(dataset.attrs["px_from_heatmap"])


class TakeHeatmaps:
    """Reads all segments of a take as one; use as a context manager. One file is open at a time."""

    def __init__(self, folder: Path) -> None:
        self._paths = {int(path.stem): path for path in folder.glob("[0-9]*.h5")}
        if not self._paths:
            raise FileFormatError("no heatmaps", where=folder, remedy="Run with --set detect.keep_heatmaps=true.")
        self._starts = sorted(self._paths)
        self._open: tuple[int, HeatmapFile] | None = None

    def __enter__(self) -> TakeHeatmaps:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file that is open."""
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def tracks(self, frame: int, camera: int) -> tuple[int, ...]:
        """Who has heatmaps in that frame of that camera; the tracks of the take's detections."""
        return self._of(frame).tracks(frame, camera)

    def read(self, frame: int, camera: int, track: int) -> tuple[np.ndarray, np.ndarray]:
        """Heatmaps (K, H, W) half floats, and the affine map (2, 3) from cells to image px."""
        return self._of(frame).read(frame, camera, track)

    def _of(self, frame: int) -> HeatmapFile:
        start = self._starts[max(bisect_right(self._starts, frame) - 1, 0)]
        if self._open is None or self._open[0] != start:
            self.close()
            self._open = start, HeatmapFile(self._paths[start])
        return self._open[1]


def open_heatmaps(folder: Path) -> TakeHeatmaps:
    """All heatmaps of a take; `folder` is `derived/heatmaps`."""
    return TakeHeatmaps(folder)


def _name(place: tuple[int, int, int]) -> str:
    frame, camera, track = place
    return f"f{frame:06d}/c{camera}/t{track}"
