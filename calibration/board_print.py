"""Sheets of paper with a board at true scale: what lies where, whatever file it becomes.

Sheets are measured in metres from their top left corner, x right, y down. Every sheet carries crop marks, a ruler to
check the print with, and what is printed on it.

**Back sides.** A back is the front's mirror image about the sheet's vertical middle line: the point of the sheet behind
(x, y) is (width - x, y). Print the file on both sides and let the printer turn the sheet about the edge that runs from
top to bottom as the sheet is read: the long edge of an upright sheet, the short edge of a lying one. Then back corner i
lies behind front corner i, and both are one point in 3D (but for the sheet's thickness). Glued to the two faces of a
plate, front and back coincide where the crop marks do.
"""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from calibration.board_file import Board
from calibration.board_grids import AprilGrid
from calibration.board_print_ink import Rectangles, board_ink, clipped
from calibration.board_print_strip import (
    Text,
    board_words,
    crop_marks,
    ruler,
    ruler_length_m,
    size_words,
    written,
)
from calibration.boards import CharucoBoard
from calibration.errors import CalibrationError

PAPERS_MM: Mapping[str, tuple[float, float]] = {
    "A4": (210, 297),
    "A3": (297, 420),
    "A2": (420, 594),
    "A1": (594, 841),
    "A0": (841, 1189),
    "Letter": (215.9, 279.4),
    "Legal": (215.9, 355.6),
    "Tabloid": (279.4, 431.8),
}
"""Upright, width and height."""

PAGE_EDGE_M = 0.005
"""Printers leave so much of the paper's edge blank."""
MARKS_M = 0.004
STRIP_M = 0.022
"""Room at the bottom for ruler and words."""
SMALLEST_SIDE_MM, LARGEST_SIDE_MM = 5, 2000
"""Squares that are looked for on a sheet."""


@dataclass(frozen=True)
class PrintConfig:
    """paper: a name of PAPERS_MM, or "600x900" in mm. tiled: over as many sheets as it takes. two_sided: every sheet is
    followed by its back. border_m: left around the board (black around an inverted one). overlap_m: what neighbouring
    tiles both show, to glue them by."""

    paper: str = "A4"
    tiled: bool = False
    two_sided: bool = False
    border_m: float | int = 0.005
    overlap_m: float | int = 0.01

    def __post_init__(self) -> None:
        paper_size_m(self.paper)
        if not (0 <= self.border_m < 1 and 0 <= self.overlap_m < 0.1):
            raise CalibrationError(
                f"a border of {self.border_m:g} m or an overlap of {self.overlap_m:g} m cannot be printed",
                remedy="Give metres: 0 to 1 and 0 to 0.1.",
            )


@dataclass(frozen=True, eq=False)
class Sheet:
    """One side of a sheet of paper.

    name: "front", "row1_column2_back", ...; size_m: width and height; ink: black rectangles; texts: black, in
    Helvetica. board_origin_m: where the board's origin lies (on a tile it may be off the sheet). window_m: what of the
    board, with its border, the sheet shows; cuts_m: what it is seen to show in the end, between the edges of sheets
    that are laid over it and its own (both m, board frame; left, top, right, bottom).
    """

    name: str
    size_m: tuple[float, float]
    ink: Rectangles
    texts: tuple[Text, ...]
    board_origin_m: tuple[float, float]
    mirrored: bool
    window_m: Float[np.ndarray, "4"]
    cuts_m: Float[np.ndarray, "4"]

    def from_board(self, points: Float[np.ndarray, "*N 3"]) -> Float[np.ndarray, "*N 2"]:
        """Where points of the board (board frame, m) are printed on this sheet, m."""
        sign = np.array([-1.0 if self.mirrored else 1.0, 1.0])
        return np.asarray(self.board_origin_m) + sign * points[..., :2]


class _Tile(NamedTuple):
    """A part of the board: its place in rows and columns, what it shows, and where neighbours' edges lie (m, board
    frame; left, top, right, bottom)."""

    row: int
    column: int
    window: np.ndarray
    cuts: np.ndarray


class _Layout(NamedTuple):
    """A board on sheets of one size."""

    board: Board
    config: PrintConfig
    size_m: tuple[float, float]
    tiles: list[_Tile]


