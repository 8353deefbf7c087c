"""Which views are chosen, against ones that are better or worse by construction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lens_worlds import BROWN, held_in_front

from calibration.intrinsics_views import table_of_views
from calibration.synthetic import Seeing
from calibration.view_selection import APART, informative_views, spread_views, view_signatures


def test_signatures_are_where_the_board_is_in_shares_of_the_picture():
    pinhole = replace(BROWN, K=np.array([[900.0, 0, 620], [0, 900, 371], [0, 0, 1]]), distortion=np.zeros(5))
    exact = Seeing(noise_px=0.0)
    it = held_in_front(pinhole, np.random.default_rng(0), n_views=12, parallel=True, tilt=0.0, seeing=exact)
    table, _ = table_of_views(it, ("cam01",), 6)
    signatures = view_signatures(table).reshape(-1, 3, 2)
    for row, view in enumerate(table.view):
        # Parallel to the picture, its image is similar to the board of 5 x 3 squares between outer corners.
        along, down, middle = signatures[row] * 1280
        points = (it.points[it.corner[it.view == view], :2] - it.points.mean(axis=0)[:2]) / [0.25, 0.15]
        np.testing.assert_allclose(points @ np.stack([along, down]) + middle, it.xy[it.view == view], atol=1e-6)
        assert np.linalg.norm(along) / np.linalg.norm(down) == pytest.approx(5 / 3, rel=1e-9)


def test_spread_views_reach_the_ends():
    places = np.linspace(0, 1, 101)[:, None]
    assert spread_views(places, 3).tolist() == [0, 50, 100]
    assert spread_views(places, 5).tolist() == [0, 25, 50, 75, 100]
    assert spread_views(places[:4], 10).tolist() == [0, 1, 2, 3]


def test_the_determinant_grows_most_for_the_sharpest_views_in_every_direction():
    rng = np.random.default_rng(1)
    weak = np.stack([np.diag(rng.uniform(0.5, 1.5, 3)) for _ in range(20)])
    strong = 100 * np.eye(3)[:, :, None] * np.eye(3)[:, None, :]
    far_apart = np.arange(23)[:, None] * 10.0 * APART
    chosen = informative_views(np.concatenate([weak, strong]), far_apart, np.eye(3), 3)
    assert chosen.tolist() == [20, 21, 22]


def test_a_second_view_of_the_same_pose_adds_nothing():
    information = np.stack([10 * np.eye(2), 10 * np.eye(2), 2 * np.eye(2)])
    same = np.array([[0.3], [0.3], [0.9]])
    assert informative_views(information, same, np.eye(2), 2).tolist() == [0, 2]
    assert informative_views(information, same, np.eye(2), 5).tolist() == [0, 1, 2]
