"""What cameras report of a person's keypoints, free of lenses and pixels, and what their rays say to each other.

Normalised image coordinates (x/z, y/z) of ideal cameras in metres: an error there times the depth is one in metres, so
that nothing depends on focal lengths, resolutions or the distance. Axes: N people, C cameras, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.core.keypoints import load_keypoint_set
from mocap.geometry.projection import CameraTensors, normalise
from mocap.geometry.ray_points import agreement
from mocap.models.ray_votes import TOLERANCE_M, vote

FARTHEST_M = 10.0
"""Stands in for distances that are infinite or missing."""
TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


@dataclass(frozen=True, eq=False)
class KeypointViews:
    """xy: normalised, NaN where not reported. pose: [R t], x_cam = R x_world + t, m. focal_px: of the picture.

    confidence: in [0, 1], 0 where not reported. shapes: of the heatmaps, as `heatmap_statistics.peak_shapes` gives
    them, NaN where there is no heatmap; None where there are none at all.
    """

    xy: Float[Tensor, "N C K 2"]
    pose: Float[Tensor, "N C 3 4"]
    focal_px: Float[Tensor, "N C"]
    confidence: Float[Tensor, "N C K"]
    shapes: Float[Tensor, "N C K S"] | None = None

    @property
    def seen(self) -> Bool[Tensor, "N C K"]:
        """What is reported."""
        return (self.confidence > 0) & ~self.xy.isnan().any(-1)

    @property
    def centers(self) -> Float[Tensor, "N C 3"]:
        """Optical centres in the world, m."""
        return -(self.pose[..., :3].mT @ self.pose[..., 3:])[..., 0]

    @property
    def directions(self) -> Float[Tensor, "N C K 3"]:
        """Unit vectors along the rays, world axes; NaN where not reported."""
        ahead = torch.cat([self.xy, torch.ones_like(self.xy[..., :1])], dim=-1)
        ahead = ahead / ahead.norm(dim=-1, keepdim=True)
        return ahead @ self.pose[..., :3]

    def around(self, origin: Float[Tensor, "N 3"]) -> KeypointViews:
        """The same with the world's origin elsewhere."""
        moved = self.pose[..., 3:] + self.pose[..., :3] @ origin[:, None, :, None]
        return replace(self, pose=torch.cat([self.pose[..., :3], moved], dim=-1))


def keypoint_views(
    cameras: CameraTensors,
    px: Float[Tensor, "N C K 2"],
    confidence: Float[Tensor, "N C K"],
    shapes: Float[Tensor, "N C K S"] | None = None,
) -> KeypointViews:
    """Reports of one rig in distorted px. A pixel that the lens images no ray at is not reported."""
    xy = normalise(cameras, px.swapaxes(-3, -2)).swapaxes(-3, -2)
    pose = torch.cat([cameras.R, cameras.t[..., None]], dim=-1)
    focal = (cameras.K[:, 0, 0] * cameras.K[:, 1, 1]).sqrt()
    known = torch.where(xy.isnan().any(-1), 0.0, confidence)
    return KeypointViews(xy, pose.expand(len(px), -1, -1, -1), focal.expand(len(px), -1), known, shapes)


class RayAgreement(NamedTuple):
    """A first point (m), NaN with fewer than two views that meet; how far (m) the nearest other ray of the same point
    passes each ray; and how much confidence of other views agrees with it."""

    xyz: Float[Tensor, "N K 3"]
    nearest_m: Float[Tensor, "N C K"]
    support: Float[Tensor, "N C K"]


def agreement_of_rays(views: KeypointViews) -> RayAgreement:
    """The best pair of rays by Cauchy's weight of all others, then the point nearest to those that agree with it."""
    weight = torch.where(views.seen, views.confidence, 0.0)
    pairs = torch.tensor(list(combinations(range(views.xy.shape[1]), 2)), device=weight.device).T
    votes = vote(views.centers, views.directions, weight, pairs)
    return RayAgreement(votes.xyz, *_mutual(votes.gap, weight, *pairs))


def _mutual(
    gap: Float[Tensor, "N P K"], weight: Float[Tensor, "N C K"], first: Tensor, second: Tensor
) -> tuple[Float[Tensor, "N C K"], Float[Tensor, "N C K"]]:
    """Of every ray: distance of the nearest other one, and the confidence of the others as far as they agree."""
    count = weight.shape[1]
    between = gap.new_full((len(gap), count, count, gap.shape[-1]), FARTHEST_M)
    known = gap.nan_to_num(nan=FARTHEST_M).clamp(max=FARTHEST_M)
    between[:, first, second], between[:, second, first] = known, known
    return between.amin(2), (weight[:, None] * agreement(between, TOLERANCE_M)).sum(2)


class BodyFrame(NamedTuple):
    """A middle (m), and the rows left, back and up of the trunk as axes; the world's where the trunk is not known."""

    origin: Float[Tensor, "N 3"]
    axes: Float[Tensor, "N 3 3"]
    known: Bool[Tensor, "N"]


def body_frame(xyz: Float[Tensor, "N K 3"], keypoints: str = "blazepose33") -> BodyFrame:
    """From shoulders and hips, with their middle as origin; without, the median of what is there, else (0, 0, 0)."""
    indices = load_keypoint_set(keypoints).indices(TORSO)
    left_shoulder, right_shoulder, left_hip, right_hip = xyz[:, torch.from_numpy(indices)].unbind(1)
    left = left_shoulder - right_shoulder + left_hip - right_hip
    up = left_shoulder + right_shoulder - left_hip - right_hip
    left = left / left.norm(dim=-1, keepdim=True)
    up = up - (up * left).sum(-1, keepdim=True) * left
    up = up / up.norm(dim=-1, keepdim=True)
    axes = torch.stack([left, torch.linalg.cross(up, left), up], dim=-2)
    known = axes.isfinite().all(-1).all(-1)
    world = torch.eye(3, dtype=xyz.dtype, device=xyz.device)
    middle = (left_shoulder + right_shoulder + left_hip + right_hip) / 4
    origin = torch.where(known[:, None], middle, xyz.nanmedian(dim=1).values.nan_to_num(nan=0.0))
    return BodyFrame(origin, torch.where(known[:, None, None], axes, world), known)


def offsets_from_rays(
    views: KeypointViews, xyz: Float[Tensor, "N K 3"]
) -> tuple[Float[Tensor, "N C K 2"], Float[Tensor, "N C K"]]:
    """How far (m, image axes) each report is from points, and the depth (m) of those; NaN where either is missing, and
    for points behind a camera."""
    placed = (xyz[:, None] @ views.pose[..., :3].mT) + views.pose[..., None, :, 3]
    depth = torch.where(placed[..., 2] > 0, placed[..., 2], torch.nan)
    return views.xy * depth[..., None] - placed[..., :2], depth
