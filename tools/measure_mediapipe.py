"""What MediaPipe's own pose solution says about some frames of the shared material, as a fixture for tests.

MediaPipe wants an old numpy, so run this in an environment of its own; it needs nothing of this project:

    python3.11 -m venv venv-mediapipe
    venv-mediapipe/bin/pip install mediapipe==0.10.21 av
    venv-mediapipe/bin/python tools/measure_mediapipe.py ../shared/data tests/mocap/models/fixtures/mediapipe_pose.json

Pixels in the fixture are MediaPipe's normalised coordinates times the image's size.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.metadata
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np

POSE2SIM, WEBCAMS = "pose2sim/HEAD/Demo_SinglePerson/videos", "caliscope/sessions/charuco_calibration/calibration"
FRAMES = {
    "pose2sim_blender/Examples/cam01_cut.mp4": (0, 30, 60, 90),
    "pose2sim_blender/Examples/cam02_cut.mp4": (0, 30, 60, 90),
    f"{POSE2SIM}/cam03.mp4": (0, 30, 60, 90),
    f"{POSE2SIM}/cam04.mp4": (0, 30, 60, 90),
    f"{WEBCAMS}/extrinsic/cam_0.mp4": (0, 60),
    f"{WEBCAMS}/extrinsic/cam_1.mp4": (0, 30, 60, 90),
    f"{WEBCAMS}/extrinsic/cam_2.mp4": (0, 30, 60, 90),
    f"{WEBCAMS}/extrinsic/cam_3.mp4": (0, 30, 60, 90),
    "single_view/Sports2D/Sports2D/Demo/demo.mp4": (60, 90, 120, 200),
}


def main() -> None:
    """Write the fixture."""
    parser = argparse.ArgumentParser(description="Run MediaPipe's pose solution on frames of the shared material.")
    parser.add_argument("data", type=Path, help="the folder of shared material")
    parser.add_argument("output", type=Path, help="the JSON file to write")
    arguments = parser.parse_args()
    solution: Any = importlib.import_module("mediapipe").solutions.pose
    with solution.Pose(static_image_mode=True, model_complexity=1) as pose:
        frames = [
            {"video": video, "frame": index, "landmarks": landmarks(pose, image)}
            for video, indices in FRAMES.items()
            for index, image in images(arguments.data / video, indices)
        ]
    document = {"mediapipe": importlib.metadata.version("mediapipe"), "model_complexity": 1, "frames": frames}
    arguments.output.write_text(json.dumps(document).replace('{"video"', '\n{"video"') + "\n", encoding="utf-8")


def images(path: Path, indices: Sequence[int]) -> Iterator[tuple[int, np.ndarray]]:
    """Frames of a video, RGB, by their place in presentation order."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index in indices:
                yield index, frame.to_ndarray(format="rgb24")
            if index >= max(indices):
                return


def landmarks(pose: Any, image: np.ndarray) -> list[list[float]]:
    """33 rows of x px, y px, visibility; empty where MediaPipe finds nobody."""
    found = pose.process(np.ascontiguousarray(image)).pose_landmarks
    height, width = image.shape[:2]
    rows = found.landmark if found is not None else []
    return [[round(p.x * width, 2), round(p.y * height, 2), round(p.visibility, 4)] for p in rows]


if __name__ == "__main__":
    main()
