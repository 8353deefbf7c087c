"""Calibrate cameras with aniposelib from corners that somebody else has found, as its users do from videos.

    .venv-peers/bin/python tools/peers/solve_with_aniposelib.py observations.npz solved.toml [--lenses rig.toml]

observations.npz: the tables of `calibration.observations_file`. aniposelib's `calibrate_rows` with its defaults: focal
lengths from the views (with --lenses: the lenses of an aniposelib TOML, cameras in the same order, as the start), then
bundle adjustment of poses, focal lengths, one radial coefficient, points and boards.
Prints wall and CPU seconds of each repeat (the first has the compilation of its code in it) as JSON.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import time
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from aniposelib.boards import CharucoBoard  # type: ignore[import-not-found]
from aniposelib.cameras import CameraGroup  # type: ignore[import-not-found]


def board_of(points: np.ndarray) -> CharucoBoard:
    """The board with these inner corners; its dictionary plays no part in a solve."""
    columns, rows = (len(np.unique(np.round(points[:, axis], 9))) for axis in (0, 1))
    square = float(points[1, 0] - points[0, 0])
    return CharucoBoard(columns + 1, rows + 1, square, 0.75 * square, marker_bits=4, dict_size=1000)


def rows_of(tables: Any, board: CharucoBoard) -> list[list[dict[str, Any]]]:
    """Per camera what `detect_video` gives: frame number (the moment, since clips are synchronized), corners, ids."""
    rows: list[list[dict[str, Any]]] = [[] for _ in tables["cameras"]]
    for view in range(len(tables["view_camera"])):
        mine = tables["view"] == view
        corners, ids = tables["xy"][mine][:, None].astype(np.float32), tables["corner"][mine][:, None].astype(np.int32)
        number = (0, int(tables["view_moment"][view]))
        rows[int(tables["view_camera"][view])].append({"framenum": number, "corners": corners, "ids": ids})
    return [board.fill_points_rows(sorted(camera, key=lambda row: row["framenum"])) for camera in rows]


def solve(tables: Any, lenses: Path | None) -> tuple[CameraGroup, tuple[float, float]]:
    """The calibrated group, and seconds (wall, CPU) of `calibrate_rows`. It draws samples: the draws are fixed here."""
    board = board_of(tables["points"])
    rows = rows_of(tables, board)
    group = CameraGroup.load(str(lenses)) if lenses else CameraGroup.from_names([str(n) for n in tables["cameras"]])
    for camera, size in zip(group.cameras, tables["image_sizes"], strict=True):
        camera.set_size([int(v) for v in size])
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (what aniposelib draws from)
    started = time.perf_counter(), time.process_time()
    with redirect_stdout(StringIO()):
        group.calibrate_rows(copy.deepcopy(rows), board, init_intrinsics=lenses is None, verbose=False)
    return group, (time.perf_counter() - started[0], time.process_time() - started[1])


def main() -> None:
    """Solve, save in aniposelib's own format, tell the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("observations", type=Path)
    parser.add_argument("solved", type=Path)
    parser.add_argument("--lenses", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with np.load(options.observations) as file:
        tables = dict(file)
    runs = [solve(tables, options.lenses) for _ in range(options.repeat)]
    runs[-1][0].dump(str(options.solved))
    print(json.dumps({"wall_s": [s[0] for _, s in runs], "cpu_s": [s[1] for _, s in runs]}))


if __name__ == "__main__":
    main()
