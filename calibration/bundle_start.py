"""The start of a bundle adjustment: what is there, what may change, and whether the board moves between pictures."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from calibration.board_motion import BoardMotion
from calibration.bundle_motion import motion_prior, with_speeds
from calibration.bundle_parameters import Parameters
from calibration.bundle_problem import Kernel, Problem
from calibration.bundle_result import BundleConfig
from calibration.bundle_state import CameraState, Knots, State, camera_states
from calibration.bundle_views import lay_out
from calibration.camera import Rig
from calibration.errors import CalibrationError
from calibration.observations import BoardObservations
from calibration.transforms import RigidTransform

FEWEST_VIEWS_OF_A_SIDE = 8
"""Fewer say too little of where the print on that side lies."""

STARTING_JITTER_S = 0.005
"""What times of pictures are off by before anything is known of them."""


@dataclass(frozen=True, eq=False)
class Work:
    """What stays the same throughout."""

    rig: Rig
    motion: BoardMotion
    observations: BoardObservations
    config: BundleConfig
    parameters: Parameters
    back: np.ndarray
    moving: bool

    def start(self) -> tuple[Problem, State]:
        """The problem as it is given, every corner counting alike."""
        it, old = self.observations, self.motion
        kernel = Kernel(1.0, None, np.ones(it.n_corners, dtype=bool))
        row = np.where(old.has(it.view_moment), np.searchsorted(old.moment, it.view_moment), -1)
        views = lay_out(self.rig, it, row, self.back)
        still = np.zeros_like(old.t)
        knots = Knots(self._times(row), old.R, old.t + old.R @ it.points.mean(axis=0), still, still)
        cameras = tuple(self._with_clock(state) for state in zip(self.rig.names, camera_states(self.rig), strict=True))
        if not self.moving:
            return Problem(views, self.parameters, None, kernel), State(cameras, knots)
        jitter = STARTING_JITTER_S if self.config.time_jitter else None
        if jitter is not None:
            cameras = tuple(replace(c, late_s=np.zeros(len(v.views))) for c, v in zip(cameras, views, strict=True))
        problem = Problem(views, self.parameters, motion_prior(knots), kernel, jitter)
        return problem, State(cameras, with_speeds(knots))

    def _with_clock(self, named: tuple[str, CameraState]) -> CameraState:
        name, state = named
        offset, line = self.config.clocks.get(name, (0.0, 0.0))
        back = self.config.front_from_back or RigidTransform.identity()
        middle = self.observations.points.mean(axis=0)
        shift = back.apply(middle) - middle
        return replace(state, offset_s=float(offset), line_s=float(line), back_turn=back.R, back_shift=shift)

    def _times(self, row: np.ndarray) -> np.ndarray:
        """Of the moments: the mean of their views where there are any."""
        used = row >= 0
        count = np.bincount(row[used], minlength=len(self.motion))
        sums = np.bincount(row[used], weights=self.observations.view_time_s[used], minlength=len(self.motion))
        return np.where(count > 0, sums / np.maximum(count, 1), self.motion.time_s)


def seen_moments(motion: BoardMotion, observations: BoardObservations) -> BoardMotion:
    """The moments of a motion at which the board was seen."""
    views = observations.corners_per_view > 0
    keep = np.isin(motion.moment, observations.view_moment[views])
    return BoardMotion(*(getattr(motion, name)[keep] for name in ("moment", "time_s", "R", "t", "velocity", "spin")))


def views_of_back(rig: Rig, motion: BoardMotion, observations: BoardObservations) -> np.ndarray:
    """(V,) whether the camera stood behind the board: on the side to which its z points."""
    it = observations
    row = np.minimum(np.searchsorted(motion.moment, it.view_moment), len(motion) - 1)
    middle = motion.t[row] + motion.R[row] @ it.points.mean(axis=0)
    return ((rig.centers[it.view_camera] - middle) * motion.R[row, :, 2]).sum(axis=1) > 0


def check_start(rig: Rig, motion: BoardMotion, observations: BoardObservations, config: BundleConfig) -> None:
    """Raise for cameras without a place, and for cameras that nothing is known of."""
    missing = [name for name in observations.cameras if name not in rig.names]
    if missing:
        raise CalibrationError(
            f"{', '.join(missing)} saw the board but have no place in the rig",
            remedy="Leave their observations out, or start from a rig that has them.",
        )
    known = motion.has(observations.view_moment) & (observations.corners_per_view > 0)
    seen = np.bincount(observations.view_camera[known], minlength=len(observations.cameras))
    blind = [name for name, count in zip(observations.cameras, seen, strict=True) if not count]
    if blind and not config.cameras_fixed:
        raise CalibrationError(
            f"{', '.join(blind)} never saw the board at a moment at which its place is known",
            remedy="Film the board so that every camera shares views of it with another one.",
        )
    if not known.any():
        raise CalibrationError("no camera saw the board at a moment at which its place is known")


def two_sided(back: np.ndarray, config: BundleConfig) -> bool:
    """Whether the print on the back may lie elsewhere than behind that on the front."""
    if config.back_offset != "auto":
        return config.back_offset
    return min(int(back.sum()), int((~back).sum())) >= FEWEST_VIEWS_OF_A_SIDE


def moves_between_pictures(observations: BoardObservations, config: BundleConfig) -> bool:
    """Whether pictures of one moment were not taken at one time, so far as is known beforehand."""
    if config.time_offsets is True or config.line_time is True or config.continuous is True:
        return True
    return config.continuous == "auto" and spread_of_moments(observations) > config.synchronous_s


def settled(config: BundleConfig, moving: bool) -> BundleConfig:
    """With yes or no for what only a board that moves between pictures can tell."""
    moving = moving and not config.cameras_fixed
    offsets = moving if config.time_offsets == "auto" else config.time_offsets
    lines = moving if config.line_time == "auto" else config.line_time
    return replace(config, time_offsets=offsets, line_time=lines)


def spread_of_moments(observations: BoardObservations) -> float:
    """Seconds between the first and the last picture of a moment, in the mean over moments with several."""
    moments, index = np.unique(observations.view_moment, return_inverse=True)
    first, last = np.full(len(moments), np.inf), np.full(len(moments), -np.inf)
    np.minimum.at(first, index, observations.view_time_s)
    np.maximum.at(last, index, observations.view_time_s)
    several = np.bincount(index, minlength=len(moments)) > 1
    return float(np.mean((last - first)[several])) if several.any() else 0.0
