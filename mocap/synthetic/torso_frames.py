"""How a person stands to each camera: the torso's axes, and what a step along them is in the picture.

Axes of the body: x forward, y to its left, z up along the spine; the unit of length is the torso's, from the middle of
the hips to the middle of the shoulders (some 0.5 m), so that errors of short and tall people compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mocap.core.keypoints import KeypointSet

CORNERS = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
STEP = 0.1
"""Of the torso's length: far enough for rounding, close enough for a lens to be linear."""

Project = Callable[[Float[np.ndarray, "T P n 3"]], Float[np.ndarray, "T P C n 2"]]


@dataclass(frozen=True, eq=False)
class TorsoViews:
    """direction: (T, P, C, 3) unit vector from the torso's middle to the camera, in the body's axes. px_from_torso:
    (T, P, C, 2, 3) px for a torso's length along each axis, at its middle. NaN where a corner of the torso is unknown.
    """

    direction: Float[np.ndarray, "T P C 3"]
    px_from_torso: Float[np.ndarray, "T P C 2 3"]


def torso_axes(
    points: Float[np.ndarray, "*b K 3"], keypoint_set: KeypointSet
) -> tuple[Float[np.ndarray, "*b 3"], Float[np.ndarray, "*b 3 3"]]:
    """Middle of the torso, m, and its axes as columns, of the torso's length; NaN where a corner is unknown."""
    left_up, right_up, left_low, right_low = np.moveaxis(points[..., keypoint_set.indices(CORNERS), :], -2, 0)
    spine = (left_up + right_up - left_low - right_low) / 2
    length = np.linalg.norm(spine, axis=-1, keepdims=True)
    left = left_up + left_low - right_up - right_low
    forward = np.cross(left, spine)
    forward = forward / _positive(np.linalg.norm(forward, axis=-1, keepdims=True)) * length
    left = np.cross(spine, forward) / _positive(length)
    axes = np.stack([forward, left, spine], axis=-1)
    return (left_up + right_up + left_low + right_low) / 4, axes


def torso_views(
    points: Float[np.ndarray, "T P K 3"],
    centers: Float[np.ndarray, "T C 3"],
    keypoint_set: KeypointSet,
    project: Project,
) -> TorsoViews | None:
    """project: world points, m, to the pixels of every camera. None for keypoints without shoulders and hips."""
    if not set(CORNERS) <= set(keypoint_set.names):
        return None
    middle, axes = torso_axes(points, keypoint_set)
    way = centers[:, None] - middle[:, :, None]
    inward = np.einsum("tpab,tpca->tpcb", axes, way)
    direction = inward / _positive(np.linalg.norm(inward, axis=-1, keepdims=True))
    ends = middle[:, :, None] + STEP * np.moveaxis(axes, -1, -2)
    px = project(np.concatenate([middle[:, :, None], ends], axis=2))
    return TorsoViews(direction, np.moveaxis(px[..., 1:, :] - px[..., :1, :], -1, -2) / STEP)


def _positive(length: Float[np.ndarray, "*b 1"]) -> Float[np.ndarray, "*b 1"]:
    return np.where(length > 0, length, np.nan)
