"""Pickled arrays are read like `numpy.load(allow_pickle=True)` reads them, and nothing in them is run."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mocap.core.errors import FileFormatError
from mocap.io.numpy_pickle import parse_numpy_pickle, read_numpy_object
from mocap.io.plain_pickle import NotPlainDataError

RECORD = np.dtype([("who", "i1"), ("frame", ">i2"), ("R", "f4", (3, 2)), ("name", "U4"), ("code", "S3")])


def content() -> dict[str, object]:
    rng = np.random.default_rng(0)
    table = np.zeros(5, RECORD)
    table["R"], table["frame"], table["name"], table["code"] = rng.random((5, 3, 2)), range(5), "né", b"ab"
    return {
        "names": ["S1", "S9"],
        "table": table,
        "turned": np.asfortranarray(rng.random((4, 3))),
        "empty": np.empty((0, 2), np.float32),
        "flags": np.array([True, False]),
        "count": np.int64(7),
        "mixed": (np.array(2.5), [None, True, 3]),
    }


def assert_same(got: object, wanted: object) -> None:
    if isinstance(wanted, np.ndarray):
        assert isinstance(got, np.ndarray)
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        np.testing.assert_array_equal(got, wanted)
    elif isinstance(wanted, dict):
        assert isinstance(got, dict)
        assert got.keys() == wanted.keys()
        for key, value in wanted.items():
            assert_same(got[key], value)
    elif isinstance(wanted, (list, tuple)):
        assert isinstance(got, type(wanted))
        for a, b in zip(got, wanted, strict=True):
            assert_same(a, b)
    else:
        assert got == wanted


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_gives_the_same_arrays(protocol):
    assert_same(parse_numpy_pickle(pickle.dumps(content(), protocol=protocol)), content())


@pytest.mark.parametrize("protocol", [2, 4])
def test_names_of_older_numpy_are_known(protocol):
    data = pickle.dumps(content(), protocol=protocol)
    old = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    if protocol == 4:  # the text's own length is written before it, and that of the frame before all
        old = old.replace(b"\x8c\x16numpy.core", b"\x8c\x15numpy.core")
        old = old[:2] + old[11:]
    assert_same(parse_numpy_pickle(old), content())


def test_a_saved_dictionary_is_read(tmp_path):
    np.save(tmp_path / "labels.npy", content(), allow_pickle=True)  # type: ignore[arg-type]
    assert_same(read_numpy_object(tmp_path / "labels.npy"), content())


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


class Stated:
    def __init__(self) -> None:
        self.a = 1


class Odd(np.ndarray):
    pass


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_code_is_refused_and_not_run(tmp_path, protocol):
    mark = tmp_path / "ran"
    for value in (Bomb(mark), {"a": [Bomb(mark)]}, np.array([Bomb(mark)], dtype=object), Stated(), os.system, Odd(2)):
        with pytest.raises(NotPlainDataError):
            parse_numpy_pickle(pickle.dumps(value, protocol=protocol))
    assert not mark.exists()


def test_the_refusal_names_the_file_and_the_reason(tmp_path):
    np.save(tmp_path / "bad.npy", {"a": Bomb(tmp_path / "ran")}, allow_pickle=True)  # type: ignore[arg-type]
    with pytest.raises(FileFormatError, match=r"bad.npy: its pickle is not arrays and plain data \(names .*mkdir\)"):
        read_numpy_object(tmp_path / "bad.npy")
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(FileFormatError, match=r"holds an array \(3,\) of float64, expected one pickled dictionary"):
        read_numpy_object(tmp_path / "plain.npy")
    (tmp_path / "text.npy").write_bytes(b"no array at all")
    with pytest.raises(FileFormatError, match="not a file of numpy.save"):
        read_numpy_object(tmp_path / "text.npy")
    with pytest.raises(FileFormatError, match="no such file"):
        read_numpy_object(tmp_path / "absent.npy")


def test_arrays_must_have_their_bytes():
    data = pickle.dumps(np.arange(6, dtype="<i4"), protocol=4)
    with pytest.raises(NotPlainDataError, match="without as many bytes"):
        parse_numpy_pickle(data.replace(b"K\x06\x85", b"K\x07\x85"))


def test_a_list_that_holds_itself_is_refused():
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(NotPlainDataError, match="nested too deeply"):
        parse_numpy_pickle(pickle.dumps(endless, protocol=4))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, 10**6), value=st.integers(0, 255), protocol=st.sampled_from([2, 4]))
def test_damaged_pickles_are_refused_or_read_but_never_crash(place, value, protocol):
    data = bytearray(pickle.dumps(content(), protocol=protocol))
    data[place % len(data)] = value
    try:
        parse_numpy_pickle(bytes(data))
    except NotPlainDataError:
        return
