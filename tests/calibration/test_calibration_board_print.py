"""Prints are read back by readers of their own: our vector files by a parser of their few operators, every kind by
rasterising it and finding the board in it."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.board_grids import AprilGrid, Checkerboard
from calibration.board_print import PAPERS_MM, PrintConfig, board_sheets, fits, largest_board, paper_size_m
from calibration.board_print_files import print_paths, write_prints
from calibration.board_print_ink import board_ink, clipped
from calibration.board_print_pdf import pdf_bytes
from calibration.board_print_png import pixels_per_metre, png_bytes, sheet_image
from calibration.board_print_strip import LINE_M, board_words, size_words
from calibration.board_print_svg import svg_text
from calibration.boards import CharucoBoard
from calibration.errors import CalibrationError

CHARUCO = CharucoBoard(5, 7, 0.035, 0.026, "DICT_4X4_50")
OLD = CharucoBoard(4, 6, 0.04, 0.03, "DICT_5X5_100", legacy=True)
INVERTED = CharucoBoard(4, 5, 0.04, 0.03, "DICT_4X4_50", inverted=True)
CHECKERBOARD = Checkerboard(6, 9, 0.027)
GRID = AprilGrid(3, 4, 0.04, 0.012)
PER_METRE = 10_000
DPI = PER_METRE * 0.0254


def painted(rectangles: np.ndarray, size_m: tuple[float, float]) -> np.ndarray:
    """Black rectangles (m) on white, a pixel where its middle is covered: 10 pixels a millimetre."""
    height, width = (round(side * PER_METRE) for side in reversed(size_m))
    image = np.full((height, width), 255, dtype=np.uint8)
    for x0, y0, x1, y1 in np.ceil(rectangles * PER_METRE - 0.5).astype(int):
        image[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)] = 0
    return image


def found_corners(image: np.ndarray, board: CharucoBoard) -> tuple[np.ndarray, np.ndarray]:
    """Ids and places (N, 2) in pixels from the picture's corner, by OpenCV."""
    read = 255 - image if board.inverted else image
    xy, ids, _, _ = cv2.aruco.CharucoDetector(board.opencv()).detectBoard(read)
    if ids is None:
        return np.zeros(0, dtype=int), np.zeros((0, 2))
    start = np.asarray(xy, dtype=np.float32).reshape(-1, 2)
    return ids.ravel(), refined(read, start, 15) + 0.5


def refined(image: np.ndarray, xy: np.ndarray, reach: int) -> np.ndarray:
    """Saddles near xy (N, 2), in a print softened as a lens would."""
    stop = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 100, 1e-4)
    return cv2.cornerSubPix(cv2.GaussianBlur(image, (0, 0), 1.5), xy, (reach, reach), (-1, -1), stop)


def pdf_pages(data: bytes) -> list[tuple[np.ndarray, np.ndarray, str]]:
    """Of every page: its size (2,) and its filled rectangles (N, 4), m from the top left, and its content."""
    text = data.decode("latin-1")
    pages = []
    for page in re.findall(r"/Type /Page /.*?/MediaBox \[0 0 (\S+) (\S+)\] /Contents (\d+) 0 R", text):
        size = np.array([float(page[0]), float(page[1])]) / 72 * 0.0254
        (content,) = re.findall(rf"\n{page[2]} 0 obj\n<< /Length \d+ >>\nstream\n(.*?)\nendstream", text, re.DOTALL)
        scale = float(re.match(r"(\S+) 0 0 \1 0 0 cm", content)[1]) / 72 * 0.0254
        x, y, w, h = scale * np.array(re.findall(r"(\S+) (\S+) (\S+) (\S+) re\n", content), dtype=float).T
        pages.append((size, np.stack([x, size[1] - y - h, x + w, size[1] - y], axis=-1), content))
    return pages


def svg_ink(text: str) -> np.ndarray:
    """Filled rectangles (N, 4), m."""
    number = r"(-?[\d.]+)"
    found = re.findall(rf"M{number} {number}H{number}V{number}H\1Z", text)
    return np.array(found, dtype=float) / 1000


