"""Pose2Sim projects: `Config.toml`, `calibration/` and trials with `videos/` or OpenPose JSON in `pose/`.

A trial is any folder with one of the two; parameters come from the nearest Config.toml above. Both the layout since
0.9 (`calibration/`, `videos/` right in the project) and the older one (`S00_Calibration`, `S00_P00_…/S00_P00_T01_…`)
are read.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mocap.io.layouts.folders import entries, folders_below, holds_images, videos_in
from mocap.io.session_files import natural_order
from mocap.io.session_plan import ImportPlan, PlannedFile, clean_name, first_calibration, named_rig

LAYOUT = "pose2sim"
POSE_FOLDERS = ("pose-sync", "pose")
JSON_FOLDER = "_json"
BOARD_METHOD = "board"


def plan(root: Path) -> ImportPlan | None:
    """None where there is no Config.toml of Pose2Sim, or no trial."""
    config = _config(root)
    if not {"pose", "triangulation", "personAssociation"} & config.keys():
        return None
    trials = [folder for folder in folders_below(root, 3) if _is_trial(folder)]
    names = [folder.name if folder != root else root.resolve().name for folder in trials]
    files, texts, notes = [], {}, []
    for name, folder in zip(map(clean_name, names), trials, strict=True):
        found = list(_recordings(folder, name))
        files += found
        if found and all("/detections/" in it.target for it in found):
            texts |= _take_text(root, folder, name, notes)
    cameras = _cameras(files)
    folder = next((f for f in folders_below(root, 2) if f != root and "calib" in f.name.casefold()), None)
    if not files and folder is None:
        return None
    clips = [] if folder is None else list(_clips(folder, config))
    rig, source, told = first_calibration([] if folder is None else _calibration_files(folder))
    if rig is not None:
        rig, assumed = named_rig(rig, cameras)
        told = (*told, *assumed)
    return ImportPlan(
        LAYOUT,
        root,
        cameras or tuple(rig.names if rig is not None else ()),
        (*files, *clips),
        rig=rig,
        rig_source=source,
        world_frame="Z up, as in the project",
        board=_board(config) if clips else {},
        texts=texts,
        notes=(*notes, *told),
    )


def _config(folder: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads((folder / "Config.toml").read_text(encoding="utf-8", errors="replace"))
    except (OSError, tomllib.TOMLDecodeError):
        return {}


def _is_trial(folder: Path) -> bool:
    return bool(videos_in(folder / "videos")) or any(_json_folders(folder / name) for name in POSE_FOLDERS)


def _json_folders(folder: Path) -> list[Path]:
    return [path for path in entries(folder) if path.is_dir() and path.name.endswith(JSON_FOLDER)]


def _recordings(folder: Path, take: str) -> Iterator[PlannedFile]:
    """Videos, and 2D results: of the synchronised ones only where there are no videos, which they do not belong to."""
    videos = videos_in(folder / "videos")
    cameras = _camera_names([path.stem for path in videos])
    for path, camera in zip(videos, cameras, strict=True):
        yield PlannedFile(path, f"takes/{take}/video/{camera}{path.suffix}")
    names = ("pose",) if videos else POSE_FOLDERS
    found = next((found for name in names for found in [_json_folders(folder / name)] if found), [])
    cameras = _camera_names([path.name.removesuffix(JSON_FOLDER) for path in found])
    for path, camera in zip(found, cameras, strict=True):
        yield PlannedFile(path, f"takes/{take}/detections/{camera}{JSON_FOLDER}")


def _camera_names(stems: Sequence[str]) -> list[str]:
    """Without what all have in common before the camera: trial_cam01 and trial_cam02 are cam01 and cam02."""
    found = [re.search(r"(?i)cam(?:era)?[ _-]?\d+", stem) for stem in stems]
    short = [match[0] for match in found if match]
    return short if len(set(short)) == len(stems) else [clean_name(stem) for stem in stems]


def _cameras(files: Sequence[PlannedFile]) -> tuple[str, ...]:
    names = (it.target.rpartition("/")[2].removesuffix(JSON_FOLDER).partition(".")[0] for it in files)
    return tuple(sorted(dict.fromkeys(names), key=natural_order))


def _take_text(root: Path, folder: Path, take: str, notes: list[str]) -> dict[str, str]:
    """take.toml of 2D results, which do not say how fast they are themselves."""
    above = [folder, *(p for p in folder.parents if p == root or root in p.parents)]
    rates = (_config(place).get("project", {}).get("frame_rate") for place in above)
    rate = next((rate for rate in rates if isinstance(rate, int | float)), None)
    if rate is None:
        notes.append(f"takes/{take}: Config.toml does not say how many frames a second; write it into take.toml")
        return {}
    return {f"takes/{take}/take.toml": f"[take]\nfps = {float(rate):g}\n"}


def _calibration_files(folder: Path) -> list[Path]:
    """The originals before what Pose2Sim made of them: its converter loses the lens correction of Qualisys files."""
    files = [path for path in entries(folder) if path.is_file() and path.suffix.lower() in (".toml", ".txt", ".yml")]
    return sorted(files, key=lambda path: path.suffix.lower() == ".toml")


def _clips(folder: Path, config: Mapping[str, Any]) -> Iterator[PlannedFile]:
    """Pictures of the board. Those of a scene that is clicked at by hand hold none."""
    yield from _clips_of(folder / "intrinsics", "intrinsics")
    extrinsics = config.get("calibration", {}).get("calculate", {}).get("extrinsics", {})
    if extrinsics.get("extrinsics_method") == BOARD_METHOD:
        yield from _clips_of(folder / "extrinsics", "extrinsics")


def _clips_of(folder: Path, kind: str) -> Iterator[PlannedFile]:
    for path in entries(folder):
        camera = re.sub(r"^(int|ext)_|_img$|_(int|ext)$", "", path.stem if path.is_file() else path.name)
        if path.is_dir() and holds_images(path):
            yield PlannedFile(path, f"calibration/{kind}/{camera}")
        elif path.is_dir() and videos_in(path):
            video = videos_in(path)[0]
            yield PlannedFile(video, f"calibration/{kind}/{camera}{video.suffix}")
        elif path.is_file() and holds_images(folder):
            yield PlannedFile(path, f"calibration/{kind}/{camera}/{path.name}")


def _board(config: Mapping[str, Any]) -> dict[str, Any]:
    """Their checkerboard: inner corners [height, width], side in mm."""
    values = config.get("calibration", {}).get("calculate", {}).get("intrinsics", {})
    corners, square = values.get("intrinsics_corners_nb"), values.get("intrinsics_square_size")
    if not isinstance(corners, list) or len(corners) != 2 or not isinstance(square, int | float):
        return {}
    return {"type": "checkerboard", "squares": [corners[1] + 1, corners[0] + 1], "square_mm": square}
