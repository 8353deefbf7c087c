"""C3D by readers that are not ours: ezc3d for everything, py-c3d for residuals; and files of other programs by ours.

ezc3d takes the residual's byte for the cameras' and the other way round, against the user guide.
"""

import struct
from pathlib import Path

import numpy as np
import pytest

from mocap.core.errors import FileFormatError, InputError
from mocap.core.keypoints import Keypoints3D, KeypointSet
from mocap.io.c3d import C3dConfig, read_c3d, write_c3d, write_c3d_tracks
from mocap.io.c3d_parameters import BLOCK, DEC, MIPS, parameter_bytes, read_parameters
from mocap.io.point_tracks import PointTracks, distinct_labels, points_from_tracks, tracks_from_points
from mocap.io.world_joints import joint_points, joint_worlds
from motion_worlds import marching_person

ezc3d = pytest.importorskip("ezc3d", reason="ezc3d is not here (extra dev)")
c3d = pytest.importorskip("c3d", reason="py-c3d is not here (extra dev)")

FLOAT32 = 6e-8  # of a number: half of the last bit


def points_with_gaps(n_frames: int = 40, n_people: int = 2) -> Keypoints3D:
    """People on a walk whose points are missing here and there, and filled in elsewhere."""
    rng = np.random.default_rng(1)
    names = ("nose", "left_hip", "right_hip")
    shape = (n_frames, n_people, 3)
    missing, filled = rng.uniform(size=shape) < 0.2, rng.uniform(size=shape) < 0.2
    return Keypoints3D(
        keypoint_set=KeypointSet("three", names, (), (("left_hip", "right_hip"),), names),
        xyz=np.where(missing[..., None], np.nan, rng.normal(size=(*shape, 3)) * [2, 3, 1]),
        confidence=np.where(missing, 0.0, 0.9),
        reprojection_px=np.where(missing | filled, np.nan, rng.uniform(0.2, 12, shape)),
        n_views=np.where(missing | filled, 0, 3),
        fps=59.94,
    )


def by_ezc3d(path: Path) -> tuple[np.ndarray, dict]:
    """(T, N, 3) and the parameters."""
    read = ezc3d.c3d(str(path))
    return read["data"]["points"][:3].transpose(2, 1, 0), read["parameters"]


def residuals_by_py_c3d(path: Path) -> np.ndarray:
    """(T, N), -1 where missing."""
    with path.open("rb") as file:
        return np.array([points[:, 3] for _, points, _ in c3d.Reader(file).read_frames()])


def real_files(shared_data):
    files = sorted((shared_data / "motion").rglob("*.c3d"))
    assert len(files) >= 3
    return files


def test_files_of_other_programs_are_read_as_others_read_them(shared_data):
    for file in real_files(shared_data):
        tracks, (places, parameters) = read_c3d(file, whole=False), by_ezc3d(file)
        assert np.array_equal(tracks.xyz, places, equal_nan=True), file.name
        assert list(tracks.labels) == parameters["POINT"]["LABELS"]["value"]
        assert tracks.fps == parameters["POINT"]["RATE"]["value"][0]
        assert tracks.unit == "mm"


def test_residuals_of_other_programs(shared_data):
    file = shared_data / "motion" / "ezc3d/test/c3dFiles/Qualisys.c3d"
    tracks = read_c3d(file)
    assert tracks.first_frame == 705
    assert tracks.residual_unit == "length"
    assert np.abs(tracks.residuals - residuals_by_py_c3d(file)).max() < 1e-6
    assert 1.0 < np.median(tracks.residuals) < 4.0


def test_files_of_other_programs_come_back_as_they_were(shared_data, tmp_path):
    for file in real_files(shared_data):
        before = read_c3d(file, whole=False)
        write_c3d_tracks(before, tmp_path / "again.c3d")
        after, (places, parameters) = read_c3d(tmp_path / "again.c3d"), by_ezc3d(tmp_path / "again.c3d")
        assert (after.labels, after.fps, after.unit, after.up) == (before.labels, before.fps, before.unit, before.up)
        assert after.first_frame == before.first_frame
        furthest = np.nanmax(np.abs(before.xyz))
        assert np.array_equal(np.isnan(after.xyz), np.isnan(before.xyz))
        assert np.nanmax(np.abs(after.xyz - before.xyz)) <= FLOAT32 * furthest, file.name
        assert np.array_equal(places, after.xyz, equal_nan=True)
        assert parameters["POINT"]["LABELS"]["value"] == list(before.labels)
        # Half a unit of the residual's byte, or a whole one where a residual is too small for one.
        unit = max(furthest / 32_000, np.nanmax(before.residuals) / 255)
        assert np.nanmax(np.abs(after.residuals - before.residuals)) <= unit, file.name
        assert np.array_equal(after.residuals == 0, before.residuals == 0)


