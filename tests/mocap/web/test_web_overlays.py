from __future__ import annotations

import numpy as np
import pytest

from calibration.boards import CharucoBoard
from mocap.capture.source import SourceFrame
from mocap.web.live_pictures import small_upright
from mocap.web.overlays import Overlay, board_finder

BOARD = CharucoBoard(5, 7, 0.04, 0.03, "DICT_4X4_50")


def test_corners_are_drawn_where_they_were_seen_in_a_picture_of_another_size():
    """Corner 0 of 60 px squares and a margin of 40 px lies at 40 + 60 - 0.5; drawn into half the size at half of it."""
    gray = BOARD.image(60, 40)
    image = np.repeat(gray[..., None], 3, axis=2)
    find = board_finder(BOARD)
    looks = [find(image, camera) for _ in range(8) for camera in range(4)]
    assert {len(points) for points, _ in looks[-4:]} == {1}, "every camera finds out how the board is printed"
    points, edges = looks[-1]
    assert points.shape == (1, BOARD.n_corners, 2)
    assert points[0, 0] == pytest.approx([99.5, 99.5], abs=0.5)
    overlay = Overlay((image.shape[1], image.shape[0]), points, edges, "board", 0.0)
    half = np.full((image.shape[0] // 2, image.shape[1] // 2, 3), 128, dtype=np.uint8)
    overlay.draw(half)
    rows, columns = np.nonzero(np.abs(half.astype(int) - 128).max(-1) > 60)
    near = np.hypot(columns - 49.5, rows - 49.5)
    assert near.min() < 1.0
    nearest = np.hypot(columns[:, None] - points[0, :, 0] / 2, rows[:, None] - points[0, :, 1] / 2).min(1)
    assert nearest.max() < 6, "nothing is drawn away from the corners"


def test_what_was_seen_is_shown_in_the_picture_in_which_it_was_seen():
    image = np.full((60, 80, 3), 128, dtype=np.uint8)
    points = np.array([[[10.0, 10.0], [60.0, 40.0]]])
    overlay = Overlay((80, 60), points, [(0, 1)], "people", 0.0, image)
    shown = overlay.picture(40)
    assert shown is not None
    assert shown.shape == (30, 40, 3)
    assert (image == 128).all(), "it is kept as it was"
    rows, columns = np.nonzero((shown != 128).any(-1))
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx(
        (5, 30, 5, 20), abs=5
    )  # radius 3, and its soft edge
    assert Overlay((80, 60), points, [], "people", 0.0).picture(40) is None


def test_missing_points_and_nobody_are_not_drawn():
    image = np.full((60, 80, 3), 128, dtype=np.uint8)
    Overlay((80, 60), np.full((2, 4, 2), np.nan), [(0, 1), (2, 3)], "people", 0.0).draw(image)
    Overlay((80, 60), np.zeros((0, 0, 2)), [(0, 1)], "people", 0.0).draw(image)
    assert (image == 128).all()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_small_pictures_are_upright(rotation):
    image = np.zeros((40, 80, 3), dtype=np.uint8)
    image[:20, :40] = 255  # the top left
    small = small_upright(SourceFrame(image, 0.0), 20, rotation)
    assert small.shape[1] == 20
    assert small.shape[0] == (10 if rotation % 180 == 0 else 40)
    rows, columns = np.nonzero(small[..., 0] > 128)
    corner = {0: (0, 0), 90: (0, 1), 180: (1, 1), 270: (1, 0)}[rotation]
    assert (rows.mean() > small.shape[0] / 2, columns.mean() > small.shape[1] / 2) == (bool(corner[0]), bool(corner[1]))
