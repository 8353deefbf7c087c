"""When cameras really take their pictures, what their clocks say of it, and cameras that are knocked.

A camera exposes `fps` times a second of its own clock. Its clock shows stamp = rate * time + offset, where time is the
scene's and rate = 1 + drift_ppm / 10⁶: a clock of +50 ppm gains 3 ms a minute and takes its pictures that much sooner.
All times are those of the middle of the exposure.

An exposure can be lost (`dropped`, `bursts`): there is no frame of it. Or the recorder writes the frame before once
more in its place (`duplicated`): the frame shows the old moment, with the stamp of the new one. Files of a constant
rate (stamps = "nominal") count frames and know nothing of losses: all that comes after one is stamped too early.

Worked example: 10 frames a second for 0.6 s, offset 100 s, exposure 2 lost, exposure 4 replaced by its predecessor:

| exposure | 0 | 1 | 2 | 3 | 4 | 5 |
|---|---|---|---|---|---|---|
| time_s | 0.0 | 0.1 | | 0.3 | 0.3 | 0.5 |
| stamp_s, "clock" | 100.0 | 100.1 | | 100.3 | 100.4 | 100.5 |
| stamp_s, "nominal" | 100.0 | 100.1 | | 100.2 | 100.3 | 100.4 |
| repeated | no | no | | no | yes | no |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field
from scipy.spatial.transform import Rotation

from calibration.camera import Camera
from calibration.transforms import RigidTransform
from mocap.core.config import Config
from mocap.core.errors import ConfigError

LARGEST_JITTER = 0.4
"""Of a frame's duration; two exposures never change places."""


class RateStep(Config):
    """From `at_s` (scene time) on, the camera takes `fps` frames a second, as phones do when it gets dark."""

    at_s: float = Field(default=0.0, ge=0)
    fps: float = Field(default=30.0, gt=0)


class CameraMove(Config):
    """A camera is knocked, or put elsewhere: at scene time `at_s`, within `takes_s`.

    shift_m: of its centre, in the world's axes. turn_deg: rotation vector about its centre, in the camera's own axes
    (x right, y down, z forward) before the move.
    """

    at_s: float = Field(default=0.0, ge=0)
    takes_s: float = Field(default=0.2, gt=0)
    shift_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)


class CameraFaults(Config):
    """What is wrong with one camera and its recording; by default nothing.

    offset_s, drift_ppm: of its clock. dropped: share of single exposures that are lost. bursts, burst_frames: number of
    times that so many are lost in a row. duplicated: share of frames that show the one before them. jitter_s: standard
    deviation of the exposures' times. rate_steps: changes of the frame rate. starts_late_s, stops_after_s: scene times
    of the first exposure, and from which on there is none. stamps: what the file keeps of the clock, see above.
    stamps_from_zero: the file's first stamp is 0, as in most video files, which changes the offset accordingly.
    """

    offset_s: float = 0.0
    drift_ppm: float = Field(default=0.0, gt=-1e5, lt=1e5)
    dropped: float = Field(default=0.0, ge=0, le=0.9)
    bursts: int = Field(default=0, ge=0)
    burst_frames: int = Field(default=8, ge=1)
    duplicated: float = Field(default=0.0, ge=0, le=0.9)
    jitter_s: float = Field(default=0.0, ge=0)
    rate_steps: tuple[RateStep, ...] = ()
    starts_late_s: float = Field(default=0.0, ge=0)
    stops_after_s: float | None = Field(default=None, gt=0)
    stamps: Literal["clock", "nominal"] = "clock"
    stamps_from_zero: bool = False
    moves: tuple[CameraMove, ...] = ()


@dataclass(frozen=True, eq=False)
class FrameClock:
    """The frames that a camera has written.

    time_s: (F,) scene time of what each shows. stamp_s: (F,) what the file says. repeated: (F,) frames that show the
    one before. exposure: (F,) number of the exposure that each frame stands for, lost ones counted. dropped: (D,)
    numbers of those lost. offset_s, rate: of the clock; stamp = rate * time + offset for every frame that is not
    repeated, if `stamps` is "clock".
    """

    time_s: Float[np.ndarray, "F"]
    stamp_s: Float[np.ndarray, "F"]
    repeated: Bool[np.ndarray, "F"]
    exposure: Int[np.ndarray, "F"]
    dropped: Int[np.ndarray, "D"]
    offset_s: float
    rate: float

    def __len__(self) -> int:
        return len(self.time_s)


def frame_clock(faults: CameraFaults, *, fps: float, seconds: float, rng: np.random.Generator) -> FrameClock:
    """The frames of one camera in a take of `seconds`. The first exposure is neither lost nor replaced."""
    time = _exposures(faults, fps, seconds, rng)
    lost = _lost(faults, len(time), rng)
    repeated = rng.random(len(time)) < faults.duplicated
    repeated[0] = False
    return written_frames(faults, time, lost=lost, repeated=repeated, fps=fps)


