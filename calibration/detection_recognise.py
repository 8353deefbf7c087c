"""How a board is printed, whatever its description says: black on white or white on black, in which layout, with
markers of which size, seen from which side. It shows in pictures; only what kind of board it is must be known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import UInt8

from calibration.board_file import Board
from calibration.board_grids import AprilGrid, Checkerboard
from calibration.boards import CharucoBoard
from calibration.detection import BoardDetector, Look
from calibration.detection_diagnosis import Reason, why_not_found
from calibration.errors import CalibrationError

SURE_CORNERS = 60
SURE_PICTURES = 3
"""Corners and pictures after which the way a board is printed is settled."""

CLEARLY = 4
"""How many times as many corners the right way of printing must give as any other."""

AGREE = 0.85
"""Share of the board's markers that must lie as on the board: of the right board more than 97 % do on
real footage; of one with another number of columns those of a row or two, at most four in five."""

SHARE_PICTURES = 3
SURE_SHARE_PICTURES = 20
SHARE_STEPS = (-0.1, -0.08, -0.06, -0.04, -0.02, 0.0, 0.02, 0.04)
SHARE_TRIALS = 12
SHARE_APART = 0.04
"""Marker sides, in squares, are measured to some hundredths (edges bleed by a fraction of a pixel)."""
LARGEST_SHARE = 0.96
POOR = 0.5
"""Of the corners that markers promise; fewer mean that corners do not look as described."""


@dataclass(frozen=True)
class BoardVariant:
    """How a board turned out to be printed. mirrored: it is seen from behind, or in a mirror, in most pictures.
    marker_share: side of a marker to that of a square where it differs from the description, else None."""

    inverted: bool = False
    legacy: bool = False
    mirrored: bool = False
    marker_share: float | None = None

    def applied(self, board: Board) -> Board:
        """The board as it is printed."""
        if not isinstance(board, CharucoBoard):
            return replace(board, inverted=self.inverted)
        marker_m = board.marker_m if self.marker_share is None else self.marker_share * board.square_m
        return replace(board, inverted=self.inverted, legacy=self.legacy, marker_m=marker_m)


def ways_of_printing(board: Board) -> tuple[Board, ...]:
    """Boards that the description may mean, itself first.

    Exchanging the colours of a checkerboard that half a turn changes is the same as that turn.
    """
    if isinstance(board, Checkerboard) and not board.looks_the_same_upside_down:
        return (board,)
    ways: list[Board] = [board, replace(board, inverted=not board.inverted)]
    if isinstance(board, CharucoBoard) and board.squares_y % 2 == 0:
        ways += [replace(way, legacy=not board.legacy) for way in ways]
    if isinstance(board, AprilGrid):
        ways += [replace(way, border_bits=3 - board.border_bits) for way in ways if board.border_bits in (1, 2)]
    return tuple(ways)


@dataclass
class _Count:
    corners: int = 0
    pictures: int = 0
    mirrored: int = 0
    markers: int = 0
    agreeing: int = 0
    shares: list[float] = field(default_factory=list)
    promised: int = 0


class PrintEvidence:
    """Counts what pictures say of each way of printing; the order in which they come does not matter."""

    def __init__(self, ways: Sequence[Board]) -> None:
        self._ways = tuple(ways)
        self._counts = [_Count() for _ in ways]

    def add(self, looks: Mapping[int, Look]) -> None:
        """One picture, looked at in some ways (by their index)."""
        for way, look in looks.items():
            count = self._counts[way]
            count.markers += look.markers
            count.agreeing += look.agreeing
            if np.isfinite(look.marker_share):
                count.shares.append(look.marker_share)
                count.promised += look.agreeing
            if look.seen is not None:
                count.corners += len(look.seen)
                count.pictures += 1
                count.mirrored += look.seen.mirrored

    @property
    def best(self) -> int:
        """The way with most corners, then with most markers."""
        return max(range(len(self._ways)), key=lambda i: (self._counts[i].corners, self._counts[i].agreeing, -i))

    @property
    def settled(self) -> int | None:
        """The way that is sure, if one is."""
        best = self.best
        rival = max((c.corners for i, c in enumerate(self._counts) if i != best), default=0)
        count = self._counts[best]
        sure = count.corners >= max(SURE_CORNERS, CLEARLY * rival) and count.pictures >= SURE_PICTURES
        return best if sure else None

    @property
    def contradicts(self) -> bool:
        """No corner was found, or too many markers lie elsewhere than on this board."""
        count = self._counts[self.best]
        return count.corners == 0 or count.agreeing < AGREE * count.markers

    @property
    def other_marker_share(self) -> float | None:
        """The markers' size where it is not as described and corners are not found for it."""
        count, board = self._counts[self.best], self._ways[self.best]
        if not isinstance(board, CharucoBoard) or len(count.shares) < SHARE_PICTURES:
            return None
        share = round(float(np.median(count.shares)), 2)
        apart = abs(share - board.marker_m / board.square_m) > SHARE_APART and share <= LARGEST_SHARE
        return share if apart and count.corners < POOR * count.promised else None

    @property
    def marker_share_is_sure(self) -> bool:
        """So many pictures agree that markers are of another size that more would not change it."""
        return len(self._counts[self.best].shares) >= SURE_SHARE_PICTURES and self.other_marker_share is not None

    def variant(self) -> BoardVariant:
        """What the pictures say so far."""
        board, count = self._ways[self.best], self._counts[self.best]
        return BoardVariant(
            inverted=board.inverted,
            legacy=isinstance(board, CharucoBoard) and board.legacy,
            mirrored=count.mirrored * 2 > count.pictures,
            marker_share=self.other_marker_share,
        )


def fitted_variant(
    variant: BoardVariant, board: CharucoBoard, pictures: Sequence[UInt8[np.ndarray, "..."]]
) -> BoardVariant:
    """With the marker share for which most corners look as they should: the outlines of small markers bleed, by a
    tenth of their side at times."""
    middle = variant.marker_share or board.marker_m / board.square_m
    tried = [round(middle + step, 2) for step in SHARE_STEPS if 0.3 < middle + step <= LARGEST_SHARE]
    found = []
    for share in tried:
        detector = BoardDetector(replace(variant, marker_share=share).applied(board))
        found.append(sum(len(seen) for picture in pictures if (seen := detector.detect(picture)) is not None))
    best = np.flatnonzero(np.array(found) == max(found))
    return replace(variant, marker_share=tried[int(best[len(best) // 2])]) if max(found) else variant


def recognise_board(board: Board, images: Iterable[UInt8[np.ndarray, "..."]]) -> BoardVariant:
    """How the board is printed that some pictures (grey or BGR) of one camera show.

    Raises CalibrationError that says what the pictures show instead where it is not the described one.
    """
    pictures = list(images)
    ways = ways_of_printing(board)
    detectors = [BoardDetector(way) for way in ways]
    evidence = PrintEvidence(ways)
    for picture in pictures:
        evidence.add({i: detector.look(picture) for i, detector in enumerate(detectors)})
        if evidence.settled is not None:
            break
    if evidence.other_marker_share is None and evidence.contradicts:
        raise _because(why_not_found(board, pictures))
    variant = evidence.variant()
    if isinstance(board, CharucoBoard) and variant.marker_share is not None:
        return fitted_variant(variant, board, pictures[:: max(1, len(pictures) // SHARE_TRIALS)])
    return variant


def _because(reason: Reason) -> CalibrationError:
    return CalibrationError(reason.what, remedy=reason.remedy)
