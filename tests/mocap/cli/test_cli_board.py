"""`mocap board` as a user meets it."""

import json

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from calibration.board_file import read_board, write_board
from calibration.board_grids import AprilGrid, Checkerboard
from calibration.boards import CharucoBoard
from mocap.cli import board
from mocap.cli.console import explained

app = typer.Typer()
app.command("board")(explained(board.command))


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments], env={"COLUMNS": "200"})


def test_a_print_and_its_board_file_without_a_question(tmp_path):
    done = run(tmp_path / "board.pdf")
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(tmp_path / "board.pdf"), str(tmp_path / "board.toml")]
    expected = (
        "ChArUco, 5 x 7 squares of 35 mm, markers of 26.5 mm, DICT_4X4_50. Printed at 100 %, it measures 175 x 245"
    )
    assert expected in done.stderr
    assert read_board(tmp_path / "board.toml") == CharucoBoard(5, 7, 0.035, 0.0265, "DICT_4X4_50")


def test_the_print_shows_the_board_of_the_file(tmp_path):
    done = run(tmp_path / "b.png", "--squares", "6x4", "--legacy", "--inverted", "--paper", "letter", "--dpi", 100)
    assert done.exit_code == 0, done.output
    made = read_board(tmp_path / "b.toml")
    assert (made.squares_x, made.squares_y, made.legacy, made.inverted) == (6, 4, True, True)
    image = 255 - cv2.imread(str(tmp_path / "b.png"), cv2.IMREAD_GRAYSCALE)
    xy, ids, _, _ = cv2.aruco.CharucoDetector(made.opencv()).detectBoard(image)
    assert len(ids) == made.n_corners
    across = np.linalg.norm(xy.reshape(-1, 2)[ids.ravel() == 4] - xy.reshape(-1, 2)[ids.ravel() == 0])
    assert across / round(100 / 0.0254) == pytest.approx(4 * made.square_m, abs=1e-4)  # a third of a pixel


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--type", "checkerboard"], Checkerboard(6, 9, 0.027)),
        (["--type", "checkerboard", "--squares", "5x4", "--square-mm", 30], Checkerboard(5, 4, 0.03)),
        (["--type", "aprilgrid", "--paper", "A3"], AprilGrid(4, 6, 0.045, 0.0135)),
        (
            ["--type", "aprilgrid", "--squares", "6x6", "--square-mm", 88, "--gap-mm", 26.4, "--paper", "A0"],
            AprilGrid(6, 6, 0.088, 0.0264),
        ),
        (["--squares", "12x9", "--square-mm", "20", "--paper", "A3"], CharucoBoard(12, 9, 0.02, 0.015, "DICT_4X4_100")),
        (
            ["--square-mm", 30, "--marker-mm", 22, "--dictionary", "dict_6x6_250"],
            CharucoBoard(5, 7, 0.03, 0.022, "DICT_6X6_250"),
        ),
    ],
)
def test_options_describe_the_board(options, expected, tmp_path):
    done = run(tmp_path / "board.svg", *options)
    assert done.exit_code == 0, done.output
    assert read_board(tmp_path / "board.toml") == expected


def test_json_names_every_file(tmp_path):
    place = tmp_path / "large.svg"
    done = run(place, tmp_path / "large.pdf", "--square-mm", 60, "--tiled", "--two-sided", "--json")
    report = json.loads(done.stdout)
    assert [path.rsplit("/", 1)[-1] for path in report["prints"]][:2] == [
        "large_row1_column1_front.svg",
        "large_row1_column1_back.svg",
    ]
    assert len(report["prints"]) == 9
    assert report["board_file"] == str(tmp_path / "large.toml")
    assert report["board"]["square_m"] == 0.06


def test_a_board_file_is_printed_and_left_alone(tmp_path):
    file = tmp_path / "board.toml"
    write_board(CharucoBoard(5, 7, 0.0349, 0.026, "DICT_4X4_50"), file)
    file.write_text(file.read_text() + "# measured\n")
    done = run(tmp_path / "board.pdf", "--board", file, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["board_file"] == str(file)
    assert "# measured" in file.read_text()


def test_what_is_there_is_not_replaced_by_accident(tmp_path):
    assert run(tmp_path / "board.pdf").exit_code == 0
    again = run(tmp_path / "board.pdf")
    assert again.exit_code == 2
    assert "board.pdf: exists already. Take another name, or --overwrite to replace it." in again.stderr
    other = run(tmp_path / "board.svg", "--squares", "4x5")
    assert other.exit_code == 2
    assert "board.toml: exists already" in other.stderr
    assert not (tmp_path / "board.svg").exists()
    assert run(tmp_path / "board.svg").exit_code == 0  # of the same board
    assert run(tmp_path / "board.pdf", "--squares", "4x5", "--overwrite").exit_code == 0
    assert read_board(tmp_path / "board.toml").squares_x == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--type", "dots"], "--type: there is no board 'dots'. Known: charuco, checkerboard, aprilgrid."),
        (["--type", "checkerboard", "--marker-mm", 3], "a board of type checkerboard has no marker_mm. Leave it out."),
        (["--squares", "5by7"], "--squares: '5by7' is not columns x rows. Write it as 5x7."),
        (["--squares", "2x7"], "board: 2 x 7 squares are too few."),
        (["--squares", "5x7", "--square-mm", 50], "A4 has room for 182 x 247 mm. Take paper A3, squares of 35 mm, or"),
        (["--square-mm", 30, "--marker-mm", 40], "a marker of 0.04 m does not fit into a square of 0.03 m"),
        (["--marker-mm", 20], "--square-mm: how large are the squares?"),
        (["--tiled"], "--square-mm: how large are the squares?"),
        (["--squares", "60x60", "--square-mm", 5, "--paper", "A3"], "need 1800 markers, DICT_4X4_1000 has 1000"),
        (["--dictionary", "DICT_5X5_70"], "there is no dictionary 'DICT_5X5_70'"),
        (["--paper", "B5"], "there is no paper 'B5'"),
        (["--board", "nowhere.toml"], "nowhere.toml: no such file"),
        (["--board", "nowhere.toml", "--inverted"], "nowhere.toml: no such file"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_written(options, message, tmp_path):
    done = run(tmp_path / "board.pdf", *options)
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_file_and_options_exclude_each_other(tmp_path):
    write_board(Checkerboard(6, 9, 0.02), tmp_path / "mine.toml")
    done = run(tmp_path / "board.pdf", "--board", tmp_path / "mine.toml", "--inverted")
    assert done.exit_code == 2
    assert "--board: a board file is given, and inverted too." in done.stderr
