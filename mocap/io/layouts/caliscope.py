"""caliscope projects: `calibration/intrinsic`, `calibration/extrinsic`, recordings; of cam_N.mp4 (port_N.mp4 before).

Each folder of clips may hold `timestamps.csv` (`frame_time_history.csv` before): when every frame arrived, on the one
clock of the computer that recorded them all. A take keeps these times.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from calibration.board_file import read_board
from mocap.core.errors import InputError
from mocap.io.frame_times import FrameTimes, read_frame_times
from mocap.io.layouts.folders import folders_below, videos_in
from mocap.io.session_files import natural_order
from mocap.io.session_plan import ImportPlan, PlannedFile, clean_name, first_calibration, named_rig
from mocap.io.video_probe import probe_video

LAYOUT = "caliscope"
CLIP = re.compile(r"(?i)(cam|port)_(\d+)")
TIMES = ("timestamps.csv", "frame_time_history.csv")
KINDS = {"intrinsic": "intrinsics", "extrinsic": "extrinsics"}
SHARED = '[take]\nclocks = "shared"\n'


def plan(root: Path) -> ImportPlan | None:
    """None where there are neither clips called cam_N nor a camera array."""
    array = [root / name for name in ("camera_array.toml", "config.toml") if (root / name).is_file()]
    places = [folder for folder in folders_below(root, 3) if _clips(folder)]
    if not places or not (array or any(_times(folder) for folder in places)):
        return None
    files, texts, notes = [], {}, []
    for folder in places:
        kind = _kind(folder)
        take = clean_name(folder.resolve().name)
        where = f"calibration/{kind}" if kind else f"takes/{take}/video"
        files += [PlannedFile(path, f"{where}/{_camera(path)}{path.suffix}") for path in _clips(folder)]
        times = _times(folder)
        if times is not None and kind:
            files.append(PlannedFile(times, f"{where}/timestamps.csv"))
        elif times is not None:
            texts |= _take_texts(times, _clips(folder), f"takes/{take}", notes)
    cameras = tuple(sorted({_camera(path) for folder in places for path in _clips(folder)}, key=natural_order))
    rig, source, told = first_calibration(array)
    if rig is not None:
        rig, assumed = named_rig(rig, cameras)
        told = (*told, *assumed, "the rig's world is as it was left in caliscope: see that z is up and the floor at 0")
    return ImportPlan(
        LAYOUT,
        root,
        cameras,
        tuple(files),
        rig=rig,
        rig_source=source,
        world_frame="as left in caliscope",
        board=_board(root, notes),
        texts=texts,
        notes=(*notes, *told),
    )


def _clips(folder: Path) -> list[Path]:
    return [path for path in videos_in(folder) if CLIP.fullmatch(path.stem)]


def _camera(path: Path) -> str:
    match = CLIP.fullmatch(path.stem)
    return f"cam_{match[2]}" if match else path.stem


def _kind(folder: Path) -> str | None:
    return KINDS.get(folder.name) if folder.parent.name == "calibration" else None


def _times(folder: Path) -> Path | None:
    return next((folder / name for name in TIMES if (folder / name).is_file()), None)


def _take_texts(path: Path, clips: Sequence[Path], take: str, notes: list[str]) -> dict[str, str]:
    """timestamps.csv in our form, and take.toml that says it is on one clock."""
    try:
        times = read_frame_times(path).named([_camera(clip) for clip in clips])
        rows = [row for clip in clips for row in _rows(times, clip)]
    except InputError as error:
        notes.append(f"{take}: the times of its frames are left out ({path.name} {error.what})")
        return {}
    return {f"{take}/timestamps.csv": "\n".join(("camera,frame,time_s", *rows, "")), f"{take}/take.toml": SHARED}


def _rows(times: FrameTimes, clip: Path) -> list[str]:
    camera = _camera(clip)
    found = times.of_clip(camera, probe_video(clip).n_frames)
    return [f"{camera},{frame},{time:.6f}" for frame, time in zip(found.frame, found.time_s, strict=True)]


def _board(root: Path, notes: list[str]) -> dict[str, object]:
    path = next((root / name for name in ("charuco.toml",) if (root / name).is_file()), None)
    if path is None:
        return {}
    try:
        return dict(read_board(path).to_table())
    except InputError as error:
        notes.append(f"the board is left out: {error}")
        return {}
