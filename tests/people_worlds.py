"""People who move about in a known rig, and what a 2D network would say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration import Rig
from mocap.core.keypoints import Detections2D, KeypointSet, load_keypoint_set

KEYPOINTS = load_keypoint_set("coco17")

_REST = {
    "nose": (0.0, -0.1, 0.92),
    "left_eye": (0.03, -0.09, 0.94),
    "left_ear": (0.07, 0.0, 0.93),
    "left_shoulder": (0.19, 0.02, 0.81),
    "left_elbow": (0.26, 0.05, 0.63),
    "left_wrist": (0.28, -0.05, 0.49),
    "left_hip": (0.1, 0.0, 0.53),
    "left_knee": (0.11, -0.02, 0.28),
    "left_ankle": (0.11, 0.05, 0.05),
}
"""Metres for a person of 1 m, facing -Y with left at +X."""


def body(
    n_frames: int,
    *,
    start: tuple[float, float],
    velocity: tuple[float, float] = (0.0, 0.0),
    height: float = 1.75,
    phase: float = 0.0,
    fps: float = 50.0,
    keypoint_set: KeypointSet = KEYPOINTS,
) -> np.ndarray:
    """(T, J, 3) m: someone who moves at a constant speed and swings arms and legs at 1 Hz; faces all ways by turns."""
    time = np.arange(n_frames) / fps
    points = np.empty((n_frames, len(keypoint_set), 3))
    for j, name in enumerate(keypoint_set.names):
        side = -1.0 if name.startswith("right") else 1.0
        x, y, z = _REST[name.replace("right", "left")]
        limb = name.split("_")[-1]
        reach = {"elbow": 0.05, "wrist": 0.13, "knee": 0.08, "ankle": 0.16}.get(limb, 0.0)
        swing = side * reach * np.sin(2 * np.pi * time + phase) * (1 if limb in ("knee", "ankle") else -1)
        points[:, j] = np.stack([np.full(n_frames, side * x), y + swing, z + 0.2 * np.abs(swing)], axis=-1) * height
    turn = phase + 0.5 * time
    cosine, sine = np.cos(turn)[:, None], np.sin(turn)[:, None]
    turned = np.stack(
        [cosine * points[..., 0] - sine * points[..., 1], sine * points[..., 0] + cosine * points[..., 1]], axis=-1
    )
    place = np.array(start) + time[:, None] * velocity
    return np.concatenate([turned + place[:, None], points[..., 2:]], axis=-1)


@dataclass(frozen=True, eq=False)
class Seen:
    """Detections and whose they are: person (N,), an index into the bodies, for every row."""

    detections: Detections2D
    person: np.ndarray

    def without(self, drop: np.ndarray) -> Seen:
        return Seen(self.detections.select(~drop), self.person[~drop])


def pixels_per_metre(rig: Rig, points: np.ndarray) -> np.ndarray:
    """(C, T) focal length over the distance of the body's middle."""
    middle = points.mean(1)
    focal = np.array([np.sqrt(camera.intrinsics.K[0, 0] * camera.intrinsics.K[1, 1]) for camera in rig])
    return focal[:, None] / np.linalg.norm(middle - rig.centers[:, None], axis=-1)


def seen_by(
    rig: Rig,
    bodies: Sequence[np.ndarray],
    *,
    noise_m: float = 0.008,
    seed: int = 0,
    keypoint_set: KeypointSet = KEYPOINTS,
) -> Seen:
    """Everybody in every camera and frame, with Gaussian noise of `noise_m` at their distance; tracks are people."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("frame", "camera", "xy", "confidence", "person")}
    for who, points in enumerate(bodies):
        scale = noise_m * pixels_per_metre(rig, points)
        px = rig.project(points)
        px = px + scale[..., None, None] * rng.normal(size=px.shape)
        for c in range(len(rig)):
            n = len(points)
            columns["frame"].append(np.arange(n))
            columns["camera"].append(np.full(n, c))
            columns["xy"].append(px[c])
            columns["confidence"].append(rng.uniform(0.6, 1.0, px[c].shape[:-1]))
            columns["person"].append(np.full(n, who))
    table = {name: np.concatenate(parts) for name, parts in columns.items()}
    order = rng.permutation(len(table["frame"]))
    order = order[np.lexsort((table["camera"][order], table["frame"][order]))]
    table = {name: column[order] for name, column in table.items()}
    box = np.concatenate([table["xy"].min(1), table["xy"].max(1)], axis=-1)
    detections = Detections2D(
        cameras=rig.names,
        n_frames=max(len(points) for points in bodies),
        keypoint_set=keypoint_set,
        frame=table["frame"],
        camera=table["camera"],
        track=table["person"],
        xy=table["xy"],
        confidence=table["confidence"],
        box=box,
        score=np.full(len(box), 0.9),
    )
    return Seen(detections, table["person"])
