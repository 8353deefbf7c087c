"""Has a camera moved since the calibration? Any points that several cameras see tell: a person's joints, a board.

Every camera is asked in turn: would the views agree if this one alone stood elsewhere? The camera whose new pose
explains most is named when its movement is more than what noise of the points, and small faults of any calibration,
would make up; then the rest are asked again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Float

from calibration.camera import Camera, Rig

Verdict = Literal["unmoved", "moved", "late", "noisy", "unknown"]


@dataclass(frozen=True)
class CheckConfig:
    """What counts as a movement.

    tolerance_px: a camera whose picture of the points shifts by less (RMS) has not moved: no calibration is better.
    least_ratio: so many times what noise of the points would appear as. max_points: points (frame and joint) looked at;
    frames are left out evenly beyond.
    """

    tolerance_px: float = 2.0
    least_ratio: float = 4.0
    max_points: int = 4000


@dataclass(frozen=True, eq=False)
class CameraCheck:
    """One camera against the others.

    n_points: points that it and at least two others see. error_px: median distance to where the others put them;
    after_px: the same from the pose that fits best. shift_m (3,): from its place in the rig to that pose, world.
    turn_rad (3,): rotation vector in its own axes. shift_std_m, turn_std_rad: standard deviations of their lengths'
    components (RMS over axes). effect_px: how far (RMS) that pose moves the points in its picture; noise_px: how far
    noise alone would. late_s: delay that explains it better than a movement does, in frames of the given points; 0.
    """

    camera: str
    verdict: Verdict
    n_points: int
    error_px: float
    after_px: float
    shift_m: Float[np.ndarray, "3"]
    turn_rad: Float[np.ndarray, "3"]
    shift_std_m: float
    turn_std_rad: float
    effect_px: float
    noise_px: float
    late_frames: float
    sentence: str


@dataclass(frozen=True, eq=False)
class RigCheck:
    """All cameras in the order of the rig. moved: those that should be solved again. noise_px: of the points, one
    coordinate. sentences: what a user should know, the worst first."""

    cameras: tuple[CameraCheck, ...]
    moved: tuple[str, ...]
    noise_px: float
    sentences: tuple[str, ...] = field(default=())

    def __getitem__(self, name: str) -> CameraCheck:
        return next(camera for camera in self.cameras if camera.camera == name)


def check_rig(
    rig: Rig,
    px: Float[np.ndarray, "T C J 2"],
    weight: Float[np.ndarray, "T C J"],
    config: CheckConfig | None = None,
) -> RigCheck:
    """Which cameras do not stand where the rig says. px: distorted, NaN or weight 0 where unseen; cameras as in the
    rig; J names the same points in every frame (two people: 2 J)."""
    raise NotImplementedError


def resolve_camera(
    rig: Rig,
    name: str,
    px: Float[np.ndarray, "T C J 2"],
    weight: Float[np.ndarray, "T C J"],
    config: CheckConfig | None = None,
) -> tuple[Camera, Float[np.ndarray, "6 6"]]:
    """That camera's pose from what it and the others see, everything else left alone.

    The covariance is of (rotation w with R = exp(w) R0, rad; centre, m, world).
    """
    raise NotImplementedError
