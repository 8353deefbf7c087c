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


@dataclass(frozen=True, eq=False)
class PosedViews:
    """Observations, the rays of their corners, both poses of every view, and where to find them.

    moment: (M,) increasing, those at which some camera saw the board. view: (C, M) the view of a camera at a moment, -1
    where it has none with a pose.
    """

    observations: BoardObservations
    rays: CornerRays
    poses: ViewPoses
    moment: Int[np.ndarray, "M"]
    view: Int[np.ndarray, "C M"]

    @staticmethod
    def of(observations: BoardObservations, intrinsics: Mapping[str, Intrinsics]) -> PosedViews:
        """Of several views of one camera and moment, the one with most corners stands."""
        rays = corner_rays(observations, intrinsics)
        poses = poses_from_rays(rays)
        moment, at = np.unique(observations.view_moment, return_inverse=True)
        view = np.full((len(observations.cameras), len(moment)), -1)
        order = np.argsort(observations.corners_per_view, kind="stable")
        order = order[poses.known[order]]
        view[observations.view_camera[order], at[order]] = order
        return PosedViews(observations, rays, poses, moment, view)

    @property
    def there(self) -> Bool[np.ndarray, "C M"]:
        """Which cameras have a pose of the board at which moments."""
        return np.asarray(self.view >= 0)

    @property
    def middle(self) -> Float[np.ndarray, "3"]:
        """The board's middle in its own frame, m."""
        return self.rays.middle
