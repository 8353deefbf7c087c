"""JSON that strangers wrote: bounded in size, and every complaint names the file and the place in it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float

from mocap.core.errors import FileFormatError

MAX_JSON_BYTES = 256 * 2**20
"""A parsed file takes some ten times its size in memory; half an hour of one person at 60 Hz is 100 MB."""

KINDS = {dict: "an object", list: "a list", str: "a text", int: "a whole number", float: "a number"}
T = TypeVar("T")


def read_json(path: Path, *, max_bytes: int = MAX_JSON_BYTES) -> Any:
    """The value that the file holds. NaN and Infinity are let through; `numbers` treats them as missing."""
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise FileFormatError(f"{size / 2**20:.0f} MB of JSON; up to {max_bytes / 2**20:.0f} are read", where=path)
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    except json.JSONDecodeError as error:
        raise FileFormatError(
            f"not valid JSON at line {error.lineno}, column {error.colno} ({error.msg})", where=path
        ) from None
    except UnicodeDecodeError as error:
        raise FileFormatError(f"not text in UTF-8 (byte {error.start})", where=path) from None
    except RecursionError:
        raise FileFormatError("JSON nested too deeply", where=path) from None
    except ValueError as error:  # an integer of thousands of digits
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"not usable JSON ({error})", where=path) from None
    except OSError as error:
        raise FileFormatError(f"cannot be read ({error.strerror})", where=path) from None


def expect(value: object, kind: type[T], path: Path, place: str) -> T:
    """`value` itself when it is of that kind (true and false are no numbers)."""
    if isinstance(value, kind) and not isinstance(value, bool):
        return value
    raise FileFormatError(f"{place}: expected {KINDS[kind]}, found {describe(value)}", where=path)


def field(table: dict[str, Any], key: str, kind: type[T], path: Path, place: str) -> T:
    """A required entry of an object."""
    where = f"{place}.{key}" if place else key
    if key not in table:
        raise FileFormatError(f"{where} is missing", where=path)
    return expect(table[key], kind, path, where)


def numbers(value: object, path: Path, place: str) -> Float[np.ndarray, "n"]:
    """A flat list of numbers; null becomes NaN."""
    flat = expect(value, list, path, place)
    for index, item in enumerate(flat):
        if type(item) not in (int, float) and item is not None:
            raise FileFormatError(f"{place}[{index}]: expected a number, found {describe(item)}", where=path)
    try:
        return np.array([math.nan if item is None else item for item in flat], dtype=np.float64)
    except OverflowError:
        raise FileFormatError(f"{place}: a number too large", where=path) from None


def array(
    value: object, shape: tuple[int, ...], path: Path, place: str, *, gaps: bool = False
) -> Float[np.ndarray, "..."]:
    """Numbers of a shape that is known, in one list or in rows. gaps: null and NaN may be among them."""
    rows = expect(value, list, path, place)
    flat = numbers([item for row in rows for item in (row if isinstance(row, list) else [row])], path, place)
    if flat.size != math.prod(shape):
        raise FileFormatError(f"{place}: {flat.size} numbers, expected {math.prod(shape)}", where=path)
    if not gaps and not np.isfinite(flat).all():
        raise FileFormatError(f"{place}: holds what is no finite number", where=path)
    return flat.reshape(shape)


def describe(value: object) -> str:
    """A short picture of a wrong value for a message."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return f"{KINDS[type(value)]} of {len(value)}"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
