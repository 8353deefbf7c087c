"""Calibrate cameras with caliscope from corners that somebody else has found, through its scripting interface.

    .venv-peers/bin/python tools/peers/solve_with_caliscope.py observations.npz solved.toml [--lenses array.toml]

observations.npz: the tables of `calibration.observations_file`. `calibrate_intrinsics` for every camera from its views
(with --lenses: the lenses of a camera_array.toml instead), then `calibrate_extrinsics` with the board's distances as
constraints, as its documentation has it. Prints wall and CPU seconds of each repeat, of
lenses and of the rest, as JSON.
"""

from __future__ import annotations

import argparse
import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-not-found]
from caliscope.api import (  # type: ignore[import-not-found]
    CameraArray,
    CameraData,
    Charuco,
    ConstraintSet,
    ImagePoints,
    calibrate_extrinsics,
    calibrate_intrinsics,
)


def board_of(points: np.ndarray) -> Charuco:
    """The board with these inner corners; its dictionary plays no part in a solve."""
    columns, rows = (len(np.unique(np.round(points[:, axis], 9))) for axis in (0, 1))
    square = float(points[1, 0] - points[0, 0])
    return Charuco.from_squares(columns + 1, rows + 1, 100 * square, dictionary="DICT_4X4_1000")


def image_points(tables: Any) -> ImagePoints:
    """The table that caliscope's trackers make."""
    view, place = tables["view"], tables["points"][tables["corner"]]
    columns = {
        "sync_index": tables["view_moment"][view],
        "cam_id": tables["view_camera"][view],
        "frame_index": tables["view_frame"][view],
        "frame_time": tables["view_time_s"][view],
        "object_id": np.zeros(len(view), dtype=int),
        "keypoint_id": tables["corner"],
        "img_loc_x": tables["xy"][:, 0],
        "img_loc_y": tables["xy"][:, 1],
        "obj_loc_x": place[:, 0],
        "obj_loc_y": place[:, 1],
        "obj_loc_z": place[:, 2],
    }
    return ImagePoints(pd.DataFrame(columns))


def solve(points: ImagePoints, cameras: CameraArray, board: Charuco) -> tuple[CameraArray, np.ndarray, np.ndarray]:
    """The solved cameras, and seconds of the lenses (0 when they are given) and of all after them, each (wall, CPU)."""
    cameras = deepcopy(cameras)
    times = [_now()]
    for number, camera in cameras.cameras.items():
        if camera.matrix is None:
            cameras[number] = calibrate_intrinsics(points, camera).camera
    times.append(_now())
    run = calibrate_extrinsics(points, cameras, ConstraintSet.from_charuco(board))
    times.append(_now())
    return run.capture_volume.camera_array, times[1] - times[0], times[2] - times[1]


def _now() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])


def main() -> None:
    """Solve, save in caliscope's own format, tell the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("observations", type=Path)
    parser.add_argument("solved", type=Path)
    parser.add_argument("--lenses", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with np.load(options.observations) as file:
        tables = dict(file)
    cameras = CameraArray(
        {n: CameraData(cam_id=n, size=(int(w), int(h))) for n, (w, h) in enumerate(tables["image_sizes"])}
    )
    if options.lenses is not None:
        cameras = CameraArray.from_toml(options.lenses)
        for camera in cameras.cameras.values():
            camera.rotation = camera.translation = None
    points, board = image_points(tables), board_of(tables["points"])
    runs = [solve(points, cameras, board) for _ in range(options.repeat)]
    runs[-1][0].to_toml(options.solved)
    (lens_wall, lens_cpu), (wall, cpu) = (np.array([run[part] for run in runs]).T.tolist() for part in (1, 2))
    print(json.dumps({"wall_s": wall, "cpu_s": cpu, "lens_wall_s": lens_wall, "lens_cpu_s": lens_cpu}))


if __name__ == "__main__":
    main()
