"""A board in the clips of several cameras: corners, and when they were seen."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from calibration.board_grids import Checkerboard
from calibration.boards import CharucoBoard
from calibration.detection import Board, BoardDetector, Look, SeenCorners
from calibration.detection_diagnosis import why_not_found
from calibration.detection_recognise import BoardVariant, PrintEvidence, fitted_variant, ways_of_printing
from calibration.errors import CalibrationError
from calibration.observations import BoardObservations
from mocap.calibrate.detect_boards_pictures import Pictures, Source, open_pictures
from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.io.frame_times import ClipTimes, FrameTimes

Progress = Callable[[int, int], None]
"""Called with the pictures looked at so far, and those there are."""

WAITING = 2
"""Pictures a thread that wait for it, so that memory stays small."""

PICTURES_OF_WHAT_ELSE = 9
"""Pictures in which is looked for what else than the board might be there."""

SHARE_PICTURES = 16
"""Pictures by which the size of markers is fitted."""


class CameraDetection(Report):
    """What one camera saw: pictures looked at, those with the board, those of them from behind, corners in all."""

    pictures: int
    found: int
    mirrored: int
    corners: int
    sentences: tuple[str, ...] = ()


class DetectionReport(Report):
    """cameras: by name. inverted, legacy, marker_share: how the board turned out to be printed (marker_share: side of a
    marker to that of a square, None where it is as described). ids_shared: corners with the same id are the same for
    all cameras; not so on a checkerboard that looks the same upside down. sentences: what is worth telling."""

    cameras: dict[str, CameraDetection]
    inverted: bool
    legacy: bool
    marker_share: float | None = None
    ids_shared: bool = True
    sentences: tuple[str, ...] = ()


@dataclass
class _Looked:
    """What came of one camera: picture index and, for each way of printing that was tried, what was seen."""

    pictures: Pictures
    index: list[int] = field(default_factory=list)
    looks: list[dict[int, Look]] = field(default_factory=list)

    def seen(self, way: int) -> list[tuple[int, SeenCorners]]:
        """Pictures with the board."""
        looks = zip(self.index, self.looks, strict=True)
        return [(i, look.seen) for i, tried in looks if (look := tried.get(way)) is not None and look.seen is not None]


def detect_in_clips(
    clips: Mapping[str, Source],
    board: Board,
    *,
    times: FrameTimes | None = None,
    threads: int = 0,
    every: int = 1,
    rotations: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> tuple[BoardObservations, DetectionReport]:
    """Every corner of a board that the cameras saw, the same whatever `threads` (0: one a core) is.

    How the board is printed (inverted, legacy layout, seen from behind) shows in the pictures, whatever `board` says
    of it. rotations: degrees clockwise by which a camera's pictures are turned on top of what its file says. Without
    `times`, pictures of one index belong together. Raises CalibrationError, with what is seen instead, where no camera
    sees the board.
    """
    if not clips:
        raise InputError("there are no clips to look for a board in")
    turns = rotations or {}
    sources = {name: open_pictures(source, turns.get(name, 0)) for name, source in clips.items()}
    clocks = _clocks(sources, times)
    pace = _Pace(threads or os.cpu_count() or 1, max(every, 1), progress)
    looked, evidence, way = _look(sources, ways_of_printing(board), pace)
    variant = evidence.variant()
    if variant.marker_share is not None and isinstance(board, CharucoBoard):
        variant = fitted_variant(variant, board, _sample(sources, SHARE_PICTURES))
        looked, evidence, way = _look(sources, (variant.applied(board),), pace)
    if evidence.contradicts:
        reason = why_not_found(board, _sample(sources, PICTURES_OF_WHAT_ELSE))
        raise CalibrationError(reason.what, where=", ".join(clips), remedy=reason.remedy)
    parts = [_observations(name, it, way, board, clocks[name]) for name, it in looked.items()]
    return BoardObservations.joined(parts), _report(board, looked, way, variant)


@dataclass(frozen=True)
class _Pace:
    threads: int
    every: int
    progress: Progress | None


def _look(
    sources: Mapping[str, Pictures], ways: Sequence[Board], pace: _Pace
) -> tuple[dict[str, _Looked], PrintEvidence, int]:
    """Look at all pictures, in all ways of printing until one is settled, which is then the last of what it returns.

    What later pictures say of a settled way counts, but no longer for the choice: it does not depend on how many
    pictures were waiting when it was made.
    """
    looked = {name: _Looked(pictures) for name, pictures in sources.items()}
    detectors = [BoardDetector(way) for way in ways]
    total = sum(len(range(0, it.n, pace.every)) for it in sources.values())
    evidence, settled, done = PrintEvidence(ways), (0 if len(ways) == 1 else None), 0
    again = False  # the markers' size is another: what follows would be in vain
    waiting: deque[tuple[_Looked, int, Future[dict[int, Look]]]] = deque()

    def take() -> None:
        nonlocal settled, done, again
        it, index, future = waiting.popleft()
        looks = future.result()
        if again:
            return
        it.index.append(index)
        it.looks.append(looks)
        evidence.add(looks if settled is None else {settled: looks[settled]})
        settled = evidence.settled if settled is None else settled
        again = settled is None and evidence.marker_share_is_sure
        done += 1
        if pace.progress is not None:
            pace.progress(done, total)

    with ThreadPoolExecutor(pace.threads) as pool:
        for it, index, gray in _in_turn(looked, pace.every):
            tried = tuple(range(len(ways))) if settled is None else (settled,)
            waiting.append((it, index, pool.submit(_look_at, gray, detectors, tried)))
            if len(waiting) > WAITING * pace.threads:
                take()
            if again:
                break
        while waiting:
            take()
    return looked, evidence, evidence.best if settled is None else settled


def _look_at(gray: np.ndarray, detectors: list[BoardDetector], tried: tuple[int, ...]) -> dict[int, Look]:
    return {way: detectors[way].look(gray) for way in tried}


def _in_turn(looked: dict[str, _Looked], every: int) -> Iterator[tuple[_Looked, int, np.ndarray]]:
    """A picture of each camera, then the next of each."""
    running = [(it, it.pictures.each(every)) for it in looked.values()]
    while running:
        going = []
        for it, pictures in running:
            picture = next(pictures, None)
            if picture is not None:
                going.append((it, pictures))
                yield it, *picture
        running = going


def _sample(sources: Mapping[str, Pictures], count: int) -> list[np.ndarray]:
    """About so many pictures, at least one of every camera, spread over its clip."""
    found = []
    for pictures in sources.values():
        each = -(-count // len(sources))
        found += [gray for _, gray in islice(pictures.each(max(1, pictures.n // each)), each)]
    return found


def _clocks(sources: Mapping[str, Pictures], times: FrameTimes | None) -> dict[str, ClipTimes]:
    """Times and moments of every picture: of the file, else the clips' own times and indices."""
    if times is not None:
        named = times.named(tuple(sources))
        return {name: named.of_clip(name, it.n) for name, it in sources.items()}
    clocks = {}
    for name, it in sources.items():
        time_s = it.moment.astype(np.float64) if it.time_s is None else it.time_s
        clocks[name] = ClipTimes(np.arange(it.n), time_s, np.asarray(it.moment, dtype=np.int64))
    return clocks


