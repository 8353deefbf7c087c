"""What is printed around a board: crop marks, a ruler, and words. Lengths in metres in the sheet's frame, y down."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from calibration.board_file import Board
from calibration.board_grids import AprilGrid, Checkerboard
from calibration.board_print_ink import Rectangles

LINE_M = 0.00015
"""Thickness of marks and ticks."""
INCH_M = 0.0254
LONGEST_RULER_M = 0.3
AXIS_M = 0.0055
"""From the strip's top to the ruler's line: millimetres stand on it, inches hang from it."""
WORDS_M = 0.0142
"""From the strip's top to the base of the first line of words."""
LINE_PITCH_M = 0.0032
NUMBER_HEIGHT_M = 0.002
WORD_HEIGHT_M = 0.0025
CHARACTER_EM = 0.52
"""Mean width of Helvetica's characters in such text, in heights, with something to spare."""
MAX_LINES = 3


class Text(NamedTuple):
    """One line: left end of its base line, height (of the font), the words in ASCII."""

    x_m: float
    y_m: float
    height_m: float
    words: str


def crop_marks(window: Float[np.ndarray, "4"], cuts: Float[np.ndarray, "4"], room_m: float) -> Rectangles:
    """Ticks outside a window (left, top, right, bottom) that point at its cuts, within room_m of it."""
    near, far = 0.1 * room_m, 0.9 * room_m
    beside_x = [(window[0] - far, window[0] - near), (window[2] + near, window[2] + far)]
    beside_y = [(window[1] - far, window[1] - near), (window[3] + near, window[3] + far)]
    half = LINE_M / 2
    upright = [(x - half, y0, x + half, y1) for x in cuts[[0, 2]] for y0, y1 in beside_y]
    lying = [(x0, y - half, x1, y + half) for y in cuts[[1, 3]] for x0, x1 in beside_x]
    return np.array([*upright, *lying])


def ruler(strip: Float[np.ndarray, "4"]) -> tuple[Rectangles, list[Text]]:
    """Ticks and numbers of a ruler at the top of a strip: millimetres above its line, inches below."""
    length = ruler_length_m(float(strip[2] - strip[0]))
    left, axis = float(strip[0] + strip[2] - length) / 2, float(strip[1]) + AXIS_M
    line = np.array([[left - LINE_M / 2, axis - LINE_M / 2, left + length + LINE_M / 2, axis + LINE_M / 2]])
    millimetres = np.arange(round(1000 * length) + 1)
    rises = np.select([millimetres % 10 == 0, millimetres % 5 == 0], [0.003, 0.0022], 0.0015)
    eighths = np.arange(int(length / INCH_M * 8 + 1e-6) + 1)
    falls = np.select([eighths % 8 == 0, eighths % 4 == 0], [0.003, 0.0022], 0.0015)
    ticks = [
        _ticks(left + millimetres / 1000, axis - LINE_M / 2 - rises, np.full(len(rises), axis - LINE_M / 2)),
        _ticks(left + eighths * INCH_M / 8, np.full(len(falls), axis + LINE_M / 2), axis + LINE_M / 2 + falls),
    ]
    above, below = axis - 0.0034, axis + 0.0032 + 0.75 * NUMBER_HEIGHT_M
    numbers = [_centred(left + mm / 1000, above, f"{mm}") for mm in millimetres[::10]]
    numbers += [_centred(left + inch * INCH_M, below, f'{inch}"') for inch in range(len(eighths[::8]))]
    return np.concatenate([line, *ticks]), numbers


def ruler_length_m(room_m: float) -> float:
    """Whole centimetres with room for half a number at both ends."""
    return min(int((room_m - 0.004) * 100 + 1e-6) / 100, LONGEST_RULER_M)


def _ticks(x: np.ndarray, top: np.ndarray, bottom: np.ndarray) -> Rectangles:
    return np.stack([x - LINE_M / 2, top, x + LINE_M / 2, bottom], axis=-1)


def _centred(x: float, y: float, words: str) -> Text:
    return Text(x - len(words) * 0.556 * NUMBER_HEIGHT_M / 2, y, NUMBER_HEIGHT_M, words)


def written(sentences: Sequence[str], strip: Float[np.ndarray, "4"]) -> list[Text]:
    """Sentences as lines below the ruler, smaller where they would not fit."""
    room = float(strip[2] - strip[0])
    height, words = WORD_HEIGHT_M, " ".join(sentences)
    lines = textwrap.wrap(words, int(room / (CHARACTER_EM * height)))
    while len(lines) > MAX_LINES:
        height *= 0.95
        lines = textwrap.wrap(words, int(room / (CHARACTER_EM * height)))
    return [
        Text(float(strip[0]), float(strip[1]) + WORDS_M + i * LINE_PITCH_M, height, line)
        for i, line in enumerate(lines)
    ]


def board_words(board: Board) -> str:
    """A board in one line, e.g. "ChArUco, 5 x 7 squares of 35 mm, markers of 26 mm, DICT_4X4_50"."""
    if isinstance(board, AprilGrid):
        parts = [
            f"AprilGrid, {board.tags_x} x {board.tags_y} tags of {_mm(board.tag_m)}, gaps of {_mm(board.gap_m)}",
            f"{board.dictionary} from id {board.first_id}, border of {board.border_bits} bits",
        ]
    elif isinstance(board, Checkerboard):
        parts = [f"Checkerboard, {board.squares_x} x {board.squares_y} squares of {_mm(board.square_m)}"]
    else:
        squares = f"{board.squares_x} x {board.squares_y} squares of {_mm(board.square_m)}"
        parts = [f"ChArUco, {squares}, markers of {_mm(board.marker_m)}", board.dictionary]
        parts += ["layout before OpenCV 4.6"] * board.legacy
    return ", ".join([*parts, *["white on black"] * board.inverted])


def size_words(board: Board) -> str:
    """Width and height of the print, e.g. "175 x 245 mm"."""
    width, height = board.size_m
    return f"{1000 * width:g} x {1000 * height:g} mm"


def _mm(length_m: float) -> str:
    return f"{1000 * length_m:g} mm"
