"""A board found in the clips of the shared four-camera session by this project, by caliscope and by aniposelib.

    python tools/benchmark.py detection

Seconds of the search alone (wall, and CPU of all threads), pictures in which the board was found, and corners.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark_calibration import ROOT, SESSION, peers_python
from calibration.board_file import read_board
from calibration.boards import CharucoBoard
from mocap.calibrate.detect_boards import detect_in_clips
from mocap.io.frame_times import read_frame_times

FOLDER = SESSION / "calibration" / "extrinsic"


def main(arguments: Sequence[str]) -> None:
    """Search with each tool, the best of some repeats."""
    parser = argparse.ArgumentParser(
        prog="benchmark.py detection", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(arguments)
    if not SESSION.is_dir():
        sys.exit(f"{SESSION} is not here")
    board = read_board(SESSION / "charuco.toml")
    clips = {path.stem: path for path in sorted(FOLDER.glob("cam_*.mp4"))}
    assert isinstance(board, CharucoBoard)
    for tool in ("ours", "caliscope", "aniposelib"):
        runs = [ours(clips, board) if tool == "ours" else by_peer(tool, clips, board) for _ in range(options.repeat)]
        wall, cpu = (min(run[key] for run in runs) for key in ("wall_s", "cpu_s"))
        found = f"{runs[0]['pictures']:.0f} pictures, {runs[0]['corners']:.0f} corners"
        print(f"{tool:<12}{wall:.2f} s ({cpu:.2f} s CPU): {found}")


def ours(clips: Mapping[str, Path], board: CharucoBoard) -> dict[str, float]:
    """With no hint that the print is inverted."""
    plain = CharucoBoard(board.squares_x, board.squares_y, board.square_m, board.marker_m, board.dictionary)
    times = read_frame_times(FOLDER / "timestamps.csv")
    started = np.array([time.perf_counter(), time.process_time()])
    seen, _ = detect_in_clips(clips, plain, times=times)
    wall, cpu = np.array([time.perf_counter(), time.process_time()]) - started
    return {"wall_s": wall, "cpu_s": cpu, "pictures": seen.n_views, "corners": seen.n_corners}


def by_peer(tool: str, clips: Mapping[str, Path], board: CharucoBoard) -> dict[str, float]:
    """With what the session file says of the print, where the tool can be told."""
    request = {
        "clips": {number: str(path) for number, path in enumerate(clips.values())},
        "timestamps": str(FOLDER / "timestamps.csv"),
        "columns": board.squares_x,
        "rows": board.squares_y,
        "square_m": board.square_m,
        "marker_m": board.marker_m,
        "dictionary": board.dictionary,
        "inverted": board.inverted,
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "request.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        command = [str(peers_python()), str(ROOT / "tools" / "peers" / "detect_boards.py"), tool, str(file)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
