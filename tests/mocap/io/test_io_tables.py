"""Tables say what the kinematics say, in every form, and are read by plain csv, numpy and h5py."""

import csv
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.core.keypoints import Keypoints3D, KeypointSet
from mocap.core.motion import Motion
from mocap.io.tables import (
    JOINT_COLUMNS,
    CsvConfig,
    joint_sheets,
    keypoint_sheets,
    long_columns,
    write_csv,
    write_keypoints_csv,
    write_npz,
    write_tables_h5,
)
from mocap.io.world_joints import joint_worlds
from motion_worlds import crooked_motion, marching_person

HALF_A_DECIMAL = 5.1e-8


def two_people() -> list[Motion]:
    return [marching_person(9, person="Ann, the first"), marching_person(7, 25.0, "Bob")]


def gappy_points() -> Keypoints3D:
    xyz = np.random.default_rng(0).normal(size=(6, 2, 3, 3))
    xyz[2, 1, 0] = np.nan
    missing = np.isnan(xyz[..., 0])
    names = ("nose", "left_eye", "right_eye")
    confidence, error_px = np.where(missing, 0.0, 0.75), np.where(missing, np.nan, 3.5)
    return Keypoints3D(
        KeypointSet("face", names, (), (), names), xyz, confidence, error_px, np.where(missing, 0, 3), 59.94
    )


def number(cell: str) -> float:
    return float(cell) if cell else np.nan


