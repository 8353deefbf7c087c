"""Views of a board with everything that is known of each alone, by camera and moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_pose import ViewPoses, poses_from_rays
from calibration.board_pose_rays import CornerRays, corner_rays
from calibration.camera import Intrinsics
from calibration.observations import BoardObservations

MISFIT_PX = 5.0
MISFIT_MEDIANS = 8.0
"""A view whose corners fit no pose of the board by this much, in pixels and in medians of all views, shows no board: a
detector was mistaken. Lenses that are badly known misfit every view by a pixel or two."""


@dataclass(frozen=True, eq=False)
class PosedViews:
    """Observations, the rays of their corners, both poses of every view, and where to find them.

    moment: (M,) increasing, those at which some camera saw the board. view: (C, M) the view of a camera at a moment, -1
    where it has none with a pose. misfit: (V,) views that show something else than the board, and are not among them.
    """

    observations: BoardObservations
    rays: CornerRays
    poses: ViewPoses
    moment: Int[np.ndarray, "M"]
    view: Int[np.ndarray, "C M"]
    misfit: Bool[np.ndarray, "V"]

    @staticmethod
    def of(observations: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> PosedViews:
        """Of several views of one camera and moment, the one with most corners stands."""
        rays = corner_rays(observations, intrinsics)
        poses = poses_from_rays(rays)
        moment, at = np.unique(observations.view_moment, return_inverse=True)
        view = np.full((len(observations.cameras), len(moment)), -1)
        order = np.argsort(observations.corners_per_view, kind="stable")
        misfit = _misfit(poses)
        order = order[(poses.known & ~misfit)[order]]
        view[observations.view_camera[order], at[order]] = order
        return PosedViews(observations, rays, poses, moment, view, misfit)

    @property
    def there(self) -> Bool[np.ndarray, "C M"]:
        """Which cameras have a pose of the board at which moments."""
        return np.asarray(self.view >= 0)

    @property
    def middle(self) -> Float[np.ndarray, "3"]:
        """The board's middle in its own frame, m."""
        return self.rays.middle


def _misfit(poses: ViewPoses) -> Bool[np.ndarray, "V"]:
    usual = float(np.median(poses.rms_px[poses.known])) if poses.known.any() else 0.0
    with np.errstate(invalid="ignore"):
        return np.asarray(poses.rms_px > max(MISFIT_PX, MISFIT_MEDIANS * usual))
