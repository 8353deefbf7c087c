from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.board_grids import AprilGrid, Checkerboard
from calibration.errors import CalibrationError

GRIDS = (
    AprilGrid(3, 2, 0.04, 0.012),
    AprilGrid(2, 4, 0.04, 0.012, first_id=100, inverted=True),
    AprilGrid(3, 2, 0.05, 0.02, "DICT_APRILTAG_16H5", border_bits=1),
)
CHECKERBOARDS = (Checkerboard(7, 5, 0.03), Checkerboard(6, 9, 0.02, inverted=True))
KALIBR_CODES = (0xD5D628584, 0xD97F18B49, 0xDD280910E)
"""The first of tag36h11 in Kalibr's create_target_pdf.py: there, the bit 6 * (5 - row) + (5 - column) of a tag's code
is white at (row, column) of the print."""


def seen_tags(image: np.ndarray, board: AprilGrid) -> tuple[np.ndarray, np.ndarray]:
    """Ids and corners (M, 4, 2) px that OpenCV's detector finds, each corner then moved to the saddle nearby."""
    read = 255 - image if board.inverted else image
    settings = cv2.aruco.DetectorParameters()
    settings.markerBorderBits = board.border_bits
    name = board.dictionary.replace("H", "h")
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, name))
    found, ids, _ = cv2.aruco.ArucoDetector(dictionary, settings).detectMarkers(read)
    xy = np.array(found, dtype=np.float32).reshape(-1, 2)
    soft = cv2.GaussianBlur(read, (0, 0), 1.5)
    xy = cv2.cornerSubPix(soft, xy, (5, 5), (-1, -1), (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 50, 1e-3))
    return np.asarray(ids).ravel(), xy.reshape(-1, 4, 2)


@pytest.mark.parametrize("board", GRIDS, ids=str)
def test_opencv_finds_every_tag_with_its_corners_in_their_order(board):
    px_per_tag, margin = 16 * board.bits_per_side, 40
    ids, xy = seen_tags(board.image(px_per_tag, margin), board)
    assert sorted(ids) == list(board.ids)
    expected = board.marker_corners[ids - board.first_id, :, :2] * px_per_tag / board.tag_m + margin - 0.5
    # Gaps are rounded to whole pixels: after n of them, n / 2 px at the most. A saddle's place is good to 0.1 px.
    gap_px = board.gap_m / board.tag_m * px_per_tag
    rounding = abs(round(gap_px) - gap_px) * max(board.tags_x, board.tags_y)
    assert np.abs(xy - expected).max() < rounding + 0.1


def test_tags_are_printed_as_kalibr_does():
    board = AprilGrid(3, 1, 0.1, 0.03)
    for index, code in enumerate(KALIBR_CODES):
        row, column = np.indices((6, 6))
        white = (code >> (6 * (5 - row) + (5 - column))) & 1
        np.testing.assert_array_equal(board.tag_is_black(index)[2:-2, 2:-2], white == 0)
        assert board.tag_is_black(index)[:2].all()


def test_ids_grow_to_the_right_and_upwards_and_corners_follow_the_marker():
    board = AprilGrid(3, 2, 0.04, 0.01)
    x, y = board.corners[:, 0], board.corners[:, 1]
    assert board.corners.shape == (24, 3)
    np.testing.assert_allclose(board.corners[2], [0.01, 0.06, 0])  # of tag 0, bottom left: its top left corner
    np.testing.assert_allclose(board.corners[12:16, :2], [[0.05, 0.05], [0.01, 0.05], [0.01, 0.01], [0.05, 0.01]])
    assert x.max() == pytest.approx(board.size_m[0] - 0.01)
    assert y.max() == pytest.approx(board.size_m[1] - 0.01)
    np.testing.assert_allclose(board.size_m, (0.16, 0.11))


def test_black_squares_stand_at_every_crossing():
    board = AprilGrid(2, 1, 0.04, 0.01)
    image = board.image(40)
    assert image.shape == (60, 110)
    middles = [(5, 5), (5, 55), (5, 105), (55, 5), (55, 55), (55, 105)]
    assert all(image[v - 5 : v + 5, u - 5 : u + 5].max() == 0 for v, u in middles)
    assert image[5, 30] == 255
    assert image[30, 5] == 255