def paper_size_m(paper: str) -> tuple[float, float]:
    """Width and height of an upright sheet."""
    known = {name.lower(): size for name, size in PAPERS_MM.items()}
    custom = re.fullmatch(r"(\d+(?:\.\d+)?)x(\d+(?:\.\d+)?)", paper.lower())
    size = known.get(paper.lower()) or (custom and (float(custom[1]), float(custom[2])))
    if not size or min(size) < 1000 * (2 * PAGE_EDGE_M + 2 * MARKS_M + STRIP_M) or max(size) > 10_000:
        raise CalibrationError(
            f"there is no paper {paper!r}", remedy=f"Take {', '.join(PAPERS_MM)}, or width x height in mm, as 600x900."
        )
    return size[0] / 1000, size[1] / 1000


def board_sheets(board: Board, config: PrintConfig | None = None) -> tuple[Sheet, ...]:
    """The sheets that show a board at true scale; a board too large for one is refused unless `tiled`."""
    config = config or PrintConfig()
    upright = paper_size_m(config.paper)
    choices = [(size, _tiles(board, size, config)) for size in (upright, (upright[1], upright[0]))]
    size, tiles = min(choices, key=lambda choice: len(choice[1]))
    if len(tiles) > 1 and not config.tiled:
        raise _too_large(board, config)
    layout = _Layout(board, config, size, tiles)
    sides = (False, True) if config.two_sided else (False,)
    return tuple(_sheet(layout, tile, mirrored) for tile in tiles for mirrored in sides)


def fits(board: Board, config: PrintConfig) -> bool:
    """Whether one sheet holds the board."""
    width, height = (side + 2 * config.border_m for side in board.size_m)
    upright = paper_size_m(config.paper)
    rooms = [_room(size) for size in (upright, (upright[1], upright[0]))]
    return any(width <= room[0] + 1e-9 and height <= room[1] + 1e-9 for room in rooms)


def largest_board(board: Board, config: PrintConfig) -> Board:
    """The same board in other sizes: squares (tags) of as many whole millimetres as one sheet has room for. Markers and
    gaps keep their proportion, to half a millimetre."""
    side = board.tag_m if isinstance(board, AprilGrid) else board.square_m

    def sized(millimetres: int) -> Board:
        return _with_side(board, millimetres / 1000, millimetres / 1000 / side)

    room = bisect(range(LARGEST_SIDE_MM + 1), False, lo=SMALLEST_SIDE_MM, key=lambda mm: not fits(sized(mm), config))
    if room == SMALLEST_SIDE_MM:
        raise CalibrationError(
            f"{config.paper} has no room for {board_words(board)}", remedy="Take larger paper or fewer squares."
        )
    return sized(room - 1)


def _with_side(board: Board, side_m: float, factor: float) -> Board:
    def half_millimetres(length_m: float) -> float:
        return max(1, round(length_m * factor * 2000)) / 2000

    if isinstance(board, AprilGrid):
        return replace(board, tag_m=side_m, gap_m=half_millimetres(board.gap_m))
    if isinstance(board, CharucoBoard):
        return replace(board, square_m=side_m, marker_m=half_millimetres(board.marker_m))
    return replace(board, square_m=side_m)


def _room(size: tuple[float, float]) -> tuple[float, float]:
    """Width and height that a sheet leaves for the board with its border."""
    blank = 2 * (PAGE_EDGE_M + MARKS_M)
    return size[0] - blank, size[1] - blank - STRIP_M


def _too_large(board: Board, config: PrintConfig) -> CalibrationError:
    width, height = (1000 * side for side in board.size_m)
    upright = paper_size_m(config.paper)
    room = [1000 * (side - 2 * config.border_m) for side in _room(upright)]
    roomy = [name for name in PAPERS_MM if fits(board, replace(config, paper=name))]
    hints = [f"paper {roomy[0]}"] if roomy else []
    try:
        smaller = largest_board(board, config)
        side = smaller.tag_m if isinstance(smaller, AprilGrid) else smaller.square_m
        hints.append(f"{'tags' if isinstance(smaller, AprilGrid) else 'squares'} of {1000 * side:g} mm")
    except CalibrationError:
        pass
    return CalibrationError(
        f"the board measures {width:g} x {height:g} mm, and {config.paper} has room for {room[0]:g} x {room[1]:g} mm",
        remedy=f"Take {', '.join([*hints, 'or'])} several sheets (--tiled).",
    )


def _tiles(board: Board, size: tuple[float, float], config: PrintConfig) -> list[_Tile]:
    """The parts of a board that fill sheets, row by row."""
    axes = [_cuts(board, axis, _room(size)[axis], config) for axis in (0, 1)]
    tiles = []
    for row, column in np.ndindex(len(axes[1]) - 1, len(axes[0]) - 1):
        cuts = np.array([axes[0][column], axes[1][row], axes[0][column + 1], axes[1][row + 1]])
        further = np.array([0, 0, column + 2 < len(axes[0]), row + 2 < len(axes[1])])
        tiles.append(_Tile(row, column, cuts + config.overlap_m * further, cuts))
    return tiles


