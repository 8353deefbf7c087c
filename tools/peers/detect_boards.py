"""Find a ChArUco board in clips with another tool, as its users do.

    .venv-peers/bin/python tools/peers/detect_boards.py caliscope request.json

request.json: `clips` {number: path}, `timestamps` (a path), `columns`, `rows`, `square_m`, `marker_m`, `dictionary`,
`inverted`. caliscope is told of an inverted print, since it has a setting for it; aniposelib has none. Prints wall and
CPU seconds, pictures with the board and corners as JSON.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def with_aniposelib(request: Mapping[str, Any]) -> tuple[int, int]:
    """`detect_video` of one clip after the other, with its own choice of frames."""
    from aniposelib.boards import CharucoBoard  # type: ignore[import-not-found]

    bits, size = map(int, re.fullmatch(r"DICT_(\d)X\d_(\d+)", request["dictionary"]).groups())  # type: ignore[union-attr]
    lengths = request["square_m"], request["marker_m"]
    board = CharucoBoard(request["columns"], request["rows"], *lengths, marker_bits=bits, dict_size=size)
    rows = [row for path in request["clips"].values() for row in board.detect_video(path)]
    return len(rows), sum(len(row["ids"]) for row in rows)


def with_caliscope(request: Mapping[str, Any]) -> tuple[int, int]:
    """`extract_image_points_multicam`, all clips at a time."""
    from caliscope.api import Charuco, CharucoTracker, extract_image_points_multicam  # type: ignore[import-not-found]

    board = Charuco.from_squares(
        request["columns"],
        request["rows"],
        100 * request["square_m"],
        dictionary=request["dictionary"],
        aruco_scale=request["marker_m"] / request["square_m"],
        inverted=request["inverted"],
    )
    clips = {int(number): path for number, path in request["clips"].items()}
    found = extract_image_points_multicam(
        clips, CharucoTracker(board), timestamps=request["timestamps"], progress=None
    ).df
    return len(found.groupby(["cam_id", "frame_index"])), len(found)


FOUND_BY = {"aniposelib": with_aniposelib, "caliscope": with_caliscope}


def main() -> None:
    """Detect once, with everything imported before the clock starts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", choices=FOUND_BY)
    parser.add_argument("request", type=Path)
    options = parser.parse_args()
    request = json.loads(options.request.read_text(encoding="utf-8"))
    importlib.import_module({"aniposelib": "aniposelib.boards", "caliscope": "caliscope.api"}[options.tool])
    started = time.perf_counter(), time.process_time()
    pictures, corners = FOUND_BY[options.tool](request)
    seconds = {"wall_s": time.perf_counter() - started[0], "cpu_s": time.process_time() - started[1]}
    print(json.dumps({**seconds, "pictures": pictures, "corners": corners}))


if __name__ == "__main__":
    main()
