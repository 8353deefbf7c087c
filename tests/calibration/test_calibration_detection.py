from __future__ import annotations

import numpy as np
import pytest

from calibration.board_grids import AprilGrid, Checkerboard
from calibration.boards import CharucoBoard
from calibration.detection import BoardDetector, DetectionConfig
from calibration.detection_homography import local_maps
from calibration.detection_saddles import SaddleGuess, fit_saddles, saddle_model
from printed_boards import picture_of

CHARUCO = CharucoBoard(5, 7, 0.04, 0.03, "DICT_4X4_50")
WITH_MARKERS = {
    "charuco": CHARUCO,
    "inverted": CharucoBoard(5, 7, 0.04, 0.03, "DICT_4X4_50", inverted=True),
    "legacy": CharucoBoard(5, 8, 0.04, 0.028, "DICT_5X5_100", legacy=True),
    "aprilgrid": AprilGrid(4, 3, 0.06, 0.018),
    "aprilgrid of OpenCV's tags": AprilGrid(4, 3, 0.06, 0.018, border_bits=1, first_id=5),
}
CLOSE_PX = 0.05
"""Noise of 3 on edges of some 120 grey values, 0.7 px of blur and windows of some 100 pixels leave 0.006 px (Cramer-
Rao, and measured); the 8-bit and 4-fold sampling of the pictures add as much. Eight times that bounds every corner."""


@pytest.mark.parametrize("mirrored", [False, True], ids=["front", "back"])
@pytest.mark.parametrize("turn", [0.3, 1.9, 3.3])
@pytest.mark.parametrize("name", WITH_MARKERS)
def test_corners_of_boards_with_markers(name, turn, mirrored):
    board = WITH_MARKERS[name]
    picture, truth = picture_of(board, turn=turn, mirrored=mirrored, share=0.6)
    seen = BoardDetector(board).detect(picture)
    assert seen is not None
    assert seen.mirrored == mirrored
    thin = getattr(board, "border_bits", None) == 1  # black squares and tags run into each other: fewer tags are read
    assert len(seen) >= (0.5 if thin else 0.9) * board.n_corners
    assert np.abs(seen.xy - truth[seen.ids]).max() < CLOSE_PX


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("turn", [0.3, 1.9, 3.3])
def test_corners_of_a_checkerboard_that_has_an_up(turn, inverted):
    board = Checkerboard(8, 5, 0.03, inverted)
    picture, truth = picture_of(board, turn=turn, share=0.6)
    seen = BoardDetector(board).detect(picture)
    assert seen is not None
    assert len(seen) == board.n_corners
    assert np.abs(seen.xy - truth[seen.ids]).max() < CLOSE_PX


def test_a_checkerboard_without_an_up_begins_at_the_pictures_top_left():
    board = Checkerboard(8, 6, 0.03)
    picture, truth = picture_of(board, turn=3.3)
    seen = BoardDetector(board).detect(picture)
    assert seen is not None
    assert np.abs(seen.xy - truth[::-1][seen.ids]).max() < CLOSE_PX


def test_errors_average_out():
    """No bias: the mean of 24 corners in 6 pictures has a spread of 0.008 px / 12; five times that and 0.002 px for
    the sampling of the pictures."""
    errors = []
    for seed in range(6):
        picture, truth = picture_of(CHARUCO, turn=0.2 + seed, seed=seed, center=(0.13 * seed, 0.31 * seed))
        seen = BoardDetector(CHARUCO).detect(picture)
        assert seen is not None
        errors.append(seen.xy - truth[seen.ids])
    assert np.abs(np.concatenate(errors).mean(axis=0)).max() < 5 * 0.008 / 12 + 0.002


def test_a_board_half_out_of_the_picture_gives_the_corners_in_it():
    picture, truth = picture_of(CHARUCO, center=(250.0, 20.0))
    seen = BoardDetector(CHARUCO).detect(picture)
    assert seen is not None
    inside = ((truth > 6) & (truth < np.array(picture.shape[::-1]) - 7)).all(axis=1)
    assert 4 <= len(seen) < CHARUCO.n_corners
    assert inside[seen.ids].all()
    assert np.abs(seen.xy - truth[seen.ids]).max() < CLOSE_PX


