"""The yardstick of the comparison with other tools, on rigs with a known truth."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import benchmark_calibration as benchmark
from calibration import Rig, RigidTransform
from calibration.board_motion import rotvecs_to_matrices
from calibration.observations_file import write_observations
from peer_runs import peers_or_skip

NOISE_PX = 0.3


@pytest.fixture(scope="module")
def problem() -> benchmark.Problem:
    return benchmark.synthetic(cameras=4, moments=24)


def shifted(rig: Rig, name: str, metres: float) -> Rig:
    """The rig with one camera moved sideways along its own x axis."""
    move = RigidTransform(np.eye(3), np.array([-metres, 0.0, 0.0]))
    moved = {c.name: c if c.name != name else replace(c, cam_from_world=move @ c.cam_from_world) for c in rig}
    return Rig(tuple(moved.values()))


def test_residuals_of_the_true_rig_are_the_noise(problem: benchmark.Problem) -> None:
    seen, rig = problem.observations, problem.truth
    assert rig is not None
    start = benchmark.board_in(rig, seen)
    assert len(start) == 24
    free = 1 - 6 * len(start) / (2 * seen.n_corners)
    expected = NOISE_PX * np.sqrt(2 * free)
    spread = 4 / np.sqrt(2 * 2 * seen.n_corners * free)  # 4 deviations of a root of a chi-squared mean
    assert benchmark.rigid_rms(rig, seen, start) == pytest.approx(expected, rel=spread)


def test_residuals_of_a_moved_camera_are_larger(problem: benchmark.Problem) -> None:
    """20 mm at 3 m are 7 px; the board's pose follows in part only, since three cameras hold it."""
    assert problem.truth is not None
    rig = shifted(problem.truth, "cam_2", 0.02)
    assert benchmark.rigid_rms(rig, problem.observations, benchmark.board_in(rig, problem.observations)) > 1.5


def test_neighbours_of_the_true_rig_are_a_square_apart(problem: benchmark.Problem) -> None:
    assert problem.truth is not None
    found = 1e3 * benchmark.neighbour_distances(problem.truth, problem.observations)
    assert len(found) > 500
    # Corners are shared by distances, so that the mean of n of them is worse than one by sqrt(n / 4) only.
    assert found.mean() == pytest.approx(80.0, abs=4 * found.std() / np.sqrt(len(found) / 4))
    # 0.3 px at 3 m and 1100 px are 0.8 mm a coordinate and camera, along the picture.
    assert found.std() < 2 * 0.8


def test_error_of_cameras_forgets_the_frame_and_nothing_else(problem: benchmark.Problem) -> None:
    assert problem.truth is not None
    turn = RigidTransform(rotvecs_to_matrices(np.array([0.3, -1.0, 2.0])), np.array([1.0, 2.0, 3.0]))
    elsewhere = Rig(tuple(replace(c, cam_from_world=c.cam_from_world @ turn) for c in problem.truth))
    assert benchmark.camera_error(elsewhere, problem.truth) < 1e-12
    one_off = benchmark.camera_error(shifted(problem.truth, "cam_1", 0.04), problem.truth)
    assert 0.02 * 0.5 < one_off <= 0.02  # 40 mm of one camera in four, less what the fit takes up


@pytest.mark.slow
def test_tools_solve_the_same_corners(
    problem: benchmark.Problem, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    peers_or_skip()
    write_observations(tmp_path / "seen.npz", problem.observations)
    stored, figures = tmp_path / "seen.npz", tmp_path / "figures.json"
    only = ["--only", "ours", "--only", "caliscope", "--repeat", "1"]
    benchmark.main(["--observations", str(stored), "--json", str(figures), *only])
    printed = capsys.readouterr().out
    assert "seen: 4 cameras, 24 moments" in printed
    found = json.loads(figures.read_text(encoding="utf-8"))["seen"]
    assert list(found) == ["ours", "caliscope"]
    for tool, numbers in found.items():
        assert tool in printed
        assert numbers["wall_s"] > 0
        assert numbers["neighbours_mm"] == pytest.approx(80.0, abs=2.0)
    assert found["ours"]["rigid_rms_px"] < 2 * NOISE_PX


@pytest.mark.slow
def test_aniposelib_gives_cameras_back_in_order(problem: benchmark.Problem) -> None:
    """It does not always arrive where it should from so few moments; that its cameras are ours is what counts here."""
    peers_or_skip()
    solved = benchmark.with_aniposelib(problem, 1)
    assert solved.rig.names == problem.observations.cameras
    assert [c.intrinsics.image_size for c in solved.rig] == list(problem.observations.image_sizes)
    assert solved.wall_s > 0
