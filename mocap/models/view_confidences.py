"""How much each camera is to be believed about each keypoint, learned; then the weighted linear triangulation.

The algebraic method (Iskakov et al. 2019, 3.1) for reports of any 2D network: its weights come not from pictures but
from what the reports say: confidence, shape of the heatmap, rays of the other views, direction of the view against the
body, and the rest of the body. Any number of cameras from two on, in any order. Axes: N people, C cameras, K keypoints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mocap.core.config import Config
from mocap.core.keypoints import load_keypoint_set
from mocap.geometry.algebraic import triangulate_algebraic
from mocap.models.heatmap_statistics import N_SHAPES
from mocap.models.keypoint_views import (
    KeypointViews,
    RayAgreement,
    agreement_of_rays,
    body_frame,
    offsets_from_rays,
)
from mocap.models.ray_votes import TOLERANCE_M

N_NUMBERS = 19
"""That a report has besides the shape of its heatmap."""
LEAST_CONFIDENCE = 1e-3
RESIDUAL_UNIT_M = 0.02
FARTHEST_M = 2.0
"""From the middle of the trunk; farther points are no part of it."""
SURENESS = 6
"""Numbers of a keypoint that the correction of the body is told besides its place."""
HIDDEN = -1e4
"""Score of what is not reported."""
FARTHEST_LOG = 8.0
"""Weights lie within e^±8 of each other: what is less takes no part."""


class ViewConfidenceConfig(Config):
    """width: channels of a token. blocks: of attention, in every round. rounds: how often weights are found and points
    triangulated; later rounds see how far the reports are from the points of the one before.

    offset_m: reports may be moved by so much at most (0: only weighed), to where the body's other points and the
    network's known faults suggest. body_width: channels of what in the end moves the points of a body together, by at
    most body_m (0: nothing does).
    """

    keypoints: str = "blazepose33"
    width: int = Field(default=48, ge=8)
    heads: int = Field(default=4, ge=1)
    blocks: int = Field(default=1, ge=1)
    rounds: int = Field(default=2, ge=1)
    offset_m: float = Field(default=0.1, ge=0)
    body_width: int = Field(default=384, ge=1)
    body_m: float = Field(default=0.1, ge=0)


@dataclass(frozen=True, eq=False)
class WeightedPoints:
    """xyz (m): NaN where fewer than two views fix a point. confidence: the chance that it is within 5 cm, 0 where NaN.

    weights: of the views, the largest of a point 1; 0 where not reported. rounds: the points of the earlier rounds
    and, where the body is corrected in the end, those before that.
    """

    xyz: Float[Tensor, "N K 3"]
    confidence: Float[Tensor, "N K"]
    weights: Float[Tensor, "N K C"]
    rounds: tuple[Float[Tensor, "N K 3"], ...] = ()


class ViewConfidenceNet(nn.Module):
    """Reports of several views to points: weighed, triangulated, and moved a little with the rest of the body."""

    def __init__(self, config: ViewConfidenceConfig) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embed = nn.Sequential(
            nn.Linear(N_NUMBERS + N_SHAPES + 1, width), nn.ReLU(), nn.Linear(width, width), nn.LayerNorm(width)
        )
        self.keypoint = nn.Parameter(0.5 * torch.randn(len(load_keypoint_set(config.keypoints)), width))
        self.round = nn.Parameter(torch.zeros(config.rounds, width))
        self.memory = _silent(width, width)
        self.blocks = nn.ModuleList(_Block(width, config.heads, len(self.keypoint)) for _ in range(config.blocks))
        self.report = nn.Sequential(nn.LayerNorm(width), _silent(width, 3))
        self.certainty = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))
        self.body = BodyCorrection(config) if config.body_m else None

    def forward(self, views: KeypointViews) -> WeightedPoints:
        start = agreement_of_rays(views)
        origin = body_frame(start.xyz.double(), self.config.keypoints).origin.to(views.xy.dtype)
        views, xyz = views.around(origin), start.xyz - origin[:, None]
        tokens = views.xy.new_zeros(*views.seen.shape, self.config.width).float()
        found, weights = [], tokens[..., 0]
        for number in range(self.config.rounds):
            numbers = report_numbers(views, xyz.detach(), start, self.config.keypoints)
            tokens = self.embed(numbers) + self.keypoint + self.round[number] + self.memory(tokens)
            for block in self.blocks:
                tokens = block(tokens, views.seen)
            moved, weights = self._weighed(views, xyz.detach(), tokens)
            xyz = triangulate_algebraic(views.pose, moved, weights)
            found.append(xyz + origin[:, None])
        pooled = (tokens * views.seen[..., None]).sum(1) / views.seen.sum(1).clamp(min=1)[..., None]
        if self.body is not None:
            found.append(found[-1] + self.body(xyz.detach(), pooled))
        certain = self.certainty(pooled)[..., 0].sigmoid().clamp(min=LEAST_CONFIDENCE)
        certain = torch.where(xyz.isnan().any(-1), 0.0, certain)
        return WeightedPoints(found[-1], certain, weights.swapaxes(1, 2), tuple(found[:-1]))

    def _weighed(
        self, views: KeypointViews, xyz: Float[Tensor, "N K 3"], tokens: Float[Tensor, "N C K F"]
    ) -> tuple[Float[Tensor, "N C K 2"], Float[Tensor, "N C K"]]:
        """Reports, moved, and their weights: the network's say on top of Cauchy's weights about the point so far."""
        said = self.report(tokens)
        residual, depth = offsets_from_rays(views, xyz)
        squared = (residual / TOLERANCE_M).square().sum(-1).nan_to_num(nan=100.0)
        prior = views.confidence.clamp(min=LEAST_CONFIDENCE).log() / 2 - torch.log1p(squared)
        log_weight = torch.where(views.seen, prior + 4 * said[..., 0], -torch.inf)
        best = log_weight.amax(1, keepdim=True)
        log_weight = (log_weight - torch.where(best.isfinite(), best, 0.0)).clamp(min=-FARTHEST_LOG)
        weights = torch.where(views.seen, log_weight.exp(), 0.0)
        if not self.config.offset_m:
            return views.xy, weights
        offset = self.config.offset_m * torch.tanh(said[..., 1:])
        return views.xy + offset / depth.nan_to_num(nan=3.0).clamp(min=0.3)[..., None], weights


class BodyCorrection(nn.Module):
    """Moves the points of a body together: a head is rigid, bones have lengths, and noise knows neither.

    Works in the frame of the trunk on places, on the vectors along the edges of the keypoint set, and on a few numbers
    that tell how sure each point is.
    """

    def __init__(self, config: ViewConfidenceConfig) -> None:
        super().__init__()
        keypoint_set = load_keypoint_set(config.keypoints)
        self.keypoints, self.most_m = config.keypoints, config.body_m
        self.edges = keypoint_set.edge_indices.T.tolist()
        inputs = len(keypoint_set) * (3 + 1 + SURENESS) + 3 * len(keypoint_set.edges)
        self.sureness = nn.Sequential(nn.LayerNorm(config.width), nn.Linear(config.width, SURENESS))
        self.layers = nn.Sequential(
            nn.Linear(inputs, config.body_width),
            nn.ReLU(),
            nn.Linear(config.body_width, config.body_width),
            nn.ReLU(),
            _silent(config.body_width, 3 * len(keypoint_set)),
        )

    def forward(self, xyz: Float[Tensor, "N K 3"], tokens: Float[Tensor, "N K F"]) -> Float[Tensor, "N K 3"]:
        """What to add, m, world axes; something for points that are missing, too."""
        frame = body_frame(xyz, self.keypoints)
        known = xyz.isfinite().all(-1)
        place = ((xyz - frame.origin[:, None]) @ frame.axes.mT).nan_to_num(nan=0.0).clamp(-FARTHEST_M, FARTHEST_M)
        a, b = self.edges
        bones = torch.where((known[:, a] & known[:, b])[..., None], place[:, b] - place[:, a], 0.0)
        given = (2 * place, known[..., None], 5 * bones, self.sureness(tokens))
        numbers = torch.cat([part.flatten(1).float() for part in given], dim=-1)
        moved = self.most_m * torch.tanh(self.layers(numbers)).unflatten(-1, (-1, 3))
        return moved.to(xyz.dtype) @ frame.axes


def _silent(inputs: int, outputs: int) -> nn.Linear:
    """A layer that says nothing before it is trained."""
    layer = nn.Linear(inputs, outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class _Block(nn.Module):
    """What the cameras of a keypoint say together, then what the keypoints of a camera do, then each alone."""

    def __init__(self, width: int, heads: int, keypoints: int) -> None:
        super().__init__()
        self.over_cameras, self.over_keypoints = _OverCameras(width, heads), _OverKeypoints(width, keypoints)
        self.alone = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width)
        )

    def forward(self, tokens: Float[Tensor, "N C K F"], seen: Bool[Tensor, "N C K"]) -> Float[Tensor, "N C K F"]:
        tokens = tokens + self.over_cameras(tokens, seen)
        tokens = tokens + self.over_keypoints(tokens, seen)
        return tokens + self.alone(tokens)


class _OverCameras(nn.Module):
    """The same for every camera: an attentive mean and the maximum over those that see the keypoint.

    Attention of every camera to every other is no better and takes three times as long: matrices of 4 by 4 by the
    thousand.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm, self.value = nn.LayerNorm(width), nn.Linear(width, width)
        self.score, self.out = nn.Linear(width, heads), nn.Linear(2 * width, width)

    def forward(self, tokens: Float[Tensor, "N C K F"], seen: Bool[Tensor, "N C K"]) -> Float[Tensor, "N 1 K F"]:
        tokens = self.norm(tokens)
        value, hidden = self.value(tokens), ~seen[..., None]
        share = self.score(tokens).masked_fill(hidden, HIDDEN).softmax(1)
        mean = (value.unflatten(-1, (share.shape[-1], -1)) * share[..., None]).sum(1, keepdim=True).flatten(-2)
        most = value.masked_fill(hidden, HIDDEN).amax(1, keepdim=True).clamp(min=-FARTHEST_LOG)
        return self.out(torch.cat([mean, most], dim=-1))


