"""ChArUco boards: a chessboard with an ArUco marker in every white square.

Convention (OpenCV's): the origin is the outer corner of the print's top-left square, x runs right along the columns, y
down along the rows, and z into the board, away from whoever reads it; the print is the plane z = 0. Inner corner i of
a board with c columns lies in column i % (c - 1) and row i // (c - 1), counted from 0; on 5 x 7 squares of 40 mm,
corner 5 is (0.08, 0.08, 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from calibration.errors import CalibrationError

CHARUCO = "charuco"
MINIMUM_SQUARES = 3
"""A direction with two squares has one row of inner corners: they lie on a line and give no pose."""

UNITS = {"_m": 1.0, "_mm": 1000.0}
SPELLINGS = {name.upper(): name for name in sorted(dir(cv2.aruco), reverse=True) if name.startswith("DICT_")}
"""Names of the dictionaries in capitals -> one of OpenCV's names."""


@dataclass(frozen=True)
class BoardFields:
    """What the table of a kind of board holds.

    kind: its `type`. counts: the key of [columns, rows]. lengths: names that are followed by _m or _mm. options:
    further keys and their types, which may be absent. remedy: how the user finds `counts`.
    """

    kind: str
    counts: str
    lengths: tuple[str, ...]
    options: Mapping[str, type]
    remedy: str


CHARUCO_FIELDS = BoardFields(
    CHARUCO,
    "squares",
    ("square", "marker"),
    {"dictionary": str, "legacy": bool, "inverted": bool},
    "Count the squares of the print as it reads.",
)


@dataclass(frozen=True)
class CharucoBoard:
    """What is printed, without the sheet it is printed on.

    squares_x, squares_y: columns and rows. square_m, marker_m: side of a square, and of a marker with its black border.
    legacy: the layout of OpenCV before 4.6, which begins with a white square where the rows are even in number.
    inverted: black and white are exchanged.
    """

    squares_x: int
    squares_y: int
    square_m: float
    marker_m: float
    dictionary: str = "DICT_5X5_100"
    legacy: bool = False
    inverted: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "dictionary", self.dictionary.upper())
        object.__setattr__(self, "square_m", float(self.square_m))
        object.__setattr__(self, "marker_m", float(self.marker_m))
        check_squares(self.squares_x, self.squares_y)
        _check_lengths(self.square_m, self.marker_m)
        available = dictionary_size(self.dictionary)
        if self.n_markers > available:
            raise CalibrationError(
                f"{self.squares_x} x {self.squares_y} squares need {self.n_markers} markers, {self.dictionary} has "
                f"{available}",
                where="[board]",
                remedy="Take a larger dictionary of the same family, or fewer squares.",
            )

    @property
    def n_corners(self) -> int:
        return (self.squares_x - 1) * (self.squares_y - 1)

    @property
    def n_markers(self) -> int:
        return self.squares_x * self.squares_y // 2

    @property
    def corners(self) -> Float[np.ndarray, "N 3"]:
        """The inner corners in the board's frame, m, by OpenCV's id."""
        row, column = np.divmod(np.arange(self.n_corners), self.squares_x - 1)
        return self.square_m * np.stack([column + 1.0, row + 1.0, np.zeros(self.n_corners)], axis=-1)

    @property
    def marker_corners(self) -> Float[np.ndarray, "M 4 3"]:
        """The markers' corners by id, m: clockwise from the top left as they are read."""
        row, column = np.divmod(np.arange(self.squares_x * self.squares_y), self.squares_x)
        begins_white = self.legacy and self.squares_y % 2 == 0
        white = (row + column) % 2 == (0 if begins_white else 1)
        middle = self.square_m * np.stack([column[white] + 0.5, row[white] + 0.5], axis=-1)
        around = self.marker_m / 2 * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        flat = middle[:, None] + around
        return np.concatenate([flat, np.zeros((*flat.shape[:2], 1))], axis=-1)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of all squares."""
        return self.squares_x * self.square_m, self.squares_y * self.square_m

    def sheet_size_m(self, margin_m: float) -> tuple[float, float]:
        """Width and height with a margin all around."""
        width, height = self.size_m
        return width + 2 * margin_m, height + 2 * margin_m

    def opencv(self) -> cv2.aruco.CharucoBoard:
        """The board as OpenCV's detector wants it; `inverted` is nothing it knows: give it inverted pictures."""
        size = (self.squares_x, self.squares_y)
        board = cv2.aruco.CharucoBoard(size, self.square_m, self.marker_m, predefined_dictionary(self.dictionary))
        board.setLegacyPattern(self.legacy)
        return board

    def image(self, px_per_square: int, margin_px: int = 0) -> UInt8[np.ndarray, "H W"]:
        """The print with its margin. Pixel (u, v) shows the board's (u + 0.5 - margin_px, v + 0.5 - margin_px) *
        square_m / px_per_square; markers are rounded to whole pixels."""
        width, height = (n * px_per_square + 2 * margin_px for n in (self.squares_x, self.squares_y))
        image = self.opencv().generateImage((width, height), marginSize=margin_px, borderBits=1)
        return np.asarray(255 - image if self.inverted else image, dtype=np.uint8)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str | Path = "[board]") -> CharucoBoard:
        """The board that a `[board]` table describes:

        type = "charuco", squares = [columns, rows], square_m or square_mm, marker_m or marker_mm, dictionary, legacy,
        inverted; the last three may be absent. `where` names the table in error messages.
        """
        try:
            return cls(**read_fields(table, CHARUCO_FIELDS))
        except CalibrationError as error:
            raise CalibrationError(error.what, where=where, remedy=error.remedy) from None

    def to_table(self) -> dict[str, Any]:
        """The `[board]` table; `from_table` gives this board again."""
        return {
            "type": CHARUCO,
            "squares": [self.squares_x, self.squares_y],
            "square_m": self.square_m,
            "marker_m": self.marker_m,
            "dictionary": self.dictionary,
            "legacy": self.legacy,
            "inverted": self.inverted,
        }