def _observations(name: str, it: _Looked, way: int, board: Board, clock: ClipTimes) -> BoardObservations:
    """Views of one camera; pictures without a time are left out."""
    rows = [(i, seen) for i, seen in it.seen(way) if i in set(clock.frame.tolist())]
    frame = np.array([i for i, _ in rows], dtype=np.int64)
    at = np.searchsorted(clock.frame, frame)
    lengths = np.array([len(s) for _, s in rows], dtype=np.int64)
    return BoardObservations(
        cameras=(name,),
        image_sizes=(it.pictures.size,),
        points=board.corners,
        view_camera=np.zeros(len(rows), dtype=np.int64),
        view_frame=frame,
        view_moment=clock.moment[at],
        view_time_s=clock.time_s[at],
        view=np.repeat(np.arange(len(rows)), lengths),
        corner=np.concatenate([s.ids for _, s in rows]) if rows else np.zeros(0, dtype=np.int64),
        xy=np.concatenate([s.xy for _, s in rows]) if rows else np.zeros((0, 2)),
    )


def _report(board: Board, looked: dict[str, _Looked], way: int, variant: BoardVariant) -> DetectionReport:
    cameras = {name: _camera_report(name, it, way) for name, it in looked.items()}
    upside_down = isinstance(board, Checkerboard) and board.looks_the_same_upside_down
    told = [sentence for report in cameras.values() for sentence in report.sentences]
    if variant.marker_share is not None and isinstance(board, CharucoBoard):
        described = board.marker_m / board.square_m
        told.append(
            f"the markers are {variant.marker_share:.2f} of a square wide, not {described:.2f} as the board's "
            "description says; the former was used. Measure a square and a marker of the print"
        )
    if isinstance(board, Checkerboard) and board.looks_the_same_upside_down and len(cameras) > 1:
        told.append(
            f"a checkerboard of {board.squares_x} x {board.squares_y} squares looks the same upside down: good for "
            "lenses, not for the places of several cameras. Take one with an odd sum of columns and rows, or a "
            "ChArUco board"
        )
    return DetectionReport(
        cameras=cameras,
        inverted=variant.inverted,
        legacy=variant.legacy,
        marker_share=variant.marker_share,
        ids_shared=not upside_down,
        sentences=tuple(told),
    )


def _camera_report(name: str, it: _Looked, way: int) -> CameraDetection:
    seen = [s for _, s in it.seen(way)]
    told = [f"{name}: {sentence}" for sentence in it.pictures.sentences]
    if not seen:
        told.append(
            f"{name}: the board is in none of its {len(it.index)} pictures. Show it the board, nearer and facing it"
        )
    return CameraDetection(
        pictures=len(it.index),
        found=len(seen),
        mirrored=sum(s.mirrored for s in seen),
        corners=sum(len(s) for s in seen),
        sentences=tuple(told),
    )