WHOLE_PIXELS = (
    CharucoBoard(5, 7, 0.035, 0.024, "DICT_4X4_50"),
    CharucoBoard(4, 6, 0.04, 0.028, "DICT_5X5_100", legacy=True),
    INVERTED,
    CHECKERBOARD,
    Checkerboard(7, 4, 0.025, inverted=True),
    GRID,
    AprilGrid(2, 3, 0.06, 0.02, first_id=7, inverted=True),
)
"""Boards whose bits are whole tenths of a millimetre: OpenCV draws markers in whole pixels."""


@pytest.mark.parametrize("board", WHOLE_PIXELS, ids=str)
def test_ink_is_what_the_picture_of_the_board_shows(board):
    ink = board_ink(board, 0.005)
    side = 10_000 * (board.tag_m if isinstance(board, AprilGrid) else board.square_m)
    shown = painted(ink + 0.005, tuple(s + 0.01 for s in board.size_m))
    np.testing.assert_array_equal(shown == 0, board.image(round(side), 50) == 0)
    areas = (ink[:, 2] - ink[:, 0]) * (ink[:, 3] - ink[:, 1])
    assert areas.sum() == pytest.approx((shown == 0).sum() / PER_METRE**2, rel=1e-6)  # nothing overlaps


@pytest.mark.parametrize("board", [CHARUCO, OLD, INVERTED], ids=str)
@pytest.mark.parametrize("dpi", [150, 300])
def test_every_corner_of_a_png_lies_where_it_belongs(board, dpi):
    (sheet,) = board_sheets(board)
    ids, places = found_corners(sheet_image(sheet, dpi), board)
    assert sorted(ids) == list(range(board.n_corners))
    # 0.05 px at 150 dpi are 0.008 mm; what is asked for is 0.1 mm.
    np.testing.assert_allclose(places / pixels_per_metre(dpi), sheet.from_board(board.corners[ids]), atol=1e-5)


def test_a_printed_checkerboard_is_found_between_its_marks():
    (sheet,) = board_sheets(CHECKERBOARD)
    found, xy = cv2.findChessboardCornersSB(sheet_image(sheet, 150), (5, 8))
    assert found
    places = (np.asarray(xy).reshape(-1, 2) + 0.5) / pixels_per_metre(150)
    expected = sheet.from_board(CHECKERBOARD.corners)
    assert np.linalg.norm(places[:, None] - expected, axis=-1).min(axis=0).max() < 5e-5  # 0.3 px


def test_a_printed_grid_is_found_between_its_marks():
    (sheet,) = board_sheets(GRID)
    settings = cv2.aruco.DetectorParameters()
    settings.markerBorderBits = GRID.border_bits
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36h11)
    image = sheet_image(sheet, 150)
    found, ids, _ = cv2.aruco.ArucoDetector(dictionary, settings).detectMarkers(image)
    assert sorted(ids.ravel()) == list(GRID.ids)
    xy = refined(image, np.array(found, dtype=np.float32).reshape(-1, 2), 5).reshape(-1, 4, 2)
    places = (xy + 0.5) / pixels_per_metre(150)
    np.testing.assert_allclose(places, sheet.from_board(GRID.marker_corners[ids.ravel()]), atol=5e-5)


@pytest.mark.parametrize("board", [CHARUCO, INVERTED], ids=str)
def test_backs_lie_behind_fronts(board):
    front, back = board_sheets(board, PrintConfig(two_sided=True))
    images = [sheet_image(sheet, DPI) for sheet in (front, back)]
    width = images[0].shape[1]
    ids, places = found_corners(images[0], board)
    # What a camera behind the board sees of the back, flipped, is read as the front is.
    behind, flipped = found_corners(np.ascontiguousarray(images[1][:, ::-1]), board)
    assert sorted(behind) == sorted(ids) == list(range(board.n_corners))
    np.testing.assert_allclose(flipped[np.argsort(behind)], places[np.argsort(ids)], atol=1e-3)
    on_back = np.stack([width - flipped[:, 0], flipped[:, 1]], axis=-1) / PER_METRE
    np.testing.assert_allclose(on_back, back.from_board(board.corners[behind]), atol=1e-5)
    assert len(found_corners(images[1], board)[0]) == 0


