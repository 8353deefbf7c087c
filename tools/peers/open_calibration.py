"""What other tools make of calibration files, as they open them themselves.

    .venv-peers/bin/python tools/peers/open_calibration.py aniposelib rig.toml other.toml

Beside each file, <stem>.points.npz holds `points` (N, 3) m and `px` (C, N, 2), their images. <stem>.opened.npz gets
`names`, `sizes` (C, 2), and, where the tool can, `px` (C, N, 2) as it images the points through its lenses, `found`
(N, 3) as it triangulates the given pixels, and `saved`, what it writes when it is asked to save what it has opened.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np


def with_aniposelib(path: Path, points: np.ndarray, px: np.ndarray) -> dict[str, Any]:
    """aniposelib's own projection, triangulation and writer."""
    from aniposelib.cameras import CameraGroup  # type: ignore[import-not-found]

    group = CameraGroup.load(str(path))
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "saved.toml"
        group.dump(str(saved))
        text = saved.read_text(encoding="utf-8")
    return {
        "names": group.get_names(),
        "sizes": [camera.get_size() for camera in group.cameras],
        "px": group.project(points).reshape(len(group.cameras), -1, 2),
        "found": group.triangulate(px, undistort=True),
        "saved": text,
    }


def with_pose2sim(path: Path, points: np.ndarray, px: np.ndarray) -> dict[str, Any]:
    """The steps of Pose2Sim's triangulation with `undistort_points = true`; it has no projection through a lens."""
    from Pose2Sim.common import (  # type: ignore[import-not-found]
        computeP,
        retrieve_calib_params,
        weighted_triangulation,
    )

    lenses = retrieve_calib_params(path)
    projections = computeP(path, undistort=True)
    straight = [
        cv2.undistortPoints(px[c][:, None], lenses["K"][c], lenses["dist"][c], None, lenses["optim_K"][c])[:, 0]
        for c in range(len(projections))
    ]
    sure = [1.0] * len(projections)
    found = [
        weighted_triangulation(projections, [s[n, 0] for s in straight], [s[n, 1] for s in straight], sure)[:3]
        for n in range(len(points))
    ]
    return {"names": _names(path), "sizes": lenses["S"], "found": found}


def _names(path: Path) -> list[str]:
    """As Pose2Sim's triangulation takes them from the file."""
    import rtoml  # type: ignore[import-not-found]

    skipped = ("metadata", "capture_volume", "charuco", "checkerboard")
    tables = rtoml.load(path)
    return [t.get("name") or key for key, t in tables.items() if key not in skipped and isinstance(t, dict)]


def with_caliscope(path: Path, points: np.ndarray, px: np.ndarray) -> dict[str, Any]:
    """caliscope's camera array; it images points with the functions of OpenCV called here."""
    from caliscope.api import CameraArray  # type: ignore[import-not-found]

    array = CameraArray.from_toml(path)
    seen = []
    for camera in array.cameras.values():
        rotation = cv2.Rodrigues(camera.rotation)[0]
        project = cv2.fisheye.projectPoints if camera.fisheye else cv2.projectPoints
        image, _ = project(points[:, None], rotation, camera.translation, camera.matrix, camera.distortions)
        seen.append(image[:, 0])
    with tempfile.TemporaryDirectory() as folder:
        saved = Path(folder) / "saved.toml"
        array.to_toml(saved)
        text = saved.read_text(encoding="utf-8")
    sizes = [camera.size for camera in array.cameras.values()]
    return {"names": [f"cam_{number}" for number in array.cameras], "sizes": sizes, "px": seen, "saved": text}


OPENED_BY = {"aniposelib": with_aniposelib, "pose2sim": with_pose2sim, "caliscope": with_caliscope}


def main() -> None:
    """Open files with one tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", choices=OPENED_BY)
    parser.add_argument("calibration", type=Path, nargs="+")
    options = parser.parse_args()
    for path in options.calibration:
        with np.load(path.with_suffix(".points.npz")) as given:
            result = OPENED_BY[options.tool](path, given["points"], given["px"])
        arrays: dict[str, Any] = {key: np.asarray(value) for key, value in result.items()}
        np.savez(path.with_suffix(".opened.npz"), **arrays)


if __name__ == "__main__":
    main()
