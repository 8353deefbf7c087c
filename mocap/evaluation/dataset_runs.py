"""Running networks over the frames of a data set, with what was found kept in a file, so that a long run can go on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from mocap.core.errors import FileFormatError, InputError
from mocap.io.artefacts import atomic_path
from mocap.io.published_crops import MultiviewFrame

LEAST_VIEWS = 2
KEPT_EVERY = 200
"""Frames between two savings of what was found."""


@runtime_checkable
class Estimator(Protocol):
    """Points (m) by method, from pictures, projections and, where it is given, the place of the pelvis (m)."""

    def __call__(
        self,
        pictures: UInt8[np.ndarray, "N C H W 3"],
        projections: Float[np.ndarray, "N C 3 4"],
        center: Float[np.ndarray, "N 3"] | None,
        /,
    ) -> Mapping[str, Float[np.ndarray, "N J 3"]]: ...


@dataclass(frozen=True)
class RunOptions:
    """methods: what the estimator gives. joints: how many. true_pelvis: joints of the truth whose mean is given to it.

    keep: the file in which points are kept, and from which a broken-off run goes on; made_by: what it must agree with.
    """

    methods: tuple[str, ...]
    joints: int
    true_pelvis: tuple[int, ...] = ()
    batch: int = 1
    keep: Path | None = None
    made_by: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Predictions:
    """rows: of the data set. views: how many there were. xyz: m, of each method, NaN where it has no answer."""

    rows: Int[np.ndarray, "N"]
    views: Int[np.ndarray, "N"]
    xyz: Mapping[str, Float[np.ndarray, "N J 3"]]


def run_frames(
    load: Callable[[int], MultiviewFrame],
    rows: Int[np.ndarray, "N"],
    estimate: Estimator,
    options: RunOptions,
    progress: Callable[[int, int], None] | None = None,
) -> Predictions:
    """Every row's points by every method. Frames with fewer than two views have none."""
    found, done = _begun(rows, options)
    left = np.flatnonzero(~done)
    for start in range(0, len(left), KEPT_EVERY):
        part = left[start : start + KEPT_EVERY]
        for batch in (part[i : i + options.batch] for i in range(0, len(part), options.batch)):
            frames = [load(int(rows[i])) for i in batch]
            for _, group in groupby(zip(batch.tolist(), frames, strict=True), key=lambda pair: len(pair[1].cameras)):
                _estimate(list(group), estimate, options, found)
            done[batch] = True
            if progress is not None:
                progress(int(done.sum()), len(rows))
        if options.keep is not None:
            _keep(found, done, options)
    return found


def _estimate(
    group: Sequence[tuple[int, MultiviewFrame]], estimate: Estimator, options: RunOptions, found: Predictions
) -> None:
    """Frames with the same number of views at once, written into `found`."""
    places, frames = [place for place, _ in group], [frame for _, frame in group]
    found.views[places] = len(frames[0].cameras)
    if len(frames[0].cameras) < LEAST_VIEWS:
        return
    center = None
    if options.true_pelvis:
        center = np.stack([frame.xyz[list(options.true_pelvis)].mean(0) for frame in frames])
    points = estimate(np.stack([f.pictures for f in frames]), np.stack([f.projections for f in frames]), center)
    for method in options.methods:
        found.xyz[method][places] = points[method]


def _begun(rows: Int[np.ndarray, "N"], options: RunOptions) -> tuple[Predictions, Bool[np.ndarray, "N"]]:
    """What the file holds already, or nothing yet."""
    shape = (len(rows), options.joints, 3)
    empty = Predictions(rows, np.zeros(len(rows), np.int64), {m: np.full(shape, np.nan) for m in options.methods})
    if options.keep is None or not options.keep.is_file():
        return empty, np.zeros(len(rows), dtype=bool)
    try:
        with np.load(options.keep, allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
        xyz = {method: kept[f"xyz_{method}"] for method in options.methods}
        found = Predictions(kept["rows"], kept["views"], xyz)
        made_by, done = str(kept["made_by"]), kept["done"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(
            f"does not hold the points of such a run ({error})", where=options.keep, remedy="Name another file."
        ) from None
    same = made_by == _made_by(options) and np.array_equal(found.rows, rows)
    if not same or any(points.shape != shape for points in xyz.values()):
        raise InputError(
            "was made by other networks, options or data", where=options.keep, remedy="Delete it or name another file."
        )
    return found, done


def _keep(found: Predictions, done: Bool[np.ndarray, "N"], options: RunOptions) -> None:
    if options.keep is None:
        return
    arrays: dict[str, Any] = {f"xyz_{method}": xyz for method, xyz in found.xyz.items()}
    arrays |= {"rows": found.rows, "views": found.views, "done": done, "made_by": _made_by(options)}
    with atomic_path(options.keep) as path, path.open("wb") as file:
        np.savez(file, **arrays)


def _made_by(options: RunOptions) -> str:
    return json.dumps({**options.made_by, "true_pelvis": options.true_pelvis}, sort_keys=True, default=str)
