"""Where sounds come from: the hands of whoever is filmed, near enough to take the way of the sound out of arrivals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from calibration.camera import Rig
from calibration.triangulation import reprojection_px, triangulate_dlt
from mocap.core.clock import Clock
from mocap.core.keypoints import Detections2D

HANDS = ("left_wrist", "right_wrist")
NEAR_S = 0.1
"""A frame so far from a sound still shows where the hands are."""
LEAST_CONFIDENCE = 0.2
MOST_OFF = 0.03
"""Of the picture's width: hands that are further from where the other cameras see them are somebody else's."""


@dataclass(frozen=True, eq=False)
class HandPlaces:
    """Between the wrists of the person whose hands are nearest to each other, in each camera, then in space.

    stamps: (F,) of every frame of every camera. What this gives is some 10 cm from the palms, 0.3 ms.
    """

    detections: Detections2D
    stamps: Mapping[str, Float[np.ndarray, "..."]]
    rig: Rig

    def __call__(self, time_s: Float[np.ndarray, "N"], clocks: Mapping[str, Clock]) -> Float[np.ndarray, "N 3"]:
        """World places at shared times; NaN where fewer than two cameras agree. clocks: of the cameras that have one,
        as near as is known yet."""
        names = [n for n in self.rig.names if n in clocks and n in self.detections.cameras and n in self.stamps]
        if len(names) < 2 or not set(HANDS) <= set(self.detections.keypoint_set.names):
            return np.full((len(time_s), 3), np.nan)
        here = self.rig.subset(names)
        seen = np.stack([self._hands(name, clocks[name].stamp_s(time_s)) for name in names], axis=1)
        return _agreed(here, seen)

    def _hands(self, camera: str, at_s: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N 2"]:
        """Pixels between the wrists at stamps, of the nearest frame with anybody in it."""
        rows = np.flatnonzero(self.detections.camera == self.detections.cameras.index(camera))
        stamps = self.stamps[camera]
        rows = rows[self.detections.frame[rows] < len(stamps)]
        found = np.full((len(at_s), 2), np.nan)
        if not len(rows):
            return found
        columns = self.detections.keypoint_set.indices(HANDS)
        sure = (self.detections.confidence[rows][:, columns] >= LEAST_CONFIDENCE).all(1)
        rows = rows[sure]
        if not len(rows):
            return found
        wrists = self.detections.xy[rows][:, columns]
        gap = np.linalg.norm(wrists[:, 0] - wrists[:, 1], axis=-1)
        away = np.abs(stamps[self.detections.frame[rows]] - at_s[:, None])
        # Of the frames next to the sound, the person whose hands are closest together; a pixel stands for 0.1 ms.
        cost = np.where(away <= NEAR_S, away + 1e-4 * gap, np.inf)
        best = np.argmin(cost, axis=1)
        middle = wrists.mean(1)
        return np.where(np.isfinite(cost.min(1))[:, None], middle[best], found)


def _agreed(rig: Rig, seen: Float[np.ndarray, "N C 2"]) -> Float[np.ndarray, "N 3"]:
    """Points of all views, after the view that fits worst has been left out where it does not belong."""
    width = np.array([camera.intrinsics.image_size[0] for camera in rig])
    for _ in range(max(1, len(rig) - 2)):
        point = triangulate_dlt(rig, seen)
        off = reprojection_px(rig, point, seen) / width
        worst = np.argmax(np.nan_to_num(off, nan=-1.0), axis=1)
        rows = np.arange(len(seen))
        wrong = off[rows, worst] > MOST_OFF
        if not wrong.any():
            return point
        seen = seen.copy()
        seen[rows[wrong], worst[wrong]] = np.nan
    point = triangulate_dlt(rig, seen)
    with np.errstate(invalid="ignore"):
        off = np.nan_to_num(reprojection_px(rig, point, seen) / width, nan=0.0).max(1)
    return np.where((off <= MOST_OFF)[:, None], point, np.nan)
