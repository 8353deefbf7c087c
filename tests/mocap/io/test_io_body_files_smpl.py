"""Body models of the SMPL family read from files of the official layout; traps in them do not run."""

from __future__ import annotations

import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.core.smpl_arrays import SmplArrays
from mocap.io.body_files_smpl import read_smpl_file
from smpl_worlds import official_layout, tube_person


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch):
    """Classes of chumpy's names, to write pickles with; they are gone before anything is read."""
    modules = {}
    for name, kind in (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select")):
        module = types.ModuleType(name)
        made = type(kind, (), {"__module__": name})
        setattr(module, kind, made)
        modules[name] = made
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
    return modules


def same(read: SmplArrays, wanted: SmplArrays):
    for name, value in vars(wanted).items():
        np.testing.assert_array_equal(getattr(read, name), value, err_msg=name)


def written(path: Path, values: object, protocol: int = 2) -> Path:
    path.write_bytes(pickle.dumps(values, protocol=protocol))
    return path


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
def test_npz(tmp_path: Path, model: str):
    arrays = tube_person(model)
    np.savez(tmp_path / "model.npz", **official_layout(arrays))
    read = read_smpl_file(tmp_path / "model.npz")
    same(read, arrays)
    assert read.model == model


def test_npz_with_objects_beside_the_arrays(tmp_path: Path):
    """As SMPL-X has them: tables of names, pickled, which are not touched."""
    arrays = tube_person()
    trap = np.array({"a": Trap(tmp_path / "sprung")}, dtype=object)
    np.savez(tmp_path / "model.npz", part2num=trap, **official_layout(arrays))
    same(read_smpl_file(tmp_path / "model.npz"), arrays)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickle_with_a_sparse_regressor(tmp_path: Path, protocol: int):
    arrays = tube_person()
    layout = official_layout(arrays, sparse=True)
    same(read_smpl_file(written(tmp_path / "model.pkl", layout, protocol)), arrays)


def test_pickle_of_chumpy(tmp_path: Path, chumpy: dict[str, type]):
    """The makers' first files hold shapes as chumpy's leaves, later ones as a selection of more shapes."""
    arrays = tube_person()
    layout = official_layout(arrays, sparse=True)
    leaf, chosen = chumpy["chumpy.ch"](), chumpy["chumpy.reordering"]()
    leaf.__dict__.update(x=arrays.v_template, _cached=[])
    more = np.concatenate([arrays.shapedirs, arrays.shapedirs + 1], axis=-1)
    index = np.arange(more.size).reshape(more.shape)[..., : arrays.shapedirs.shape[-1]]
    all_shapes = chumpy["chumpy.ch"]()
    all_shapes.__dict__.update(x=more)
    chosen.__dict__.update(a=all_shapes, idxs=index.ravel(), preferred_shape=arrays.shapedirs.shape)
    layout |= {"v_template": leaf, "shapedirs": chosen}
    path = written(tmp_path / "model.pkl", layout)
    same(read_smpl_file(path), arrays)


def python2(values: dict[str, np.ndarray | str]) -> bytes:
    """A pickle as Python 2 writes it: texts are bytes, and so is what an array holds."""
    out = bytearray(b"\x80\x02}")
    for key, value in values.items():
        out += b"U" + bytes([len(key)]) + key.encode()
        if isinstance(value, str):
            out += b"U" + bytes([len(value)]) + value.encode()
        else:
            out += _python2_array(np.ascontiguousarray(value))
        out += b"s"
    return bytes(out + b".")


def _python2_array(array: np.ndarray) -> bytes:
    def text(value: bytes) -> bytes:
        return b"T" + len(value).to_bytes(4, "little") + value

    def number(value: int) -> bytes:
        return b"J" + value.to_bytes(4, "little", signed=True)

    shape = b"(" + b"".join(number(n) for n in array.shape) + b"t"
    dtype = b"cnumpy\ndtype\n(" + text(array.dtype.str[1:].encode()) + number(0) + number(1) + b"tR"
    dtype += b"(" + number(3) + text(b"<") + b"NNN" + number(-1) + number(-1) + number(0) + b"tb"
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + number(0) + b"t" + text(b"b") + b"tR"
    return head + b"(" + number(1) + shape + dtype + number(0) + text(array.tobytes()) + b"tb"


def test_pickle_of_python_2(tmp_path: Path):
    arrays = tube_person()
    path = tmp_path / "model.pkl"
    path.write_bytes(python2(official_layout(arrays)))
    same(read_smpl_file(path), arrays)


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_a_trap_is_refused_and_does_not_run(tmp_path: Path, protocol: int):
    sprung = tmp_path / "sprung"
    layout = official_layout(tube_person()) | {"v_template": Trap(sprung)}
    with pytest.raises(FileFormatError, match="could run code"):
        read_smpl_file(written(tmp_path / "model.pkl", layout, protocol))
    assert not sprung.exists()
    pickle.loads((tmp_path / "model.pkl").read_bytes())
    assert sprung.exists(), "the trap must work where it is unpickled, else this test shows nothing"


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"cchumpy.ch\nCh\n(S'x'\ntR.",
        b"(S'a'\nios\nsystem\n.",
        b"cscipy.sparse.csc\ncsc_matrix\n)\x81}(S'data'\nNub.",
        b"ccopy_reg\n_reconstructor\n(cos\nsystem\nc__builtin__\nobject\nNtR.",
    ],
)
def test_programs_of_other_kinds_are_refused(tmp_path: Path, program: bytes):
    (tmp_path / "model.pkl").write_bytes(program)
    with pytest.raises(FileFormatError):
        read_smpl_file(tmp_path / "model.pkl")


