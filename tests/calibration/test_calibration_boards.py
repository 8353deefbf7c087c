from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.boards import CharucoBoard
from calibration.errors import CalibrationError

BOARDS = (
    CharucoBoard(5, 7, 0.04, 0.03),
    CharucoBoard(4, 6, 0.04, 0.029, "DICT_6X6_250", legacy=True),
    CharucoBoard(4, 6, 0.04, 0.029, "DICT_6X6_250"),
    CharucoBoard(5, 5, 0.1, 0.08, "DICT_4X4_50", legacy=True),
    CharucoBoard(4, 5, 0.054, 0.0405, "DICT_4X4_1000", inverted=True),
)


@pytest.mark.parametrize("board", BOARDS, ids=str)
def test_corners_and_markers_are_where_opencv_has_them(board):
    theirs = board.opencv()
    rounding = 1e-7  # theirs are float32 below 1 m
    np.testing.assert_allclose(board.corners, theirs.getChessboardCorners(), atol=rounding)
    np.testing.assert_allclose(board.marker_corners, theirs.getObjPoints(), atol=rounding)
    assert board.n_markers == len(theirs.getIds())
    assert board.n_corners == len(board.corners)


def test_the_worked_number_of_the_convention():
    np.testing.assert_allclose(BOARDS[0].corners[5], [0.08, 0.08, 0.0])


@pytest.mark.parametrize("board", BOARDS, ids=str)
def test_the_detector_reads_the_image_and_finds_every_corner_in_place(board):
    px_per_square, margin = 60, 30
    image = board.image(px_per_square, margin)
    assert image.shape == (board.squares_y * 60 + 60, board.squares_x * 60 + 60)
    read = 255 - image if board.inverted else image
    corners, ids, _, _ = cv2.aruco.CharucoDetector(board.opencv()).detectBoard(read)
    assert sorted(ids.reshape(-1)) == list(range(board.n_corners))
    expected = board.corners[ids.reshape(-1), :2] * px_per_square / board.square_m + margin - 0.5
    # Edges lie between pixels. A step without any blur has no slope to search along: up to 0.2 px, to both sides.
    errors = corners.reshape(-1, 2) - expected
    assert np.abs(errors).max() < 0.25
    assert np.abs(errors.mean(0)).max() < 0.06


def test_an_inverted_print_is_the_negative_with_its_margin():
    board = CharucoBoard(4, 5, 0.054, 0.0405, "DICT_4X4_50")
    negative = CharucoBoard(4, 5, 0.054, 0.0405, "DICT_4X4_50", inverted=True)
    np.testing.assert_array_equal(negative.image(20, 6), 255 - board.image(20, 6))
    assert (negative.image(20, 6)[:6] == 0).all()


def test_sizes():
    board = CharucoBoard(5, 7, 0.04, 0.03)
    np.testing.assert_allclose(board.size_m, (0.2, 0.28))
    np.testing.assert_allclose(board.sheet_size_m(0.015), (0.23, 0.31))


@pytest.mark.parametrize("board", BOARDS, ids=str)
def test_a_table_gives_the_same_board_again(board):
    assert CharucoBoard.from_table(board.to_table()) == board


def test_a_table_in_millimetres_without_options():
    board = CharucoBoard.from_table({"squares": [5, 7], "square_mm": 40, "marker_mm": 30, "dictionary": "dict_5x5_50"})
    assert board == CharucoBoard(5, 7, 0.04, 0.03, "DICT_5X5_50")
    assert len({board, CharucoBoard(5, 7, 0.04, 0.03, "DICT_5X5_50")}) == 1


FULL = {"type": "charuco", "squares": [5, 7], "square_m": 0.04, "marker_m": 0.03}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"colums": 4}, r"session.toml: unknown key 'colums'. Known there: dictionary, inverted, .*square_mm, squares"),
        ({"type": "checkerboard"}, "boards of type 'checkerboard' are not known. Known: \"charuco\""),
        ({"squares": [5]}, r"has no squares = \[columns, rows\]. Count the squares"),
        ({"squares": [5.5, 7]}, r"has no squares = \[columns, rows\]"),
        ({"squares": 5}, r"squares = 5 is not \[columns, rows\]"),
        ({"squares": [2, 7]}, "2 x 7 squares are too few. A board needs at least 3"),
        ({"square_mm": 40}, "has both square_m and square_mm. Give one"),
        ({"marker_m": 0.04}, "a marker of 0.04 m does not fit into a square of 0.04 m. Measure"),
        ({"marker_m": -1}, "a marker of -1 m does not fit"),
        ({"square_m": float("nan")}, "does not fit into a square of nan m"),
        ({"square_m": "4 cm"}, "square_m = '4 cm' is not a number"),
        ({"square_m": True}, "square_m = True is not a number"),
        ({"inverted": 1}, "inverted = 1 is not true or false"),
        ({"dictionary": "DICT_5X5_70"}, "there is no dictionary 'DICT_5X5_70'. There are DICT_4X4_100, "),
        ({"dictionary": "DICT_APRILTAG_16H5", "squares": [9, 9]}, "9 x 9 squares need 40 markers, .* has 30. Take"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(change, message):
    with pytest.raises(CalibrationError, match=message) as caught:
        CharucoBoard.from_table(FULL | change, "session.toml")
    assert str(caught.value).startswith("session.toml: ")


def test_missing_lengths_are_named():
    with pytest.raises(CalibrationError, match=r"has no marker_m \(or marker_mm\). Give one of them"):
        CharucoBoard.from_table({k: v for k, v in FULL.items() if k != "marker_m"})
