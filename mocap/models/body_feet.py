"""When the soles of a body stand on the floor, from keypoints of the feet in space."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.core.markers import MarkerSet
from mocap.geometry.pose_solver import Observations
from mocap.models.body_evidence import Standing
from mocap.models.body_sizes import SOLES

STILL_M_S = 0.25
"""A keypoint that moves slower, over a tenth of a second, stands."""
SPAN_S = 0.1
LOW_M = 0.04
"""Above the lowest that the keypoint stands anywhere in the take."""
FLOOR_WITHIN_M = (-0.08, 0.12)
"""Heights over the floor at which keypoints of standing feet lie, with room for how detectors err: else the world's
floor is not where the people stand, and feet say nothing of their size."""
SOLE_SD_M = 0.01
"""How far from the floor the sole of a standing foot is taken to be, in one frame."""


def no_soles(n_frames: int) -> Standing:
    """Nothing is known of any floor."""
    return Standing(torch.zeros(n_frames, len(SOLES), dtype=torch.float64))


def standing_soles(points: Observations, markers: MarkerSet, fps: float) -> Standing:
    """Soles under keypoints that are still and low."""
    n_frames = len(points.targets)
    precision = torch.zeros(n_frames, len(SOLES), dtype=torch.float64)
    for k, (keypoint, _) in enumerate(SOLES):
        if keypoint in markers.keypoints:
            m = markers.keypoints.index(keypoint)
            precision[:, k] = _stands(points.targets[:, m], points.confidence[:, m] > 0, fps) * SOLE_SD_M**-2.0
    return Standing(precision)


def _stands(track: Float[Tensor, "T 3"], seen: Bool[Tensor, "T"], fps: float) -> Bool[Tensor, "T"]:
    half = max(1, round(SPAN_S * fps / 2))
    stands = torch.zeros(len(track), dtype=torch.bool)
    if len(track) <= 2 * half:
        return stands
    middle = slice(half, len(track) - half)
    speed = (track[2 * half :] - track[: -2 * half]).norm(dim=-1) * fps / (2 * half)
    stands[middle] = (speed < STILL_M_S) & seen[2 * half :] & seen[: -2 * half] & seen[middle]
    if not stands.any():
        return stands
    height = track[:, 2]
    lowest = float(height[stands].quantile(0.1))
    if not FLOOR_WITHIN_M[0] < lowest < FLOOR_WITHIN_M[1]:
        return torch.zeros_like(stands)
    return stands & (height < lowest + LOW_M)