def written_frames(
    faults: CameraFaults,
    exposed_s: Float[np.ndarray, "E"],
    *,
    lost: Bool[np.ndarray, "E"],
    repeated: Bool[np.ndarray, "E"],
    fps: float,
) -> FrameClock:
    """What the recorder makes of exposures at scene times `exposed_s`, of which some are lost or replaced.

    fps: what a file of constant rate counts with.
    """
    exposure = np.flatnonzero(~lost)
    own, again = exposed_s[exposure], repeated[exposure]
    shown = own[np.maximum.accumulate(np.where(again, 0, np.arange(len(own))))]
    rate, offset = 1 + 1e-6 * faults.drift_ppm, faults.offset_s
    if faults.stamps_from_zero:
        offset = -rate * float(own[0])
    stamp = rate * own + offset
    if faults.stamps == "nominal":
        stamp = stamp[0] + np.arange(len(own)) / fps
    return FrameClock(
        time_s=shown,
        stamp_s=stamp,
        repeated=again,
        exposure=exposure,
        dropped=np.flatnonzero(lost),
        offset_s=float(offset),
        rate=rate,
    )


def _exposures(faults: CameraFaults, fps: float, seconds: float, rng: np.random.Generator) -> Float[np.ndarray, "E"]:
    """Scene times at which the camera exposes, from its start to its stop, in order."""
    end = min(seconds, faults.stops_after_s or seconds)
    if faults.starts_late_s >= end:
        raise ConfigError(
            f"a camera that starts at {faults.starts_late_s:g} s takes no picture before {end:g} s",
            remedy="Let it start sooner, stop later, or make the take longer.",
        )
    rate, start, parts = 1 + 1e-6 * faults.drift_ppm, faults.starts_late_s, []
    for until, pace in _paces(faults, fps, end):
        count = max(0, int(np.ceil((until - start) * pace * rate - 1e-9)))
        parts.append(start + np.arange(count) / (pace * rate))
        start += count / (pace * rate)
    time = np.concatenate(parts)
    if faults.jitter_s:
        room = LARGEST_JITTER * np.diff(time, append=time[-1] + 1 / fps).min()
        time = time + np.clip(rng.normal(0, faults.jitter_s, len(time)), -room, room)
    return np.clip(time, 0.0, end)


def _paces(faults: CameraFaults, fps: float, end: float) -> list[tuple[float, float]]:
    """(until, frames a second) of every stretch of even rate."""
    steps = sorted((step for step in faults.rate_steps if step.at_s < end), key=lambda step: step.at_s)
    ends = [*(step.at_s for step in steps), end]
    return list(zip(ends, [fps, *(step.fps for step in steps)], strict=True))


def _lost(faults: CameraFaults, count: int, rng: np.random.Generator) -> Bool[np.ndarray, "E"]:
    lost = rng.random(count) < faults.dropped
    for start in rng.integers(1, max(2, count - faults.burst_frames), faults.bursts):
        lost[start : start + faults.burst_frames] = True
    lost[0] = False
    return lost


def moved_camera(camera: Camera, moves: Sequence[CameraMove], time_s: float) -> Camera:
    """The camera as it stands at a scene time."""
    pose = camera_poses(camera, moves, np.array([time_s]))[0]
    return replace(camera, cam_from_world=RigidTransform(pose[:3, :3], pose[:3, 3]))


def camera_poses(
    camera: Camera, moves: Sequence[CameraMove], time_s: Float[np.ndarray, "F"]
) -> Float[np.ndarray, "F 4 4"]:
    """cam_from_world at scene times, one move after the other."""
    R, center = np.tile(camera.cam_from_world.R, (len(time_s), 1, 1)), np.tile(camera.center, (len(time_s), 1))
    for move in sorted(moves, key=lambda move: move.at_s):
        x = np.clip((time_s - move.at_s) / move.takes_s, 0, 1)
        done = (x**3 * (10 - 15 * x + 6 * x**2))[:, None]  # minimum jerk
        # Where the camera's axes have gone by the turn, the world goes by its inverse as the camera sees it.
        R = Rotation.from_rotvec(-done * np.deg2rad(move.turn_deg)).as_matrix() @ R
        center = center + done * move.shift_m
    poses = np.tile(np.eye(4), (len(time_s), 1, 1))
    poses[:, :3, :3] = R
    poses[:, :3, 3] = -np.einsum("fab,fb->fa", R, center)
    return poses


def sample_knock(rng: np.random.Generator, at_s: float) -> CameraMove:
    """Someone touches a tripod: some millimetres to centimetres, about one to four degrees."""
    turn, shift = rng.standard_normal(3), rng.standard_normal(3)
    turn *= rng.uniform(1.0, 4.0) / np.linalg.norm(turn)
    shift *= rng.uniform(0.005, 0.04) / np.linalg.norm(shift)
    return CameraMove(
        at_s=at_s, takes_s=rng.uniform(0.1, 0.3), shift_m=tuple(shift.tolist()), turn_deg=tuple(turn.tolist())
    )


def sample_phone(rng: np.random.Generator) -> CameraFaults:
    """A phone that somebody starts by hand: within two seconds, own clock, uneven frame times, now and then a loss."""
    return CameraFaults(
        drift_ppm=rng.normal(0, 20),
        dropped=rng.choice([0.0, 0.002, 0.01]),
        jitter_s=rng.uniform(0.0002, 0.0015),
        starts_late_s=rng.uniform(0, 2),
        stamps_from_zero=True,
    )


def sample_webcam(rng: np.random.Generator) -> CameraFaults:
    """A webcam on the recording computer: started together but free-running, stamped on arrival, sometimes stalling."""
    return CameraFaults(
        offset_s=rng.uniform(0.01, 0.06),
        drift_ppm=rng.normal(0, 5),
        dropped=rng.uniform(0, 0.02),
        duplicated=rng.uniform(0, 0.01),
        jitter_s=rng.uniform(0.0005, 0.004),
        starts_late_s=rng.uniform(0, 1 / 30),
    )
