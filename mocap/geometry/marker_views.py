"""What the cameras of a take saw, as evidence for the markers of a body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from calibration.camera import Rig
from mocap.core.keypoints import Keypoints2D
from mocap.core.markers import MarkerSet
from mocap.geometry.projection import camera_tensors
from mocap.geometry.reprojection import Views


@dataclass(frozen=True, eq=False)
class SeenInViews:
    """What the cameras of a rig have seen of the same people and keypoints, frame by frame."""

    points: Keypoints2D
    rig: Rig


def views_of(seen: SeenInViews, markers: MarkerSet, person: int, *, noise: float, share: float) -> Views:
    """One person's views; scaled to their distance, and rid of the detector's habits, only about a pose.

    noise: factor on the markers' own. share: weight of a report, see `Views`.
    """
    points = seen.points
    columns = points.keypoint_set.indices(markers.keypoints)
    reported = torch.from_numpy(np.swapaxes(np.nan_to_num(points.xy[:, person][:, :, columns]), 1, 2).copy())
    confidence = torch.from_numpy(np.swapaxes(points.confidence[:, person][:, :, columns], 1, 2).copy())
    return Views(
        cameras=camera_tensors(seen.rig.subset(points.cameras)),
        reported=reported,
        px=reported,
        confidence=confidence,
        noise=torch.from_numpy(markers.view_noise * noise),
        habits=torch.from_numpy(markers.habits),
        px_per_m=torch.ones_like(confidence[:, 0]),
        share=share,
    )
