"""When frames were taken, on a clock that all cameras share: timestamps.csv in our own form and in caliscope's."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import FileFormatError

OURS = ("camera", "frame", "time_s")
CALISCOPE = tuple(("sync_index", camera, "frame_index", "frame_time") for camera in ("cam_id", "port"))


@dataclass(frozen=True, eq=False)
class ClipTimes:
    """Times of the pictures of one clip: frame (T,) ascending, time_s (T,), moment (T,)."""

    frame: Int[np.ndarray, "T"]
    time_s: Float[np.ndarray, "T"]
    moment: Int[np.ndarray, "T"]


@dataclass(frozen=True, eq=False)
class FrameTimes:
    """N frames. cameras: names as in the file. camera: (N,) index into them. frame: (N,) its index in the clip, as the
    file counts. time_s: (N,) since the first frame of all. moment: (N,) frames of one moment belong together:
    caliscope's sync_index, else frames that were taken at about the same time (`grouped_by_time`). path: the file."""

    cameras: tuple[str, ...]
    camera: Int[np.ndarray, "N"]
    frame: Int[np.ndarray, "N"]
    time_s: Float[np.ndarray, "N"]
    moment: Int[np.ndarray, "N"]
    path: Path

    def named(self, names: Sequence[str]) -> FrameTimes:
        """With the cameras called as elsewhere: camera 3 of a file is cam_3, cam03, port_3, …

        Raises where a name matches no camera of the file, or two.
        """
        found = [_match(name, self.cameras, self.path) for name in names]
        position = np.full(len(self.cameras), -1)
        position[found] = np.arange(len(found))
        keep = position[self.camera] >= 0
        return replace(
            self,
            cameras=tuple(names),
            camera=position[self.camera[keep]],
            **{name: getattr(self, name)[keep] for name in ("frame", "time_s", "moment")},
        )

    def of_clip(self, camera: str, n_frames: int) -> ClipTimes:
        """Times of a clip of so many pictures. Where the file counts frames from elsewhere (caliscope keeps the count
        of a longer recording) but has as many as the clip, they follow each other in the clip."""
        mine = np.flatnonzero(self.camera == self.cameras.index(camera))
        mine = mine[np.argsort(self.frame[mine], kind="stable")]
        frame = self.frame[mine]
        if len(frame) and frame[-1] >= n_frames:
            if len(frame) != n_frames:
                raise FileFormatError(
                    f"has {len(frame)} frames of camera {camera}, from {frame[0]} to {frame[-1]}; "
                    f"its clip has {n_frames}",
                    where=self.path,
                    remedy="Give the file that was recorded with these clips, or remove it.",
                )
            frame = np.arange(n_frames)
        return ClipTimes(frame, self.time_s[mine], self.moment[mine])


def read_frame_times(path: str | Path) -> FrameTimes:
    """`camera,frame,time_s`, or caliscope's `sync_index,cam_id|port,frame_index,frame_time`."""
    path = Path(path)
    header, rows = _read_rows(path)
    names, frames, times = (1, 2, 3) if header in CALISCOPE else (0, 1, 2)
    cameras = tuple(sorted({row[names].strip() for row in rows}, key=_natural))
    try:
        camera = np.array([cameras.index(row[names].strip()) for row in rows], dtype=np.int64)
        frame = np.array([int(row[frames]) for row in rows], dtype=np.int64)
        time_s = np.array([float(row[times]) for row in rows])
        moment = np.array([int(row[0]) for row in rows], dtype=np.int64) if header in CALISCOPE else None
    except ValueError as error:
        raise FileFormatError(f"cannot be read as {','.join(header)} ({error})", where=path) from None
    if not np.isfinite(time_s).all():
        raise FileFormatError("has times that are not finite", where=path)
    time_s = time_s - time_s.min()
    if moment is None:
        moment = grouped_by_time(camera, time_s)
    order = np.lexsort((frame, camera))
    found = FrameTimes(cameras, camera[order], frame[order], time_s[order], moment[order], path)
    _check_frames(found)
    return found


