"""Boards without ChArUco's mixture: plain checkerboards, and grids of AprilTags.

Convention, as in `calibration.boards`: the origin is the outer corner of the print's top left, x runs right, y down, z
into the board, away from its reader; the print is the plane z = 0. On tags of 40 mm and gaps of 10 mm, the top left
corner of the top left tag is (0.01, 0.01, 0).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from calibration.boards import BoardFields, check_squares, dictionary_size, predefined_dictionary, read_fields
from calibration.errors import CalibrationError

CHECKERBOARD = "checkerboard"
APRILGRID = "aprilgrid"
KALIBR_BORDER_BITS = 2

CHECKERBOARD_FIELDS = BoardFields(
    CHECKERBOARD,
    "squares",
    ("square",),
    {"inverted": bool},
    "Count the squares of the print as it reads, not the inner corners.",
)
APRILGRID_FIELDS = BoardFields(
    APRILGRID,
    "tags",
    ("tag", "gap"),
    {"dictionary": str, "first_id": int, "border_bits": int, "inverted": bool},
    "Count the tags of the print as it reads.",
)


@dataclass(frozen=True)
class Checkerboard:
    """A chessboard whose top left square is black; `inverted`: it is white, and so is every other that was black.

    squares_x, squares_y: columns and rows of squares, one more than inner corners. square_m: side of a square. Inner
    corner i lies in column i % (squares_x - 1) and row i // (squares_x - 1), counted from 0, as on a ChArUco board.
    """

    squares_x: int
    squares_y: int
    square_m: float
    inverted: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "square_m", float(self.square_m))
        check_squares(self.squares_x, self.squares_y)
        _check_length("square", self.square_m)

    @property
    def n_corners(self) -> int:
        return (self.squares_x - 1) * (self.squares_y - 1)

    @property
    def corners(self) -> Float[np.ndarray, "K 3"]:
        """The inner corners in the board's frame, m."""
        row, column = np.divmod(np.arange(self.n_corners), self.squares_x - 1)
        return self.square_m * np.stack([column + 1.0, row + 1.0, np.zeros(self.n_corners)], axis=-1)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of all squares."""
        return self.squares_x * self.square_m, self.squares_y * self.square_m

    @property
    def looks_the_same_upside_down(self) -> bool:
        """Whether half a turn changes nothing that can be seen: columns and rows are both even or both odd in number.
        Then nobody can tell which corner is the first."""
        return (self.squares_x + self.squares_y) % 2 == 0

    @property
    def is_black(self) -> Bool[np.ndarray, "R C"]:
        """Colour of every square, by row and column."""
        row, column = np.indices((self.squares_y, self.squares_x))
        return ((row + column) % 2 == 0) != self.inverted

    def image(self, px_per_square: int, margin_px: int = 0) -> UInt8[np.ndarray, "H W"]:
        """The print with its white margin (black where `inverted`). Pixel (u, v) shows the board's
        (u + 0.5 - margin_px, v + 0.5 - margin_px) * square_m / px_per_square."""
        squares = np.repeat(np.repeat(self.is_black, px_per_square, axis=0), px_per_square, axis=1)
        return np.where(np.pad(squares, margin_px, constant_values=self.inverted), 0, 255).astype(np.uint8)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str | Path = "[board]") -> Checkerboard:
        """The board that a `[board]` table describes: type = "checkerboard", squares = [columns, rows], square_m or
        square_mm, inverted; the last may be absent. `where` names the table in error messages."""
        try:
            return cls(**read_fields(table, CHECKERBOARD_FIELDS))
        except CalibrationError as error:
            raise CalibrationError(error.what, where=where, remedy=error.remedy) from None

    def to_table(self) -> dict[str, Any]:
        """The `[board]` table; `from_table` gives this board again."""
        return {
            "type": CHECKERBOARD,
            "squares": [self.squares_x, self.squares_y],
            "square_m": self.square_m,
            "inverted": self.inverted,
        }


@dataclass(frozen=True)
class AprilGrid:
    """Tags in columns and rows with a black square at every crossing of the gaps, as Kalibr prints them.

    tags_x, tags_y: columns and rows. tag_m: side of a tag with its black border. gap_m: distance between tags, and
    side of the black squares (Kalibr's tagSpacing is gap_m / tag_m). first_id: id of the tag at the **bottom left**;
    ids grow to the right, then upwards. border_bits: width of a tag's black border in bits, 2 in Kalibr's prints, 1 in
    OpenCV's (the detector must be told: `markerBorderBits`).

    Corner 4 k + c is corner c of the tag with id first_id + k in the order in which OpenCV reports a marker's corners.
    Kalibr prints tags half a turn from OpenCV's way up (compared for tag36h11), so c = 0, 1, 2, 3 are the print's
    bottom right, bottom left, top left and top right corners.
    """

    tags_x: int
    tags_y: int
    tag_m: float
    gap_m: float
    dictionary: str = "DICT_APRILTAG_36H11"
    first_id: int = 0
    border_bits: int = KALIBR_BORDER_BITS
    inverted: bool = False

    def __post_init__(self) -> None:
        for name in ("tag_m", "gap_m"):
            object.__setattr__(self, name, float(getattr(self, name)))
            _check_length(name.removesuffix("_m"), getattr(self, name))
        object.__setattr__(self, "dictionary", self.dictionary.upper())
        _check_tags(self)

    @property
    def n_tags(self) -> int:
        return self.tags_x * self.tags_y

    @property
    def n_corners(self) -> int:
        return 4 * self.n_tags

    @property
    def ids(self) -> Int[np.ndarray, "M"]:
        """Ids of the tags, in the order of `marker_corners`."""
        return self.first_id + np.arange(self.n_tags)

    @property
    def pitch_m(self) -> float:
        """From one tag to the next."""
        return self.tag_m + self.gap_m

    @property
    def tag_origins(self) -> Float[np.ndarray, "M 2"]:
        """The top left corner of every tag as it is printed, m, by id."""
        row, column = np.divmod(np.arange(self.n_tags), self.tags_x)
        return self.gap_m + self.pitch_m * np.stack([column, self.tags_y - 1 - row], axis=-1)

    @property
    def marker_corners(self) -> Float[np.ndarray, "M 4 3"]:
        """The tags' corners by id, m, in OpenCV's order."""
        around = self.tag_m * np.array([[1, 1], [0, 1], [0, 0], [1, 0]])
        flat = self.tag_origins[:, None] + around
        return np.concatenate([flat, np.zeros((*flat.shape[:2], 1))], axis=-1)

    @property
    def corners(self) -> Float[np.ndarray, "K 3"]:
        """All tags' corners in the board's frame, m: corner 4 k + c is `marker_corners[k, c]`."""
        return self.marker_corners.reshape(-1, 3)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height with the outer black squares."""
        return self.tags_x * self.pitch_m + self.gap_m, self.tags_y * self.pitch_m + self.gap_m

    @property
    def bits_per_side(self) -> int:
        """Of a tag with its border."""
        return predefined_dictionary(self.dictionary).markerSize + 2 * self.border_bits

    def tag_is_black(self, index: int) -> Bool[np.ndarray, "B B"]:
        """The bits of the tag with id first_id + index as it is printed, with its border."""
        tag = cv2.aruco.generateImageMarker(
            predefined_dictionary(self.dictionary),
            self.first_id + index,
            self.bits_per_side,
            borderBits=self.border_bits,
        )
        return (np.asarray(tag) == 0)[::-1, ::-1]

    def image(self, px_per_tag: int, margin_px: int = 0) -> UInt8[np.ndarray, "H W"]:
        """The print with its white margin (black where `inverted`): tags of px_per_tag, gaps rounded to whole pixels.
        Exact where gap_m / tag_m * px_per_tag and px_per_tag / bits_per_side are whole: pixel (u, v) then shows the
        board's (u + 0.5 - margin_px, v + 0.5 - margin_px) * tag_m / px_per_tag."""
        gap = max(1, round(self.gap_m / self.tag_m * px_per_tag))
        pitch = px_per_tag + gap
        black = np.zeros((self.tags_y * pitch + gap, self.tags_x * pitch + gap), dtype=bool)
        for row, column in np.ndindex(self.tags_y + 1, self.tags_x + 1):
            black[row * pitch : row * pitch + gap, column * pitch : column * pitch + gap] = True
        for index in range(self.n_tags):
            row, column = divmod(index, self.tags_x)
            top, left = (self.tags_y - 1 - row) * pitch + gap, column * pitch + gap
            bit = np.arange(px_per_tag) * self.bits_per_side // px_per_tag
            black[top : top + px_per_tag, left : left + px_per_tag] = self.tag_is_black(index)[np.ix_(bit, bit)]
        black = np.pad(black, margin_px) != self.inverted
        return np.where(black, 0, 255).astype(np.uint8)

    @classmethod
    def from_table(cls, table: Mapping[str, Any], where: str | Path = "[board]") -> AprilGrid:
        """The board that a `[board]` table describes: type = "aprilgrid", tags = [columns, rows], tag_m or tag_mm,
        gap_m or gap_mm, dictionary, first_id, border_bits, inverted; the last four may be absent. `where` names the
        table in error messages."""
        try:
            return cls(**read_fields(table, APRILGRID_FIELDS))
        except CalibrationError as error:
            raise CalibrationError(error.what, where=where, remedy=error.remedy) from None

    def to_table(self) -> dict[str, Any]:
        """The `[board]` table; `from_table` gives this board again."""
        return {
            "type": APRILGRID,
            "tags": [self.tags_x, self.tags_y],
            "tag_m": self.tag_m,
            "gap_m": self.gap_m,
            "dictionary": self.dictionary,
            "first_id": self.first_id,
            "border_bits": self.border_bits,
            "inverted": self.inverted,
        }


def _check_length(name: str, length_m: float) -> None:
    if not (np.isfinite(length_m) and length_m > 0):
        raise CalibrationError(
            f"a {name} of {length_m:g} m is none", where="[board]", remedy=f"Measure the {name} on the print."
        )


def _check_tags(board: AprilGrid) -> None:
    if min(board.tags_x, board.tags_y) < 1 or board.border_bits < 1 or board.first_id < 0:
        raise CalibrationError(
            f"{board.tags_x} x {board.tags_y} tags from id {board.first_id} with a border of {board.border_bits} bits "
            "are no grid",
            where="[board]",
            remedy="Give at least one tag and one bit; ids count from 0.",
        )
    available = dictionary_size(board.dictionary)
    if board.first_id + board.n_tags > available:
        raise CalibrationError(
            f"{board.tags_x} x {board.tags_y} tags from id {board.first_id} need {board.first_id + board.n_tags} tags, "
            f"{board.dictionary} has {available}",
            where="[board]",
            remedy="Take fewer tags, a lower first_id or a larger dictionary.",
        )