def test_a_pdf_holds_the_ink_of_its_sheets_to_a_hundredth_of_a_micrometre():
    sheets = board_sheets(INVERTED, PrintConfig(two_sided=True))
    data = pdf_bytes(sheets)
    pages = pdf_pages(data)
    assert len(pages) == 2
    for sheet, (size, ink, _) in zip(sheets, pages, strict=True):
        np.testing.assert_allclose(size, sheet.size_m, atol=1e-8)
        np.testing.assert_allclose(ink, sheet.ink, atol=2.1e-8)  # five decimals of a millimetre, twice
    assert b"/PrintScaling /None /Duplex /DuplexFlipLongEdge" in data
    assert data == pdf_bytes(sheets)


def test_a_pdf_is_whole():
    data = pdf_bytes(board_sheets(CHARUCO))
    start = int(re.search(rb"startxref\n(\d+)\n%%EOF", data)[1])
    assert data[start:].startswith(b"xref\n0 7\n")
    places = [int(place) for place in re.findall(rb"(\d{10}) 00000 n", data)]
    assert [data[place:].split(b" ")[0] for place in places] == [b"1", b"2", b"3", b"4", b"5", b"6"]
    length = int(re.search(rb"/Length (\d+) >>\nstream\n", data)[1])
    assert data[re.search(rb"stream\n", data).end() + length :].startswith(b"\nendstream")
    assert b"/Duplex" not in data


def test_a_lying_sheet_is_turned_about_its_short_edge():
    board = Checkerboard(9, 6, 0.026)
    sheets = board_sheets(board, PrintConfig(two_sided=True))
    assert sheets[0].size_m == (0.297, 0.21)
    assert b"/DuplexFlipShortEdge" in pdf_bytes(sheets)
    assert "turned about the short edge" in " ".join(text.words for text in sheets[0].texts)


def test_an_svg_holds_the_ink_of_its_sheet():
    (sheet,) = board_sheets(GRID, PrintConfig("Letter"))
    text = svg_text(sheet)
    assert 'width="215.9mm" height="279.4mm" viewBox="0 0 215.9 279.4"' in text
    np.testing.assert_allclose(svg_ink(text), sheet.ink, atol=0.6e-8)


def test_a_png_states_its_resolution():
    data = png_bytes(board_sheets(CHECKERBOARD)[0], 150)
    body = data[data.index(b"pHYs") : data.index(b"pHYs") + 13]
    assert struct.unpack(">IIB", body[4:]) == (round(150 / 0.0254), round(150 / 0.0254), 1)
    assert struct.unpack(">I", data[data.index(b"pHYs") + 13 :][:4]) == (zlib.crc32(body),)
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED).shape == (1755, 1241)


def test_grey_edges_keep_every_place_at_a_low_resolution():
    """Each pixel is the mean of the fine print below it."""
    (sheet,) = board_sheets(CHECKERBOARD)
    bare = type(sheet)(**{**vars(sheet), "texts": ()})
    fine = painted(sheet.ink, sheet.size_m).astype(float)
    rows, columns = int((sheet.size_m[1] - 0.03) * PER_METRE / 20), fine.shape[1] // 20
    mean = fine[: rows * 20, : columns * 20].reshape(rows, 20, columns, 20).mean(axis=(1, 3))
    # `painted` rounds marks of 1.5 pixels to 1 or 2: half a pixel of 20, and two marks where they meet.
    wrong = np.abs(sheet_image(bare, DPI / 20)[:rows, :columns] - mean)
    assert wrong.max() <= 255 * 2 * 0.5 / 20 + 1
    assert wrong.mean() < 0.05


