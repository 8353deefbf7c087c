"""FreeMoCap: recordings are folders with `synchronized_videos/`, calibrations lie as `*_camera_calibration.toml`.

The given folder is one recording, a session of several, or all of `recording_sessions`. A recording whose name says
that it is a calibration becomes the extrinsics clips. Videos are synchronised frame by frame by FreeMoCap itself.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mocap.io.layouts.folders import folders_below, videos_in
from mocap.io.layouts.videos import calibration_kind
from mocap.io.session_files import natural_order
from mocap.io.session_plan import ImportPlan, PlannedFile, clean_name, first_calibration, named_rig

LAYOUT = "freemocap"
VIDEO_FOLDERS = ("synchronized_videos", "SyncedVideos")
CALIBRATION = "*camera_calibration*.toml"
SQUARES = (7, 5)
MARKER_SHARE = 0.8
DICTIONARY = "DICT_4X4_250"
"""The board that FreeMoCap prints."""


def plan(root: Path) -> ImportPlan | None:
    """None where no folder of synchronised videos is."""
    recordings = [f for f in folders_below(root, 3) if _videos(f)]
    if not recordings:
        return None
    calibrations = [f for f in recordings if calibration_kind(f.name) is not None]
    takes = [f for f in recordings if f not in calibrations]
    files = [it for folder in takes for it in _files(folder, f"takes/{clean_name(_name(folder))}/video")]
    notes = []
    if calibrations:
        files += _files(calibrations[-1], "calibration/extrinsics")
        notes += [f"{f.name} is left out: {calibrations[-1].name} is the later calibration" for f in calibrations[:-1]]
    cameras = tuple(sorted({it.target.rpartition("/")[2].rpartition(".")[0] for it in files}, key=natural_order))
    places = [*root.glob(CALIBRATION), *(p for f in [*recordings, *root.parents[:3]] for p in f.glob(CALIBRATION))]
    rig, source, told = first_calibration(sorted(set(places), key=_date, reverse=True))
    metadata = {} if source is None else _metadata(source)
    if rig is not None:
        rig, assumed = named_rig(rig, cameras, by_order=True)
        told = (*told, *assumed, *_floor_words(metadata))
    return ImportPlan(
        LAYOUT,
        root,
        cameras,
        tuple(files),
        rig=rig,
        rig_source=source,
        world_frame="Z up, zero at the board" if _on_floor(metadata) else "of the first camera",
        board=_board(metadata) if calibrations else {},
        notes=(*notes, *told),
    )


def _videos(recording: Path) -> list[Path]:
    return next((found for name in VIDEO_FOLDERS for found in [videos_in(recording / name)] if found), [])


def _name(recording: Path) -> str:
    return recording.resolve().name


def _files(recording: Path, place: str) -> list[PlannedFile]:
    return [PlannedFile(path, f"{place}/{_camera(path.stem)}{path.suffix}") for path in _videos(recording)]


def _camera(stem: str) -> str:
    """Camera_000_synchronized is Camera_000."""
    return clean_name(re.sub(r"(?i)[_-](synchronized|synced)(_video)?$", "", stem))


def _date(path: Path) -> float:
    return path.stat().st_mtime


def _metadata(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8", errors="replace")).get("metadata", {})
    except tomllib.TOMLDecodeError:
        return {}


def _on_floor(metadata: Mapping[str, Any]) -> bool:
    """Whether the board on the floor made the world, which is then Z up."""
    return any("ground" in key.casefold() and bool(value) for key, value in metadata.items())


def _floor_words(metadata: Mapping[str, Any]) -> Sequence[str]:
    if _on_floor(metadata):
        return ()
    return (
        "the calibration's world is that of its first camera, not of the floor: calibrate again from the board's "
        "clips, or with `mocap calibrate --floor-by-person TAKE`",
    )


def _board(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """FreeMoCap's own board where the calibration says how large it was printed (mm)."""
    size = metadata.get("charuco_square_size")
    if not isinstance(size, int | float) or not size > 1:
        return {}
    return {
        "type": "charuco",
        "squares": list(SQUARES),
        "square_mm": float(size),
        "marker_mm": round(float(size) * MARKER_SHARE, 3),
        "dictionary": DICTIONARY,
    }
