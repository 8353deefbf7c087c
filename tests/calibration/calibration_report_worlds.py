"""A rig that was calibrated, and what is needed to judge a report on it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from calibration import Intrinsics, Lens, Rig, RigidTransform
from calibration.board_motion import BoardMotion
from calibration.boards import CharucoBoard
from calibration.bundle_adjustment import bundle_adjust
from calibration.bundle_result import BundleConfig, BundleResult
from calibration.intrinsics_prior import IntrinsicsPrior, intrinsics_from
from calibration.observations import BoardObservations
from calibration.quality import HeldOut
from calibration.synthetic import Seeing, observe_board, ring, waved_board
from calibration.world_frame import WorldFrame

BOARD = CharucoBoard(5, 7, 0.1, 0.075)
LENSES = (
    Intrinsics((1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])),
    Intrinsics((1440, 1080), np.array([[820.0, 0, 702], [0, 815, 560], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE),
)
RIG = ring(4, LENSES)
FLOOR = WorldFrame(RigidTransform(np.eye(3), np.zeros(3)), 1.0, "as it was made")


class Calibrated(NamedTuple):
    """What was solved, the solution, and what was held out."""

    seen: BoardObservations
    bundle: BundleResult
    held_out: HeldOut


@cache
def calibrated() -> Calibrated:
    rng = np.random.default_rng(11)
    motion = waved_board(BOARD.corners, n_moments=100, fps=5, rng=rng)
    seen = observe_board(RIG, motion, BOARD.corners, Seeing(noise_px=0.2, outlier_share=0.01, two_sided=True), rng)
    kept, held = seen.of_views(seen.view_moment % 5 != 0), seen.of_views(seen.view_moment % 5 == 0)
    bundle = bundle_adjust(RIG, motion, kept, priors={camera.name: known(camera.intrinsics) for camera in RIG})
    return Calibrated(kept, bundle, HeldOut(held, board_in(bundle, motion, held)))


def board_in(bundle: BundleResult, motion: BoardMotion, seen: BoardObservations) -> BundleResult:
    """Where the board was, by a rig that is not asked again."""
    return bundle_adjust(bundle.rig, motion, seen, BundleConfig(cameras_fixed=True, refine_intrinsics=False))


def known(intrinsics: Intrinsics) -> IntrinsicsPrior:
    """As a calibration of its own would tell it."""
    std = np.array([2.0, 2.0, 2.0, 2.0, *np.full(len(intrinsics.distortion), 2e-3)])
    return IntrinsicsPrior(intrinsics, np.diag(std**2))


def drawn(intrinsics: Intrinsics, rng: np.random.Generator) -> IntrinsicsPrior:
    """What a calibration of its own might have found."""
    prior = known(intrinsics)
    found = prior.mean + rng.normal(0, np.sqrt(np.diag(prior.covariance)))
    return IntrinsicsPrior(intrinsics_from(found, intrinsics.image_size, intrinsics.lens), prior.covariance)


def pixels_in_pictures(rig: Rig, points: np.ndarray) -> np.ndarray:
    """(N, C, 2), NaN where a camera does not have the point in its picture."""
    px = np.moveaxis(rig.project(points), 0, 1)
    sizes = np.array([camera.intrinsics.image_size for camera in rig])
    with np.errstate(invalid="ignore"):
        return np.where(((px >= -0.5) & (px < sizes - 0.5)).all(axis=-1, keepdims=True), px, np.nan)


def aligned(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """Rigidly moved to lie best on others (Kabsch 1976): where the whole rig lies is nobody's error."""
    middle, there = points.mean(axis=0), onto.mean(axis=0)
    U, _, Vt = np.linalg.svd((onto - there).T @ (points - middle))
    return (points - middle) @ (U @ np.diag([1, 1, np.linalg.det(U @ Vt)]) @ Vt).T + there
