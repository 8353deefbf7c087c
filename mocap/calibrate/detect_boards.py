"""A board in the clips of several cameras: corners, and when they were seen."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.detection import Board, BoardDetector, SeenCorners
from calibration.observations import BoardObservations
from mocap.calibrate.detect_boards_pictures import Pictures, Source, open_pictures
from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.io.frame_times import ClipTimes, FrameTimes

Progress = Callable[[int, int], None]
"""Called with the pictures looked at so far, and those there are."""

WAITING = 2
"""Pictures a thread that wait for it, so that memory stays small."""

SURE_CORNERS = 60
SURE_PICTURES = 3
"""Corners and pictures after which the way a board is printed is settled."""

CLEARLY = 4
"""How many times as many corners the right way of printing must give as any other."""


class CameraDetection(Report):
    """What one camera saw: pictures looked at, those with the board, those of them from behind, corners in all."""

    pictures: int
    found: int
    mirrored: int
    corners: int
    sentences: tuple[str, ...] = ()


class DetectionReport(Report):
    """cameras: by name. inverted, legacy: how the board turned out to be printed. sentences: what is worth telling."""

    cameras: dict[str, CameraDetection]
    inverted: bool
    legacy: bool
    sentences: tuple[str, ...] = ()


@dataclass
class _Looked:
    """What came of one camera so far: picture index and, for each way of printing that was tried, what was seen."""

    pictures: Pictures
    index: list[int] = field(default_factory=list)
    seen: list[dict[int, SeenCorners | None]] = field(default_factory=list)


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
    of it. rotations: degrees clockwise by which a camera's pictures are turned on top of what its file says.
    """
    if not clips:
        raise InputError("there are no clips to look for a board in")
    turns = rotations or {}
    looked = {name: _Looked(open_pictures(source, turns.get(name, 0))) for name, source in clips.items()}
    ways = _ways_of_printing(board)
    way = _look(looked, [BoardDetector(b) for b in ways], threads or os.cpu_count() or 1, every, progress)
    clocks = _clocks({name: it.pictures for name, it in looked.items()}, times)
    parts = [_observations(name, it, way, ways[way], clocks[name]) for name, it in looked.items()]
    observations = BoardObservations.joined(parts)
    cameras = {name: _camera_report(it, way) for name, it in looked.items()}
    return observations, DetectionReport(
        cameras=cameras,
        inverted=bool(getattr(ways[way], "inverted", False)),
        legacy=bool(getattr(ways[way], "legacy", False)),
        sentences=tuple(sentence for report in cameras.values() for sentence in report.sentences),
    )


def _ways_of_printing(board: Board) -> list[Board]:
    """As described first; a legacy layout differs where rows are even in number."""
    found = [board, replace(board, inverted=not board.inverted)]
    if board.squares_y % 2 == 0:
        found += [replace(b, legacy=not board.legacy) for b in found]
    return found


def _look(
    looked: dict[str, _Looked], detectors: list[BoardDetector], threads: int, every: int, progress: Progress | None
) -> int:
    """Look at all pictures; the way of printing. All ways are tried until one is settled."""
    total = sum(len(range(0, it.pictures.n, every)) for it in looked.values())
    counted, done, way = _Evidence(len(detectors)), 0, -1
    waiting: deque[tuple[_Looked, int, Future[dict[int, SeenCorners | None]]]] = deque()

    def take() -> None:
        nonlocal done, way
        it, index, future = waiting.popleft()
        it.index.append(index)
        it.seen.append(future.result())
        if way < 0:
            counted.add(it.seen[-1])
            way = counted.settled()
        done += 1
        if progress is not None:
            progress(done, total)

    with ThreadPoolExecutor(threads) as pool:
        for it, index, gray in _in_turn(looked, every):
            tried = range(len(detectors)) if way < 0 else (way,)
            waiting.append((it, index, pool.submit(_detect, gray, detectors, tuple(tried))))
            if len(waiting) > WAITING * threads:
                take()
        while waiting:
            take()
    return way if way >= 0 else counted.best()


def _detect(gray: np.ndarray, detectors: list[BoardDetector], tried: tuple[int, ...]) -> dict[int, SeenCorners | None]:
    return {way: detectors[way].detect(gray) for way in tried}


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


class _Evidence:
    """Corners and pictures for each way of printing."""

    def __init__(self, n_ways: int) -> None:
        self._corners = [0] * n_ways
        self._pictures = [0] * n_ways

    def add(self, seen: dict[int, SeenCorners | None]) -> None:
        for way, corners in seen.items():
            if corners is not None:
                self._corners[way] += len(corners)
                self._pictures[way] += 1

    def best(self) -> int:
        return int(np.argmax(self._corners))

    def settled(self) -> int:
        """The way that is sure, or -1."""
        best = self.best()
        rivals = [n for way, n in enumerate(self._corners) if way != best]
        clear = self._corners[best] >= max(SURE_CORNERS, CLEARLY * max(rivals, default=0))
        return best if clear and self._pictures[best] >= SURE_PICTURES else -1


def _clocks(pictures: dict[str, Pictures], times: FrameTimes | None) -> dict[str, ClipTimes]:
    if times is not None:
        named = times.named(tuple(pictures))
        return {name: named.of_clip(name, it.n) for name, it in pictures.items()}
    clocks = {}
    for name, it in pictures.items():
        time_s = it.moment.astype(np.float64) if it.time_s is None else it.time_s
        clocks[name] = ClipTimes(np.arange(it.n), time_s, it.moment)
    return clocks


def _observations(name: str, it: _Looked, way: int, board: Board, clock: ClipTimes) -> BoardObservations:
    """Views of one camera; pictures without a time are left out."""
    rows = [(i, s) for i, seen in zip(it.index, it.seen, strict=True) if (s := seen.get(way)) is not None]
    frame = np.array([i for i, _ in rows], dtype=np.int64)
    timed = np.isin(frame, clock.frame)
    rows = [row for row, keep in zip(rows, timed, strict=True) if keep]
    frame = frame[timed]
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


def _camera_report(it: _Looked, way: int) -> CameraDetection:
    seen = [s for tried in it.seen if (s := tried.get(way)) is not None]
    return CameraDetection(
        pictures=len(it.index),
        found=len(seen),
        mirrored=sum(s.mirrored for s in seen),
        corners=sum(len(s) for s in seen),
        sentences=tuple(it.pictures.sentences),
    )
