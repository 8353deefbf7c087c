"""Bundle adjustment of cameras, their lenses and a moving board.

Levenberg–Marquardt of our own with analytic derivatives, in numpy: per view the normal equations of the board's pose in
the camera and of its lens, mapped to those of cameras and board, of which the board's are eliminated (block by block,
or as a banded matrix where a motion prior ties them). 8 cameras, 300 moments, 35,816 corners from a disturbed start,
busy cores: 4 steps, 0.19 s of CPU; scipy's sparse TRF with the same derivatives has not ended after 30 evaluations and
6.5 s (`tools/measure_calibration.py solvers`). pyceres needs 7 steps and 4.9 s, of which its linear solver takes 0.1:
cost functions must be Python's, one call a view (`tools/measure_pyceres.py`); 5 MB more to install. pycolmap offers no
cost functions of one's own.

Why time: webcams report the times of pictures some 20 ms wrongly, with common delays up to 100 ms, and read their rows
over 30 ms. On four such (the recording charuco_calibration) one pose a moment leaves 0.77 px RMS over 91 % of the
corners and the cameras 2 % misplaced; with motion, delays and shutters it is 0.056 px over 98.8 %, single views alone
having 0.05, and neighbouring corners held out lie 54.00 +- 0.06 mm apart (`tools/measure_calibration.py real`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from calibration.board_motion import BoardMotion
from calibration.bundle_parameters import choose_parameters
from calibration.bundle_problem import Problem, own_noise_px, placed_views
from calibration.bundle_result import BundleConfig, BundleResult
from calibration.bundle_rounds import approach, refine
from calibration.bundle_solver import Descent
from calibration.bundle_start import (
    Work,
    check_start,
    moves_between_pictures,
    seen_moments,
    settled,
    two_sided,
    views_of_back,
)
from calibration.bundle_state import State, rig_from
from calibration.bundle_uncertainty import covariance_of
from calibration.camera import Rig
from calibration.intrinsics_prior import IntrinsicsPrior
from calibration.observations import BoardObservations
from calibration.transforms import RigidTransform

__all__ = ["BundleConfig", "BundleResult", "bundle_adjust"]

PLAIN = BundleConfig()
NOTHING_KNOWN: Mapping[str, IntrinsicsPrior] = MappingProxyType({})

RIGID = 1.3
"""Noise of a board that stands still in each moment, by that of its views alone, from which on it is taken to move."""


def bundle_adjust(
    rig: Rig,
    motion: BoardMotion,
    observations: BoardObservations,
    config: BundleConfig = PLAIN,
    priors: Mapping[str, IntrinsicsPrior] = NOTHING_KNOWN,
) -> BundleResult:
    """Cameras, lenses and board motion under which the corners lie where they were seen.

    rig, motion: a start, good to some tens of pixels. priors: what is known of lenses from other pictures than these;
    knowledge from the same pictures would count them twice.
    """
    began = time.perf_counter()
    check_start(rig, motion, observations, config)
    motion = seen_moments(motion, observations)
    moving = moves_between_pictures(observations, config)
    given = (rig.subset(observations.cameras), motion, observations)
    ended = _adjusted(given, config, priors=priors, moving=moving)
    if config.continuous == "auto" and not moving and _is_torn(ended, observations):
        ended = _adjusted(given, config, priors=priors, moving=True)
    work, problem, final, iterations = ended
    return _result(work, problem, final, names=rig.names, timing=(began, iterations))


def _adjusted(
    given: tuple[Rig, BoardMotion, BoardObservations],
    config: BundleConfig,
    *,
    priors: Mapping[str, IntrinsicsPrior],
    moving: bool,
) -> tuple[Work, Problem, Descent, int]:
    rig, motion, observations = given
    config = settled(config, moving)
    back = views_of_back(rig, motion, observations)
    parameters = choose_parameters(rig, observations, config, priors=priors, two_sided=two_sided(back, config))
    work = Work(rig, motion, observations, config, parameters, back, moving)
    problem, near = approach(*work.start(), work.config)
    return work, *refine(problem, near, work.config)


def _is_torn(ended: tuple[Work, Problem, Descent, int], observations: BoardObservations) -> bool:
    """Whether views of one moment want the board in different places by more than noise explains: unsynchronized
    cameras whose times are not known."""
    _, problem, final, _ = ended
    several = np.bincount(np.unique(observations.view_moment, return_inverse=True)[1]) > 1
    return bool(several.any()) and problem.kernel.noise_px > RIGID * own_noise_px(problem, final.state)


def _result(
    work: Work, problem: Problem, final: Descent, *, names: Sequence[str], timing: tuple[float, int]
) -> BundleResult:
    state, it, kernel = final.state, work.observations, problem.kernel
    view_rotation, view_position = _view_poses(problem, state, it)
    used = kernel.kept & np.isfinite(final.at.residual).all(axis=1)
    squared = (final.at.residual[used] ** 2).sum(axis=1)
    cameras = dict(zip(it.cameras, state.cameras, strict=True))
    return BundleResult(
        rig=rig_from(state.cameras, work.rig).subset([name for name in names if name in it.cameras]),
        motion=_motion(work, state),
        residual_px=final.at.residual,
        weight=used.astype(float),
        outlier=~used,
        rms_px=float(np.sqrt(squared.mean())) if len(squared) else 0.0,
        noise_px=kernel.noise_px,
        time_offset_s={name: camera.offset_s for name, camera in cameras.items()},
        line_time_s={name: camera.line_s for name, camera in cameras.items()},
        front_from_back=_front_from_back(state, it),
        moving=problem.prior is not None,
        iterations=timing[1],
        converged=final.settled,
        parameters=work.parameters.names,
        covariance=covariance_of(problem, final),
        view_rotation=view_rotation,
        view_position=view_position,
        seconds=time.perf_counter() - timing[0],
    )


def _view_poses(problem: Problem, state: State, it: BoardObservations) -> tuple[np.ndarray, np.ndarray]:
    """world_from_board when each view was taken."""
    R, t = np.full((it.n_views, 3, 3), np.nan), np.full((it.n_views, 3), np.nan)
    for views, camera in zip(problem.views, state.cameras, strict=True):
        placed = placed_views(problem, views, camera, state.knots)
        R[views.views], t[views.views] = placed.R, placed.t - placed.R @ it.points.mean(axis=0)
    return R, t


def _front_from_back(state: State, it: BoardObservations) -> RigidTransform:
    R, t = state.cameras[0].back_turn, state.cameras[0].back_shift
    middle = it.points.mean(axis=0)
    return RigidTransform(R, middle + t - R @ middle)


def _motion(work: Work, state: State) -> BoardMotion:
    knots, arm = state.knots, state.knots.R @ work.observations.points.mean(axis=0)
    velocity = knots.velocity - np.cross(knots.spin, arm)
    return BoardMotion(work.motion.moment, knots.time_s, knots.R, knots.t - arm, velocity, knots.spin)