def test_what_covers_a_corner_is_not_a_corner():
    picture, truth = picture_of(CHARUCO)
    x, y = np.rint(truth[9]).astype(int)
    picture[y - 12 : y + 13, x - 12 : x + 13] = 140
    seen = BoardDetector(CHARUCO).detect(picture)
    assert seen is not None
    assert 9 not in seen.ids
    assert np.abs(seen.xy - truth[seen.ids]).max() < CLOSE_PX


def test_colour_pictures_give_what_grey_ones_give():
    picture, _ = picture_of(CHARUCO)
    gray = BoardDetector(CHARUCO).detect(picture)
    colour = BoardDetector(CHARUCO).detect(np.repeat(picture[..., None], 3, axis=2))
    assert gray is not None
    assert colour is not None
    np.testing.assert_array_equal(colour.xy, gray.xy)


@pytest.mark.parametrize("board", [CHARUCO, Checkerboard(8, 5, 0.03), AprilGrid(4, 3, 0.06, 0.018)])
def test_no_board_no_corners(board):
    noise = np.random.default_rng(3).integers(0, 255, (240, 321), dtype=np.uint8)
    assert BoardDetector(board).detect(noise) is None
    assert BoardDetector(board).detect(np.zeros((240, 321), np.uint8)) is None


def test_fewer_corners_than_asked_for_are_no_board():
    picture, _ = picture_of(CHARUCO)
    assert BoardDetector(CHARUCO, DetectionConfig(min_corners=25)).detect(picture) is None


def test_the_saddles_derivatives_are_those_of_finite_differences():
    rng = np.random.default_rng(5)
    uv = rng.uniform(-0.3, 0.3, (2, 40, 2))
    blur = np.array([[0.05, 0.08], [0.1, 0.04]])
    _, by_u, by_v, by_blur = saddle_model(uv, blur, 0.125)
    h = 1e-5
    for derivative, (du, dv, db) in ((by_u, (h, 0, 0)), (by_v, (0, h, 0)), (by_blur, (0, 0, h))):
        after = saddle_model(uv + [du, dv], blur * np.exp(db), 0.125)[0]
        before = saddle_model(uv - [du, dv], blur * np.exp(-db), 0.125)[0]
        np.testing.assert_allclose(derivative, (after - before) / (2 * h), atol=1e-5)


def test_a_corner_at_the_edge_of_the_picture_is_left_alone():
    guess = SaddleGuess(np.array([[1.0, 20.0], [np.nan, 3.0]]), np.full((2, 2, 2), 1.0), np.zeros(2, bool), 0.1, 0.3)
    assert np.isnan(fit_saddles(np.zeros((40, 50), np.uint8), guess).xy).all()


def test_local_maps_are_the_homography_and_its_derivative():
    H = np.array([[200.0, 30, 310], [-20, 180, 205], [0.05, -0.08, 1]])
    rng = np.random.default_rng(1)
    flat = rng.uniform(-1, 1, (3, 9, 2))
    places = rng.uniform(-0.5, 0.5, (3, 2))

    def image(p):
        q = np.concatenate([p, np.ones_like(p[..., :1])], axis=-1) @ H.T
        return q[..., :2] / q[..., 2:]

    xy, jacobian = local_maps(places, flat, image(flat))
    h = 1e-6
    expected = np.stack([(image(places + d) - image(places - d)) / (2 * h) for d in (np.eye(2) * h)], axis=-1)
    np.testing.assert_allclose(xy, image(places), atol=1e-3)  # the damping of 1e-9 of the normal equations
    np.testing.assert_allclose(jacobian, expected, rtol=1e-3, atol=0.1)


def test_neighbours_on_a_line_say_nothing():
    line = np.stack([np.arange(6.0), np.zeros(6)], axis=-1)[None]
    xy, jacobian = local_maps(np.zeros((1, 2)), line, 30 * line)
    assert np.isnan(xy).all()
    assert np.isnan(jacobian).all()


def test_stills_of_opencv(shared_data):
    import cv2

    folder = shared_data / "opencv_contrib/modules/aruco/tutorials/aruco_calibration/images"
    detector = BoardDetector(CharucoBoard(5, 7, 0.04, 0.02, "DICT_6X6_250"))
    for path in sorted(folder.glob("*.jpg")):
        seen = detector.detect(cv2.imread(str(path)))
        assert seen is not None
        assert len(seen) == 24
