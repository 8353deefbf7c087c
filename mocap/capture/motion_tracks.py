"""What clocks are found from by motion: people's keypoints in each camera as smooth tracks on its own time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from calibration.camera import Camera
from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.core.keypoints import Detections2D
from mocap.geometry.ray_tracks import RayTracks
from mocap.signal.local_quadratic import local_quadratic, steady_weights
from mocap.signal.person_chains import person_chains

FRAMES_EACH_SIDE = 2.6
"""Least half width of the smoothing: five samples at any time."""


FACE = ("nose", "eye", "ear", "mouth", "face", "pupil", "head")
MOST_POINTS = 40
LEAST_SHARE = 0.1
"""Of the frames of the most seen person: who is seen less tells nothing."""


class TrackConfig(Config):
    """smoothing_s: half width of the parabolas that tracks are read with; at least 2.6 frames of the slowest camera.
    step_s: of the grid. noise_share: expected error of a keypoint in sizes of the person (longer side of the box).
    most_people: in each camera, the most seen ones. min_confidence: keypoints below it are not used.
    """

    smoothing_s: float = Field(default=0.15, gt=0)
    step_s: float = Field(default=1 / 30, gt=0)
    noise_share: float = Field(default=0.008, gt=0)
    most_people: int = Field(default=4, ge=1)
    min_confidence: float = Field(default=0.2, ge=0, le=1)


@dataclass(frozen=True, eq=False)
class PersonTrack:
    """One person in one camera: stamp_s (F,), xy (F, J, 2) px, weight (F, J), size_px (F,)."""

    stamp_s: Float[np.ndarray, "F"]
    xy: Float[np.ndarray, "F J 2"]
    weight: Float[np.ndarray, "F J"]
    size_px: Float[np.ndarray, "F"]


def person_tracks(
    detections: Detections2D, camera: int, stamps_s: Float[np.ndarray, "F"], config: TrackConfig
) -> list[PersonTrack]:
    """The people of one camera, the most seen first."""
    rows = np.flatnonzero(detections.camera == camera)
    if len(rows) and detections.frame[rows].max() >= len(stamps_s):
        raise InputError(
            f"camera {detections.cameras[camera]} has people in frame {detections.frame[rows].max()}, "
            f"but times of {len(stamps_s)} frames only"
        )
    rows = rows[np.isfinite(stamps_s[detections.frame[rows]])]
    if not len(rows):
        return []
    joints = _joints(detections)
    stamp, xy = stamps_s[detections.frame[rows]], detections.xy[rows][:, joints]
    confidence = detections.confidence[rows][:, joints]
    size = np.maximum(detections.box[rows, 2:] - detections.box[rows, :2], 1.0).max(-1)
    owner = person_chains(detections.frame[rows], detections.track[rows], xy, size, stamp_s=stamp)
    weight = np.where(confidence >= config.min_confidence, confidence, 0.0)
    people = []
    for number in range(min(int(owner.max()) + 1, config.most_people)):
        mine = np.flatnonzero(owner == number)
        if len(mine) < LEAST_SHARE * (owner == 0).sum():
            break
        mine = mine[np.argsort(stamp[mine], kind="stable")]
        mine = mine[np.diff(stamp[mine], prepend=-np.inf) > 0]
        people.append(PersonTrack(stamp[mine], xy[mine], weight[mine], size[mine]))
    return people


def half_width_s(stamps_s: Mapping[str, Float[np.ndarray, "_"]], config: TrackConfig) -> float:
    """Of the smoothing, the same for all cameras, so that all show the same motion."""
    slowest = max((float(np.nanmedian(np.diff(s))) for s in stamps_s.values() if len(s) > 1), default=0.0)
    return max(config.smoothing_s, FRAMES_EACH_SIDE * slowest)


def ray_tracks(people: list[PersonTrack], camera: Camera, config: TrackConfig, *, half_width: float) -> RayTracks:
    """The people's keypoints as rays; a camera without people has one of whom nothing is seen."""
    start = min((float(p.stamp_s[0]) for p in people), default=0.0)
    end = max((float(p.stamp_s[-1]) for p in people), default=0.0)
    at = start + config.step_s * np.arange(max(2, int(np.floor((end - start) / config.step_s + 1e-6)) + 1))
    parts = [_rays(person, camera, at, half_width) for person in people]
    focal = float(np.sqrt(camera.intrinsics.K[0, 0] * camera.intrinsics.K[1, 1]))
    noise = [config.noise_share / focal * _size(person, at) for person in people]
    if not parts:
        nothing = np.full((1, len(at), 1, 3), np.nan)
        return RayTracks(camera.center, start, config.step_s, nothing, nothing, np.ones((1, len(at))))
    return RayTracks(
        camera.center,
        start,
        config.step_s,
        np.stack([value for value, _ in parts]),
        np.stack([rate for _, rate in parts]),
        np.stack(noise),
    )


def _rays(
    person: PersonTrack, camera: Camera, at: Float[np.ndarray, "N"], half_width: float
) -> tuple[Float[np.ndarray, "N J 3"], Float[np.ndarray, "N J 3"]]:
    ray = camera.ray(person.xy)
    weight = steady_weights(person.stamp_s, ray, person.weight, half_width_s=half_width)
    return local_quadratic(person.stamp_s, ray, weight, at, half_width_s=half_width)


def _size(person: PersonTrack, at: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
    """Apparent size, px, over time: a running median would do no better, as boxes hardly jump."""
    smooth = np.convolve(np.pad(person.size_px, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    return np.interp(at, person.stamp_s, smooth)


def _joints(detections: Detections2D) -> Int[np.ndarray, "J"]:
    """The body's keypoints with hands and feet, which move most; of sets with whole hands only the body's. Faces are
    seen from one side."""
    known = detections.keypoint_set
    names = [name for name in known.names if not any(word in name for word in FACE)]
    if len(names) > MOST_POINTS or not names:
        names = list(known.body or known.names)
    return known.indices(names)