@pytest.mark.skipif(shutil.which("pdftoppm") is None, reason="poppler's pdftoppm is not installed")
def test_poppler_prints_the_pdf_at_true_scale(tmp_path):
    write_prints(CHARUCO, tmp_path / "board.pdf", PrintConfig(two_sided=True))
    command = ["pdftoppm", "-r", f"{DPI}", "-gray", "-png", tmp_path / "board.pdf", tmp_path / "page"]
    subprocess.run(command, check=True, capture_output=True)
    for sheet, side in zip(board_sheets(CHARUCO, PrintConfig(two_sided=True)), (1, -1), strict=True):
        image = cv2.imread(str(tmp_path / f"page-{1 if side == 1 else 2}.png"), cv2.IMREAD_GRAYSCALE)
        ids, places = found_corners(np.ascontiguousarray(image[:, ::side]), CHARUCO)
        assert len(ids) == CHARUCO.n_corners
        places = places / PER_METRE
        if sheet.mirrored:
            places[:, 0] = image.shape[1] / PER_METRE - places[:, 0]
        # Poppler rounds the page up to whole pixels and stands it on the bottom: 0.1 mm here, less for the distances.
        errors = places - sheet.from_board(CHARUCO.corners[ids])
        assert np.abs(errors).max() < 1e-4
        assert np.ptp(errors, axis=0).max() < 2e-5


@pytest.mark.skipif(shutil.which("rsvg-convert") is None, reason="rsvg-convert is not installed")
def test_rsvg_prints_the_svg_at_true_scale(tmp_path):
    write_prints(INVERTED, tmp_path / "board.svg")
    command = ["rsvg-convert", "-d", f"{DPI}", "-p", f"{DPI}", tmp_path / "board.svg", "-o", tmp_path / "board.png"]
    subprocess.run(command, check=True, capture_output=True)
    ids, places = found_corners(cv2.imread(str(tmp_path / "board.png"), cv2.IMREAD_GRAYSCALE), INVERTED)
    expected = board_sheets(INVERTED)[0].from_board(INVERTED.corners[ids])
    assert len(ids) == INVERTED.n_corners
    np.testing.assert_allclose(places / PER_METRE, expected, atol=1e-5)


@pytest.mark.parametrize("paper", [*PAPERS_MM, "600x900"])
def test_words_ruler_and_board_keep_to_their_places(paper):
    board = largest_board(CHARUCO, PrintConfig(paper))
    for sheet in board_sheets(board, PrintConfig(paper, two_sided=True)):
        width, height = sheet.size_m
        assert sorted(sheet.size_m) == sorted(paper_size_m(paper))
        assert sheet.ink.min() >= 0.005 - 1e-9
        assert (sheet.ink[:, 2:] <= np.array([width, height]) - 0.005 + 1e-9).all()
        board_end = sheet.board_origin_m[1] + board.size_m[1]
        for text in sheet.texts:
            assert text.x_m >= 0.004
            assert text.x_m + 0.5 * len(text.words) * text.height_m < width - 0.005
            assert board_end + 0.005 < text.y_m - text.height_m
            assert text.y_m < height - 0.005
        assert max(text.y_m for text in sheet.texts if len(text.words) > 20) < height - 0.005


def test_the_ruler_is_as_long_as_it_says():
    (sheet,) = board_sheets(CHARUCO)
    assert "the ruler measures 190 mm and all squares 175 x 245 mm" in " ".join(text.words for text in sheet.texts)
    axis = sheet.size_m[1] - 0.005 - 0.022 + 0.0055
    above = sheet.ink[np.isclose(sheet.ink[:, 3], axis - LINE_M / 2)]
    below = sheet.ink[np.isclose(sheet.ink[:, 1], axis + LINE_M / 2)]
    millimetres, eighths = (np.sort(ticks[:, [0, 2]].mean(axis=1)) for ticks in (above, below))
    np.testing.assert_allclose(millimetres - millimetres[0], np.arange(191) / 1000, atol=1e-9)
    np.testing.assert_allclose(eighths - millimetres[0], np.arange(60) * 0.0254 / 8, atol=1e-9)
    numbers = {text.words: text.x_m + len(text.words) * 0.556 * text.height_m / 2 for text in sheet.texts[:28]}
    assert numbers["190"] - numbers["0"] == pytest.approx(0.19)
    assert numbers['7"'] - numbers["0"] == pytest.approx(7 * 0.0254)


