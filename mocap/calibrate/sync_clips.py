"""Clips of a waved board whose cameras ran by themselves: their clocks by the board, written as times of the frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from calibration.errors import CalibrationError
from mocap.calibrate.clips import CalibrationClips, ClipSet
from mocap.calibrate.detect_boards_pictures import open_pictures
from mocap.calibrate.observed import Observed
from mocap.calibrate.session import CalibrateConfig, find_lenses, shared_views
from mocap.capture.sync_board import BoardSyncConfig, sync_by_board
from mocap.core.clock import Clock, ClockEstimate
from mocap.core.errors import InputError
from mocap.io.artefacts import write_text_atomic
from mocap.io.frame_times import read_frame_times

KIND = "extrinsics"
PREVIOUS = "timestamps.previous.csv"


@dataclass(frozen=True, eq=False)
class ClipClocks:
    """reference: whose clock is that of all. estimates: of every other camera. times_s: camera -> (F,) of every frame
    of its clip, on that clock."""

    reference: str
    estimates: tuple[ClockEstimate, ...]
    times_s: Mapping[str, Float[np.ndarray, "..."]]


def clip_clocks(
    clips: CalibrationClips, observed: Observed, config: BoardSyncConfig | None = None, *, reference: str | None = None
) -> ClipClocks:
    """The clocks of the extrinsics clips by what they saw of the board; lenses come from the clips as in calibration.

    Raises CalibrationError where the board does not tie every camera to the others.
    """
    shared = shared_views(observed)
    first = reference or shared.cameras[0]
    if first not in shared.cameras:
        raise InputError(f"there is no clip of camera {first}; there are {', '.join(shared.cameras)}")
    lenses, _ = find_lenses(observed, CalibrateConfig())
    known = {name: lens.intrinsics for name, lens in lenses.items()}
    estimates = sync_by_board(shared, known, config or BoardSyncConfig(), reference=first)
    clocks = {first: Clock()} | {estimate.camera: estimate.clock for estimate in estimates}
    lost = [name for name in shared.cameras if name not in clocks]
    if lost:
        raise CalibrationError(
            f"the board does not say when {', '.join(lost)} saw what {first} saw",
            where=observed.root / "calibration" / KIND,
            remedy="Wave the board for half a minute where two and more cameras see it, not too far from them.",
        )
    stamps = _stamps(clips.clips[KIND])
    return ClipClocks(first, estimates, {name: clocks[name].time_s(stamps[name]) for name in shared.cameras})


def write_clip_times(found: ClipClocks, folder: Path) -> Path:
    """`timestamps.csv` in the folder of the clips; what was there stays as `timestamps.previous.csv`."""
    path, earliest = folder / "timestamps.csv", min(times[0] for times in found.times_s.values())
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("camera", "frame", "time_s"))
    for name, times in found.times_s.items():
        writer.writerows((name, frame, f"{time - earliest:.6f}") for frame, time in enumerate(times))
    if path.is_file() and not (folder / PREVIOUS).exists():
        write_text_atomic(folder / PREVIOUS, path.read_text(encoding="utf-8"))
    write_text_atomic(path, text.getvalue())
    return path


def _stamps(chosen: ClipSet) -> dict[str, Float[np.ndarray, "..."]]:
    """Of every picture of every clip, on the camera's own clock: as the observations have them."""
    told = None if chosen.timestamps is None else read_frame_times(chosen.timestamps).named(tuple(chosen.sources))
    stamps: dict[str, Float[np.ndarray, "..."]] = {}
    for name, source in chosen.sources.items():
        pictures = open_pictures(source)
        if told is None:
            if pictures.time_s is None:
                raise InputError("pictures say nothing about when they were taken", where=source)
            stamps[name] = pictures.time_s
            continue
        clip = told.of_clip(name, pictures.n)
        if len(clip.frame) != pictures.n:
            raise InputError(f"lists {len(clip.frame)} of {pictures.n} frames of {name}", where=chosen.timestamps)
        stamps[name] = clip.time_s
    return stamps