@pytest.mark.parametrize("up", ["y", "z"])
@pytest.mark.parametrize("unit", ["mm", "m"])
def test_other_readers_find_our_points_and_residuals(tmp_path, up, unit):
    points = points_with_gaps()
    write_c3d(points, tmp_path / "a.c3d", C3dConfig(up=up, unit=unit, people=("ann", "bob")))
    places, parameters = by_ezc3d(tmp_path / "a.c3d")
    world_from_file = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]) if up == "y" else np.eye(3)
    metres = places * {"mm": 0.001, "m": 1.0}[unit] @ world_from_file.T
    expected = points.xyz.reshape(40, 6, 3)
    assert np.array_equal(np.isnan(metres), np.isnan(expected))
    assert np.nanmax(np.abs(metres - expected)) < FLOAT32 * 12
    assert parameters["POINT"]["LABELS"]["value"][:4] == ["ann:nose", "ann:left_hip", "ann:right_hip", "bob:nose"]
    assert parameters["POINT"]["UNITS"]["value"] == [unit]
    assert parameters["POINT"]["RATE"]["value"][0] == np.float32(59.94)
    assert parameters["POINT"]["Y_SCREEN"]["value"] == [f"+{up.upper()}"]
    assert parameters["SUBJECTS"]["NAMES"]["value"] == ["ann", "bob"]
    assert parameters["MOCAP"]["RESIDUAL_UNITS"]["value"] == ["px"]

    residuals = residuals_by_py_c3d(tmp_path / "a.c3d")
    error_px = points.reprojection_px.reshape(40, 6)
    present = np.isfinite(expected[..., 0])
    assert (residuals[~present] == -1).all()
    assert (residuals[present & np.isnan(error_px)] == 0).all()
    measured = np.isfinite(error_px)
    step = abs(parameters["POINT"]["SCALE"]["value"][0])
    assert step <= 12 / 32  # mm: 32,000 steps to the furthest point; and 255 steps to the worst residual of 12 px
    assert (np.abs(residuals - error_px)[measured] <= step).all()


def test_points_come_back_as_they_went(tmp_path):
    points = points_with_gaps()
    write_c3d(points, tmp_path / "a.c3d")
    back = points_from_tracks(read_c3d(tmp_path / "a.c3d"))
    assert back.keypoint_set.names == points.keypoint_set.names
    assert back.keypoint_set.mirror_pairs == points.keypoint_set.mirror_pairs
    assert np.nanmax(np.abs(back.xyz - points.xyz)) < FLOAT32 * 12
    assert np.array_equal(back.confidence > 0, points.confidence > 0)
    assert np.array_equal(np.isnan(back.reprojection_px), np.isnan(points.reprojection_px))
    assert np.nanmax(np.abs(back.reprojection_px - points.reprojection_px)) < 0.4
    assert back.fps == 59.94


def test_joints_of_a_motion_are_points_too(tmp_path):
    motion = marching_person(20)
    write_c3d(joint_points([motion]), tmp_path / "a.c3d")
    places, parameters = by_ezc3d(tmp_path / "a.c3d")
    assert parameters["POINT"]["LABELS"]["value"] == list(motion.skeleton.joint_names)
    assert np.abs(places / 1000 - joint_worlds(motion)[1]).max() < FLOAT32 * 2


@pytest.mark.parametrize("n_frames", [0, 1, 10_000, 70_000])
def test_recordings_of_any_length(tmp_path, n_frames):
    xyz = np.arange(n_frames * 3, dtype=float).reshape(n_frames, 1, 3) % 4093
    tracks = PointTracks(("a",), xyz, np.zeros((n_frames, 1)), 100.0, "mm", "z")
    write_c3d_tracks(tracks, tmp_path / "a.c3d")
    assert np.array_equal(read_c3d(tmp_path / "a.c3d").xyz, xyz)
    if n_frames:  # ezc3d refuses files without frames
        assert np.array_equal(by_ezc3d(tmp_path / "a.c3d")[0], xyz)


def test_more_points_than_one_parameter_can_name(tmp_path):
    labels = tuple(f"point{n:03d}" for n in range(600))
    xyz = np.random.default_rng(0).normal(size=(3, 600, 3)).astype(np.float32).astype(float)
    write_c3d_tracks(PointTracks(labels, xyz, np.zeros((3, 600)), 30.0, "mm", "z"), tmp_path / "a.c3d")
    assert read_c3d(tmp_path / "a.c3d").labels == labels
    places, parameters = by_ezc3d(tmp_path / "a.c3d")
    named = [parameters["POINT"][key]["value"] for key in ("LABELS", "LABELS2", "LABELS3")]
    assert tuple(label for part in named for label in part) == labels
    assert np.array_equal(places, xyz)


def in_words_of(processor: int, content: bytes) -> bytes:
    """Our file of floats as DEC or MIPS would have written it."""
    floats = np.frombuffer(content, "<f4")
    if processor == MIPS:
        return floats.astype(">f4").tobytes()
    return (floats * 4).astype("<f4").view("<u2").reshape(-1, 2)[:, ::-1].tobytes()