def test_words_say_what_is_printed():
    assert board_words(CHARUCO) == "ChArUco, 5 x 7 squares of 35 mm, markers of 26 mm, DICT_4X4_50"
    assert board_words(OLD).endswith("DICT_5X5_100, layout before OpenCV 4.6")
    assert board_words(INVERTED).endswith("DICT_4X4_50, white on black")
    assert board_words(CHECKERBOARD) == "Checkerboard, 6 x 9 squares of 27 mm"
    assert board_words(GRID) == (
        "AprilGrid, 3 x 4 tags of 40 mm, gaps of 12 mm, DICT_APRILTAG_36H11 from id 0, border of 2 bits"
    )
    assert size_words(GRID) == "168 x 220 mm"


def assembled(sheets: tuple, size_m: tuple[float, float], border_m: float) -> np.ndarray:
    """Tiles cut and laid over one another in their order."""
    whole = painted(np.zeros((0, 4)), tuple(side + 2 * border_m for side in size_m))
    whole[:] = 128
    for sheet in sheets:
        moved = sheet.ink - np.tile(np.asarray(sheet.board_origin_m), 2)
        shown = clipped(moved, sheet.window_m) - np.tile(sheet.window_m[:2], 2)
        left, top = np.round((sheet.window_m[:2] + border_m) * PER_METRE).astype(int)
        part = painted(shown, tuple(sheet.window_m[2:] - sheet.window_m[:2]))
        whole[top : top + part.shape[0], left : left + part.shape[1]] = part
    return whole


@pytest.mark.parametrize("board", [CharucoBoard(5, 7, 0.1, 0.075, "DICT_4X4_50"), AprilGrid(4, 3, 0.09, 0.03)], ids=str)
def test_tiles_make_up_the_board(board):
    sheets = board_sheets(board, PrintConfig("A3", tiled=True))
    whole = assembled(sheets, board.size_m, 0.005)
    side = 10_000 * (board.tag_m if isinstance(board, AprilGrid) else board.square_m)
    np.testing.assert_array_equal(whole == 0, board.image(round(side), 50) == 0)
    assert not (whole == 128).any()
    for sheet in sheets:
        inner = sheet.cuts_m[(sheet.cuts_m > 0) & (sheet.cuts_m < np.tile(board.size_m, 2))]
        assert np.abs(inner[:, None] - np.unique(board.corners[:, :2])).min() > 0.015  # joints keep away from corners


def test_backs_of_tiles_follow_their_fronts():
    sheets = board_sheets(CharucoBoard(5, 7, 0.06, 0.045), PrintConfig(tiled=True, two_sided=True))
    names = [sheet.name for sheet in sheets]
    assert names[:4] == ["row1_column1_front", "row1_column1_back", "row1_column2_front", "row1_column2_back"]
    words = [" ".join(text.words for text in sheet.texts) for sheet in sheets]
    assert "Sheet 1 of 4 (row 1, column 1): its neighbours are laid over it, up to the marks." in words[0]
    assert "Sheet 4 of 4 (row 2, column 2): cut off its left and upper edge at the marks" in words[-1]
    assert "Back: print on both sides, turned about the" in words[-1]
    for front, back in zip(sheets[::2], sheets[1::2], strict=True):
        np.testing.assert_array_equal(front.window_m, back.window_m)
        points = np.array([[0.1, 0.2, 0.0]])
        np.testing.assert_allclose(
            front.from_board(points) * [-1, 1] + [front.size_m[0], 0], back.from_board(points), atol=1e-12
        )


