"""Reads dictionaries of arrays that `numpy.save` has pickled, without unpickling: nothing of the file is run.

The machine of `plain_pickle` with a few more things that it knows by name: numpy's array, dtype, scalar, the two ways
in which numpy rebuilds arrays, and how protocol 2 writes bytes. They are carried out here by hand, on the bytes that
the file holds; every other name is refused. Pickles of Python 3, protocols 2 to 5.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from mocap.core.errors import FileFormatError
from mocap.io.plain_pickle import IGNORED_OPCODES, NotPlainDataError, PlainMachine

MAX_BYTES = 4 * 2**30
BYTES_OPCODES = {"BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"}
TYPE_CODE = re.compile(r"[biufcOSUV][0-9]{1,9}")
BYTE_ORDERS = ("<", ">", "|", "=")
ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")
NUMERIC_MODULES = ("numpy.core.numeric", "numpy._core.numeric")


def read_numpy_object(path: Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """What an .npy of one object holds, mostly a dictionary; arrays in it are numpy's, of numbers, texts or records."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size > max_bytes:
                raise FileFormatError(f"more than {max_bytes / 2**30:.0f} GB", where=path)
            shape, dtype = _header(file)
            if shape or not dtype.hasobject:
                raise FileFormatError(f"holds an array {shape} of {dtype}, expected one pickled dictionary", where=path)
            return parse_numpy_pickle(file)
    except FileNotFoundError:
        raise FileFormatError("no such file", where=path) from None
    except NotPlainDataError as error:
        raise FileFormatError(
            f"its pickle is not arrays and plain data ({error}), so it is not opened: it could run code", where=path
        ) from None
    except ValueError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"not a file of numpy.save ({error})", where=path) from None


def parse_numpy_pickle(data: bytes | BinaryIO) -> Any:
    """The value of a pickle of arrays and plain data. Raises NotPlainDataError for anything else."""
    return result_of(NumpyMachine(), data, _settled)


def result_of(machine: PlainMachine, data: bytes | BinaryIO, settled: Callable[[Any], Any]) -> Any:
    """What a machine makes of a pickle's steps, `settled`. Raises NotPlainDataError for refused and broken ones."""
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return settled(machine.result())
            machine.step(opcode.name, argument)
    except NotPlainDataError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise NotPlainDataError(f"broken ({error})") from None
    except RecursionError:
        raise NotPlainDataError("nested too deeply") from None
    raise NotPlainDataError("ends early")


@dataclass(frozen=True)
class KnownName:
    """One of the names that a pickle may use; what it does is in `CALLS`."""

    name: str


class _Made:
    """An array or dtype that the pickle has announced and fills later; `value` is there after its BUILD."""

    def __init__(self, kind: str, code: str = "") -> None:
        self.kind, self.code = kind, code
        self.value: Any = None

    def built(self) -> Any:
        if self.value is None:
            raise NotPlainDataError(f"an unfinished {self.kind}")
        return self.value


class NumpyMachine(PlainMachine):
    """The stack and the memo, with numpy's own values."""

    def step(self, name: str, argument: Any) -> None:
        if name in BYTES_OPCODES:
            self.stack.append(bytes(argument))
        elif name == "GLOBAL":
            self.stack.append(_known(*argument.split(" ")))
        elif name == "STACK_GLOBAL":
            self.stack.append(_known(*self.pop(2)))
        elif name == "REDUCE":
            self._reduce(*self.pop(2))
        elif name == "BUILD":
            self._build(*self.pop(2))
        elif name not in IGNORED_OPCODES:
            super().step(name, argument)

    def _reduce(self, function: Any, arguments: Any) -> None:
        if not isinstance(function, KnownName) or not isinstance(arguments, tuple) or function.name not in CALLS:
            raise NotPlainDataError("calls something unknown")
        self.stack.append(CALLS[function.name](*arguments))

    def _build(self, made: Any, state: Any) -> None:
        if not isinstance(made, _Made) or made.value is not None or not isinstance(state, tuple):
            raise NotPlainDataError("sets the state of something unknown")
        made.value = _dtype(made.code, state) if made.kind == "dtype" else _array(state)
        self.stack.append(made)


