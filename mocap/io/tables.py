"""Joints, rotations and keypoints as plain tables: CSV, NPZ and HDF5, for pandas, R, Matlab and spreadsheets.

Two tables with one row for a person, a frame and a name (long, or tidy): columns of equal length, which go to Parquet
as they are. Metres, seconds, Z up, unit quaternions wxyz; frames count from 0; missing is NaN, in CSV an empty cell.

    joints     person frame time_s joint     x_m y_m z_m  world_qw … world_qz  local_qw … local_qz  [sd_m]
    keypoints  person frame time_s keypoint  x_m y_m z_m  confidence reprojection_px n_views

HDF5: a group a table, a dataset a column, attributes `up_axis`, `length_unit`; texts are UTF-8
(`pandas.DataFrame({c: f["joints"][c][:] for c in f["joints"]})`). NPZ: `person1/positions_m` (T, J, 3) and so on, see
`npz_arrays`. CSV: the joints (or the keypoints) alone; wide has a row a frame, `Hips_x_m`, `Hips_y_m`, … side by side.
`sd_m` is how far a joint is expected to be off, where anybody's motion knows that.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import h5py
import numpy as np
from jaxtyping import Float

from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints3D
from mocap.core.motion import Motion
from mocap.io.artefacts import atomic_path
from mocap.io.world_joints import joint_worlds

PLACE = ("x_m", "y_m", "z_m")
JOINT_COLUMNS = (*PLACE, *(f"world_q{axis}" for axis in "wxyz"), *(f"local_q{axis}" for axis in "wxyz"))
KEYPOINT_COLUMNS = (*PLACE, "confidence", "reprojection_px", "n_views")
DECIMALS = 7  # of CSV: 1e-7 m and 1e-7 of a unit quaternion


class CsvConfig(Config):
    """layout: wide has a row a frame of each person, long a row for each of its joints too."""

    layout: Literal["wide", "long"] = "wide"


@dataclass(frozen=True, eq=False)
class Sheet:
    """One person's part of a table. numbers: (T, J, C), of every frame and name the columns."""

    person: str
    fps: float
    kind: Literal["joint", "keypoint"]
    names: tuple[str, ...]
    columns: tuple[str, ...]
    numbers: Float[np.ndarray, "T J C"]

    @property
    def times_s(self) -> Float[np.ndarray, "T"]:
        return np.arange(len(self.numbers)) / self.fps


def joint_sheets(motions: Sequence[Motion]) -> list[Sheet]:
    """Positions and rotations of every person's joints."""
    with_sd = any(motion.joint_sd_m is not None for motion in motions)
    columns = (*JOINT_COLUMNS, "sd_m") if with_sd else JOINT_COLUMNS
    sheets = []
    for motion in motions:
        rotations, positions = joint_worlds(motion)
        parts = [positions, rotations, motion.local_rotations]
        if with_sd:
            spread = motion.joint_sd_m
            parts.append((np.full(positions.shape[:2], np.nan) if spread is None else spread)[..., None])
        names = motion.skeleton.joint_names
        sheets.append(Sheet(motion.person, motion.fps, "joint", names, columns, np.concatenate(parts, axis=-1)))
    return sheets


def keypoint_sheets(points: Keypoints3D, people: Sequence[str] = ()) -> list[Sheet]:
    """Points of every person with what is known of them. people: their names, `person1`, `person2`, … without."""
    if people and len(people) != points.n_people:
        raise InputError(f"{len(people)} names for {points.n_people} people")
    about = np.stack([points.confidence, points.reprojection_px, points.n_views.astype(float)], axis=-1)
    numbers = np.concatenate([points.xyz, about], axis=-1)
    names = points.keypoint_set.names
    return [
        Sheet(person, points.fps, "keypoint", names, KEYPOINT_COLUMNS, numbers[:, number])
        for number, person in enumerate(people or [f"person{n + 1}" for n in range(points.n_people)])
    ]


def long_columns(sheets: Sequence[Sheet]) -> dict[str, np.ndarray]:
    """One table of all people, a row for each person, frame and name, in this order."""
    if not sheets:
        raise InputError("there is nobody to make a table of")
    parts = [_long(sheet) for sheet in sheets]
    return {column: np.concatenate([part[column] for part in parts]) for column in parts[0]}


def _long(sheet: Sheet) -> dict[str, np.ndarray]:
    n_frames, n_names = sheet.numbers.shape[:2]
    keys = {
        "person": np.full(n_frames * n_names, sheet.person),
        "frame": np.repeat(np.arange(n_frames), n_names),
        "time_s": np.repeat(sheet.times_s, n_names),
        sheet.kind: np.tile(np.array(sheet.names, dtype=np.str_), n_frames),
    }
    flat = sheet.numbers.reshape(-1, len(sheet.columns))
    return keys | {column: flat[:, place] for place, column in enumerate(sheet.columns)}


def write_csv(motions: Sequence[Motion], path: Path, config: CsvConfig | None = None) -> None:
    """The joints of all people, whole or not at all."""
    _write_csv(joint_sheets(motions), path, config or CsvConfig())


def write_keypoints_csv(
    points: Keypoints3D, path: Path, config: CsvConfig | None = None, *, people: Sequence[str] = ()
) -> None:
    """The keypoints of all people, whole or not at all."""
    _write_csv(keypoint_sheets(points, people), path, config or CsvConfig())


