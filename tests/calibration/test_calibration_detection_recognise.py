from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.board_grids import AprilGrid, Checkerboard
from calibration.boards import CharucoBoard
from calibration.detection_recognise import BoardVariant, recognise_board
from calibration.errors import CalibrationError
from printed_boards import picture_of

TURNS = (0.1, 0.4, 1.0, 2.0)


def pictures(board, **options):
    return [picture_of(board, turn=turn, **options)[0] for turn in TURNS]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("inverted", [False, True])
def test_how_a_charuco_board_is_printed_shows_in_its_pictures(inverted, legacy):
    board = CharucoBoard(5, 8, 0.04, 0.03, "DICT_4X4_50", legacy=legacy, inverted=inverted)
    shown = pictures(board, size=(480, 322))
    for described in (board, replace(board, legacy=not legacy, inverted=not inverted)):
        assert recognise_board(described, shown) == BoardVariant(inverted=inverted, legacy=legacy)


def test_the_back_of_a_board():
    board = CharucoBoard(5, 7, 0.04, 0.03, "DICT_4X4_50", inverted=True)
    found = recognise_board(replace(board, inverted=False), pictures(board, mirrored=True))
    assert found == BoardVariant(inverted=True, mirrored=True)
    assert found.applied(replace(board, inverted=False)) == board


def test_an_inverted_aprilgrid():
    board = AprilGrid(4, 3, 0.06, 0.018, inverted=True)
    assert recognise_board(replace(board, inverted=False), pictures(board)).inverted


def test_a_checkerboard_may_be_written_either_way_round():
    board = Checkerboard(9, 6, 0.03)
    assert recognise_board(replace(board, inverted=True), pictures(board)) is not None


def test_markers_of_another_size_are_measured():
    board = CharucoBoard(5, 7, 0.04, 0.036, "DICT_4X4_50")
    found = recognise_board(replace(board, marker_m=0.026), pictures(board))
    assert found.marker_share == pytest.approx(0.9, abs=0.04)


@pytest.mark.parametrize(
    ("described", "sentence"),
    [
        (CharucoBoard(5, 7, 0.04, 0.03, "DICT_6X6_250"), "none of this board's.*You probably have DICT_4X4_50, 5 x 7"),
        pytest.param(
            CharucoBoard(7, 5, 0.04, 0.03, "DICT_4X4_50"),
            r"on a board of 5 x 7 squares.*Write squares = \[5, 7\]",
            marks=pytest.mark.slow,
        ),
        (CharucoBoard(4, 8, 0.04, 0.03, "DICT_4X4_100"), r"on a board of 5 x 7 squares.*Write squares = \[5, 7\]"),
        pytest.param(
            AprilGrid(4, 3, 0.06, 0.018), "You probably have a ChArUco board of 5 x 7 squares", marks=pytest.mark.slow
        ),
    ],
    ids=["dictionary", "turned", "squares", "kind"],
)
def test_another_board_is_named(described, sentence):
    shown = CharucoBoard(5, 7, 0.04, 0.03, "DICT_4X4_50")
    with pytest.raises(CalibrationError, match=sentence):
        recognise_board(described, pictures(shown, size=(480, 322)))


def test_inner_corners_given_for_squares_are_named():
    shown = pictures(Checkerboard(9, 6, 0.03), size=(480, 322))
    with pytest.raises(CalibrationError, match=r"9 x 6 squares is seen, not of 8 x 5.*squares = \[9, 6\]"):
        recognise_board(Checkerboard(8, 5, 0.03), shown)


def test_pictures_without_a_board_say_so():
    blank = [np.full((200, 300), 120, np.uint8)] * 3
    with pytest.raises(CalibrationError, match="no marker of any known dictionary is seen in 3 pictures"):
        recognise_board(CharucoBoard(5, 7, 0.04, 0.03), blank)
    with pytest.raises(CalibrationError, match="no checkerboard of 8 x 5 squares"):
        recognise_board(Checkerboard(8, 5, 0.03), blank)
