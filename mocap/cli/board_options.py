"""The options that describe a board, wherever a command takes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from calibration.errors import CalibrationError

if TYPE_CHECKING:
    from calibration.board_file import Board
    from calibration.board_print import PrintConfig

OPTIONS = {
    "charuco": {"squares", "square_mm", "marker_mm", "dictionary", "legacy", "inverted"},
    "checkerboard": {"squares", "square_mm", "inverted"},
    "aprilgrid": {"squares", "square_mm", "gap_mm", "dictionary", "inverted"},
}
DEFAULT_SQUARES = {"charuco": "5x7", "checkerboard": "6x9", "aprilgrid": "4x6"}
DICTIONARY_SIZES = (50, 100, 250, 1000)
"""Of OpenCV's 4 x 4 bit markers: large bits are read from afar, and small dictionaries mistake fewer markers."""


def given_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a command's options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def described(kind: str, given: dict[str, Any], config: PrintConfig) -> Board:
    """The board that options describe; without a size, the largest that the paper has room for."""
    from calibration.board_file import board_from_table
    from calibration.board_print import largest_board

    if kind not in OPTIONS:
        raise CalibrationError(f"there is no board {kind!r}", where="--type", remedy=f"Known: {', '.join(OPTIONS)}.")
    foreign = sorted(given.keys() - OPTIONS[kind])
    if foreign:
        raise CalibrationError(f"a board of type {kind} has no {foreign[0]}", where="--type", remedy="Leave it out.")
    board = board_from_table(_table(kind, given), "board")
    if "square_mm" in given:
        return board
    if config.tiled or given.keys() & {"marker_mm", "gap_mm"}:
        raise CalibrationError(
            "how large are the squares?",
            where="--square-mm",
            remedy="Give it: only a board on one sheet, without other sizes, gets the size of its paper.",
        )
    return largest_board(board, config)


def _table(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    """The `[board]` table of options; what they leave open is filled in."""
    counts = _counts(given.get("squares", DEFAULT_SQUARES[kind]))
    square = given.get("square_mm", 40.0)
    table = {"type": kind} | {key: given[key] for key in ("dictionary", "legacy", "inverted") if key in given}
    if kind == "aprilgrid":
        return table | {"tags": counts, "tag_mm": square, "gap_mm": given.get("gap_mm", 0.3 * square)}
    table |= {"squares": counts, "square_mm": square}
    if kind == "checkerboard":
        return table
    markers = counts[0] * counts[1] // 2
    smallest = next((n for n in DICTIONARY_SIZES if n >= markers), DICTIONARY_SIZES[-1])
    return {"dictionary": f"DICT_4X4_{smallest}", "marker_mm": given.get("marker_mm", 0.75 * square)} | table


def _counts(squares: str) -> list[int]:
    found = re.fullmatch(r"(\d+)[x×](\d+)", squares.strip().lower())
    if not found:
        raise CalibrationError(f"{squares!r} is not columns x rows", where="--squares", remedy="Write it as 5x7.")
    return [int(found[1]), int(found[2])]


def alone(board: Board, given: dict[str, Any]) -> Board:
    """The board of a file; options that describe another are refused."""
    if given:
        raise CalibrationError(
            f"a board file is given, and {', '.join(given)} too",
            where="--board",
            remedy="Give one of them: a file, or options that describe the board.",
        )
    return board