class _OverKeypoints(nn.Module):
    """Sums over the keypoints that a camera sees, with a weight for every pair (MLP-Mixer, Tolstikhin et al. 2021)."""

    def __init__(self, width: int, keypoints: int) -> None:
        super().__init__()
        self.norm, self.gather = nn.LayerNorm(width), nn.Linear(keypoints, 2 * keypoints)
        self.scatter = nn.Linear(2 * keypoints, keypoints)

    def forward(self, tokens: Float[Tensor, "N C K F"], seen: Bool[Tensor, "N C K"]) -> Float[Tensor, "N C K F"]:
        each = (self.norm(tokens) * seen[..., None]).flatten(0, 1)
        gathered = functional.relu(
            torch.baddbmm(self.gather.bias[:, None], self.gather.weight.expand(len(each), -1, -1), each)
        )
        mixed = torch.baddbmm(self.scatter.bias[:, None], self.scatter.weight.expand(len(each), -1, -1), gathered)
        return mixed.unflatten(0, tokens.shape[:2])


def report_numbers(
    views: KeypointViews, xyz: Float[Tensor, "N K 3"], start: RayAgreement, keypoints: str
) -> Float[Tensor, "N C K F"]:
    """What the network is told of each report, of the order of 1; 0 where it is not there.

    In this order: reported, confidence, residual about the point so far (2 + size), nearest other ray, support of the
    others, depth, metres a pixel, direction of the view against the body (3), place in the body (3), whether body and
    point are known (2), views that report it (2), then the shape of the heatmap and whether there is one.
    """
    seen = views.seen
    residual, depth = offsets_from_rays(views, xyz)
    depth = depth.nan_to_num(nan=4.0).clamp(min=0.3)
    frame = body_frame(xyz, keypoints)
    place = (xyz - frame.origin[:, None]) @ frame.axes.mT
    view = (views.directions @ frame.axes[:, None].mT).nan_to_num(nan=0.0)
    size = residual.norm(dim=-1, keepdim=True)
    count = seen.sum(1, keepdim=True).expand_as(seen)
    each = torch.stack(
        [
            torch.ones_like(depth),
            torch.logit(views.confidence, eps=LEAST_CONFIDENCE) / 4,
            (start.nearest_m / TOLERANCE_M).log1p(),
            start.support,
            (depth / 4).log(),
            (depth / views.focal_px[..., None] / 0.003).log(),
            frame.known[:, None, None].expand_as(seen),
            xyz.isfinite().all(-1)[:, None].expand_as(seen),
            (count - 3) / 2,
            count <= 2,
        ],
        dim=-1,
    )
    bent = torch.asinh(residual / RESIDUAL_UNIT_M)
    spread = ((size + 0.005) / TOLERANCE_M).log()
    there = torch.asinh(place)[:, None].expand(-1, seen.shape[1], -1, -1)
    shapes = _shapes(views)
    numbers = torch.cat([each, bent.nan_to_num(), spread.nan_to_num(), view, there.nan_to_num(), shapes], dim=-1)
    return torch.where(seen[..., None], numbers, 0.0).float()


def _shapes(views: KeypointViews) -> Float[Tensor, "N C K S"]:
    """Zeros where there is no heatmap; the last number says whether there is one."""
    if views.shapes is None:
        return views.xy.new_zeros(*views.xy.shape[:-1], N_SHAPES + 1)
    there = ~views.shapes.isnan().any(-1, keepdim=True)
    return torch.cat([torch.where(there, views.shapes, 0.0), there.to(views.shapes.dtype)], dim=-1).to(views.xy.dtype)


def without_heatmaps(views: KeypointViews, dropped: Bool[Tensor, "N"]) -> KeypointViews:
    """The same with the shapes of some people's heatmaps taken away."""
    if views.shapes is None:
        return views
    return replace(views, shapes=torch.where(dropped[:, None, None, None], torch.nan, views.shapes))
