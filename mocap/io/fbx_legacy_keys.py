"""Animation keys of FBX 6.x: one list of numbers and letters a curve.

A key is its time, its value and a letter: `L` straight on; `C` constant, then `s` (this value) or `n` (the next key's);
`U` cubic, then how its slopes are given (`s`, `b`, `d`: two numbers a second, leaving this key and arriving at the
next; `a`, `p`: by themselves) and its weights (`n` the usual, `a` two numbers, `r` the first, `l` the second).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mocap.io.fbx_curve import (
    CONSTANT,
    CUBIC,
    LINEAR,
    STEP_NEXT,
    USUAL_WEIGHT,
    WEIGHT_UNIT,
    WEIGHTED_NEXT_LEFT,
    WEIGHTED_RIGHT,
)
from mocap.io.fbx_node import TICKS_PER_SECOND, FbxNode

AUTOMATIC = ("a", "p")


@dataclass
class LegacyKey:
    """One key. flags: as 7.x has them. slopes: a second, None where they follow from the neighbours."""

    ticks: int
    value: float
    flags: int
    slopes: tuple[float, float] | None = (0.0, 0.0)
    weights: tuple[float, float] = (USUAL_WEIGHT, USUAL_WEIGHT)


class MalformedKeysError(ValueError):
    """The list is no list of keys."""


def curve_node(values: Sequence[Any], default: float | None) -> FbxNode | None:
    """An `AnimationCurve` as 7.x has it, without id; None where there is neither a key nor a default."""
    keys = list(_keys(values))
    if not keys:
        if default is None:
            return None
        keys = [LegacyKey(0, default, CONSTANT)]
    _slopes_of_neighbours(keys)
    packed = np.array([[key.weights[0], key.weights[1]] for key in keys]) * WEIGHT_UNIT
    data = np.zeros((len(keys), 4), dtype=np.float32)
    data[:, :2] = [key.slopes or (0.0, 0.0) for key in keys]
    data[:, 2] = np.ascontiguousarray(np.round(packed), dtype=np.int16).view(np.float32)[:, 0]
    node = FbxNode("AnimationCurve")
    node.add("KeyTime", np.array([key.ticks for key in keys], dtype=np.int64))
    node.add("KeyValueFloat", np.array([key.value for key in keys], dtype=np.float32))
    node.add("KeyAttrFlags", np.array([key.flags for key in keys], dtype=np.int32))
    node.add("KeyAttrDataFloat", data.reshape(-1))
    node.add("KeyAttrRefCount", np.ones(len(keys), dtype=np.int32))
    return node


def _keys(values: Sequence[Any]) -> Iterator[LegacyKey]:
    rest = iter(values)
    for ticks in rest:
        key = LegacyKey(int(_number(ticks)), _number(_next(rest)), LINEAR)
        mode = _next(rest)
        if mode == "C":
            key.flags = CONSTANT | (STEP_NEXT if _next(rest) == "n" else 0)
        elif mode == "U":
            _read_cubic(key, rest)
        elif mode != "L":
            raise MalformedKeysError(f"keys of kind {mode!r} are not known")
        yield key


def _read_cubic(key: LegacyKey, rest: Iterator[Any]) -> None:
    key.flags = CUBIC
    slopes = _next(rest)
    if slopes in AUTOMATIC:
        key.slopes = None
    elif slopes in ("s", "b", "d"):
        key.slopes = _number(_next(rest)), _number(_next(rest))
    else:
        raise MalformedKeysError(f"slopes of kind {slopes!r} are not known")
    weights = _next(rest)
    if weights in ("a", "r"):
        key.weights = _number(_next(rest)), key.weights[1]
        key.flags |= WEIGHTED_RIGHT
    if weights in ("a", "l"):
        key.weights = key.weights[0], _number(_next(rest))
        key.flags |= WEIGHTED_NEXT_LEFT
    if weights not in ("n", "a", "r", "l"):
        raise MalformedKeysError(f"weights of kind {weights!r} are not known")


def _slopes_of_neighbours(keys: list[LegacyKey]) -> None:
    """Where a key leaves its slopes open, those of a curve through its neighbours (Catmull-Rom in uneven time)."""
    times = np.array([key.ticks for key in keys], dtype=np.float64) / TICKS_PER_SECOND
    values = np.array([key.value for key in keys])
    at = np.zeros(len(keys))
    if len(keys) > 2:
        length = times[2:] - times[:-2]
        at[1:-1] = (values[2:] - values[:-2]) / np.where(length > 0, length, 1.0)
    for index, key in enumerate(keys):
        if key.slopes is None:
            key.slopes = float(at[index]), float(at[min(index + 1, len(keys) - 1)])


def _next(rest: Iterator[Any]) -> Any:
    try:
        return next(rest)
    except StopIteration:
        raise MalformedKeysError("the keys end early") from None


def _number(value: Any) -> float:
    if isinstance(value, (int, float, np.number)) and not isinstance(value, np.bool_) and np.isfinite(value):
        return float(value)
    raise MalformedKeysError(f"{value!r} stands where a number should")