def rows_of(path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_wide_csv_has_a_row_a_frame(tmp_path):
    people = two_people()
    write_csv(people, tmp_path / "a.csv")
    rows = rows_of(tmp_path / "a.csv")
    assert [row["person"] for row in rows] == ["Ann, the first"] * 9 + ["Bob"] * 7
    assert [int(row["frame"]) for row in rows] == [*range(9), *range(7)]
    assert float(rows[8]["time_s"]) == pytest.approx(8 / 59.94, rel=1e-8)
    expected = np.concatenate([joint_worlds(person)[1] for person in people])
    names = people[0].skeleton.joint_names
    found = np.array([[[number(row[f"{n}_{c}_m"]) for c in "xyz"] for n in names] for row in rows])
    assert np.abs(found - expected).max() <= HALF_A_DECIMAL
    turns = np.array([[[number(row[f"{n}_local_q{c}"]) for c in "wxyz"] for n in names] for row in rows])
    assert np.abs(turns - np.concatenate([p.local_rotations for p in people])).max() <= HALF_A_DECIMAL
    assert len(rows[0]) == 3 + 22 * len(JOINT_COLUMNS)


def test_a_long_csv_has_a_row_a_joint_and_takes_any_skeletons(tmp_path):
    people = [marching_person(3), crooked_motion(2)]
    with pytest.raises(InputError, match="joints differ between the people.*long layout"):
        write_csv(people, tmp_path / "a.csv")
    write_csv(people, tmp_path / "a.csv", CsvConfig(layout="long"))
    rows = rows_of(tmp_path / "a.csv")
    assert len(rows) == 3 * 22 + 4 * 9
    last = rows[-1]
    assert (last["frame"], last["joint"]) == ("3", "joint8")
    place = joint_worlds(people[1])[1][3, 8]
    assert np.abs([number(last[f"{c}_m"]) for c in "xyz"] - place).max() <= HALF_A_DECIMAL


def test_keypoints_in_csv_leave_cells_empty_where_nothing_is(tmp_path):
    points = gappy_points()
    write_keypoints_csv(points, tmp_path / "a.csv", people=("ann", "bob"))
    rows = rows_of(tmp_path / "a.csv")
    gap = rows[6 + 2]
    assert (gap["person"], gap["frame"]) == ("bob", "2")
    cells = [gap[f"nose_{c}"] for c in ("x_m", "y_m", "z_m", "confidence", "reprojection_px", "n_views")]
    assert cells == ["", "", "", "0.0000000", "", "0"]
    assert rows[0]["left_eye_n_views"] == "3"
    found = np.array([[[number(r[f"{n}_{c}_m"]) for c in "xyz"] for n in points.keypoint_set.names] for r in rows])
    expected = np.moveaxis(points.xyz, 1, 0).reshape(12, 3, 3)
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert np.nanmax(np.abs(found - expected)) <= HALF_A_DECIMAL


def test_hdf5_columns_are_of_equal_length_and_exact(tmp_path):
    people, points = two_people(), gappy_points()
    write_tables_h5(people, tmp_path / "a.hdf5", points=points)
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert dict(file.attrs) == {"schema": "mocap/tables/1", "up_axis": "Z", "length_unit": "m"}
        joints = {name: column[:] for name, column in file["joints"].items()}
        keypoints = {name: column[:] for name, column in file["keypoints"].items()}
        assert list(file["joints"])[:5] == ["person", "frame", "time_s", "joint", "x_m"]
    assert {len(column) for column in joints.values()} == {(9 + 7) * 22}
    assert {len(column) for column in keypoints.values()} == {6 * 2 * 3}
    places = np.stack([joints[f"{c}_m"] for c in "xyz"], axis=-1)[9 * 22 :].reshape(7, 22, 3)
    assert np.array_equal(places, joint_worlds(people[1])[1])
    assert {name.decode() for name in joints["person"]} == {"Ann, the first", "Bob"}
    assert joints["joint"][5].decode() == people[0].skeleton.joint_names[5]
    assert np.isnan(keypoints["x_m"]).sum() == 1


def test_npz_arrays_and_the_same_bytes_again(tmp_path):
    people, points = two_people(), gappy_points()
    write_npz(people, tmp_path / "a.npz", points=points)
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.array_equal(arrays["person2/positions_m"], joint_worlds(people[1])[1])
        assert np.array_equal(arrays["person1/local_rotations"], people[0].local_rotations)
        assert str(arrays["person1/name"]) == "Ann, the first"
        assert arrays["person2/fps"] == 25
        assert np.array_equal(arrays["keypoints/xyz_m"], points.xyz, equal_nan=True)
        assert arrays["keypoints/names"].tolist() == ["nose", "left_eye", "right_eye"]
    write_npz(people, tmp_path / "b.npz", points=points)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.slow
def test_ten_thousand_frames(tmp_path):
    written(marching_person(10_000), tmp_path / "long.csv")


def test_empty_and_single_takes(tmp_path):
    walk = marching_person(1)
    empty = Motion(walk.skeleton, walk.root_translation[:0], walk.local_rotations[:0], walk.fps)
    written(empty, tmp_path / "empty.csv")
    written(walk, tmp_path / "single.csv")


def written(motion: Motion, path: Path) -> None:
    """Both forms have as many rows as they must."""
    write_csv([motion], path)
    write_tables_h5([motion], path.with_suffix(".hdf5"))
    with path.open() as file:
        assert sum(1 for _ in file) == motion.n_frames + 1
    with h5py.File(path.with_suffix(".hdf5")) as file:
        assert file["joints/x_m"].shape == (motion.n_frames * 22,)


def test_what_joints_are_expected_to_be_off_is_a_column_where_anybody_knows(tmp_path):
    known = replace(marching_person(4), joint_sd_m=np.full((4, 22), 0.012))
    sheets = joint_sheets([known, marching_person(3, person="other")])
    columns = long_columns(sheets)
    assert columns["sd_m"][: 4 * 22] == pytest.approx(0.012)
    assert np.isnan(columns["sd_m"][4 * 22 :]).all()
    assert "sd_m" not in joint_sheets([marching_person(3)])[0].columns
    write_npz([known], tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as arrays:
        assert np.array_equal(arrays["person1/sd_m"], known.joint_sd_m)


def test_nobody_is_no_table(tmp_path):
    with pytest.raises(InputError, match="nobody to make a table of"):
        write_csv([], tmp_path / "a.csv")
    with pytest.raises(InputError, match="1 names for 2 people"):
        keypoint_sheets(gappy_points(), ["ann"])
    assert not list(tmp_path.iterdir())
