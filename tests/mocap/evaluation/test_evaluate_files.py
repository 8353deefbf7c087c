from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.rig_file import write_rig
from evaluated_takes import FPS, true_take, write_take
from mocap.core.errors import FileFormatError, InputError
from mocap.core.keypoints import Keypoints3D
from mocap.evaluation.files import evaluate_files, evaluate_sync, read_points, read_rig_file
from mocap.io.artefacts import save_keypoints3d, save_motions
from mocap.io.bvh import BvhConfig, write_bvh
from mocap.io.session_files import open_take
from mocap.io.truth_file import save_truth
from truth_worlds import KEYPOINTS, joints_of


@pytest.fixture(scope="module")
def truth():
    return true_take(cameras=2, seconds=1.0)


@pytest.fixture(scope="module")
def truth_path(truth, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("truth") / "truth.npz"
    save_truth(truth, path, joints_of(truth))
    return path


def write_csv(path: Path, xyz: np.ndarray, names: tuple[str, ...]) -> Path:
    rows = ["frame,name,x,y,z"]
    for frame, points in enumerate(xyz):
        rows += [
            f"{frame},{n},{p[0]},{p[1]},{p[2]}" for n, p in zip(names, points, strict=True) if np.isfinite(p).all()
        ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_the_same_points_in_every_format_are_30_mm_off(truth, truth_path, tmp_path):
    xyz = truth.keypoints_m + [0.0, 0.030, 0.0]
    known = np.isfinite(xyz).all(-1)
    there = np.where(known, 0.9, 0.0)
    artefact = Keypoints3D(KEYPOINTS, xyz, there, np.where(known, 1.0, np.nan), np.where(known, 2, 0), FPS)
    save_keypoints3d(artefact, tmp_path / "a.h5")
    np.savez(tmp_path / "a.npz", names=np.array(KEYPOINTS.names), xyz=xyz[:, 0], fps=FPS)
    write_csv(tmp_path / "a.csv", xyz[:, 0], KEYPOINTS.names)
    for name in ("a.h5", "a.npz", "a.csv"):
        report, matched, notes = evaluate_files(tmp_path / name, truth_path)
        assert report.points.headline_mm.mean == pytest.approx(30.0, abs=1e-3), name
        assert (report.points.frames, report.points.fps) == (30, FPS), name
        assert (matched.people, notes) == (("anna",), ()), name


@pytest.mark.parametrize(("up", "unit"), [("y", "cm"), ("z", "m")])
def test_bvh_and_solved_motions_are_compared_with_true_joints(truth, truth_path, tmp_path, up, unit):
    motion = truth.people[0].motion
    write_bvh(motion, tmp_path / "m.bvh", BvhConfig(up=up, unit=unit))
    save_motions([motion], tmp_path / "m.h5")
    for name in ("m.bvh", "m.h5"):
        report, _, notes = evaluate_files(tmp_path / name, truth_path)
        assert report.points.headline_mm.max == pytest.approx(0.0, abs=1e-2), name
        assert "Hips" in report.points.names, name
        assert ("guessed" in " ".join(notes)) == name.endswith("bvh")
    joints, _, _ = evaluate_files(
        tmp_path / "m.bvh", write_csv(tmp_path / "k.csv", truth.keypoints_m[:, 0], KEYPOINTS.names)
    )
    assert set(joints.points.headline_names) == set(joints.points.names), (
        "limb joints are what keypoints and joints share"
    )


def test_an_offset_between_files_is_found(truth, tmp_path):
    """Straight lines between frames are off by half the second difference at most, so that the offset is found to 1 ms
    of the quickest joint's few m/s."""
    late = write_csv(tmp_path / "late.csv", truth.keypoints_m[6:, 0], KEYPOINTS.names)
    all_of_it = write_csv(tmp_path / "all.csv", truth.keypoints_m[:, 0], KEYPOINTS.names)
    report, _, _ = evaluate_files(late, all_of_it, offset_ms=None, fps=60.0)
    assert report.offset is not None
    assert report.offset.offset_ms == pytest.approx(100.0, abs=1.0)
    assert report.points.headline_mm.mean == pytest.approx(0.0, abs=1.0)
    assert report.points.fps == 60.0


def test_different_rates_are_put_on_one_clock_and_lengths_told(truth, tmp_path):
    xyz, names = truth.keypoints_m[:, 0], np.array(KEYPOINTS.names)
    np.savez(tmp_path / "half.npz", names=names, xyz=xyz[::2], fps=FPS / 2)
    np.savez(tmp_path / "whole.npz", names=names, xyz=xyz, fps=FPS)
    np.savez(tmp_path / "short.npz", names=names, xyz=xyz[:20], fps=FPS)
    report, _, notes = evaluate_files(tmp_path / "half.npz", tmp_path / "whole.npz")
    assert report.points.headline_mm.max == pytest.approx(0.0, abs=1e-9)
    assert notes == ("half.npz has 15 frames a second, whole.npz 30: put on one clock",)
    report, _, notes = evaluate_files(tmp_path / "short.npz", tmp_path / "whole.npz")
    assert (report.points.frames, notes) == (20, ("20 frames against 30 of the truth: the first 20 count",))


def test_people_of_a_csv_are_told_apart(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text("frame,person,name,x,y,z\n0,b,nose,1,2,3\n0,a,nose,4,5,6\n2,a,nose,,5,6\n", encoding="utf-8")
    points, _ = read_points(path)
    assert (points.people, points.names, points.xyz.shape) == (("b", "a"), ("nose",), (3, 2, 1, 3))
    np.testing.assert_array_equal(points.xyz[0, :, 0], [[1, 2, 3], [4, 5, 6]])
    assert not np.isfinite(points.xyz[1:]).all(-1).any()


def test_what_cannot_be_read_is_told(tmp_path):
    def complaint(name: str, content: str | None = "") -> str:
        if content is not None:
            (tmp_path / name).write_text(content, encoding="utf-8")
        with pytest.raises(InputError) as caught:
            read_points(tmp_path / name)
        return str(caught.value)

    assert "points are read from .h5, .npz, .bvh, .csv, not from .fbx" in complaint("a.fbx")
    assert "there is no such file" in complaint("gone.csv", None)
    assert "has no column y, z. Its header is frame,name,x,y,z" in complaint("a.csv", "frame,name,x\n0,nose,1\n")
    assert "has no rows" in complaint("b.csv", "frame,name,x,y,z\n")
    assert "has frames before 0" in complaint("c.csv", "frame,name,x,y,z\n-1,nose,1,2,3\n")
    assert "cannot be read as points" in complaint("d.csv", "frame,name,x,y,z\n0,nose,one,2,3\n")
    assert "cannot be read as .npz" in complaint("a.npz", "nothing")
    np.savez(tmp_path / "b.npz", names=np.array(["a", "b"]), xyz=np.zeros((4, 3, 3)))
    with pytest.raises(FileFormatError, match=r"2 names and xyz of shape \(4, 3, 3\)"):
        read_points(tmp_path / "b.npz")


def test_rigs_come_from_calibrations_and_truths(truth, truth_path, tmp_path):
    write_rig(truth.rig, tmp_path / "rig.toml")
    for path in (tmp_path / "rig.toml", truth_path):
        rig = read_rig_file(path)
        assert rig.names == truth.rig.names
        np.testing.assert_allclose(rig.centers, truth.rig.centers, atol=1e-9)


def test_clocks_are_judged_by_timestamps_or_by_nominal_times(truth, tmp_path):
    """Camera 2 takes its pictures 40 ms later, and its clock says so, or says nothing of it."""
    views = (truth.views[0], replace(truth.views[1], time_s=truth.views[1].time_s + 0.040))
    late = replace(truth, views=views)
    take = write_take(late, tmp_path)
    nominal, source = evaluate_sync(open_take(take))
    second = nominal.cameras[truth.rig.names[1]]
    assert (second.offset_ms, source) == (pytest.approx(-40.0), "index / fps")
    rows = [f"{v.camera},{f},{t:.6f}" for v in views for f, t in enumerate(v.time_s)]
    (take / "timestamps.csv").write_text("camera,frame,time_s\n" + "\n".join(rows) + "\n", encoding="utf-8")
    stamped, source = evaluate_sync(open_take(take))
    assert (stamped.max_ms, source) == (pytest.approx(0.0, abs=2e-3), "timestamps.csv")
    again, _ = evaluate_sync(open_take(take), nominal=True)
    assert again == nominal
    (take / "timestamps.csv").write_text("camera,time\ncam01,0\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match="begins with .camera,time."):
        evaluate_sync(open_take(take))
