"""The heatmaps of those who were associated: of people over time and cameras, out of files that know tracks only.

Association keeps detections as they are, so that its keypoints tell which detection each came from, to the bit.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Int

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


class SubjectHeatmaps:
    """The heatmaps in `folder` (`derived/heatmaps`) of associated people; use as a context manager."""

    def __init__(self, folder: Path, points: Keypoints2D, detections: Detections2D) -> None:
        self.tracks = tracks_of_points(points, detections)
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
                heatmaps[f, p, c], maps[f, p, c], seen[f, p, c] = found[0], found[1], True
        return HeatmapBatch(heatmaps, maps, seen)

    def _find(self, frame: int, camera: int, track: int) -> tuple[np.ndarray, np.ndarray] | None:
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