def check_squares(columns: int, rows: int) -> None:
    """Refuse boards without inner corners in two directions."""
    if min(columns, rows) < MINIMUM_SQUARES:
        raise CalibrationError(
            f"{columns} x {rows} squares are too few",
            where="[board]",
            remedy=f"A board needs at least {MINIMUM_SQUARES} columns and rows; count squares, not inner corners.",
        )


def _check_lengths(square_m: float, marker_m: float) -> None:
    if not (np.isfinite(square_m) and np.isfinite(marker_m) and 0 < marker_m < square_m):
        raise CalibrationError(
            f"a marker of {marker_m:g} m does not fit into a square of {square_m:g} m",
            where="[board]",
            remedy="Measure the side of a square, and of the black frame of a marker within one.",
        )


def dictionary_size(name: str) -> int:
    """How many markers a dictionary holds; an unknown name lists the known ones."""
    if name not in SPELLINGS:
        raise CalibrationError(
            f"there is no dictionary {name!r}", where="[board]", remedy=f"There are {', '.join(sorted(SPELLINGS))}."
        )
    return len(predefined_dictionary(name).bytesList)


def predefined_dictionary(name: str) -> cv2.aruco.Dictionary:
    """A dictionary by its name in capitals."""
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, SPELLINGS[name]))


def read_fields(table: Mapping[str, Any], fields: BoardFields) -> dict[str, Any]:
    """Arguments of a board's class from its table: counts as <name>_x and <name>_y, lengths in metres."""
    lengths = {name + unit for name in fields.lengths for unit in UNITS}
    known: dict[str, Any] = {"type": str, fields.counts: (list, tuple), **fields.options}
    for key, value in table.items():
        if key not in known and key not in lengths:
            raise CalibrationError(
                f"unknown key {key!r}", remedy=f"Known there: {', '.join(sorted([*known, *lengths]))}."
            )
        wanted = known.get(key, (int, float))
        if not isinstance(value, wanted) or (wanted is not bool and isinstance(value, bool)):
            raise CalibrationError(f"{key} = {value!r} is not {_wanted(known.get(key, float))}")
    kind = table.get("type", CHARUCO)
    if kind != fields.kind:
        raise CalibrationError(f"boards of type {kind!r} are not known", remedy=f'Known: "{fields.kind}".')
    return (
        _read_counts(table, fields)
        | {f"{name}_m": _read_length(table, name) for name in fields.lengths}
        | {key: table[key] for key in fields.options if key in table}
    )


def _wanted(kind: Any) -> str:
    names = {str: "a text in quotes", bool: "true or false", float: "a number", int: "a whole number"}
    return names.get(kind, "[columns, rows]")


def _read_counts(table: Mapping[str, Any], fields: BoardFields) -> dict[str, int]:
    name = fields.counts
    counts = table.get(name)
    if counts is None or len(counts) != 2 or not all(isinstance(n, int) for n in counts):
        raise CalibrationError(f"has no {name} = [columns, rows]", remedy=fields.remedy)
    return {f"{name}_x": counts[0], f"{name}_y": counts[1]}


def _read_length(table: Mapping[str, Any], name: str) -> float:
    given = [name + unit for unit in UNITS if name + unit in table]
    if len(given) != 1:
        what = f"has both {' and '.join(given)}" if given else f"has no {name}_m (or {name}_mm)"
        raise CalibrationError(what, remedy="Give one of them: metres or millimetres.")
    return table[given[0]] / UNITS[given[0].removeprefix(name)]
