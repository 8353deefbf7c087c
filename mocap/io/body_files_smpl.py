"""Files of the SMPL family, as its makers give them to registered users: `.npz`, or `.pkl` read without unpickling.

A pickle is a program. Here its opcodes are carried out by hand (see `plain_pickle` and `numpy_pickle`), with the few
names that official files use: numpy's arrays, scipy's sparse matrices and two classes of chumpy, of which only the
attributes are looked at. Nothing is imported or called; any other name is refused.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csc_array, csr_array

from mocap.core.errors import FileFormatError, InputError
from mocap.core.smpl_arrays import SmplArrays
from mocap.io.numpy_pickle import KnownName, NumpyMachine, result_of
from mocap.io.plain_pickle import NotPlainDataError

KEYS = ("v_template", "shapedirs", "posedirs", "J_regressor", "weights", "kintree_table", "f")
MAX_BYTES = 2 * 2**30
SPARSE = {"csc_matrix": csc_array, "csr_matrix": csr_array, "csc_array": csc_array, "csr_array": csr_array}
CHUMPY = {("chumpy.ch", "Ch"), ("chumpy", "Ch"), ("chumpy.reordering", "Select")}
REBUILDERS = {("copy_reg", "_reconstructor"), ("copyreg", "_reconstructor")}
ROOTS = {("__builtin__", "object"), ("builtins", "object")}
NO_PARENT = 2**31
"""The root's parent is written as the largest unsigned number."""


def read_smpl_file(path: Path) -> SmplArrays:
    """A model of the family: SMPL, SMPL-H or SMPL-X, by its number of joints."""
    if not path.is_file():
        raise FileFormatError(
            "no such file",
            where=path,
            remedy="Register at the model's own site, download it there, and give the file's path.",
        )
    if path.stat().st_size > MAX_BYTES:
        raise FileFormatError(f"more than {MAX_BYTES / 2**30:.0f} GB", where=path)
    reader = {".npz": _of_npz, ".pkl": _of_pickle}.get(path.suffix.lower())
    if reader is None:
        raise FileFormatError(f"body models are .npz or .pkl files, not {path.suffix or 'without suffix'}", where=path)
    values = reader(path)
    missing = [key for key in KEYS if key not in values]
    if missing:
        raise FileFormatError(f"is no body model of the SMPL family: it lacks {', '.join(missing)}", where=path)
    try:
        return _arrays(values)
    except InputError as error:
        raise FileFormatError(error.what, where=path) from None
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise FileFormatError(f"its arrays are not those of a body model ({error})", where=path) from None


def _of_npz(path: Path) -> Mapping[str, Any]:
    """Only the arrays that are needed are read; what else lies in the file, pickled, is not touched."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in KEYS if key in file.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError) as error:
        raise FileFormatError(f"cannot be read as arrays of numbers ({error})", where=path) from None


def _of_pickle(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            values = parse_model_pickle(file)
    except NotPlainDataError as error:
        raise FileFormatError(
            f"its pickle is not arrays and plain data ({error}), so it is not opened: it could run code", where=path
        ) from None
    if not isinstance(values, dict):
        raise FileFormatError("holds no dictionary", where=path)
    return values


def _arrays(values: Mapping[str, Any]) -> SmplArrays:
    parents = np.asarray(values["kintree_table"])[0].astype(np.int64)
    parents[(parents >= NO_PARENT) | (parents < 0)] = -1
    numbers = {
        name: np.ascontiguousarray(values[name], dtype=np.float64)
        for name in ("v_template", "shapedirs", "posedirs", "J_regressor", "weights")
    }
    for name, array in numbers.items():
        if not np.isfinite(array).all():
            raise InputError(f"{name} of the body model is not finite")
    faces = np.asarray(values["f"]).astype(np.int64)
    regressor = numbers.pop("J_regressor")
    return SmplArrays(**numbers, joint_regressor=regressor, parents=parents, faces=faces)


def parse_model_pickle(data: Any) -> Any:
    """The value of a pickle (bytes or an open file) of arrays, sparse matrices and chumpy's leaves, as numpy arrays."""
    return result_of(ModelMachine(), data, _settled)


