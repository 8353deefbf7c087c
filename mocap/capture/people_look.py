"""Did the cameras see people in a take? A quick look at a few pictures of each, right after it was recorded.

The look doubts a take, it does not condemn it: a handful of pictures may miss who came late or left early.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Int, UInt8

from mocap.core.errors import InputError, sentence_for_user, sentence_of_fault
from mocap.io.session_files import open_take
from mocap.io.video_reader import VideoReader
from mocap.models.detector import Detector2D

PICTURES = 5
LOOK_PX = 640
"""Longer side of the pictures that are looked at."""
SURE = 0.5
"""Mean confidence of the keypoints from which somebody is believed to be there."""
NICENESS = 15
"""Whatever is recorded or calculated goes first."""
NO_NETWORKS = "people were not looked for: the networks are not on this computer (`mocap models fetch`)"


@dataclass(frozen=True)
class PeopleLook:
    """looked, seen: pictures that were looked at, and those with somebody in them, by camera. problem: why nobody
    could look, empty where it went well."""

    looked: Mapping[str, int] = field(default_factory=dict)
    seen: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""

    @property
    def blind(self) -> tuple[str, ...]:
        """Cameras that saw nobody."""
        return tuple(name for name, count in self.looked.items() if count and not self.seen.get(name))

    @property
    def doubtful(self) -> bool:
        """Whether there is a camera that saw nobody."""
        return bool(self.blind)

    @property
    def sentence(self) -> str:
        """For the verdict."""
        if self.problem:
            return self.problem
        count = max(self.looked.values(), default=0)
        if not count:
            return "people were not looked for: no picture could be read"
        pictures = f"in {count} pictures of the take" if count > 1 else "in the one picture of the take"
        if not self.blind:
            return f"people are seen by {_all(len(self.looked))}"
        if len(self.blind) == len(self.looked):
            return f"nobody is seen by any camera {pictures}"
        return f"nobody is seen by {', '.join(self.blind)} {pictures}"


def look_for_people(take_root: Path) -> PeopleLook:
    """Look at a few pictures of every camera of a take, one thread, without tracking anybody."""
    from mocap.models.blazepose import BlazePose, BlazePoseConfig  # a second, which the program that records is spared
    from mocap.models.weights import BLAZEPOSE, blazepose_weights, is_fetched

    if not is_fetched(BLAZEPOSE):
        return PeopleLook(problem=NO_NETWORKS)
    take = open_take(take_root)
    quick = BlazePoseConfig(mirror=False, search_levels=0)
    detector = BlazePose(blazepose_weights(), quick, max_people=1, threads=1)
    looked, seen = {}, {}
    for name, path in take.videos.items():
        pictures = _some_pictures(path, take.rotations.get(name, 0))
        looked[name] = len(pictures)
        seen[name] = sum(_somebody(detector, picture) for picture in pictures)
    return PeopleLook(looked, seen)


def look_in_process(connection: Connection, take_root: str) -> None:
    """Send what a look at a take comes to. Entry of a process of its own, which may be ended at any moment."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError, AttributeError):  # Windows has no such call
        os.nice(NICENESS)
    cv2.setNumThreads(1)
    try:
        look = look_for_people(Path(take_root))
    except Exception as error:
        told = error.what if isinstance(error, InputError) else sentence_for_user(error) or sentence_of_fault(error)
        look = PeopleLook(problem=f"people could not be looked for: {told}")
    with suppress(BrokenPipeError):
        connection.send(look)
    connection.close()


def evenly_spaced(n_frames: int, count: int) -> Int[np.ndarray, "N"]:
    """Frames in the middle of `count` equal parts of a clip; all where it has fewer."""
    count = min(count, n_frames)
    return ((2 * np.arange(count) + 1) * n_frames // (2 * max(count, 1))).astype(np.int64)


def _all(count: int) -> str:
    return "the camera" if count == 1 else f"all {count} cameras"


def _some_pictures(path: Path, rotation: int) -> list[UInt8[np.ndarray, "h w 3"]]:
    with VideoReader(path, rotation=rotation) as reader:
        wanted = evenly_spaced(reader.info.n_readable, PICTURES)
        found = [next(iter(reader.frames(int(row), int(row) + 1)), None) for row in wanted]
    return [_small(frame.image) for frame in found if frame is not None]


def _small(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "h w 3"]:
    share = min(1.0, LOOK_PX / max(image.shape[:2]))
    size = (max(1, round(share * image.shape[1])), max(1, round(share * image.shape[0])))
    return np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _somebody(detector: Detector2D, picture: UInt8[np.ndarray, "h w 3"]) -> bool:
    detector.reset()
    (people,) = detector.detect([picture], [0])
    return any(float(person.confidence.mean()) >= SURE for person in people)