@given(st.integers(3, 14), st.integers(3, 14), st.floats(0.01, 0.2), st.sampled_from(["A4", "A3", "Letter", "200x150"]))
@settings(max_examples=25, deadline=None)
def test_tiles_cover_any_board_without_leaving_their_sheets(columns, rows, square, paper):
    board = Checkerboard(columns, rows, square)
    config = PrintConfig(paper, tiled=True)
    sheets = board_sheets(board, config)
    assert (len(sheets) == 1) == fits(board, config)
    cut_area = sum(np.prod(sheet.cuts_m[2:] - sheet.cuts_m[:2]) for sheet in sheets)
    assert cut_area == pytest.approx((board.size_m[0] + 0.01) * (board.size_m[1] + 0.01))
    for sheet in sheets:
        over = sheet.window_m - sheet.cuts_m
        assert over[:2] == pytest.approx([0, 0])
        assert all(o == pytest.approx(0) or o == pytest.approx(0.01) for o in over[2:])
        assert sheet.ink.min() > 0.005 - 1e-9
        assert (sheet.ink[:, 2:].max(axis=0) < np.array(sheet.size_m) - 0.005 + 1e-9).all()


def test_files_of_every_kind(tmp_path):
    assert write_prints(CHARUCO, tmp_path / "sub" / "board.PDF") == (tmp_path / "sub" / "board.PDF",)
    two_sided = PrintConfig(two_sided=True)
    written = write_prints(CHARUCO, tmp_path / "board.png", two_sided, dpi=50)
    assert [path.name for path in written] == ["board_front.png", "board_back.png"]
    assert written == print_paths(CHARUCO, tmp_path / "board.png", two_sided)
    assert all(path.is_file() for path in written)
    assert write_prints(CHARUCO, tmp_path / "board.svg") == (tmp_path / "board.svg",)


def test_the_largest_board_of_a_sheet():
    assert largest_board(CharucoBoard(5, 7, 0.04, 0.03), PrintConfig()) == CharucoBoard(5, 7, 0.035, 0.0265)
    for config in (PrintConfig("A3"), PrintConfig("Letter", border_m=0)):
        board = largest_board(CHECKERBOARD, config)
        assert fits(board, config)
        assert not fits(Checkerboard(6, 9, board.square_m + 0.001), config)
    grid = largest_board(AprilGrid(4, 6, 0.04, 0.012), PrintConfig("A3"))
    assert (grid.tag_m, grid.gap_m) == (0.045, 0.0135)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: board_sheets(CharucoBoard(5, 7, 0.05, 0.04), PrintConfig("a4")),
            "the board measures 250 x 350 mm, and a4 has room for 182 x 247 mm. Take paper A3, squares of 35 mm, or",
        ),
        (lambda: board_sheets(Checkerboard(9, 9, 0.5)), "Take squares of 20 mm, or several sheets"),
        (lambda: board_sheets(AprilGrid(6, 6, 0.088, 0.0264)), "Take paper A0, tags of 22 mm, or several sheets"),
        (lambda: PrintConfig("B5"), "there is no paper 'B5'. Take A4, A3, .* Tabloid, or width x height in mm"),
        (lambda: PrintConfig("30x30"), "there is no paper '30x30'"),
        (lambda: PrintConfig(border_m=-0.1), "a border of -0.1 m or an overlap of 0.01 m cannot be printed"),
        (lambda: largest_board(Checkerboard(90, 90, 0.01), PrintConfig()), "A4 has no room for Checkerboard, 90 x 90"),
        (lambda: write_prints(CHARUCO, "board.gif"), "board.gif: .gif is no kind of print. End the name in .pdf, .svg"),
        (lambda: png_bytes(board_sheets(CHARUCO)[0], 20_000), "20000 dpi make .* pixels. Take a lower resolution"),
    ],
)  # fmt: skip
def test_what_cannot_be_printed_is_said(make, message):
    with pytest.raises(CalibrationError, match=message):
        make()
