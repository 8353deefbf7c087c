"""OpenCap sessions: `Videos/Cam*/InputMedia/<trial>/<trial>.mov` and `Videos/Cam*/cameraIntrinsicsExtrinsics.pickle`.

The pickles are never unpickled: `mocap.io.numpy_pickle` carries out by hand what plain arrays need and refuses all
else. They hold (opencap-core, utilsChecker.py): intrinsicMat (3, 3) px, distortion (1, 5), imageSize (height, width),
rotation (3, 3) and translation (3, 1) mm from the checkerboard to the camera. Which way is up follows from how the
board was mounted (sessionMetadata.yaml; opencap-core, main.py): x of the board is level, and up is

| placement | up |
|---|---|
| backWall | -y, or +y where rotation[1, 1] of a camera is negative: the board hangs upside down |
| backWall_largeCB | +y |
| backWall_walking | -y |
| ground | +z |
| ground_jumps, ground_gaits | -z |

Where the floor lies is not known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Intrinsics, Rig
from calibration.errors import CalibrationError
from calibration.transforms import RigidTransform, nearest_rotation
from mocap.core.errors import FileFormatError, InputError
from mocap.io.layouts.folders import entries, videos_in
from mocap.io.numpy_pickle import parse_numpy_pickle
from mocap.io.plain_pickle import NotPlainDataError
from mocap.io.session_files import natural_order
from mocap.io.session_plan import ImportPlan, PlannedFile, clean_name

LAYOUT = "opencap"
PICKLE = "cameraIntrinsicsExtrinsics.pickle"
MAX_BYTES = 2**20
SYNCED = re.compile(r"(?i)_sync(hroni[sz]ed)?$")
CALIBRATION_TRIALS = ("calibration", "extrinsics")
UP = {
    "backWall": (0.0, -1.0, 0.0),
    "backWall_largeCB": (0.0, 1.0, 0.0),
    "backWall_walking": (0.0, -1.0, 0.0),
    "ground": (0.0, 0.0, 1.0),
    "ground_jumps": (0.0, 0.0, -1.0),
    "ground_gaits": (0.0, 0.0, -1.0),
}


def plan(root: Path) -> ImportPlan | None:
    """None where there is no Videos/Cam*/."""
    cameras = [folder for folder in entries(root / "Videos") if folder.is_dir() and folder.name.startswith("Cam")]
    if not cameras or not any((folder / "InputMedia").is_dir() or (folder / PICKLE).is_file() for folder in cameras):
        return None
    trials = {trial.name for camera in cameras for trial in entries(camera / "InputMedia") if trial.is_dir()}
    files, notes = [], []
    for trial in sorted(trials - {*CALIBRATION_TRIALS}, key=natural_order):
        videos = {camera.name: _videos(camera / "InputMedia" / trial) for camera in cameras}
        files += _take(clean_name(trial), videos, notes)
    rig, told = _rig(root, cameras)
    return ImportPlan(
        LAYOUT,
        root,
        tuple(camera.name for camera in cameras),
        tuple(files),
        rig=rig,
        rig_source=None if rig is None else cameras[0] / PICKLE,
        world_frame="Z up, zero at the checkerboard's first corner",
        notes=(*notes, *told),
    )


def _videos(folder: Path) -> dict[bool, Path]:
    """The trial's video as OpenCap synchronised it (True) and as the phone recorded it (False)."""
    found = {bool(SYNCED.search(path.stem)): path for path in videos_in(folder)}
    return {key: found[key] for key in (True, False) if key in found}


def _take(name: str, videos: Mapping[str, Mapping[bool, Path]], notes: list[str]) -> list[PlannedFile]:
    """Synchronised videos where every camera has one; never a mixture."""
    there = {camera: found for camera, found in videos.items() if found}
    synced = all(True in found for found in there.values())
    if not synced:
        there = {camera: found for camera, found in there.items() if False in found}
        notes.append(f"takes/{name}: its videos are not synchronised: run `mocap sync` on it")
    return [
        PlannedFile(found[synced], f"takes/{name}/video/{camera}{found[synced].suffix}")
        for camera, found in there.items()
    ]


def _rig(root: Path, folders: list[Path]) -> tuple[Rig | None, tuple[str, ...]]:
    try:
        found = {folder.name: _parameters(folder / PICKLE) for folder in folders if (folder / PICKLE).is_file()}
        placement = _placement(root)
        if len(found) < 2:
            return None, ("there is no calibration of two cameras",) if found else ()
        world = _world_from_board(placement, next(iter(found.values()))["rotation"])
        rig = Rig(tuple(_camera(name, values, world) for name, values in found.items()))
    except InputError as error:
        return None, (f"the calibration is left out: {error}",)
    return rig, ("the calibration does not say where the floor is: its zero is the checkerboard's first corner",)


def _parameters(path: Path) -> dict[str, Float[np.ndarray, "..."]]:
    """The arrays of a pickle, by name."""
    if path.stat().st_size > MAX_BYTES:
        raise FileFormatError(f"is larger than {MAX_BYTES} bytes: no camera's parameters", where=path)
    try:
        found = parse_numpy_pickle(path.read_bytes())
    except NotPlainDataError as error:
        raise FileFormatError(
            f"holds more than arrays ({error}), so it is not opened: it could run code", where=path
        ) from None
    shapes = {"intrinsicMat": 9, "imageSize": 2, "rotation": 9, "translation": 3}
    if not isinstance(found, dict) or any(_size(found, name) != size for name, size in shapes.items()):
        raise FileFormatError(f"does not hold {', '.join(shapes)} of a camera", where=path)
    return {name: np.asarray(found[name], dtype=np.float64) for name in (*shapes, "distortion") if _size(found, name)}


def _size(found: Mapping[str, object], name: str) -> int:
    """Numbers of an array of floats; 0 for what is none."""
    value = found.get(name)
    return value.size if isinstance(value, np.ndarray) and value.dtype.kind in "fiu" else 0


def _placement(root: Path) -> str:
    """How the board was mounted, of sessionMetadata.yaml; OpenCap's usual way where it does not say."""
    path = root / "sessionMetadata.yaml"
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    match = re.search(r"(?m)^\s*placement:\s*['\"]?(\w+)", text)
    placement = match[1] if match else "backWall"
    if placement not in UP:
        raise CalibrationError(f"a board placed as {placement!r} is not known", where=path)
    return placement


def _world_from_board(placement: str, rotation: Float[np.ndarray, "3 3"]) -> RigidTransform:
    """Z up, x along the board."""
    up = np.array(UP[placement])
    if placement == "backWall" and rotation[1, 1] < 0:
        up = -up
    x = np.array([1.0, 0.0, 0.0])
    return RigidTransform(np.stack([x, np.cross(up, x), up]), np.zeros(3))


def _camera(name: str, values: Mapping[str, Float[np.ndarray, "..."]], world_from_board: RigidTransform) -> Camera:
    height, width = values["imageSize"].ravel()
    distortion = np.zeros(5)
    given = values.get("distortion", np.zeros(5)).ravel()[:5]
    distortion[: len(given)] = given
    cam_from_board_R = nearest_rotation(values["rotation"].reshape(3, 3))
    R = cam_from_board_R @ world_from_board.R.T
    intrinsics = Intrinsics((round(width), round(height)), values["intrinsicMat"].reshape(3, 3), distortion)
    return Camera(name, intrinsics, RigidTransform(R, values["translation"].ravel() / 1000.0))
