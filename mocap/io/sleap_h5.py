"""SLEAP's analysis HDF5: tracks (px), point_scores, instance_scores, node_names, edge_names.

SLEAP stores its arrays transposed for MATLAB, tracks as (tracks, 2, nodes, frames); sleap-io also writes (frames,
tracks, nodes, 2) and says so in a `dims` attribute. Frames count from 0, the first frame of the video. SLEAP puts
(0, 0) at the centre of the top-left pixel, as we do.
"""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from mocap.core.errors import FileFormatError
from mocap.io.foreign_h5 import as_text, open_foreign_h5, read_array, read_texts
from mocap.io.people2d import People2D, people_from_arrays

AXES = ("frame", "track", "node", "xy")
MATLAB_ORDER = ("track", "xy", "node", "frame")
"""What SLEAP itself writes, without saying so."""


def read_sleap(path: Path) -> People2D:
    """One video's predictions. Points placed by hand have no score; they get confidence 1."""
    with open_foreign_h5(path) as file:
        names = read_texts(file, "node_names", path)
        tracks = _in_order(file, "tracks", AXES, path)
        frames, people = tracks.shape[:2]
        if tracks.shape[2:] != (len(names), 2):
            raise FileFormatError(
                f"tracks has {tracks.shape[2]} nodes and {tracks.shape[3]} coordinates for {len(names)} node_names",
                where=path,
            )
        confidence = _scores(file, "point_scores", AXES[:3], tracks.shape[:3], path)
        score = _scores(file, "instance_scores", AXES[:2], (frames, people), path)
        edges = _edges(file, names, path)
    confidence = np.where(np.isnan(confidence) & np.isfinite(tracks).all(-1), 1.0, confidence)
    count = frames * people
    return people_from_arrays(
        frame=np.repeat(np.arange(frames), people),
        track=np.tile(np.arange(people), frames) if people > 1 else np.full(count, -1),
        xy=tracks.reshape(count, len(names), 2),
        confidence=confidence.reshape(count, len(names)),
        box=np.full((count, 4), np.nan),
        score=score.reshape(count),
        named=(names, edges),
        covered=(0, frames - 1),
    )


def looks_like_sleap(file: h5py.File) -> bool:
    """Whether an open HDF5 file has the datasets of this format."""
    return "tracks" in file and "node_names" in file


def _in_order(file: h5py.File, name: str, axes: tuple[str, ...], path: Path) -> np.ndarray:
    """The dataset as float64 with these axes, whatever order it is stored in."""
    array = read_array(file, name, path).astype(np.float64)
    stored = _stored_axes(file[name].attrs.get("dims"), axes)
    if array.ndim != len(axes) or sorted(stored) != sorted(axes):
        raise FileFormatError(f"{name}: shape {array.shape} with axes {', '.join(stored)}", where=path)
    return array.transpose([stored.index(axis) for axis in axes])


def _stored_axes(said: object, axes: tuple[str, ...]) -> tuple[str, ...]:
    if said is None:
        return tuple(axis for axis in MATLAB_ORDER if axis in axes)
    try:
        names = json.loads(as_text(said))
    except json.JSONDecodeError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


def _scores(
    file: h5py.File, name: str, axes: tuple[str, ...], shape: tuple[int, ...], path: Path
) -> np.ndarray:  # fmt: skip
    """NaN where the file has none (older versions, hand-made labels)."""
    if name not in file:
        return np.full(shape, np.nan)
    scores = _in_order(file, name, axes, path)
    if scores.shape != shape:
        raise FileFormatError(f"{name}: shape {scores.shape} does not fit tracks, expected {shape}", where=path)
    return scores


def _edges(file: h5py.File, names: tuple[str, ...], path: Path) -> tuple[tuple[str, str], ...]:
    """`edge_names` holds pairs of node names; edges between nodes that are not there are left out."""
    if "edge_names" not in file:
        return ()
    texts = read_texts(file, "edge_names", path)
    return tuple((a, b) for a, b in zip(texts[0::2], texts[1::2], strict=False) if a in names and b in names)