@pytest.mark.parametrize("board", CHECKERBOARDS, ids=str)
def test_opencv_finds_the_inner_corners_of_a_checkerboard(board):
    px_per_square, margin = 40, 40
    image = board.image(px_per_square, margin)
    assert image.shape == (board.squares_y * 40 + 80, board.squares_x * 40 + 80)
    read = 255 - image if board.inverted else image
    found, xy = cv2.findChessboardCornersSB(read, (board.squares_x - 1, board.squares_y - 1))
    assert found
    expected = board.corners[:, :2] * px_per_square / board.square_m + margin - 0.5
    xy = np.asarray(xy).reshape(-1, 2)
    nearest = xy[np.linalg.norm(xy[:, None] - expected, axis=-1).argmin(axis=0)]
    # As on ChArUco boards: a step without any blur has no slope to search along, up to 0.2 px to both sides.
    assert np.abs(nearest - expected).max() < 0.25
    assert np.abs((nearest - expected).mean(axis=0)).max() < 0.06


def test_the_top_left_square_is_black_or_white():
    plain, inverted = Checkerboard(4, 3, 0.03), Checkerboard(4, 3, 0.03, inverted=True)
    assert plain.image(10, 3)[3, 3] == 0
    assert plain.image(10, 3)[0, 0] == 255
    np.testing.assert_array_equal(inverted.image(10, 3), 255 - plain.image(10, 3))
    np.testing.assert_allclose(plain.corners[4], [0.06, 0.06, 0])
    np.testing.assert_allclose(plain.size_m, (0.12, 0.09))


@pytest.mark.parametrize("size", [(4, 5), (5, 4), (5, 5), (4, 6)])
def test_half_a_turn_is_seen_where_columns_and_rows_are_even_and_odd(size):
    board = Checkerboard(*size, 0.03)
    image = board.image(4)
    assert board.looks_the_same_upside_down == np.array_equal(image, image[::-1, ::-1])


@pytest.mark.parametrize("board", [*GRIDS, *CHECKERBOARDS], ids=str)
def test_a_table_gives_the_same_grid_again(board):
    assert type(board).from_table(board.to_table()) == board
    assert len({board, type(board).from_table(board.to_table())}) == 1


GRID = {"type": "aprilgrid", "tags": [6, 6], "tag_mm": 88, "gap_mm": 26.4}


@pytest.mark.parametrize(
    ("kind", "table", "message"),
    [
        (AprilGrid, GRID | {"squares": [6, 6]}, "unknown key 'squares'. Known there: border_bits, dictionary, .*tags"),
        (AprilGrid, GRID | {"tags": 6}, r"tags = 6 is not \[columns, rows\]"),
        (AprilGrid, GRID | {"first_id": 0.5}, "first_id = 0.5 is not a whole number"),
        (AprilGrid, GRID | {"first_id": True}, "first_id = True is not a whole number"),
        (AprilGrid, GRID | {"gap_mm": 0}, "a gap of 0 m is none. Measure the gap"),
        (AprilGrid, GRID | {"border_bits": 0}, "with a border of 0 bits are no grid. Give at least one"),
        (AprilGrid, GRID | {"tags": [30, 20]}, "30 x 20 tags from id 0 need 600 tags, DICT_APRILTAG_36H11 has 587"),
        (AprilGrid, GRID | {"type": "checkerboard"}, "boards of type 'checkerboard' are not known"),
        (AprilGrid, {k: v for k, v in GRID.items() if k != "tags"}, r"has no tags = \[columns, rows\]. Count the tags"),
        (Checkerboard, {"type": "checkerboard", "squares": [2, 7], "square_mm": 3}, "2 x 7 squares are too few"),
        (Checkerboard, {"type": "checkerboard", "squares": [5, 7], "square_mm": -3}, "a square of -0.003 m is none"),
        (Checkerboard, {"squares": [5, 7], "square_mm": 3}, "boards of type 'charuco' are not known"),
        (Checkerboard, {"type": "checkerboard", "squares": [5, 7]}, r"has no square_m \(or square_mm\)"),
    ],
)
def test_what_is_wrong_with_a_table_is_said(kind, table, message):
    with pytest.raises(CalibrationError, match=message) as caught:
        kind.from_table(table, "my_board.toml")
    assert str(caught.value).startswith("my_board.toml: ")