def grouped_by_time(camera: Int[np.ndarray, "N"], time_s: Float[np.ndarray, "N"]) -> Int[np.ndarray, "N"]:
    """Moments (N,), numbered in order of time, of frames of several cameras.

    The camera with most frames is the metronome: every other frame joins the frame of it that is nearest, if that is
    less than half an interval away and no frame of the same camera is nearer; the rest are moments of their own.
    """
    counts = np.bincount(camera)
    beat = np.sort(time_s[camera == np.argmax(counts)])
    reach = 0.5 * float(np.median(np.diff(beat))) if len(beat) > 1 else np.inf
    after = np.minimum(np.searchsorted(beat, time_s), len(beat) - 1)
    before = np.maximum(after - 1, 0)
    near = np.where(np.abs(beat[before] - time_s) <= np.abs(beat[after] - time_s), before, after)
    away = np.abs(beat[near] - time_s)
    group = np.where(away <= reach, near, -1)
    order = np.lexsort((np.arange(len(camera)), away))
    taken: set[tuple[int, int]] = set()
    for i in order:
        key = (int(camera[i]), int(group[i]))
        if key in taken:
            group[i] = -1
        elif group[i] >= 0:
            taken.add(key)
    alone = np.flatnonzero(group < 0)
    group[alone] = len(beat) + np.arange(len(alone))
    _, group = np.unique(group, return_inverse=True)
    mean = np.bincount(group, weights=time_s) / np.bincount(group)
    rank = np.empty(len(mean), dtype=np.int64)
    rank[np.argsort(mean, kind="stable")] = np.arange(len(mean))
    return rank[group]


def _read_rows(path: Path) -> tuple[tuple[str, ...], list[list[str]]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            lines = [row for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        raise FileFormatError("no such file of frame times", where=path) from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileFormatError(f"not a table of frame times ({error})", where=path) from None
    header = tuple(cell.strip() for cell in lines[0]) if lines else ()
    if header not in (OURS, *CALISCOPE):
        known = " or ".join(",".join(columns) for columns in (OURS, *CALISCOPE))
        raise FileFormatError(f"begins with {','.join(header)!r}", where=path, remedy=f"Known columns: {known}.")
    for number, row in enumerate(lines[1:], start=2):
        if len(row) != len(header):
            raise FileFormatError(f"row {number} has {len(row)} of {len(header)} columns", where=path)
    if len(lines) == 1:
        raise FileFormatError("holds no frames", where=path)
    return header, lines[1:]


def _check_frames(times: FrameTimes) -> None:
    same = (np.diff(times.camera) == 0) & (np.diff(times.frame) == 0)
    if same.any():
        row = int(np.argmax(same))
        raise FileFormatError(
            f"lists frame {times.frame[row]} of camera {times.cameras[times.camera[row]]} twice", where=times.path
        )
    back = (np.diff(times.camera) == 0) & (np.diff(times.time_s) <= 0)
    if back.any():
        row = int(np.argmax(back))
        raise FileFormatError(
            f"the time does not increase after frame {times.frame[row]} of camera {times.cameras[times.camera[row]]}",
            where=times.path,
        )


def _match(name: str, cameras: Sequence[str], path: Path) -> int:
    if name in cameras:
        return cameras.index(name)
    number = _last_number(name)
    same = [i for i, camera in enumerate(cameras) if number is not None and _last_number(camera) == number]
    if len(same) != 1:
        raise FileFormatError(
            f"has no camera {name}; it has {', '.join(cameras)}",
            where=path,
            remedy="Name the clips after the cameras of the file (cam_3 for camera 3), or correct the file.",
        )
    return same[0]


def _last_number(name: str) -> int | None:
    digits = re.findall(r"\d+", name)
    return int(digits[-1]) if digits else None


def _natural(text: str) -> list[tuple[int, int, str]]:
    """cam2 comes before cam10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]
