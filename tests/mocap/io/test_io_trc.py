"""TRC: files of other programs by ours, and ours by Pose2Sim's reader."""

import subprocess

import numpy as np
import pytest

from mocap.core.errors import FileFormatError
from mocap.core.keypoints import Keypoints3D, KeypointSet
from mocap.io.point_tracks import points_from_tracks
from mocap.io.trc import TrcConfig, read_trc, write_trc, write_trc_tracks
from mocap.io.world_joints import joint_points, joint_worlds
from motion_worlds import marching_person
from peer_runs import peers_or_skip

POSE2SIM = """
import sys
import numpy as np
from Pose2Sim.common import read_trc
points, frames, times, markers, header = read_trc(sys.argv[1])
np.savez(sys.argv[2], points=points.to_numpy(float), times=times, frames=frames, markers=np.array(markers))
"""


def people(n_frames: int = 30, n_people: int = 2) -> Keypoints3D:
    rng = np.random.default_rng(2)
    names = ("nose", "left ankle", "right ankle")
    shape = (n_frames, n_people, 3)
    missing = rng.uniform(size=shape) < 0.2
    return Keypoints3D(
        keypoint_set=KeypointSet("three", names, (), (), names),
        xyz=np.where(missing[..., None], np.nan, rng.normal(size=(*shape, 3)) * [2, 3, 1]),
        confidence=np.where(missing, 0.0, 1.0),
        reprojection_px=np.where(missing, np.nan, 2.5),
        n_views=np.where(missing, 0, 4),
        fps=59.94,
    )


def test_files_of_other_programs_come_back_as_they_were(shared_data, tmp_path):
    files = sorted(shared_data.rglob("*.trc"))
    assert len(files) >= 9
    for file in files:
        before = read_trc(file)
        assert before.n_frames in (12, 100, 200, 238, 728)
        write_trc_tracks(before, tmp_path / "again.trc")
        after = read_trc(tmp_path / "again.trc")
        assert (after.labels, after.fps, after.unit) == (before.labels, before.fps, before.unit)
        assert after.first_frame == before.first_frame
        assert np.array_equal(np.isnan(after.xyz), np.isnan(before.xyz))
        # Half of the last decimal: 0.05 micrometres.
        assert np.nanmax(np.abs(after.xyz - before.xyz)) <= {"m": 5.1e-8, "mm": 5.1e-5}[before.unit], file.name


def test_a_real_walk_stands_on_its_feet(shared_data):
    file = shared_data / "motion/nimblephysics/data/grf/AddBiomechanicsTutorialFiles/motion_capture_walk.trc"
    tracks = read_trc(file)
    assert (tracks.n_frames, tracks.fps, tracks.unit, len(tracks.labels)) == (238, 100.0, "mm", 41)
    points = points_from_tracks(tracks, up="y")
    assert 1.2 < points.of("R.Shoulder")[..., 2].mean() < 1.7
    assert 0 < points.of("R.Heel")[..., 2].mean() < 0.2


def test_a_missing_rate_is_told_by_the_times(shared_data):
    tracks = read_trc(shared_data / "pose2sim_blender/Examples/Moco_markers.trc")
    assert tracks.fps == pytest.approx(90.689, abs=1e-3)


@pytest.mark.parametrize(("up", "unit"), [("y", "mm"), ("z", "m"), ("y", "cm")])
def test_points_come_back_as_they_went(tmp_path, up, unit):
    points = people()
    write_trc(points, tmp_path / "a.trc", TrcConfig(up=up, unit=unit))
    tracks = read_trc(tmp_path / "a.trc")
    assert tracks.labels[:2] == ("person1:nose", "person1:left_ankle")
    back = points_from_tracks(tracks, up=up)
    assert back.n_people == 2
    assert np.nanmax(np.abs(back.xyz - points.xyz)) <= 5.1e-8
    assert np.array_equal(back.confidence, points.confidence)
    assert back.fps == points.fps


@pytest.mark.slow
def test_pose2sim_reads_it(tmp_path):
    motion = marching_person(50)
    write_trc(joint_points([motion]), tmp_path / "a.trc")
    command = [str(peers_or_skip()), "-c", POSE2SIM, str(tmp_path / "a.trc"), str(tmp_path / "a.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "a.npz") as found:
        assert tuple(found["markers"].tolist()) == motion.skeleton.joint_names
        assert found["frames"].tolist() == list(range(1, 51))
        assert found["times"] == pytest.approx(np.arange(50) / 59.94, abs=1e-9)
        x, y, z = np.moveaxis(found["points"].reshape(50, 22, 3) / 1000, -1, 0)
        assert np.abs(np.stack([x, -z, y], axis=-1) - joint_worlds(motion)[1]).max() < 1e-7


@pytest.mark.parametrize("n_frames", [0, 1, 10_000])
def test_recordings_of_any_length(tmp_path, n_frames):
    points = people(n_frames, 1)
    write_trc(points, tmp_path / "a.trc")
    tracks = read_trc(tmp_path / "a.trc")
    assert tracks.n_frames == n_frames
    assert np.array_equal(np.isnan(tracks.xyz[..., 0]), points.confidence[:, 0] == 0)


def test_damage_is_told(tmp_path):
    file = tmp_path / "a.trc"
    with pytest.raises(FileFormatError, match="no such file"):
        read_trc(file)
    file.write_text("time,x,y\n")
    with pytest.raises(FileFormatError, match="does not begin with PathFileType"):
        read_trc(file)
    write_trc(people(), file)
    lines = file.read_text().splitlines()
    for wrong, told in (
        (lines[:3], "ends after 3 lines, within its header"),
        ([*lines[:2], lines[2].replace("\t6\t", "\t7\t"), *lines[3:]], "states 7 points and names 6"),
        ([*lines[:8], lines[8].replace(".", "x", 2)], "row 3 of its points is not numbers"),
        ([*lines[:2], lines[2].replace("59.94", "fast"), *lines[3:]], "tell a frame rate"),
    ):
        file.write_text("\n".join(wrong))
        with pytest.raises(FileFormatError, match=told):
            read_trc(file)
