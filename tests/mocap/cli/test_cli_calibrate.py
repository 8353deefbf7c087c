"""`mocap calibrate` through its entry point, on the sample session's clips."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration import Rig, RigidTransform
from calibration.rig_file import read_rig, read_rig_metadata, write_rig
from running_mocap import complaint, invoke, mocap

SAMPLE = Path(__file__).resolve().parents[3] / "sample_sessions" / "one_person"


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    """Its calibration clips and its take, without a rig."""
    root = tmp_path_factory.mktemp("cli") / "session"
    shutil.copytree(SAMPLE, root, ignore=shutil.ignore_patterns("derived", "export", "truth.npz", "rig.toml"))
    return root


@pytest.mark.slow
def test_from_clips_to_a_rig_and_its_report(session, tmp_path):
    """One session through all of it: solved, found up to date, exported, checked, a camera moved and solved again."""
    done = mocap("calibrate", session)
    assert done.returncode == 0, done.stderr
    folder = session / "calibration"
    assert done.stdout.split() == [str(folder / name) for name in ("rig.toml", "report.html", "report.json")]
    assert "Good: corners of the board lie" in done.stderr
    assert "find board (extrinsics) …" in done.stderr
    first = (folder / "rig.toml").read_bytes()
    assert read_rig_metadata(folder / "rig.toml").adjusted
    assert json.loads((folder / "report.json").read_text())["verdict"] == "good"
    assert "<html" in (folder / "report.html").read_text()

    other = tmp_path / "Calib.toml"
    again = mocap("calibrate", session, "--json", "--export", f"pose2sim={other}")
    assert again.returncode == 0, again.stderr
    assert "find board" not in again.stderr, "the same clips are not looked at twice"
    assert (folder / "rig.toml").read_bytes() == first, "the same clips give the same rig"
    document = json.loads(again.stdout)
    assert document["previous"] is None
    assert [camera["name"] for camera in document["cameras"]] == ["cam01", "cam02", "cam03", "cam04", "cam05"]
    assert other.is_file()

    turned = mocap("calibrate", session, "--heading", "away")
    assert turned.returncode == 0, turned.stderr
    assert (folder / "rig.previous.toml").read_bytes() == first
    assert "The rig that was there before is now" in turned.stderr


@pytest.mark.slow
def test_a_camera_that_moved_is_named_and_solved_again(session, blazepose_files):
    take, path = session / "takes" / "walk", session / "calibration" / "rig.toml"
    truth = read_rig(SAMPLE / "calibration" / "rig.toml")
    knock = RigidTransform.from_rotvec(np.array([0.02, 0.01, 0.0]), np.array([0.04, 0.0, 0.02]))
    moved = tuple(
        replace(camera, cam_from_world=knock @ camera.cam_from_world) if camera.name == "cam03" else camera
        for camera in truth
    )
    write_rig(Rig(moved), path)
    done = mocap("calibrate", session, "--check", take, "--resolve", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["by"] == "person"
    assert found["moved"] == ["cam03"]
    before, after = (np.linalg.norm(r["cam03"].center - truth["cam03"].center) for r in (Rig(moved), read_rig(path)))
    turn = (read_rig(path)["cam03"].cam_from_world @ truth["cam03"].cam_from_world.inverse()).rotvec
    off = float(np.degrees(np.linalg.norm(turn)))
    print(f"cam03 was {1000 * before:.0f} mm and 1.28° off, is {1000 * after:.0f} mm and {off:.2f}°")
    # A detector's bias of some px, a person who fills part of the picture: 37 mm along the line of sight, 0.6°.
    assert off < 0.9
    assert (path.parent / "rig.previous.toml").is_file()
    for name in ("cam01", "cam02", "cam04", "cam05"):
        np.testing.assert_array_equal(read_rig(path)[name].center, truth[name].center)


def test_nothing_to_calibrate_from(tmp_path):
    (tmp_path / "empty").mkdir()
    told = complaint(invoke("calibrate", tmp_path / "empty"))
    assert told.endswith(
        "Record the board into calibration/extrinsics/<camera>.mp4 (or a folder of images for each camera)."
    )


def test_nothing_to_check(tmp_path):
    (tmp_path / "empty").mkdir()
    told = complaint(invoke("calibrate", tmp_path / "empty", "--check", SAMPLE / "takes" / "walk"))
    assert "there is no rig to check. Calibrate first" in told


def test_an_unknown_format_is_refused(tmp_path):
    from mocap.calibrate.results import export_rigs
    from mocap.core.errors import InputError

    rig = read_rig(SAMPLE / "calibration" / "rig.toml")
    with pytest.raises(InputError, match="--export: 'rig.toml' is not FORMAT=FILE"):
        export_rigs(rig, ["rig.toml"])
    with pytest.raises(InputError, match="unknown calibration format 'blend'"):
        export_rigs(rig, [f"blend={tmp_path / 'a'}"])
