"""What cameras would show without any error: the ground from which detectors' errors are made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Integer

from calibration.camera import Rig
from mocap.core.errors import InputError
from mocap.core.keypoints import KeypointSet
from mocap.core.truth import Visibility
from mocap.synthetic.capsules import codes, inside_image
from mocap.synthetic.torso_frames import TorsoViews, torso_views

LARGEST_PERSON = 2.0
"""In long sides of the picture: whoever stands at the lens is seen in part, and errors do not grow for ever."""


@dataclass(frozen=True, eq=False)
class TrueViews:
    """xy: (T, P, C, K, 2) exact px, distorted, NaN where a lens images nothing. visibility: (T, P, C, K) codes.

    image_size: (T or 1, C, 2) px. facing: (T, P, C) cosine of the angle between where the chest faces and the way to
    the camera: 1 seen from the front, -1 from behind, NaN unknown. fps: 0 for frames that are independent of each
    other. bystanders: (T, Q, C, K, 2) exact px of people who are not reported, but can be mistaken for those who are.
    torso: how people stand to the cameras, for errors that depend on it; None leaves those out.
    """

    keypoint_set: KeypointSet
    xy: Float[np.ndarray, "T P C K 2"]
    visibility: Integer[np.ndarray, "T P C K"]
    image_size: Integer[np.ndarray, "#T C 2"] | Float[np.ndarray, "#T C 2"]
    facing: Float[np.ndarray, "T P C"]
    fps: float
    bystanders: Float[np.ndarray, "T Q C K 2"] | None = None
    torso: TorsoViews | None = None

    @property
    def present(self) -> Bool[np.ndarray, "T P C K"]:
        """Where a keypoint lies in the picture."""
        return self.visibility != Visibility.OUTSIDE

    @property
    def everyone(self) -> Float[np.ndarray, "T Q C K 2"]:
        """The exact pixels of all people: those who are reported, then the bystanders."""
        return self.xy if self.bystanders is None else np.concatenate([self.xy, self.bystanders], axis=1)

    @property
    def size_px(self) -> Float[np.ndarray, "T P C"]:
        """The longer side of the box around a person, in or out of the picture; 0 where nothing is imaged."""
        longest = LARGEST_PERSON * self.image_size.max(-1)[:, None]
        return np.minimum(extent(self.xy)[1].max(-1), longest)

    def frames(self, mean_s: float) -> float:
        """How many frames that is; 0 where frames are independent."""
        return mean_s * self.fps


def extent(xy: Float[np.ndarray, "*b K 2"]) -> tuple[Float[np.ndarray, "*b 2"], Float[np.ndarray, "*b 2"]]:
    """Middle (NaN for no point) and side lengths (0 for none) of the box around points, px."""
    low, high = np.fmin.reduce(xy, axis=-2), np.fmax.reduce(xy, axis=-2)
    return (low + high) / 2, np.nan_to_num(high - low)


def views_of(
    points: Float[np.ndarray, "T P K 3"],
    rig: Rig,
    keypoint_set: KeypointSet,
    *,
    fps: float,
    visibility: Integer[np.ndarray, "_ _ _ _"] | None = None,
) -> TrueViews:
    """Exact views of keypoints (m, NaN for unknown ones). Without `visibility` all that is in the picture is seen."""
    if points.shape[2] != len(keypoint_set):
        raise InputError(f"{points.shape[2]} keypoints, but {keypoint_set.name} has {len(keypoint_set)}")
    xy = np.ascontiguousarray(np.moveaxis(rig.project(points), 0, 2))
    size = np.array([camera.intrinsics.image_size for camera in rig])[None]
    if visibility is None:
        inside = inside_image(xy, size[:, None, :, None])
        visibility = codes(inside, np.zeros_like(inside), np.zeros_like(inside))
    elif visibility.shape != xy.shape[:-1]:
        raise InputError(f"visibility has shape {visibility.shape}, expected {xy.shape[:-1]}")
    centers = np.broadcast_to(rig.centers, (len(points), *rig.centers.shape))
    facing = facing_cosine(points, centers, keypoint_set)
    torso = torso_views(points, centers, keypoint_set, lambda ends: np.moveaxis(rig.project(ends), 0, 2))
    return TrueViews(keypoint_set, xy, visibility, size, facing, fps, torso=torso)


def facing_cosine(
    points: Float[np.ndarray, "T P K 3"], centers: Float[np.ndarray, "T C 3"], keypoint_set: KeypointSet
) -> Float[np.ndarray, "T P C"]:
    """Cosine between where the chest faces and the way to each camera; NaN without shoulders and hips."""
    corners = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
    if not set(corners) <= set(keypoint_set.names):
        return np.full((*points.shape[:2], centers.shape[1]), np.nan)
    left_up, right_up, left_low, right_low = np.moveaxis(points[:, :, keypoint_set.indices(corners)], 2, 0)
    leftwards, upwards = left_up + left_low - right_up - right_low, left_up + right_up - left_low - right_low
    forwards = np.cross(leftwards, upwards)
    middle = (left_up + right_up + left_low + right_low) / 4
    way = centers[:, None] - middle[:, :, None]
    length = np.linalg.norm(forwards, axis=-1)[:, :, None] * np.linalg.norm(way, axis=-1)
    return np.einsum("tpa,tpca->tpc", forwards, way) / np.where(length > 0, length, np.nan)
