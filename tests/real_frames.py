"""Frames of the real footage beside the checkout."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mocap.io.video import VideoReader

TREADMILL = {
    "cam01": "pose2sim_blender/Examples/cam01_cut.mp4",
    "cam02": "pose2sim_blender/Examples/cam02_cut.mp4",
    "cam03": "pose2sim/HEAD/Demo_SinglePerson/videos/cam03.mp4",
    "cam04": "pose2sim/HEAD/Demo_SinglePerson/videos/cam04.mp4",
}
"""A man on a treadmill, 100 frames of 1088x1920, and a woman in the background of cam01 and cam02."""


def frames_of(path: Path, indices: Iterable[int]) -> list[np.ndarray]:
    """The pictures of these indices, in ascending order."""
    with VideoReader(path) as reader:
        return [reader.read(index).image for index in sorted(indices)]