def _write_csv(sheets: Sequence[Sheet], path: Path, config: CsvConfig) -> None:
    if not sheets:
        raise InputError("there is nobody to make a table of")
    if config.layout == "wide" and any(sheet.names != sheets[0].names for sheet in sheets):
        raise InputError(
            f"{sheets[0].kind}s differ between the people, so their columns do", remedy="Use the long layout."
        )
    lines = _wide_lines(sheets) if config.layout == "wide" else _long_lines(sheets)
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        file.writelines(line + "\n" for line in lines)


def _wide_lines(sheets: Sequence[Sheet]) -> Iterator[str]:
    first = sheets[0]
    yield _cells("person", "frame", "time_s", *(f"{name}_{column}" for name in first.names for column in first.columns))
    row = ",".join([_pattern(first.columns)] * len(first.names))
    for sheet in sheets:
        person = _cells(sheet.person)
        numbers = _rounded(sheet.numbers.reshape(len(sheet.numbers), len(sheet.names) * len(sheet.columns)))
        for frame, (time, values) in enumerate(zip(sheet.times_s.tolist(), numbers, strict=True)):
            yield f"{person},{frame},{time:.9g}," + (row % tuple(values)).replace("nan", "")


def _long_lines(sheets: Sequence[Sheet]) -> Iterator[str]:
    yield _cells("person", "frame", "time_s", sheets[0].kind, *sheets[0].columns)
    row = _pattern(sheets[0].columns)
    for sheet in sheets:
        person, names = _cells(sheet.person), [_cells(name) for name in sheet.names]
        for frame, (time, values) in enumerate(zip(sheet.times_s.tolist(), _rounded(sheet.numbers), strict=True)):
            start = f"{person},{frame},{time:.9g},"
            for name, numbers in zip(names, values, strict=True):
                yield f"{start}{name}," + (row % tuple(numbers)).replace("nan", "")


def _pattern(columns: Sequence[str]) -> str:
    return ",".join("%d" if column == "n_views" else f"%.{DECIMALS}f" for column in columns)


def _rounded(numbers: np.ndarray) -> list:
    return (np.round(numbers, DECIMALS) + 0.0).tolist()  # + 0.0 turns -0.0 into 0.0


def _cells(*texts: str) -> str:
    """Texts as CSV has them, in quotes where they hold a comma or a quote."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(texts)
    return line.getvalue()


def write_npz(motions: Sequence[Motion], path: Path, *, points: Keypoints3D | None = None) -> None:
    """See `npz_arrays`; compressed, whole or not at all, the same bytes for the same motions."""
    arrays = npz_arrays(motions, points)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # newer stubs have a keyword of their own


def npz_arrays(motions: Sequence[Motion], points: Keypoints3D | None = None) -> dict[str, np.ndarray]:
    """Arrays by name: of people, `person1/…`, and of keypoints.

    Of each person `name`, `fps`, `joint_names` (J,), `parents` (J,), `rest_offsets_m` (J, 3), `positions_m` (T, J, 3),
    `world_rotations` and `local_rotations` (T, J, 4) wxyz, and `sd_m` (T, J) where known. Of keypoints, `keypoints/…`,
    `names` (K,), `fps`, `xyz_m` (T, P, K, 3), and `confidence`, `reprojection_px`, `n_views` (T, P, K).
    """
    arrays: dict[str, np.ndarray] = {}
    for number, motion in enumerate(motions, start=1):
        rotations, positions = joint_worlds(motion)
        skeleton = motion.skeleton
        of_person = {
            "name": np.array(motion.person),
            "fps": np.array(motion.fps),
            "joint_names": np.array(skeleton.joint_names),
            "parents": skeleton.parents,
            "rest_offsets_m": skeleton.rest_offsets,
            "positions_m": positions,
            "world_rotations": rotations,
            "local_rotations": motion.local_rotations,
        }
        spread = motion.joint_sd_m
        of_person |= {} if spread is None else {"sd_m": spread}
        arrays |= {f"person{number}/{name}": array for name, array in of_person.items()}
    if points is not None:
        of_points = {
            "names": np.array(points.keypoint_set.names),
            "fps": np.array(points.fps),
            "xyz_m": points.xyz,
            "confidence": points.confidence,
            "reprojection_px": points.reprojection_px,
            "n_views": points.n_views,
        }
        arrays |= {f"keypoints/{name}": array for name, array in of_points.items()}
    return arrays


def write_tables_h5(motions: Sequence[Motion], path: Path, *, points: Keypoints3D | None = None) -> None:
    """The tables of joints and of keypoints, those that there are; whole or not at all.

    In memory first: on a full disk HDF5 cannot close its file.
    """
    tables = {"joints": long_columns(joint_sheets(motions))} if motions else {}
    if points is not None:
        names = [motion.person for motion in motions]
        people = names if len(names) == points.n_people else ()
        tables["keypoints"] = long_columns(keypoint_sheets(points, people))
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        file.attrs.update({"schema": "mocap/tables/1", "up_axis": "Z", "length_unit": "m"})
        for table, columns in tables.items():
            group = file.create_group(table, track_order=True)
            for column, values in columns.items():
                _add_column(group, column, values)
        file.flush()
        image = file.id.get_file_image()
    with atomic_path(path) as temporary:
        temporary.write_bytes(image)


def _add_column(group: h5py.Group, name: str, values: np.ndarray) -> None:
    is_text = values.dtype.kind == "U"
    if is_text:
        values = np.char.encode(values, "utf-8")
        values = values.astype(h5py.string_dtype("utf-8", max(values.dtype.itemsize, 1)))
    options = {"compression": "gzip", "compression_opts": 4, "shuffle": True} if values.size > 4096 else {}
    group.create_dataset(name, data=values, **options)