def _known(module: Any, name: Any) -> KnownName:
    if (module, name) not in NAMES:
        raise NotPlainDataError(f"names {module}.{name}")
    return KnownName(name)


def _encoded(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise NotPlainDataError(f"bytes in {encoding!r}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How protocol 2 writes bytes of length 0."""
    return b""


def _announced_dtype(code: Any, _align: Any = False, _copy: Any = True) -> _Made:
    if not isinstance(code, str) or not TYPE_CODE.fullmatch(code):
        raise NotPlainDataError(f"an array of type {code!r}")
    return _Made("dtype", code)


def _announced_array(kind: Any, _shape: Any, _code: Any) -> _Made:
    if kind != KnownName("ndarray"):
        raise NotPlainDataError("an array of a class that is not numpy's")
    return _Made("array")


def _scalar(dtype: Any, data: Any) -> Any:
    return _from_bytes(data, _type_of(dtype), (), "C").item()


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    return _from_bytes(data, _type_of(dtype), shape, order)


def _type_of(made: Any) -> np.dtype:
    if not isinstance(made, _Made) or made.kind != "dtype":
        raise NotPlainDataError("an array without a type")
    return made.built()


def _dtype(code: str, state: tuple[Any, ...]) -> np.dtype:
    """From (version, byte order, sub-array, names, fields, item size, …), as numpy's own `__setstate__`."""
    order, within, names, fields, size = state[1:6]
    if within is not None:
        base, shape = within
        return np.dtype((_type_of(base), tuple(int(n) for n in shape)))
    if names is not None:
        columns = [fields[name] for name in names]
        formats, offsets = [_type_of(column[0]) for column in columns], [int(column[1]) for column in columns]
        return np.dtype({"names": list(names), "formats": formats, "offsets": offsets, "itemsize": int(size)})
    if order not in BYTE_ORDERS:
        raise NotPlainDataError(f"a byte order {order!r}")
    return np.dtype(code).newbyteorder(order)


def _array(state: tuple[Any, ...]) -> Any:
    """From (version, shape, dtype, Fortran order, bytes or list). An array of objects becomes its list, or its one."""
    _, shape, made, fortran, data = state
    dtype = _type_of(made)
    if not dtype.hasobject:
        return _from_bytes(data, dtype, shape, "F" if fortran else "C")
    if dtype != np.dtype(object) or not isinstance(data, list) or len(shape) > 1 or len(data) != int(np.prod(shape)):
        raise NotPlainDataError(f"objects in an array of {dtype} {shape}")
    return data if shape else _One(data[0])


@dataclass(frozen=True, eq=False)
class _One:
    """The object of an array without axes; of its own, as None is a value too."""

    value: Any


def _from_bytes(data: Any, dtype: np.dtype, shape: Any, order: Any) -> np.ndarray:
    if (
        dtype.hasobject
        or not isinstance(data, bytes)
        or len(data) != dtype.itemsize * int(np.prod(shape, dtype=object))
    ):
        raise NotPlainDataError(f"an array of {dtype} {shape} without as many bytes")
    return np.ndarray(tuple(int(n) for n in shape), dtype, data, order="F" if order == "F" else "C")


def _settled(value: Any) -> Any:
    """Announced arrays replaced by what they became, in lists, tuples and dictionaries."""
    if isinstance(value, _Made):
        return _settled(value.built())
    if isinstance(value, _One):
        return _settled(value.value)
    if isinstance(value, dict):
        return {_settled(key): _settled(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_settled(item) for item in value)
    if isinstance(value, KnownName):
        raise NotPlainDataError(f"holds the name {value.name}")
    return value


def _header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype


NAMES = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("__builtin__", "bytes"),
    *((module, name) for module in ARRAY_MODULES for name in ("_reconstruct", "scalar")),
    *((module, "_frombuffer") for module in NUMERIC_MODULES),
}
CALLS: dict[str, Callable[..., Any]] = {
    "encode": _encoded,
    "bytes": _no_bytes,
    "dtype": _announced_dtype,
    "_reconstruct": _announced_array,
    "scalar": _scalar,
    "_frombuffer": _from_buffer,
}
