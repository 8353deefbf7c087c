"""AMC text (Acclaim motion capture) to numbers, read with its skeleton. Errors name file and line."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float

from mocap.core.errors import FileFormatError
from mocap.io.asf_text import ROOT, AsfSkeleton, Line, lines_of

FLAGS = (":fully-specified", ":degrees", ":radians")


def parse_amc(text: str, skeleton: AsfSkeleton, where: str = "AMC") -> dict[str, Float[np.ndarray, "T c"]]:
    """Values of every bone that has any, the root's too: columns as its dof (`skeleton.order`), angles in degrees."""
    columns = {ROOT: skeleton.order} | {bone.name: bone.dof for bone in skeleton.bones.values() if bone.dof}
    lines, in_degrees = _body(lines_of(text, where))
    starts = [i for i, line in enumerate(lines) if len(line.words) == 1 and line.words[0].isdecimal()]
    if lines and (not starts or starts[0] != 0):
        raise lines[0].fail("the number of a frame")
    values: dict[str, list[list[float]]] = {name: [] for name in columns}
    for count, (start, stop) in enumerate(pairwise([*starts, len(lines)])):
        frame = lines[start]
        if int(frame.words[0]) != int(lines[starts[0]].words[0]) + count:
            raise frame.fail(f"frame {int(lines[starts[0]].words[0]) + count}")
        _read_frame(lines[start + 1 : stop], columns, values, frame)
    arrays = {name: np.array(rows, dtype=np.float64).reshape(-1, len(columns[name])) for name, rows in values.items()}
    return arrays if in_degrees else {name: _degrees(array, columns[name]) for name, array in arrays.items()}


def _body(lines: list[Line]) -> tuple[list[Line], bool]:
    """The frames' lines, and whether angles are degrees (the default)."""
    flags = [line for line in lines if line.words[0].startswith(":")]
    for line in flags:
        if line.words[0].lower() not in FLAGS:
            raise line.fail(f"one of {' '.join(FLAGS).upper()}")
    in_degrees = all(line.words[0].lower() != ":radians" for line in flags)
    return [line for line in lines if not line.words[0].startswith(":")], in_degrees


def _read_frame(
    lines: list[Line], columns: dict[str, tuple[str, ...]], values: dict[str, list[list[float]]], frame: Line
) -> None:
    read = set()
    for line in lines:
        name = line.words[0]
        if name not in columns or name in read:
            raise line.fail("a bone of the skeleton with degrees of freedom, once a frame", name)
        try:
            row = [float(word) for word in line.words[1:]]
        except ValueError:
            row = [line.number_of(word, name) for word in line.words[1:]]
        if len(row) != len(columns[name]) or not np.isfinite(row).all():
            raise line.fail(f"{len(columns[name])} numbers for {name!r} ({' '.join(columns[name])})")
        values[name].append(row)
        read.add(name)
    missing = [name for name in columns if name not in read]
    if missing:
        raise FileFormatError(
            f"frame {frame.words[0]} has no {', '.join(missing)}",
            where=f"{frame.where}:{frame.number}",
            remedy="The file is cut short, or it belongs to another skeleton: give its own ASF.",
        )


def _degrees(array: np.ndarray, columns: tuple[str, ...]) -> np.ndarray:
    return np.where([name.startswith("r") for name in columns], np.rad2deg(array), array)
