"""A body of points that moves without end, seen by a ring of cameras: everything is a formula of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calibration.camera import Intrinsics, Rig
from calibration.synthetic import ring
from mocap.core.clock import Clock
from mocap.core.keypoints import Detections2D, KeypointSet

NAMES = tuple(f"marker{k}" for k in range(10))
MARKERS = KeypointSet("markers", NAMES, (), (), NAMES)


def round_the_room(cameras: int = 3) -> Rig:
    """A ring that looks at the middle of a room."""
    K = np.array([[700.0, 0.0, 630.0], [0.0, 705.0, 350.0], [0.0, 0.0, 1.0]])
    return ring(cameras, Intrinsics((1280, 720), K, np.array([-0.1, 0.02, 0.001, -0.0005])), radius_m=3.5)


def dancing_points(time_s: np.ndarray, seed: int, place: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """(N, 10, 3) m at any times: a body that sways and points that swing about it, no period alike."""
    rng = np.random.default_rng(seed)
    still = rng.uniform([-0.3, -0.3, 0.3], [0.3, 0.3, 1.7], (len(NAMES), 3)) + [*place, 0.0]
    hertz = rng.uniform(0.13, 1.9, (len(NAMES) + 1, 5, 3))
    phase = rng.uniform(0, 2 * np.pi, hertz.shape)
    size = rng.uniform(0.02, 0.09, hertz.shape)
    waves = (size * np.sin(2 * np.pi * hertz * time_s[:, None, None, None] + phase)).sum(2)
    return still + waves[:, 1:] + 1.5 * waves[:, :1] * [1.0, 1.0, 0.3]


def detections_of(
    bodies: Sequence[tuple[int, tuple[float, float]]],
    rig: Rig,
    times_s: Mapping[str, np.ndarray],
    *,
    noise_px: float,
    seed: int = 0,
) -> Detections2D:
    """What cameras report at scene times (F,) of their frames; people in random order, without ids."""
    rng, columns = np.random.default_rng(seed), []
    for camera in rig:
        own = times_s[camera.name]
        for number, place in bodies:
            xy = camera.project(dancing_points(own, number, place))
            columns.append((np.arange(len(own)), np.full(len(own), rig.names.index(camera.name)), xy))
    frame, index, xy = (np.concatenate(column) for column in zip(*columns, strict=True))
    xy = xy + noise_px * rng.standard_normal(xy.shape)
    order = rng.permutation(len(frame))
    frame, index, xy = frame[order], index[order], xy[order]
    box = np.concatenate([xy.min(1), xy.max(1)], axis=-1)
    confidence = np.full(xy.shape[:2], 0.9)
    length = max(len(own) for own in times_s.values())
    nobody = np.full(len(frame), -1)
    return Detections2D(rig.names, length, MARKERS, frame, index, nobody, xy, confidence, box, np.ones(len(frame)))


def frame_times(clock: Clock, fps: float, seconds: float) -> np.ndarray:
    """Scene times of the exposures of a camera whose clock's seconds begin with one."""
    first, last = np.ceil(clock.offset_s * fps), np.floor((clock.offset_s + clock.rate * seconds) * fps)
    return (np.arange(first, last + 1) / fps - clock.offset_s) / clock.rate