@pytest.mark.parametrize("processor", [DEC, MIPS])
def test_files_of_old_processors(tmp_path, processor):
    tracks = tracks_from_points(points_with_gaps(), up="z", unit="mm")
    write_c3d_tracks(tracks, tmp_path / "a.c3d")
    content = (tmp_path / "a.c3d").read_bytes()
    words = struct.unpack("<5H", content[2:12])
    scale, start, per_frame, rate = struct.unpack("<fHHf", content[12:24])
    order = ">" if processor == MIPS else "<"
    header = content[:2] + struct.pack(f"{order}5H", *words)
    header += in_words_of(processor, struct.pack("<f", scale)) + struct.pack(f"{order}HH", start, per_frame)
    header += in_words_of(processor, struct.pack("<f", rate))
    labels = "".join(label.ljust(20) for label in tracks.labels).encode()
    point = struct.pack("bb", 5, -1) + b"POINT" + struct.pack(f"{order}h", 3) + b"\0"
    named = struct.pack("bb", 6, 1) + b"LABELS" + struct.pack(f"{order}h", 0)
    named += struct.pack("bBBB", -1, 2, 20, len(tracks.labels)) + labels + b"\0"
    parameters = bytes([1, 0x50, start - 2, processor]) + point + named
    body = in_words_of(processor, content[(start - 1) * BLOCK :])
    old = header.ljust(BLOCK, b"\0") + parameters.ljust((start - 2) * BLOCK, b"\0") + body
    (tmp_path / "old.c3d").write_bytes(old)
    read = read_c3d(tmp_path / "old.c3d")
    assert read.labels == tracks.labels
    assert read.fps == 59.94
    assert np.nanmax(np.abs(read.xyz - tracks.xyz)) <= FLOAT32 * 12_000
    assert np.array_equal(read.residuals, read_c3d(tmp_path / "a.c3d").residuals, equal_nan=True)


def test_parameters_come_back():
    groups = {
        "POINT": {"USED": 7, "RATE": np.float32(59.94), "UNITS": "mm", "LABELS": ["a", "bcd", ""]},
        "FORCE": {"CORNERS": np.arange(24, dtype=np.float32).reshape(2, 4, 3)},
    }
    read = read_parameters(parameter_bytes(groups))
    assert read["POINT"]["USED"].item() == 7
    assert read["POINT"]["RATE"].item() == np.float32(59.94)
    assert read["POINT"]["LABELS"].tolist() == ["a", "bcd", ""]
    assert read["POINT"]["UNITS"].tolist() == ["mm"]
    assert np.array_equal(read["FORCE"]["CORNERS"], groups["FORCE"]["CORNERS"])
    with pytest.raises(InputError, match="at most 255"):
        parameter_bytes({"A": {f"P{n}": np.zeros(255, np.float32) for n in range(140)}})


def test_a_file_that_was_cut_is_read_on_request(shared_data):
    file = shared_data / "motion" / "ezc3d/test/c3dFiles/Optotrak.c3d"
    with pytest.raises(FileFormatError, match="ends after 29 of 1149 frames.*whole=False"):
        read_c3d(file)
    assert read_c3d(file, whole=False).n_frames == 29


def test_damage_is_told(tmp_path, shared_data):
    with pytest.raises(FileFormatError, match="no such file"):
        read_c3d(tmp_path / "a.c3d")
    (tmp_path / "a.c3d").write_bytes(b"\2" + bytes(2000))
    with pytest.raises(FileFormatError, match="lacks the key 0x50"):
        read_c3d(tmp_path / "a.c3d")
    whole = real_files(shared_data)[-1].read_bytes()
    (tmp_path / "a.c3d").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileFormatError, match=r"ends after \d+ of \d+ frames"):
        read_c3d(tmp_path / "a.c3d")
    for cut in range(600, 4000, 97):  # within the parameters
        (tmp_path / "a.c3d").write_bytes(whole[:cut].ljust(2 * BLOCK, b"\xff"))
        with pytest.raises(FileFormatError):
            read_c3d(tmp_path / "a.c3d")


def test_labels_and_subjects():
    assert distinct_labels(["LASI", "", "LASI", " RASI "]) == ("LASI", "point_2", "LASI_2", "RASI")
    xyz, residuals = np.zeros((1, 3, 3)), np.zeros((1, 3))
    uneven = PointTracks(("a:x", "a:y", "b:x"), xyz, residuals, 30.0, "mm", "z")
    assert points_from_tracks(uneven).keypoint_set.names == ("a:x", "a:y", "b:x")
    silent = PointTracks(("x", "y", "z"), xyz, residuals, 30.0)
    with pytest.raises(InputError, match="the points' up axis and unit is not in their file"):
        points_from_tracks(silent)
    assert points_from_tracks(silent, up="y", unit=0.001).n_people == 1
    with pytest.raises(InputError, match="3 names for 2 people"):
        tracks_from_points(points_with_gaps(), up="z", unit="mm", people=("a", "b", "c"))
