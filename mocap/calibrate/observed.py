"""What the cameras of a session saw of the board, in all its clips; kept on disk, so that solving again is quick."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calibration.board_file import Board
from calibration.observations import BoardObservations
from calibration.observations_file import read_observations, write_observations
from mocap.calibrate.clips import KINDS, CalibrationClips, ClipSet
from mocap.calibrate.detect_boards import DetectionReport, detect_in_clips
from mocap.core.errors import InputError
from mocap.io.frame_times import FrameTimes, read_frame_times
from mocap.stage_cache import Observer

CODE = 1
"""Of what finds corners: a higher number looks at all clips again."""


@dataclass(frozen=True, eq=False)
class Observed:
    """Corners by kind of clip (None: there is no such clip), all of the same board.

    cameras: of the session. reports: by kind, what looking for the board came to. board: as it was described.
    """

    cameras: tuple[str, ...]
    board: Board
    root: Path
    intrinsics: BoardObservations | None = None
    extrinsics: BoardObservations | None = None
    floor: BoardObservations | None = None
    reports: Mapping[str, DetectionReport] = field(default_factory=dict)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What looking for the board has to tell."""
        return tuple(dict.fromkeys(sentence for report in self.reports.values() for sentence in report.sentences))


def observe(clips: CalibrationClips, observer: Observer, *, threads: int = 0, force: bool = False) -> Observed:
    """Look for the board in all clips, or take what an earlier run has found in the same files."""
    seen: dict[str, BoardObservations] = {}
    reports: dict[str, DetectionReport] = {}
    for kind in KINDS:
        if kind in clips.clips:
            seen[kind], reports[kind] = _of_kind(clips, kind, observer, threads=threads, force=force)
    return Observed(clips.cameras, clips.board, clips.root, **seen, reports=reports)


def _of_kind(
    clips: CalibrationClips, kind: str, observer: Observer, *, threads: int, force: bool
) -> tuple[BoardObservations, DetectionReport]:
    chosen = clips.clips[kind]
    key = _key(clips, chosen)
    path = clips.folder / "derived" / f"{kind}_corners.npz"
    kept = None if force else _kept(path, key)
    stage = f"find board ({kind})"
    if kept is not None:
        return kept
    observer.stage_started(stage)
    began = time.perf_counter()
    seen, report = detect_in_clips(
        chosen.sources,
        clips.board,
        times=_times(chosen),
        threads=threads,
        rotations={name: turn for name, turn in clips.rotations.items() if name in chosen.sources},
        progress=lambda done, total: observer.progressed(stage, done, total),
    )
    observer.stage_finished(stage, time.perf_counter() - began, cached=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_observations(path, seen)
    path.with_suffix(".json").write_text(json.dumps({"key": key, "report": report.model_dump()}), encoding="utf-8")
    return seen, report


def _times(chosen: ClipSet) -> FrameTimes | None:
    if chosen.timestamps is None:
        return None
    return read_frame_times(chosen.timestamps)


def _kept(path: Path, key: str) -> tuple[BoardObservations, DetectionReport] | None:
    try:
        note = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if note["key"] != key:
            return None
        return read_observations(path), DetectionReport.model_validate(note["report"])
    except (OSError, ValueError, KeyError, TypeError, InputError):
        return None  # not there, or not whole: the clips are looked at again


def _key(clips: CalibrationClips, chosen: ClipSet) -> str:
    """Of the code, the board, the files and how they are turned."""
    files = [p for source in chosen.sources.values() for p in _files(source)]
    files += [chosen.timestamps] if chosen.timestamps else []
    stamps = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files]
    content = [CODE, clips.board.to_table(), list(chosen.sources), sorted(clips.rotations.items()), stamps]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _files(source: Path) -> list[Path]:
    return sorted(source.iterdir()) if source.is_dir() else [source]
