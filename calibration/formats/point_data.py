"""caliscope's `point_data.csv` (newer: `image_points.csv`): the corners of a board that cameras saw.

One row a corner: `sync_index`, `cam_id` (older: `port`), `frame_index` (absent: the sync index), `frame_time` s (absent
where another file holds it), `keypoint_id` (older: `point_id`), `img_loc_x`, `img_loc_y` px, and the corner's place on
the board in metres as `obj_loc_x`, `obj_loc_y`[, `obj_loc_z`] (older: `board_loc_*`). `object_id` (newer) must be 0:
others are markers, or the back of a thick board, whose corners lie elsewhere than those of its front.

Cameras are called `cam_<number>`, as `calibration.formats` calls those of a caliscope rig. A sync index is a moment;
pictures of one may be taken some milliseconds apart, which `frame_time` tells.

The file states no image sizes: they are taken from a `camera_array.toml` or `config.toml` beside it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from calibration.camera import whole_pixels
from calibration.errors import CalibrationError
from calibration.file_fields import CameraFields, Document, read_text
from calibration.observations import BoardObservations
from calibration.toml_cameras import is_camera

SPELLINGS = {
    "cam_id": ("cam_id", "port"),
    "point_id": ("keypoint_id", "point_id"),
    "obj_loc_x": ("obj_loc_x", "board_loc_x"),
    "obj_loc_y": ("obj_loc_y", "board_loc_y"),
    "obj_loc_z": ("obj_loc_z", "board_loc_z"),
}
"""Names that a column has had, the newest first."""

WANTED = ("sync_index", "cam_id", "point_id", "img_loc_x", "img_loc_y", "obj_loc_x", "obj_loc_y")
WHOLE = ("sync_index", "cam_id", "object_id", "point_id", "frame_index")
CAMERA_FILES = ("camera_array.toml", "config.toml")

BOARD_DECIMALS = 6
"""Board coordinates were stored as float32 (0.054 as 0.05400000140): they are meant to a micrometre at best."""


def read_point_data(
    path: str | Path,
    frame_times: str | Path | None = None,
    *,
    image_sizes: Mapping[str, tuple[int, int]] | None = None,
    points: Float[np.ndarray, "K 3"] | None = None,
) -> BoardObservations:
    """What the cameras of a `point_data.csv` saw, by moment and camera.

    frame_times: a CSV of `sync_index`, `cam_id` (or `port`), `frame_index`, `frame_time`, whose times stand in for
    those of `path`. image_sizes: (w, h) px by camera name, where no caliscope file beside `path` has them. points: the
    board's corners in m, where not every corner was seen; else they are as the file has them. Times count from the
    first picture.
    """
    table = _Table.read(Path(path))
    _check_one_board(table)
    order = np.lexsort((table["point_id"], table["cam_id"], table["sync_index"]))
    numbers, camera = np.unique(table["cam_id"][order], return_inverse=True)
    names = tuple(f"cam_{int(number)}" for number in numbers)
    moment = table["sync_index"][order].astype(int)
    first, view = _views(moment, camera)
    corner = table["point_id"][order].astype(int)
    _check_once(table, view, corner)
    rows = order[first]
    frame = table.get("frame_index", "sync_index")[rows].astype(int)
    time_s = _times(table, rows, None if frame_times is None else Path(frame_times))
    sizes = image_sizes if image_sizes is not None else _sizes_beside(Path(path))
    return BoardObservations(
        names,
        tuple(_size_of(name, sizes, Path(path)) for name in names),
        _board(table) if points is None else points,
        camera[first],
        frame,
        moment[first],
        time_s - time_s.min(initial=np.inf),
        view,
        corner,
        np.stack([table["img_loc_x"], table["img_loc_y"]], axis=-1)[order],
    )


@dataclass(frozen=True)
class _Table:
    """Columns of numbers by their newest names."""

    path: Path
    columns: Mapping[str, Float[np.ndarray, "N"]]

    def __getitem__(self, name: str) -> Float[np.ndarray, "N"]:
        return self.columns[name]

    def get(self, *names: str) -> Float[np.ndarray, "N"]:
        """The first of these columns that is there."""
        return next(self.columns[name] for name in names if name in self.columns)

    @staticmethod
    def read(path: Path, wanted: tuple[str, ...] = WANTED) -> _Table:
        """A CSV with at least the columns `wanted`; those that no one needs may hold anything."""
        rows = list(csv.reader(read_text(path).splitlines()))
        header = [name.strip() for name in rows[0]] if rows else []
        newest = {old: name for name, spellings in SPELLINGS.items() for old in spellings}
        positions = {newest.get(name, name): at for at, name in enumerate(header)}
        lacking = [name for name in wanted if name not in positions]
        if lacking:
            raise CalibrationError(
                f"has no column {', '.join(lacking)}",
                where=path,
                remedy=f"Its columns are {', '.join(header) or 'none'}; caliscope's point_data.csv is expected.",
            )
        known = {*wanted, "frame_index", "frame_time", "object_id", "obj_loc_z"} & positions.keys()
        body = [(number, row) for number, row in enumerate(rows[1:], 2) if row]
        columns = {name: np.array([_number(path, n, row, positions[name], name) for n, row in body]) for name in known}
        if not body:
            raise CalibrationError("has a header and nothing below it", where=path, remedy="Detect the board first.")
        return _Table(path, columns)


def _number(path: Path, line: int, row: list[str], position: int, name: str) -> float:
    text = row[position].strip() if position < len(row) else ""
    if not text and name in ("frame_time", "obj_loc_z"):  # caliscope leaves empty what it does not know
        return np.nan
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value) or (name in WHOLE and value % 1):
        kind = "whole number" if name in WHOLE else "finite number"
        raise CalibrationError(f"line {line}: {name} is {text!r}, not a {kind}", where=path)
    return value


def _check_one_board(table: _Table) -> None:
    others = np.unique(table.columns.get("object_id", np.zeros(1)))
    if (others != 0).any():
        raise CalibrationError(
            f"holds several objects (object_id {', '.join(f'{one:g}' for one in others)})",
            where=table.path,
            remedy="Only the corners of one board (object_id 0) can be read: leave markers and thick backs out.",
        )


def _views(moment: Int[np.ndarray, "N"], camera: Int[np.ndarray, "N"]) -> tuple[np.ndarray, np.ndarray]:
    """First row of every view, and the view of every row; rows of a view follow each other."""
    new = np.ones(len(moment), dtype=bool)
    new[1:] = (np.diff(moment) != 0) | (np.diff(camera) != 0)
    return np.flatnonzero(new), np.cumsum(new) - 1


def _check_once(table: _Table, view: np.ndarray, corner: np.ndarray) -> None:
    twice = np.flatnonzero((np.diff(view) == 0) & (np.diff(corner) == 0))
    if len(twice):
        raise CalibrationError(f"has corner {corner[twice[0]]} twice in one picture", where=table.path)


def _times(table: _Table, rows: Int[np.ndarray, "V"], frame_times: Path | None) -> Float[np.ndarray, "V"]:
    """Seconds of every view, by camera and moment."""
    if frame_times is None:
        time_s = table["frame_time"][rows] if "frame_time" in table.columns else np.full(len(rows), np.nan)
        if not np.isfinite(time_s).all():
            raise CalibrationError(
                "does not say when its pictures were taken (frame_time)",
                where=table.path,
                remedy="Give the session's timestamps.csv or frame_time_history.csv as frame times.",
            )
        return time_s
    clock = _Table.read(frame_times, ("sync_index", "cam_id", "frame_time"))
    by = "frame_index" if {"frame_index"} <= table.columns.keys() & clock.columns.keys() else "sync_index"
    known = dict(zip(zip(clock["cam_id"], clock[by], strict=True), clock["frame_time"], strict=True))
    wanted = list(zip(table["cam_id"][rows], table[by][rows], strict=True))
    missing = [key for key in wanted if not np.isfinite(known.get(key, np.nan))]
    if missing:
        camera, index = missing[0]
        raise CalibrationError(
            f"has no time for {by} {index:g} of camera {camera:g} ({len(missing)} of {len(wanted)} pictures lack one)",
            where=frame_times,
            remedy=f"Give the frame times of the recording that {table.path.name} was made from.",
        )
    return np.array([known[key] for key in wanted])


def _board(table: _Table) -> Float[np.ndarray, "K 3"]:
    """The corners by id, each where its first row has it."""
    ids = table["point_id"].astype(int)
    seen, first = np.unique(ids, return_index=True)
    if seen[0] < 0 or len(seen) != seen[-1] + 1:
        lacking = sorted(set(range(int(seen[-1]))) - set(seen.tolist()))
        raise CalibrationError(
            f"nobody saw corner {', '.join(map(str, lacking))}: where it lies on the board is unknown",
            where=table.path,
            remedy="Give the board's corners (points=board.corners).",
        )
    z = np.nan_to_num(table.columns.get("obj_loc_z", np.zeros(len(ids))))
    places = np.round(np.stack([table["obj_loc_x"], table["obj_loc_y"], z], axis=-1), BOARD_DECIMALS)
    moved = np.abs(places - places[first][ids]).max(axis=-1) > 10.0**-BOARD_DECIMALS
    if moved.any():
        raise CalibrationError(
            f"has corner {ids[moved][0]} at two places of the board: it mixes boards", where=table.path
        )
    return places[first]


def _sizes_beside(path: Path) -> dict[str, tuple[int, int]]:
    """Image sizes from caliscope's camera file in the same folder, whether its cameras are posed or not."""
    for name in CAMERA_FILES:
        if not (path.parent / name).is_file():
            continue
        document = Document.open(path.parent / name)
        array = document.tables.get("cameras", {})
        tables = {f"cam_{key}": table for key, table in array.items()} or dict(document.tables)
        fields = {header: CameraFields(document.path, header, t) for header, t in tables.items() if is_camera(t)}
        return {header: _whole(f.array("size", (2,))) for header, f in fields.items()}
    return {}


def _whole(size: Float[np.ndarray, "2"]) -> tuple[int, int]:
    return whole_pixels(*size.tolist())


def _size_of(name: str, sizes: Mapping[str, tuple[int, int]], path: Path) -> tuple[int, int]:
    if name not in sizes:
        known = f"sizes are known of {', '.join(sizes)}" if sizes else f"no {' or '.join(CAMERA_FILES)} lies beside it"
        raise CalibrationError(
            f"the size of the pictures of {name} is unknown ({known})",
            where=path,
            remedy=f'Give it: image_sizes={{"{name}": (width, height)}}.',
        )
    return sizes[name]
