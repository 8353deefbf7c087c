"""DeepLabCut's predictions: a pandas table in HDF5, read without pandas and without running its pickles.

Columns are (scorer, bodyparts, coords) for one animal or person, (scorer, individuals, bodyparts, coords) for several;
coords are x, y (px) and likelihood in [0, 1]; the index is the video frame, from 0. pandas writes two layouts:

table  /<key>/table with records (index, values_block_0); the columns are pickled lists in the attributes
       `non_index_axes` and `values_block_0_kind`, taken apart by `plain_pickle`
fixed  /<key>/block0_values (T, columns), axis1 (T,), block0_items_level0 … with block0_items_label0 …
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import FileFormatError
from mocap.io.foreign_h5 import as_text, child_group, open_foreign_h5, read_array, read_texts, whole_number
from mocap.io.people2d import People2D, people_from_arrays
from mocap.io.plain_pickle import NotPlainDataError, parse_plain_pickle

Column = tuple[str, ...]
COORDS = ("x", "y", "likelihood")
NOT_PREDICTIONS = "Give the .h5 that analyze_videos writes beside the video (DeepLabCut's labels and metadata differ)."


def read_deeplabcut(path: Path) -> People2D:
    """One camera's predictions. Several individuals keep their place in the file as their track id."""
    with open_foreign_h5(path) as file:
        group = child_group(file, _key_of(file, path), path)
        if as_text(group.attrs["pandas_type"]) == "frame_table":
            columns, index, values = _read_table(group, path)
        else:
            columns, index, values = _read_fixed(group, path)
    return _people(columns, index, values, path)


def looks_like_deeplabcut(file: h5py.File) -> bool:
    """Whether an open HDF5 file holds a pandas data frame."""
    return bool(_frame_keys(file))


def _frame_keys(file: h5py.File) -> list[str]:
    groups = [str(key) for key in file if isinstance(file.get(key, getlink=True), h5py.HardLink)]
    return [key for key in groups if isinstance(file[key], h5py.Group) and "pandas_type" in file[key].attrs]


def _key_of(file: h5py.File, path: Path) -> str:
    keys = _frame_keys(file)
    if len(keys) != 1:
        found = f"{len(keys)} pandas tables ({', '.join(keys)})" if keys else "no pandas table"
        raise FileFormatError(f"{found}, expected one", where=path, remedy=NOT_PREDICTIONS)
    return keys[0]


def _read_table(
    group: h5py.Group, path: Path
) -> tuple[list[Column], Int[np.ndarray, "T"], Float[np.ndarray, "T columns"]]:
    records = read_array(group, "table", path)
    if records.dtype.names is None or "index" not in records.dtype.names:
        raise FileFormatError(f"{group.name}/table has no index column", where=path, remedy=NOT_PREDICTIONS)
    blocks = [name for name in records.dtype.names if name.startswith("values_block_")]
    attributes = group["table"].attrs
    columns: list[Column] = []
    values = []
    for block in blocks:
        kind = _pickled_columns(attributes, f"{block}_kind", path)
        block_values = np.asarray(records[block], dtype=np.float64).reshape(len(records), -1)
        if len(kind) != block_values.shape[1]:
            raise FileFormatError(f"{block}: {block_values.shape[1]} columns but {len(kind)} names", where=path)
        columns += kind
        values.append(block_values)
    return columns, _frame_index(records["index"], path), np.concatenate(values or [np.zeros((len(records), 0))], 1)


def _pickled_columns(attributes: h5py.AttributeManager, name: str, path: Path) -> list[Column]:
    raw = attributes.get(name)
    data = raw.tobytes() if isinstance(raw, np.void) else raw
    if isinstance(data, str):
        data = data.encode("latin-1", errors="replace")
    if not isinstance(data, bytes):
        raise FileFormatError(f"the column names ({name}) are missing", where=path, remedy=NOT_PREDICTIONS)
    try:
        parsed = parse_plain_pickle(data)
    except NotPlainDataError as error:
        raise FileFormatError(
            f"the column names ({name}) are not plain data ({error}), so they are not unpickled",
            where=path,
            remedy="Write the table anew: df.columns = df.columns.map(lambda c: tuple(map(str, c))); df.to_hdf(…).",
        ) from None
    return _columns(parsed, path)


