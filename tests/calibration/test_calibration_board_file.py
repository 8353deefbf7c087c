from __future__ import annotations

from pathlib import Path

import pytest

from calibration.board_file import board_from_table, read_board, write_board
from calibration.board_grids import AprilGrid, Checkerboard
from calibration.board_print import PrintConfig, fits
from calibration.boards import CharucoBoard
from calibration.errors import CalibrationError

BOARDS = (
    CharucoBoard(5, 7, 0.04, 0.03, "DICT_6X6_250", legacy=True, inverted=True),
    Checkerboard(6, 9, 0.027),
    AprilGrid(6, 6, 0.088, 0.0264, first_id=7),
)
OURS = sorted((Path(__file__).resolve().parents[2] / "configs" / "boards").glob("*.toml"))


@pytest.mark.parametrize("board", BOARDS, ids=str)
def test_a_board_is_read_as_it_was_written(board, tmp_path):
    path = tmp_path / "new" / "board.toml"
    write_board(board, path)
    assert read_board(path) == board
    assert path.read_text().endswith("\n")


def test_a_table_without_a_type_is_a_charuco_board():
    table = {"squares": [5, 7], "square_mm": 40, "marker_mm": 30}
    assert board_from_table(table) == CharucoBoard(5, 7, 0.04, 0.03)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_boards_fit_the_paper_of_their_name(path):
    board = read_board(path)
    paper = {"kalibr": "A0"}.get(path.stem.split("_")[1], path.stem.split("_")[1])
    assert fits(board, PrintConfig(paper))
    assert f"--board configs/boards/{path.name}" in path.read_text()
    assert f"--paper {paper.title()}" in path.read_text() or paper == "a4"


def test_there_are_boards_of_every_kind():
    assert {type(read_board(path)) for path in OURS} == {CharucoBoard, Checkerboard, AprilGrid}


def test_the_board_of_a_real_session(shared_data):
    board = read_board(shared_data / "caliscope" / "sessions" / "charuco_calibration" / "charuco.toml")
    assert board == CharucoBoard(4, 5, 0.054, 0.054 * 0.75, "DICT_4X4_1000", inverted=True)


CALISCOPE = 'columns = 4\nrows = 5\nboard_height = 30.0\nboard_width = 20.0\nunits = "cm"\naruco_scale = 0.5\n'


def test_a_board_of_caliscope_that_nobody_measured_fills_its_sheet(tmp_path):
    (tmp_path / "charuco.toml").write_text(CALISCOPE + "legacy_pattern = true\n")
    assert read_board(tmp_path / "charuco.toml") == CharucoBoard(4, 5, 0.05, 0.025, "DICT_4X4_50", legacy=True)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[board\n", "is not TOML: .*line 1"),
        ("[camera]\n", r"describes no board. Give it a table \[board\]"),
        ('[board]\ntype = "circles"\n', r"\[board\]: boards of type 'circles' are not known. Known: charuco, checker"),
        ("[board]\ntype = 3\n", "boards of type 3 are not known"),
        ("[board]\nsquares = [5, 7]\n", "has no square_m"),
        (CALISCOPE.replace("cm", "ell"), "unknown length unit 'ell'. Known: m, cm"),
        (CALISCOPE.replace("board_width = 20.0\n", ""), "entries are not whole: 'board_width'"),
        (CALISCOPE.replace("0.5", "1.5"), "does not fit into a square"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(text, message, tmp_path):
    path = tmp_path / "board.toml"
    path.write_text(text)
    with pytest.raises(CalibrationError, match=message) as caught:
        read_board(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CalibrationError, match="nowhere.toml: no such file"):
        read_board(tmp_path / "nowhere.toml")
