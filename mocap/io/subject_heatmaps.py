"""The heatmaps of those who were associated: of people over time and cameras, out of files that know tracks only.

Association keeps detections as they are, so that its keypoints tell which detection each came from, to the bit. Where
detections were put at common times, heatmaps exist at the frames of the cameras only: that of the nearest frame is
read, each keypoint's moved by as much as the keypoint was.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from mocap.core.errors import FileFormatError, InputError
from mocap.core.heatmaps import HeatmapBatch
from mocap.core.keypoints import Detections2D, Keypoints2D
from mocap.io.heatmap_file import TakeHeatmaps

NO_TRACK = -2
"""Where nobody is; detectors without tracks say -1."""


def tracks_of_points(points: Keypoints2D, detections: Detections2D) -> Int[np.ndarray, "T P C"]:
    """The track of the detection that every person's keypoints are; `NO_TRACK` where there are none."""
    if points.cameras != detections.cameras or points.keypoint_set.names != detections.keypoint_set.names:
        raise InputError("keypoints and detections are not of the same cameras and keypoints")
    rows = np.flatnonzero(detections.frame < points.n_frames)
    frame, camera = detections.frame[rows], detections.camera[rows]
    theirs, own = points.xy[frame, :, camera], detections.xy[rows][:, None]
    same = ((theirs == own) | (np.isnan(theirs) & np.isnan(own))).all((-2, -1))
    same &= np.isfinite(own).any((-2, -1))
    row, person = np.nonzero(same)
    tracks = np.full(points.confidence.shape[:3], NO_TRACK, dtype=np.int64)
    tracks[frame[row], person, camera[row]] = detections.track[rows[row]]
    return tracks


@dataclass(frozen=True, eq=False)
class OriginalFrames:
    """Where detections at common times come from, by (frame, camera, track) there: the number of the camera's own frame
    that is nearest, and the keypoints in it (J, 2)."""

    frame: Mapping[tuple[int, int, int], int]
    xy: Mapping[tuple[int, int, int], Float[np.ndarray, "J 2"]]


def original_frames(aligned: Detections2D, detections: Detections2D, source: Int[np.ndarray, "N"]) -> OriginalFrames:
    """source: (N,) the row of `detections` that each of the `aligned` was made of, the one nearest in time."""
    keys = list(zip(aligned.frame.tolist(), aligned.camera.tolist(), aligned.track.tolist(), strict=True))
    frames = dict(zip(keys, detections.frame[source].tolist(), strict=True))
    return OriginalFrames(frames, dict(zip(keys, detections.xy[source], strict=True)))


def shifted(heatmaps: np.ndarray, cells: Float[np.ndarray, "J 2"]) -> np.ndarray:
    """Heatmaps (J, H, W), each moved by (x, y) cells, straight between cells; zero comes in from outside."""
    joints, height, width = heatmaps.shape
    x = np.arange(width) - cells[:, :1]
    y = np.arange(height) - cells[:, 1:]
    padded = np.pad(heatmaps.astype(np.float32), ((0, 0), (1, 1), (1, 1)))
    x, y = np.clip(x, -1, width) + 1, np.clip(y, -1, height) + 1
    x0, y0 = np.minimum(x.astype(np.int64), width), np.minimum(y.astype(np.int64), height)
    u, v = (x - x0)[:, None, :], (y - y0)[:, :, None]
    j = np.arange(joints)[:, None, None]
    row, column = y0[:, :, None], x0[:, None, :]
    top = (1 - u) * padded[j, row, column] + u * padded[j, row, column + 1]
    bottom = (1 - u) * padded[j, row + 1, column] + u * padded[j, row + 1, column + 1]
    return ((1 - v) * top + v * bottom).astype(heatmaps.dtype)


class SubjectHeatmaps:
    """The heatmaps in `folder` (`derived/heatmaps`) of associated people; use as a context manager."""

    def __init__(
        self, folder: Path, points: Keypoints2D, detections: Detections2D, original: OriginalFrames | None = None
    ) -> None:
        """original: where the detections were seen, if not in the frames that they are of."""
        self.tracks = tracks_of_points(points, detections)
        self._points, self._original = points, original
        self._joints = len(points.keypoint_set)
        self._files = TakeHeatmaps(folder)
        self._size = self._first_size(folder)

    def __enter__(self) -> SubjectHeatmaps:
        return self

    def __exit__(self, *_: object) -> None:
        self._files.close()

    @property
    def size(self) -> tuple[int, int]:
        """Width, height in cells."""
        return self._size

    def read(self, frames: range) -> HeatmapBatch:
        """Of the first J channels: those of the keypoints. Half floats as they lie in the files."""
        tracks = self.tracks[frames.start : frames.stop]
        width, height = self.size
        heatmaps = np.zeros((*tracks.shape, self._joints, height, width), dtype=np.float16)
        maps = np.full((*tracks.shape, 2, 3), np.nan)
        seen = np.zeros(tracks.shape, dtype=bool)
        for f, p, c in np.argwhere(tracks != NO_TRACK).tolist():
            found = self._find(frames.start + f, c, int(tracks[f, p, c]))
            if found is not None:
                moved = self._moved(found, (frames.start + f, p, c))
                heatmaps[f, p, c], maps[f, p, c], seen[f, p, c] = moved[0], moved[1], True
        return HeatmapBatch(heatmaps, maps, seen)

    def _moved(
        self, found: tuple[np.ndarray, np.ndarray], place: tuple[int, int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """From where the keypoints were in the nearest frame to where they are: the map by the person's median, the
        heatmaps by what each keypoint's own way differs from that."""
        if self._original is None:
            return found
        frame, _, camera = place
        before = self._original.xy.get((frame, camera, int(self.tracks[place])))
        if before is None or np.array_equal(before, self._points.xy[place], equal_nan=True):
            return found
        way = self._points.xy[place] - before
        known = np.isfinite(way).all(-1)
        if not known.any():
            return found
        middle = np.median(way[known], axis=0)
        heatmaps, px_from_cell = found[0], found[1].copy()
        px_from_cell[:, 2] += middle
        cells = np.linalg.solve(px_from_cell[:, :2], np.where(known[:, None], way - middle, 0.0).T).T
        return shifted(heatmaps, cells), px_from_cell

    def _find(self, frame: int, camera: int, track: int) -> tuple[np.ndarray, np.ndarray] | None:
        if self._original is not None:
            frame = self._original.frame.get((frame, camera, track), -1)
        if track not in self._files.tracks(frame, camera):
            return None
        heatmaps, px_from_heatmap = self._files.read(frame, camera, track)
        return heatmaps[: self._joints], px_from_heatmap

    def _first_size(self, folder: Path) -> tuple[int, int]:
        for frame, person, camera in np.argwhere(self.tracks != NO_TRACK).tolist():
            found = self._find(frame, camera, int(self.tracks[frame, person, camera]))
            if found is not None and len(found[0]) == self._joints:
                return found[0].shape[2], found[0].shape[1]
        raise FileFormatError("no heatmaps of the people who were associated", where=folder)