def _columns(parsed: Any, path: Path) -> list[Column]:
    if not isinstance(parsed, list) or not all(
        isinstance(column, tuple) and all(isinstance(level, str) for level in column) for column in parsed
    ):
        raise FileFormatError("the columns are not DeepLabCut's (scorer, bodyparts, coords)", where=path)
    return parsed


def _read_fixed(
    group: h5py.Group, path: Path
) -> tuple[list[Column], Int[np.ndarray, "T"], Float[np.ndarray, "T columns"]]:
    index = _frame_index(read_array(group, "axis1", path), path)
    columns: list[Column] = []
    values = []
    for block in range(whole_number(group, "nblocks", path)):
        array = read_array(group, f"block{block}_values", path)
        if array.ndim != 2 or array.shape[0] != len(index) or array.dtype.kind not in "fiu":
            raise FileFormatError(f"block{block}_values has shape {array.shape}", where=path, remedy=NOT_PREDICTIONS)
        columns += _fixed_columns(group, f"block{block}_items", array.shape[1], path)
        values.append(array.astype(np.float64))
    return columns, index, np.concatenate(values or [np.zeros((len(index), 0))], 1)


def _fixed_columns(group: h5py.Group, name: str, count: int, path: Path) -> list[Column]:
    if as_text(group.attrs.get(f"{name}_variety", "")) != "multi":
        raise FileFormatError("the columns are not DeepLabCut's (scorer, bodyparts, coords)", where=path)
    levels = []
    for level in range(whole_number(group, f"{name}_nlevels", path)):
        texts = read_texts(group, f"{name}_level{level}", path)
        codes = read_array(group, f"{name}_label{level}", path).astype(np.int64)
        if len(codes) != count or (len(codes) and (codes.min() < 0 or codes.max() >= len(texts))):
            raise FileFormatError(f"{name}_label{level} does not fit its names", where=path)
        levels.append([texts[code] for code in codes])
    return list(zip(*levels, strict=True))


def _frame_index(index: np.ndarray, path: Path) -> Int[np.ndarray, "T"]:
    if index.ndim != 1 or index.dtype.kind not in "iu":
        raise FileFormatError("the rows are not numbered by frame", where=path, remedy=NOT_PREDICTIONS)
    frames = index.astype(np.int64)
    if len(frames) and (frames.min() < 0 or len(np.unique(frames)) != len(frames)):
        raise FileFormatError("a frame stands in the table twice, or is negative", where=path)
    return frames


def _people(
    columns: list[Column], index: Int[np.ndarray, "T"], values: Float[np.ndarray, "T columns"], path: Path
) -> People2D:
    individuals, parts, where = _layout(columns, path)
    picked = np.full((len(individuals), len(parts), 3, len(index)), np.nan)
    for column, (person, part, coord) in where.items():
        picked[person, part, coord] = values[:, column]
    people, width, _, frames = picked.shape
    rows = picked.transpose(0, 3, 1, 2).reshape(people * frames, width, 3)
    several = people > 1
    return people_from_arrays(
        frame=np.tile(index, people),
        track=np.repeat(np.arange(people), frames) if several else np.full(frames, -1),
        xy=rows[..., :2],
        confidence=rows[..., 2],
        box=np.full((people * frames, 4), np.nan),
        score=np.full(people * frames, np.nan),
        named=(parts, ()),
        covered=(0, int(index.max(initial=-1))),
    )


def _layout(
    columns: list[Column], path: Path
) -> tuple[tuple[str, ...], tuple[str, ...], dict[int, tuple[int, int, int]]]:
    """Individuals, body parts, and for each column of the table where its numbers go."""
    if {len(column) for column in columns} not in ({3}, {4}) or {c[-1] for c in columns} != set(COORDS):
        raise FileFormatError(
            "the columns are not DeepLabCut's (scorer, bodyparts, coords) with x, y, likelihood",
            where=path,
            remedy=NOT_PREDICTIONS,
        )
    if len({column[0] for column in columns}) != 1:
        raise FileFormatError("several scorers in one table, expected one network's predictions", where=path)
    individuals = tuple(dict.fromkeys(column[1] if len(column) == 4 else "" for column in columns))
    parts = tuple(dict.fromkeys(column[-2] for column in columns))
    places = {}
    for number, column in enumerate(columns):
        person = individuals.index(column[1] if len(column) == 4 else "")
        places[number] = (person, parts.index(column[-2]), COORDS.index(column[-1]))
    if len(set(places.values())) != len(places):
        raise FileFormatError("a column stands in the table twice", where=path)
    return individuals, parts, places
