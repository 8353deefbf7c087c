"""Why a board is not found: which markers pictures show instead, and on what board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Int, UInt8

from calibration.board_file import Board
from calibration.board_grids import AprilGrid, Checkerboard
from calibration.boards import SPELLINGS, CharucoBoard
from calibration.detection_by_markers import agreeing
from calibration.detection_checkerboard import checkerboard_corners
from calibration.detection_layout import layout_of
from calibration.detection_markers import FoundMarkers, MarkerFinder

FAMILIES = (
    ("DICT_4X4_50", "DICT_4X4_100", "DICT_4X4_250", "DICT_4X4_1000"),
    ("DICT_5X5_50", "DICT_5X5_100", "DICT_5X5_250", "DICT_5X5_1000"),
    ("DICT_6X6_50", "DICT_6X6_100", "DICT_6X6_250", "DICT_6X6_1000"),
    ("DICT_7X7_50", "DICT_7X7_100", "DICT_7X7_250", "DICT_7X7_1000"),
    ("DICT_ARUCO_ORIGINAL",),
    ("DICT_ARUCO_MIP_36H12",),
    ("DICT_APRILTAG_16H5",),
    ("DICT_APRILTAG_25H9",),
    ("DICT_APRILTAG_36H10",),
    ("DICT_APRILTAG_36H11",),
)
"""Dictionaries of which each begins with the one before it."""

LEAST_MARKERS = 4
"""Markers, over all pictures, of a dictionary that is no accident: larger dictionaries are mistaken now and then."""
ONCE_IS_AN_ACCIDENT = 5
"""Pictures of which a marker that is really there shows in two."""
MOST_SQUARES = 16
PICTURES = 9
LONGEST_PX = 1280
FIRST_IDS = 100
"""Markers of each family that are looked for at first: boards seldom need more, and time grows with them."""
MARKER_SHARE = 0.75


class Reason(NamedTuple):
    """Arguments of an error: what happened, and what to do."""

    what: str
    remedy: str


@dataclass(frozen=True, eq=False)
class _Seen:
    """Markers of one dictionary in some pictures, read black on white or the other way round."""

    family: tuple[str, ...]
    border_bits: int
    inverted: bool
    found: tuple[FoundMarkers, ...]

    @property
    def count(self) -> int:
        return sum(map(len, self.found))

    @property
    def ids(self) -> Int[np.ndarray, "M"]:
        return np.concatenate([markers.ids for markers in self.found])

    @property
    def dictionary(self) -> str:
        """The smallest that has all of them."""
        highest = int(self.ids.max())
        return next(name for name in self.family if _size(name) > highest)


def why_not_found(board: Board, pictures: Sequence[UInt8[np.ndarray, "..."]]) -> Reason:
    """What pictures (grey or BGR) show instead of the board."""
    grays = [_small(p if p.ndim == 2 else cv2.cvtColor(p, cv2.COLOR_BGR2GRAY)) for p in _spread(pictures)]
    if isinstance(board, Checkerboard):
        return _checkerboard(board, grays)
    seen = _markers_of_any_kind(grays)
    if seen is None:
        return Reason(
            f"no marker of any known dictionary is seen in {len(pictures)} pictures",
            "Film the board larger, sharper and in better light, and flat, without glare; check that it has markers.",
        )
    return _other_board(board, seen)


def _spread(pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
    rows = np.unique(np.linspace(0, max(len(pictures) - 1, 0), PICTURES).astype(int))
    return [pictures[i] for i in rows] if len(pictures) else []


def _small(gray: np.ndarray) -> np.ndarray:
    scale = LONGEST_PX / max(gray.shape)
    return gray if scale >= 1 else cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def _markers_of_any_kind(grays: Sequence[np.ndarray]) -> _Seen | None:
    """The dictionary of which most markers are seen."""
    best: _Seen | None = None
    for family, inverted in product(FAMILIES, (False, True)):
        for border_bits in (1, 2) if family[-1].startswith("DICT_APRILTAG") else (1,):
            seen = _read(grays[::3], _Seen(family, border_bits, inverted, ()), FIRST_IDS)
            if seen.count >= LEAST_MARKERS and (best is None or seen.count > best.count):
                best = seen
    return None if best is None else _read(grays, best, _size(best.family[-1]))


def _read(grays: Sequence[np.ndarray], kind: _Seen, n_ids: int) -> _Seen:
    finder = MarkerFinder(kind.family[-1], range(min(n_ids, _size(kind.family[-1]))), kind.border_bits)
    found = [_of_one_side(finder.find(255 - gray if kind.inverted else gray)) for gray in grays]
    times = np.bincount(np.concatenate([m.ids for m in found] or [[]]).astype(np.int64), minlength=1)
    often = times >= (2 if len(found) >= ONCE_IS_AN_ACCIDENT else 1)
    return replace(kind, found=tuple(markers.of(often[markers.ids]) for markers in found))


def _of_one_side(found: FoundMarkers) -> FoundMarkers:
    """Of small markers, the mirror image of one may be another."""
    return found.of(found.mirrored == (found.mirrored.sum() * 2 > len(found)))


def _other_board(board: CharucoBoard | AprilGrid, seen: _Seen) -> Reason:
    count = f"{len(seen.ids)} markers of {seen.dictionary} are seen"
    ours = board.dictionary.upper() in seen.family
    shown = _charuco_like(seen)
    if shown is None:
        same = "" if ours else f", none of {board.dictionary}"
        return Reason(
            f"{count}{same}, but they do not lie as on this board",
            f"Check type, dictionary and squares of the board's description; the ids go up to {int(seen.ids.max())}.",
        )
    squares = f"{shown.squares_x} x {shown.squares_y} squares"
    if isinstance(board, AprilGrid):
        return Reason(f"{count}, arranged as on a ChArUco board", f"You probably have a ChArUco board of {squares}.")
    if ours:
        return Reason(
            f"{count}, but arranged as on a board of {squares}, not of {board.squares_x} x {board.squares_y}",
            f"Write squares = [{shown.squares_x}, {shown.squares_y}] (columns, rows) if that is what is printed.",
        )
    return Reason(
        f"markers are found, but none of this board's ({board.dictionary}): {count}",
        f"You probably have {seen.dictionary}, {shown.squares_x} x {shown.squares_y} squares: correct the board's "
        "description.",
    )


def _charuco_like(seen: _Seen) -> CharucoBoard | None:
    """The smallest ChArUco board on which most markers lie where they are seen."""
    highest, best, most = int(seen.ids.max()), None, 0
    for columns, rows in product(range(3, MOST_SQUARES + 1), repeat=2):
        n_markers = columns * rows // 2
        if not highest < n_markers <= max(1.5 * highest + 4, 6) or n_markers > _size(seen.family[-1]):
            continue
        for legacy in (False, True) if rows % 2 == 0 else (False,):
            board = CharucoBoard(columns, rows, 1.0, MARKER_SHARE, seen.family[-1], legacy)
            layout = layout_of(board)
            count = sum(len(agreeing(markers, layout)[0]) for markers in seen.found)
            if count > most or (count == most and best is not None and n_markers < best.n_markers):
                best, most = board, count
    return best if most >= 0.6 * len(seen.ids) else None


def _checkerboard(board: Checkerboard, grays: Sequence[np.ndarray]) -> Reason:
    """Inner corners given for squares, columns for rows, or one too few."""
    sizes = [(1, 1), (0, 1), (1, 0), (-1, 0), (0, -1), (-1, -1)]
    given = (board.squares_x, board.squares_y)
    for dx, dy in sizes:
        columns, rows = given[0] + dx, given[1] + dy
        if min(columns, rows) < 3:
            continue
        other = replace(board, squares_x=columns, squares_y=rows)
        if sum(_any_way(gray, other) for gray in grays[::3]) > 0:
            return Reason(
                f"a checkerboard of {columns} x {rows} squares is seen, not of {given[0]} x {given[1]}",
                f"Write squares = [{columns}, {rows}]: squares are counted, not the corners between them.",
            )
    return Reason(
        f"no checkerboard of {given[0]} x {given[1]} squares is seen in {len(grays)} pictures",
        "Count its squares (not the corners between them); the whole board must be in the picture, sharp and flat.",
    )


def _any_way(gray: np.ndarray, board: Checkerboard) -> bool:
    ways = (board, replace(board, inverted=not board.inverted))
    return any(checkerboard_corners(gray, way) is not None for way in ways)


def _size(dictionary: str) -> int:
    return len(cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, SPELLINGS[dictionary])).bytesList)