def test_a_sparse_matrix_that_points_outside_itself_is_refused(tmp_path: Path):
    layout = official_layout(tube_person(), sparse=True)
    layout["J_regressor"].indices[3] = 2**30
    with pytest.raises(FileFormatError, match="not opened"):
        read_smpl_file(written(tmp_path / "model.pkl", layout))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"f": np.array([[0, 1, 10**6]])}, "names vertices"),
        ({"weights": np.zeros((10, 24))}, "v_template|weights"),
        ({"posedirs": np.zeros((5, 3, 207))}, "posedirs"),
        ({"v_template": np.full((1, 3), np.nan)}, "not finite"),
        ({"kintree_table": np.zeros((2, 24), dtype=np.uint32)}, "not a tree"),
    ],
)
def test_arrays_that_fit_no_body_are_refused(tmp_path: Path, change: dict, message: str):
    np.savez(tmp_path / "model.npz", **(official_layout(tube_person()) | change))
    with pytest.raises(FileFormatError, match=message):
        read_smpl_file(tmp_path / "model.npz")


def test_what_is_no_body_model_says_so(tmp_path: Path):
    np.savez(tmp_path / "other.npz", poses=np.zeros(3))
    with pytest.raises(FileFormatError, match="lacks v_template"):
        read_smpl_file(tmp_path / "other.npz")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(FileFormatError, match="cannot be read"):
        read_smpl_file(tmp_path / "broken.npz")
    with pytest.raises(FileFormatError, match="no such file"):
        read_smpl_file(tmp_path / "absent.pkl")
    (tmp_path / "model.h5").write_bytes(b"")
    with pytest.raises(FileFormatError, match=r"\.npz or \.pkl"):
        read_smpl_file(tmp_path / "model.h5")


def test_a_body_of_other_joints_is_refused(tmp_path: Path):
    layout = official_layout(tube_person())
    layout["weights"], layout["J_regressor"] = layout["weights"][:, :23], layout["J_regressor"][:23]
    layout["posedirs"], layout["kintree_table"] = layout["posedirs"][..., :198], layout["kintree_table"][:, :23]
    np.savez(tmp_path / "model.npz", **layout)
    with pytest.raises(FileFormatError, match="23 joints is none of the SMPL family"):
        read_smpl_file(tmp_path / "model.npz")