def _cuts(board: Board, axis: int, room: float, config: PrintConfig) -> list[float]:
    """Where sheets have their edges along an axis, first to last, on as few as it takes. Where that leaves a choice
    they run through middles of squares, not near corners, where a bad joint would be measured."""
    end = board.size_m[axis] + config.border_m
    cuts = [-config.border_m]
    step = room - config.overlap_m
    sheets = 1 + max(0, int(np.ceil((end - cuts[0] - room) / step - 1e-9)))
    for left in range(sheets - 1, 0, -1):
        cuts.append(_far_from_corners(board, axis, end - room - (left - 1) * step, cuts[-1] + step))
    return [*cuts, end]


def _far_from_corners(board: Board, axis: int, nearest: float, farthest: float) -> float:
    """The place between two along an axis that is farthest from the lines on which corners lie."""
    lines = np.unique(np.round([0.0, *board.corners[:, axis], board.size_m[axis]], 9))
    middles = (lines[1:] + lines[:-1]) / 2
    places = np.array([*middles[(middles > nearest) & (middles < farthest)], nearest, farthest])
    clearance = np.round(np.abs(places[:, None] - lines).min(axis=1), 9)
    return float(places[clearance == clearance.max()].max())


def _sheet(layout: _Layout, tile: _Tile, mirrored: bool) -> Sheet:
    width, height = layout.size_m
    room, extent = np.array(_room(layout.size_m)), tile.window[2:] - tile.window[:2]
    shift = PAGE_EDGE_M + MARKS_M + (room - extent) / 2 - tile.window[:2]
    move = np.tile(shift, 2)
    marks = crop_marks(tile.window + move, tile.cuts + move, MARKS_M)
    ink = clipped(board_ink(layout.board, layout.config.border_m), tile.window) + move
    ink = np.concatenate([ink, marks])
    if mirrored:
        ink[:, [0, 2]] = width - ink[:, [2, 0]]
    bottom = height - PAGE_EDGE_M
    strip = np.array([PAGE_EDGE_M, bottom - STRIP_M, width - PAGE_EDGE_M, bottom])
    ticks, numbers = ruler(strip)
    return Sheet(
        name=_name(layout, tile, mirrored),
        size_m=layout.size_m,
        ink=np.concatenate([ink, ticks]),
        texts=(*numbers, *written(_sentences(layout, tile, mirrored), strip)),
        board_origin_m=(float(width - shift[0] if mirrored else shift[0]), float(shift[1])),
        mirrored=mirrored,
        window_m=tile.window,
        cuts_m=tile.cuts,
    )


def _name(layout: _Layout, tile: _Tile, mirrored: bool) -> str:
    side = "back" if mirrored else "front"
    return side if len(layout.tiles) == 1 else f"row{tile.row + 1}_column{tile.column + 1}_{side}"


def _sentences(layout: _Layout, tile: _Tile, mirrored: bool) -> list[str]:
    length = 1000 * ruler_length_m(layout.size_m[0] - 2 * PAGE_EDGE_M)
    together = "tags with all black squares" if isinstance(layout.board, AprilGrid) else "squares"
    sentences = [
        f"{board_words(layout.board)}.",
        'Print at 100 % ("actual size"), never fitted to the page.',
        f"Then the ruler measures {length:g} mm and all {together} {size_words(layout.board)};",
        "if not, write what they measure into the board file.",
    ]
    if len(layout.tiles) > 1:
        sentences += [f"Sheet {_number(layout, tile)} of {len(layout.tiles)}", _joint(tile)]
    if layout.config.two_sided:
        edge = "long" if layout.size_m[0] < layout.size_m[1] else "short"
        sentences.append(
            f"{'Back' if mirrored else 'Front'}: print on both sides, turned about the {edge} edge; "
            "against the light, the marks of both sides coincide."
        )
    return sentences


def _joint(tile: _Tile) -> str:
    where = f"(row {tile.row + 1}, column {tile.column + 1})"
    cut = " and ".join(["left"] * (tile.column > 0) + ["upper"] * (tile.row > 0))
    if not cut:
        return f"{where}: its neighbours are laid over it, up to the marks."
    return f"{where}: cut off its {cut} edge at the marks and lay it over its neighbours, up to their marks."


def _number(layout: _Layout, tile: _Tile) -> int:
    return 1 + [(other.row, other.column) for other in layout.tiles].index((tile.row, tile.column))
