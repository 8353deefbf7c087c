"""DeepLabCut's and SLEAP's files, written by pandas and sleap-io themselves (foreign_2d/make_fixtures.py)."""

from __future__ import annotations

import os
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mocap.core.errors import FileFormatError
from mocap.io.deeplabcut_h5 import read_deeplabcut
from mocap.io.foreign_h5 import open_foreign_h5, read_array
from mocap.io.plain_pickle import NotPlainDataError, parse_plain_pickle
from mocap.io.sleap_h5 import read_sleap

FILES = Path(__file__).parent / "foreign_2d"
PARTS = ("Nose", "LShoulder", "right wrist", "tail")

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)


def expected(person: int, frame: int) -> np.ndarray:
    """The rule of make_fixtures.py: (parts, x y likelihood)."""
    x = 1000.0 * person + 100.0 * frame + np.arange(4)
    points = np.stack([x, x + 0.5, 0.9 - np.arange(4) / 10], -1)
    if (person, frame) == (0, 1):
        points[2] = np.nan
    return points


def assert_follows_rule(people, persons: int) -> None:
    assert people.names == PARTS
    assert len(people.frame) == 4 * persons
    for row in range(len(people.frame)):
        person = max(int(people.track[row]), 0)
        wanted = expected(person, int(people.frame[row]))
        np.testing.assert_array_equal(people.xy[row], wanted[:, :2])
        np.testing.assert_allclose(people.confidence[row], np.nan_to_num(wanted[:, 2]), rtol=0, atol=1e-15)
    assert people.last_frame == 4
    assert people.first_frame == 0


@pytest.mark.parametrize(("name", "persons"), [("single", 1), ("fixed", 1), ("several", 2)])
def test_deeplabcut_tables_of_every_layout_are_read(name: str, persons: int):
    people = read_deeplabcut(FILES / f"deeplabcut_{name}.h5")
    assert_follows_rule(people, persons)
    assert set(people.track) == ({0, 1} if persons == 2 else {-1})


@pytest.mark.parametrize("preset", ["matlab", "standard"])
def test_sleap_is_read_in_both_axis_orders(preset: str):
    people = read_sleap(FILES / f"sleap_{preset}.h5")
    assert_follows_rule(people, 2)
    assert people.edges == (("Nose", "LShoulder"), ("LShoulder", "right wrist"))
    np.testing.assert_array_equal(people.score, 0.75)


def test_sleap_as_it_writes_itself_names_no_axes(tmp_path: Path):
    path = tmp_path / "plain.h5"
    shutil.copy(FILES / "sleap_matlab.h5", path)
    with h5py.File(path, "r+") as file:
        for name in ("tracks", "point_scores", "instance_scores"):
            del file[name].attrs["dims"]
    assert_follows_rule(read_sleap(path), 2)


def test_points_placed_by_hand_in_sleap_count_fully(tmp_path: Path):
    path = tmp_path / "labels.h5"
    shutil.copy(FILES / "sleap_matlab.h5", path)
    with h5py.File(path, "r+") as file:
        file["point_scores"][:] = np.nan
    people = read_sleap(path)
    np.testing.assert_array_equal(people.confidence, np.isfinite(people.xy[..., 0]).astype(float))


def test_sleap_with_arrays_that_do_not_fit_is_refused(tmp_path: Path):
    path = tmp_path / "odd.h5"
    shutil.copy(FILES / "sleap_matlab.h5", path)
    with h5py.File(path, "r+") as file:
        del file["node_names"]
        file["node_names"] = np.array([b"only", b"two"])
    with pytest.raises(FileFormatError, match="4 nodes and 2 coordinates for 2 node_names"):
        read_sleap(path)


def test_labels_are_not_predictions():
    with pytest.raises(FileFormatError, match=r"x, y, likelihood\. Give the \.h5 that analyze_videos writes"):
        read_deeplabcut(FILES / "deeplabcut_labels.h5")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    path = tmp_path / "hostile.h5"
    shutil.copy(FILES / "deeplabcut_single.h5", path)
    return path


