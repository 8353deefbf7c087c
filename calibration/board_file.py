"""Board files: a TOML file with a `[board]` table, or caliscope's `charuco.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import tomlkit

from calibration.board_grids import APRILGRID, CHECKERBOARD, AprilGrid, Checkerboard
from calibration.boards import CHARUCO, CharucoBoard
from calibration.errors import CalibrationError
from calibration.file_fields import METRES_PER_UNIT, read_text, write_text

Board: TypeAlias = CharucoBoard | Checkerboard | AprilGrid

KINDS: Mapping[str, type[CharucoBoard] | type[Checkerboard] | type[AprilGrid]] = {
    CHARUCO: CharucoBoard,
    CHECKERBOARD: Checkerboard,
    APRILGRID: AprilGrid,
}
CALISCOPE_KEYS = {"columns", "rows", "aruco_scale"}


def board_from_table(table: Mapping[str, Any], where: str | Path = "[board]") -> Board:
    """The board that a `[board]` table describes; without a `type` it is a ChArUco board."""
    kind = table.get("type", CHARUCO)
    if not isinstance(kind, str) or kind not in KINDS:
        raise CalibrationError(
            f"boards of type {kind!r} are not known", where=where, remedy=f"Known: {', '.join(KINDS)}."
        )
    return KINDS[kind].from_table(table, where)


def read_board(path: str | Path) -> Board:
    """The board of a file: a `[board]` table (a session file has one), or the keys of caliscope's charuco.toml."""
    path = Path(path)
    try:
        document = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise CalibrationError(f"is not TOML: {error}", where=path) from None
    if isinstance(document.get("board"), dict):
        return board_from_table(document["board"], f"{path} [board]")
    if document.keys() >= CALISCOPE_KEYS:
        return _caliscope_board(document, path)
    raise CalibrationError(
        "describes no board",
        where=path,
        remedy='Give it a table [board] with type = "charuco", squares = [5, 7], square_mm, marker_mm and dictionary.',
    )


def write_board(board: Board, path: str | Path) -> None:
    """Write a file with a `[board]` table; `read_board` gives this board again."""
    document = tomlkit.document()
    table = tomlkit.table()
    table.update(board.to_table())
    document["board"] = table
    write_text(Path(path), tomlkit.dumps(document))


def _caliscope_board(document: Mapping[str, Any], path: Path) -> CharucoBoard:
    """caliscope (caliscope/core/charuco.py): the measured square if there is one, else the largest that fits into
    board_width x board_height. The thickness of a board whose back is printed has no place here."""
    try:
        square_m = _caliscope_square_m(document)
        return CharucoBoard(
            document["columns"],
            document["rows"],
            square_m,
            square_m * document["aruco_scale"],
            dictionary=document.get("dictionary", "DICT_4X4_50"),
            legacy=bool(document.get("legacy_pattern", False)),
            inverted=bool(document.get("inverted", False)),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise CalibrationError(
            f"reads as a board of caliscope, but its entries are not whole: {error}", where=path
        ) from None
    except CalibrationError as error:
        raise CalibrationError(error.what, where=path, remedy=error.remedy) from None


def _caliscope_square_m(document: Mapping[str, Any]) -> float:
    if document.get("square_size_override_cm"):
        return round(document["square_size_override_cm"] / 100, 9)
    unit = document.get("units", "inch")
    if unit not in METRES_PER_UNIT:
        raise CalibrationError(f"unknown length unit {unit!r}", remedy=f"Known: {', '.join(METRES_PER_UNIT)}.")
    sides = document["board_height"] / document["rows"], document["board_width"] / document["columns"]
    return min(sides) * METRES_PER_UNIT[unit]
