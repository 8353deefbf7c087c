"""Detection of a take in segments of some hundred frames: memory stays small, and a killed run goes on.

A finished segment lies in `detect.parts/<key>/` until the whole is saved. Tracks begin anew at every border, whether
the run was interrupted there or not, so the result does not depend on where it was.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
from jaxtyping import Int

from mocap.core.errors import FileFormatError
from mocap.core.keypoints import Detections2D
from mocap.core.session import Take
from mocap.io.artefacts import DETECTION_ARRAYS, load_detections, read_key, save_detections, write_text_atomic
from mocap.io.heatmap_file import HeatmapWriter
from mocap.io.video import VideoInfo, WholeTakeReader
from mocap.models.detector import Detector2D
from mocap.stages.detect import (
    DetectConfig,
    DetectReport,
    Progress,
    detect,
    import_take,
    make_detector,
    require_somebody,
)

PARTS = "detect.parts"

MAX_DETOUR = 3
"""A segment may begin where decoding has to go back over at most so many times the frames since the last border; files
with hardly a keyframe else take longer to decode than to look at."""

Part = tuple[Detections2D, DetectReport]


@dataclass(frozen=True)
class SegmentStore:
    """Where finished segments wait (`derived/detect.parts/<key>`) and heatmaps lie (`derived/heatmaps`)."""

    derived: Path
    key: str

    def path(self, start: int) -> Path:
        """The file for the detections of the segment that begins at that frame; its report lies beside it."""
        return self.derived / PARTS / self.key / f"{start}.h5"

    def heatmaps(self, start: int) -> Path:
        """The file for the heatmaps of the segment that begins at that frame."""
        return self.derived / "heatmaps" / f"{start}.h5"

    def save(self, start: int, part: Part) -> None:
        """Keep a segment; it counts once its detections are there, the last thing to be written."""
        path = self.path(start)
        write_text_atomic(path.with_suffix(".json"), part[1].model_dump_json(indent=1))
        save_detections(part[0], path, self.key)

    def load(self, start: int, *, with_heatmaps: bool) -> Part | None:
        """A segment that was finished; None where it, or its heatmaps, are not there whole."""
        path = self.path(start)
        if read_key(path) != self.key or (with_heatmaps and read_key(self.heatmaps(start)) != self.key):
            return None
        try:
            return load_detections(path), DetectReport.model_validate_json(path.with_suffix(".json").read_bytes())
        except (FileFormatError, OSError, ValueError):
            return None

    def clear_stale(self) -> None:
        """Delete what was made from other inputs, by another configuration or code, or was left half-written."""
        for folder in _entries(self.derived / PARTS):
            if folder.name != self.key:
                shutil.rmtree(folder)
        for file in _entries(self.derived / "heatmaps"):
            if read_key(file) != self.key:
                file.unlink()


def detect_in_segments(
    take: Take,
    config: DetectConfig,
    *,
    store: SegmentStore,
    infos: Mapping[str, VideoInfo] | None = None,
    threads: int = 0,
    progress: Progress | None = None,
) -> Part:
    """The people of a take: found in its videos, or imported where it has none (or the configuration says so).

    Segments that `store` has are not looked at again. Call `forget_parts` once the result is saved.
    `threads` = 0 uses every core; results do not depend on it. `progress` gets (done, total) frames, and megabytes
    while networks are fetched. Track ids are unique in each camera over the whole take.
    """
    store.clear_stale()
    if config.detector == "imported" or not take.videos:
        return import_take(take, config)
    whole = WholeTakeReader(take.videos, rotations=take.rotations, infos=infos)
    detector = cache(lambda: make_detector(config, threads=threads, progress=progress))
    run = _Run(take, config, store, whole.infos, detector, progress)
    spans = segments(whole.infos, len(whole), config.segment_frames)
    if len(spans) == 1:
        detections, report = run.look(spans[0], np.zeros(len(take.videos), dtype=np.int64))
    else:
        report = DetectReport.joined(run.finish(spans))
        detections = _joined([load_detections(store.path(span.start)) for span in spans])
    require_somebody(detections, take)
    return detections, report


def forget_parts(derived: Path) -> None:
    """Delete all finished segments: the whole is saved, or they are to be made anew."""
    if (derived / PARTS).is_dir():
        shutil.rmtree(derived / PARTS)


def segments(infos: Mapping[str, VideoInfo], n_frames: int, length: int) -> list[range]:
    """[0, length), [length, 2 length), … up to n_frames, without the borders that decoding is slow to reach."""
    starts = [0]
    for start in range(length, n_frames, length):
        detour = max(_detour(info, start) for info in infos.values())
        if detour <= MAX_DETOUR * (start - starts[-1]):
            starts.append(start)
    return [range(start, stop) for start, stop in pairwise([*starts, n_frames])]


def _detour(info: VideoInfo, row: int) -> int:
    """How many pictures before that row have to be decoded to reach it."""
    if row >= info.n_readable:
        return 0
    return row - next(iter(info.packets.start_rows(row)), 0) if info.has_timestamps else row


@dataclass(frozen=True, eq=False)
class _Run:
    """One run over the segments of a take; the detector is made when the first segment needs it."""

    take: Take
    config: DetectConfig
    store: SegmentStore
    infos: Mapping[str, VideoInfo]
    detector: Callable[[], Detector2D]
    progress: Progress | None

    def finish(self, spans: Sequence[range]) -> list[DetectReport]:
        """Look at the segments that are not in the store yet; only the reports stay in memory."""
        free_tracks = np.zeros(len(self.take.videos), dtype=np.int64)
        reports = []
        for span in spans:
            part = self.store.load(span.start, with_heatmaps=self.config.keep_heatmaps)
            if part is None:
                part = self.look(span, free_tracks)
                self.store.save(span.start, part)
            detections, report = part
            np.maximum.at(free_tracks, detections.camera, detections.track + 1)
            reports.append(report)
        return reports

    def look(self, span: range, free_tracks: Int[np.ndarray, "C"]) -> Part:
        """Detect the people of one segment; their track ids count from the first free one of each camera."""
        heatmaps = HeatmapWriter(self.store.heatmaps(span.start), tuple(self.take.videos), self.store.key)
        with heatmaps if self.config.keep_heatmaps else nullcontext() as sink:
            renumbering = None if sink is None else _Renumbering(sink, free_tracks)
            detector = self.detector()
            found, report = detect(
                self.take, detector, infos=self.infos, span=span, heatmaps=renumbering, progress=self.progress
            )
        track = np.where(found.track >= 0, found.track + free_tracks[found.camera], found.track)
        return replace(found, track=track), report


@dataclass(frozen=True, eq=False)
class _Renumbering:
    """A sink that gives heatmaps the track ids of the whole take."""

    sink: HeatmapWriter
    free_tracks: Int[np.ndarray, "C"]

    def write(self, place: tuple[int, int, int], heatmaps: np.ndarray, px_from_heatmap: np.ndarray) -> None:
        """Pass heatmaps on; place: (frame, camera, track of the part)."""
        frame, camera, track = place
        self.sink.write((frame, camera, track + int(self.free_tracks[camera])), heatmaps, px_from_heatmap)


def _joined(parts: Sequence[Detections2D]) -> Detections2D:
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in DETECTION_ARRAYS}
    return Detections2D(parts[0].cameras, parts[0].n_frames, parts[0].keypoint_set, **columns)


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