class Bomb:
    def __reduce__(self):
        return (os.mkdir, ("run_by_the_reader",))


def test_a_pickle_that_would_run_code_is_refused_and_not_run(hostile: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File(hostile, "r+") as file:
        file["df_with_missing/table"].attrs["values_block_0_kind"] = np.bytes_(pickle.dumps([Bomb()], protocol=0))
    with pytest.raises(FileFormatError, match=r"not plain data \(uses GLOBAL\), so they are not unpickled"):
        read_deeplabcut(hostile)
    assert not Path("run_by_the_reader").exists()


def test_links_to_other_files_are_not_followed(hostile: Path, tmp_path: Path):
    with h5py.File(hostile, "r+") as file:
        del file["df_with_missing/table"]
        file["df_with_missing/table"] = h5py.ExternalLink(str(FILES / "deeplabcut_single.h5"), "df_with_missing/table")
    with pytest.raises(FileFormatError, match="links to elsewhere are not followed"):
        read_deeplabcut(hostile)


def test_data_in_other_files_is_not_read(tmp_path: Path):
    path = tmp_path / "outside.h5"
    (tmp_path / "secret").write_bytes(bytes(80))
    with h5py.File(path, "w") as file:
        file.create_dataset("a", shape=(10,), dtype="f8", external=[(str(tmp_path / "secret"), 0, 80)])
    with open_foreign_h5(path) as file, pytest.raises(FileFormatError, match="its data lies in other files"):
        read_array(file, "a", path)


def test_an_array_that_claims_a_terabyte_is_refused_before_it_is_read(tmp_path: Path):
    path = tmp_path / "huge.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", shape=(2**20, 2**17), dtype="f8", chunks=(64, 64), compression="gzip")
    with open_foreign_h5(path) as file, pytest.raises(FileFormatError, match="137438953472 numbers; up to 200000000"):
        read_array(file, "a", path)


def test_arrays_of_objects_are_refused(tmp_path: Path):
    path = tmp_path / "objects.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", shape=(1,), dtype=h5py.vlen_dtype(np.uint8))
    with open_foreign_h5(path) as file, pytest.raises(FileFormatError, match="holds objects"):
        read_array(file, "a", path)


@pytest.mark.parametrize("content", [b"", b"not hdf5", b"\x89HDF\r\n\x1a\n" + bytes(100)])
def test_a_file_that_is_no_hdf5_is_told(tmp_path: Path, content: bytes):
    path = tmp_path / "broken.h5"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"broken\.h5: not a readable HDF5 file"):
        read_deeplabcut(path)


def test_missing_datasets_are_named(hostile: Path):
    with h5py.File(hostile, "r+") as file:
        del file["df_with_missing/table"]
    with pytest.raises(FileFormatError, match="/df_with_missing/table is missing"):
        read_deeplabcut(hostile)
    with pytest.raises(FileFormatError, match="/node_names is missing"):
        read_sleap(hostile)


@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_pickles_give_what_pickle_gives(value: object, protocol: int):
    assert parse_plain_pickle(pickle.dumps(value, protocol)) == value


def test_a_value_that_stands_twice_is_shared():
    shared = ["x", ("y", 1)]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert parse_plain_pickle(pickle.dumps([shared, shared, (shared,)], protocol)) == [shared, shared, (shared,)]


@given(st.binary(max_size=200))
def test_random_bytes_never_do_more_than_fail(data: bytes):
    try:
        parse_plain_pickle(data)
    except NotPlainDataError:
        return


@given(plain, st.data())
def test_damaged_pickles_never_do_more_than_fail(value: object, data):
    raw = bytearray(pickle.dumps(value, data.draw(st.integers(0, 5))))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_plain_pickle(bytes(raw))
    except NotPlainDataError:
        return


@pytest.mark.parametrize("value", [Bomb(), np.float64(1.0), complex(1, 2), {1, 2}, Path("x")])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_anything_but_plain_data_are_refused(value: object, protocol: int):
    with pytest.raises(NotPlainDataError, match="uses"):
        parse_plain_pickle(pickle.dumps([value], protocol))