class _Instance:
    """Something of a known class: its name and, after BUILD, its attributes. It has no behaviour."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None


class ModelMachine(NumpyMachine):
    """With instances of the classes that models are saved with, and texts of Python 2 as numpy's bytes."""

    def step(self, name: str, argument: Any) -> None:
        if name == "GLOBAL" and _own_name(*argument.split(" ")):
            self.stack.append(_own_name(*argument.split(" ")))
        elif name == "STACK_GLOBAL" and _own_name(*self.stack[-2:]):
            self.stack.append(_own_name(*self.pop(2)))
        elif name == "NEWOBJ":
            kind, arguments = self.pop(2)
            self.stack.append(_instance(kind, arguments))
        else:
            super().step(name, argument)

    def _reduce(self, function: Any, arguments: Any) -> None:
        if function == REBUILD and isinstance(arguments, tuple) and len(arguments) == 3:
            self.stack.append(_instance(arguments[0], ()))
        else:
            super()._reduce(function, arguments)

    def _build(self, made: Any, state: Any) -> None:
        if not isinstance(made, _Instance):
            super()._build(made, _with_bytes(state))
            return
        if made.state is not None or not isinstance(state, dict):
            raise NotPlainDataError("sets the state of something unknown")
        made.state = state
        self.stack.append(made)


REBUILD = KnownName("rebuild an object")
OBJECT = KnownName("object")


def _own_name(module: Any, name: Any) -> KnownName | None:
    """Names that models use besides numpy's; None for any other."""
    if not isinstance(module, str) or not isinstance(name, str):
        return None
    if (module, name) in CHUMPY:
        return KnownName(f"chumpy {name}")
    if module.split(".")[:2] == ["scipy", "sparse"] and name in SPARSE:
        return KnownName(f"sparse {name}")
    if (module, name) in REBUILDERS:
        return REBUILD
    return OBJECT if (module, name) in ROOTS else None


def _instance(kind: Any, arguments: Any) -> _Instance:
    if not isinstance(kind, KnownName) or kind.name.split(" ")[0] not in ("chumpy", "sparse") or arguments != ():
        raise NotPlainDataError("makes something unknown")
    return _Instance(kind.name)


def _with_bytes(state: Any) -> Any:
    """Python 2 writes an array's bytes as a text of as many characters."""
    if isinstance(state, tuple) and state and isinstance(state[-1], str):
        return (*state[:-1], state[-1].encode("latin1"))
    return state


def _settled(value: Any) -> Any:
    """Instances replaced by arrays, in dictionaries and lists."""
    if isinstance(value, _Instance):
        kind, name = value.name.split(" ")
        if value.state is None:
            raise NotPlainDataError(f"an unfinished {name}")
        state = {key: _settled(item) for key, item in value.state.items() if key in WANTED[kind]}
        return MAKERS[kind](name, state)
    if isinstance(value, dict):
        return {_key(key): _settled(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_settled(item) for item in value)
    built = getattr(value, "built", None)
    if callable(built):
        return _settled(built())
    if isinstance(value, KnownName):
        raise NotPlainDataError(f"holds the name {value.name}")
    return value


def _key(key: Any) -> Any:
    return key.decode("latin1") if isinstance(key, bytes) else key


def _chumpy(name: str, state: Mapping[str, Any]) -> np.ndarray:
    """A leaf is its `x`; a selection is that of `a` at flat indices, in a shape."""
    if name == "Ch":
        return np.asarray(state["x"])
    chosen = np.asarray(state["a"]).ravel()[np.asarray(state["idxs"])]
    return chosen.reshape([int(n) for n in state["preferred_shape"]]) if "preferred_shape" in state else chosen


def _sparse(name: str, state: Mapping[str, Any]) -> np.ndarray:
    parts = (state["data"], state["indices"], state["indptr"])
    rows, columns = (int(n) for n in state["_shape"])
    if rows * columns > MAX_BYTES // 8:
        raise NotPlainDataError(f"a sparse matrix of {rows} by {columns}")
    matrix = SPARSE[name](parts, shape=(rows, columns))
    matrix.check_format(full_check=True)  # else an index from the file would write outside the array
    return matrix.toarray()


WANTED = {
    "chumpy": {"x", "a", "idxs", "preferred_shape"},
    "sparse": {"data", "indices", "indptr", "_shape"},
}
MAKERS: dict[str, Callable[[str, Mapping[str, Any]], np.ndarray]] = {"chumpy": _chumpy, "sparse": _sparse}
