from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from calibration import CalibrationError
from calibration.formats import read_calibration

CAMERA = """
size = [640, 480]
matrix = [[500.0, 0.0, 320.0], [0.0, 510.0, 240.0], [0.0, 0.0, 1.0]]
distortions = [0.1, -0.2, 0.001, 0.002, 0.05]
"""
POSE = """translation = [0.1, 0.2, 3.0]
rotation = [[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]
"""
VECTOR = "translation = [0.1, 0.2, 3.0]\nrotation = [1.5707963267948966, 0.0, 0.0]\n"


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "camera_array.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_both_ways_of_writing_a_rotation_mean_the_same(tmp_path: Path) -> None:
    text = f"[cameras.3]\ncam_id = 3{CAMERA}{POSE}\n[cameras.7]\ncam_id = 7{CAMERA}{VECTOR}"
    rig = read_calibration(_file(tmp_path, text))
    assert rig.names == ("cam_3", "cam_7")
    np.testing.assert_allclose(rig.cameras[0].projection, rig.cameras[1].projection, atol=1e-12)
    np.testing.assert_allclose(rig.centers[0], [-0.1, -3.0, 0.2], atol=1e-12)


@pytest.mark.parametrize("header", ["cameras.{}", "cam_{}"])
def test_ignored_cameras_are_left_out_and_unposed_ones_refused(tmp_path: Path, header: str) -> None:
    def table(number: int, rest: str) -> str:
        return f"[{header.format(number)}]\nport = {number}{CAMERA}{rest}\n"

    path = _file(tmp_path, table(0, POSE) + table(1, "ignore = true\n") + table(2, POSE + "rotation_count = 1\n"))
    assert read_calibration(path).names == ("cam_0", "cam_2")
    path = _file(tmp_path, table(0, POSE) + table(1, ""))
    with pytest.raises(CalibrationError, match=r"camera 'cam_1': has no pose \(rotation and translation\)"):
        read_calibration(path)
    path = _file(tmp_path, table(0, POSE + "ignore = true\n"))
    with pytest.raises(CalibrationError, match="has no camera that is not ignored"):
        read_calibration(path)


def test_old_and_new_file_of_a_session_are_the_same_rig(shared_data: Path) -> None:
    session = shared_data / "caliscope/sessions/charuco_calibration"
    old, new = (read_calibration(session / name) for name in ("config.toml", "camera_array.toml"))
    assert old.names == new.names == ("cam_0", "cam_1", "cam_2", "cam_3")
    np.testing.assert_array_equal(old.projections, new.projections)


@pytest.mark.parametrize("session", ["8d1cb291_low_res_numeric", "9af418c9_post_optimization_3cam"])
def test_a_solved_rig_explains_its_own_observations(session: str, shared_data: Path) -> None:
    """The file holds the points and pixels that it was solved from: they meet within a pixel (RMS 0.82 and 0.95 px),
    and a misread axis, unit or coefficient would miss by hundreds."""
    path = shared_data / "caliscope/history" / session / "config.toml"
    estimates = tomllib.loads(path.read_text(encoding="utf-8"))["point_estimates"]
    points = np.array(estimates["obj"])[estimates["obj_indices"]]
    seen = np.array(estimates["img"])
    px = read_calibration(path).project(points)[estimates["camera_indices"], np.arange(len(seen))]
    assert np.sqrt(((px - seen) ** 2).sum(-1).mean()) < 1.0
