from __future__ import annotations

import numpy as np
import pytest

from calibration.boards import CharucoBoard
from calibration.camera import Intrinsics
from calibration.errors import CalibrationError
from calibration.observations import BoardObservations
from calibration.observations_file import TABLES, read_observations, write_observations
from calibration.synthetic import Seeing, observe_board, ring, waved_board


def some_observations() -> BoardObservations:
    lens = Intrinsics((640, 400), np.array([[500.0, 0, 330], [0, 510, 190], [0, 0, 1]]), np.zeros(5))
    rng = np.random.default_rng(2)
    points = CharucoBoard(5, 7, 0.08, 0.06).corners
    return observe_board(ring(3, lens), waved_board(points, n_moments=6, fps=5, rng=rng), points, Seeing(), rng)


def test_a_file_gives_back_every_number(tmp_path):
    observations = some_observations()
    write_observations(tmp_path / "corners.npz", observations)
    back = read_observations(tmp_path / "corners.npz")
    assert back.cameras == observations.cameras
    assert back.image_sizes == observations.image_sizes
    for name in TABLES:
        np.testing.assert_array_equal(getattr(back, name), getattr(observations, name))
    assert [path.name for path in tmp_path.iterdir()] == ["corners.npz"]


def test_cameras_that_saw_nothing_are_kept(tmp_path):
    observations = some_observations()
    empty = observations.of_views(np.zeros(observations.n_views, dtype=bool))
    write_observations(tmp_path / "corners.npz", empty)
    back = read_observations(tmp_path / "corners.npz")
    assert (back.cameras, back.n_views, back.n_corners) == (observations.cameras, 0, 0)


def test_what_is_no_such_file_says_so(tmp_path):
    path = tmp_path / "corners.npz"
    with pytest.raises(CalibrationError, match=r"corners.npz: no such file. Detect the board first"):
        read_observations(path)
    path.write_text("view,corner\n")
    with pytest.raises(CalibrationError, match="not a file of observations"):
        read_observations(path)
    np.savez(path, xy=np.zeros((3, 2)))
    with pytest.raises(CalibrationError, match="it lacks format, version, cameras"):
        read_observations(path)
    write_observations(path, some_observations())
    with np.load(path) as file:
        tables = dict(file)
    np.savez(path, **(tables | {"version": np.array(9)}))
    with pytest.raises(CalibrationError, match="version 9 of the format.*Detect the board again"):
        read_observations(path)
