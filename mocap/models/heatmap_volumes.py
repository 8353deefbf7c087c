"""Points from heatmaps of any 2D network: volumes of evidence around every keypoint, weighed with the rest of the body.

What Learnable Triangulation's volumetric network does for one network's features (Iskakov et al. 2019, 3.2), for
heatmaps alone and for a processor: instead of one large cube there is a small one around each keypoint, first coarse,
then fine. Heatmaps of all views are lifted into it and added as logarithms, each view as a mixture of its peak, of what
else its heatmap holds, and of nothing; how much a view counts, and where the body has the keypoint, comes from
attention over views and keypoints. A soft-argmax over the cube is the point. Any number of views, in any order.

Axes: N samples, C cameras, K keypoints, G grid points. Inside, the origin is the middle of the body and x runs from the
right side of the body to its left, so that the network need not learn headings.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor, nn

from mocap.core.config import Config
from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.models.body_prior import BodyPrior
from mocap.models.heatmap_evidence import (
    KEYPOINT_FEATURES,
    LIFTED,
    NEAR_M,
    VIEW_FEATURES,
    BodyViews,
    Weighing,
    cube_grid,
    evidence,
    interpolation,
    shares_at,
    tell,
)
from mocap.models.heatmap_peaks import Rays, agreed_points, find_peaks, inverted, rays_of_cells
from mocap.models.keypoint_attention import Exchange, perceptron

FIRST_SIGMA_M = 0.03
"""Of a view's peak, before anything is learned."""
FIRST_PRIOR_M = 0.15
"""Of where the body has a keypoint, likewise."""
FIRST_DOUBT_M = 0.01
"""Of a point that the cube has found, against the body's."""
ANYWHERE_M = 3.0
FIRST_SPREAD_M = 0.02
FAR_BELOW = 10.0
"""What the maximum over no views is."""
SIGMAS_M = (0.004, 0.5)
LEAST_LIKELY, MOST_LIKELY = 1e-4, 1.0
REACH_M, LEAST_POINTS = 1.3, 4
"""How far points of a body are from their median at most, and how many a middle takes."""
HEADING_PAIRS = ("shoulder", "hip")


class HeatmapVolumeConfig(Config):
    """width: of the tokens; layers: rounds of attention before each cube; view_width: of what is known of one view.

    points, half_m: of each cube in turn, a side and from its middle to its faces. least_height: peaks below are none.
    mirrored: when it is not learning, the network also looks at the mirrored scene, and the mean of both is the answer.
    """

    keypoints: str = "blazepose33"
    width: int = Field(default=96, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    view_width: int = Field(default=48, ge=8)
    points: tuple[int, ...] = (5, 7)
    half_m: tuple[float, ...] = (0.16, 0.06)
    least_height: float = Field(default=0.08, ge=0)
    mirrored: bool = True


class Cube(NamedTuple):
    """One cube per keypoint. base: its middle; xyz: the soft-argmax; settled: the same with the rest of the body; all m
    in the world. probability: of the grid points, whose offsets from the middle (world axes, m) are `grid`."""

    base: Float[Tensor, "N K 3"]
    xyz: Float[Tensor, "N K 3"]
    settled: Float[Tensor, "N K 3"]
    probability: Float[Tensor, "N K G"]
    grid: Float[Tensor, "N G 3"]


class VolumePoints(NamedTuple):
    """xyz: m, world; there for every keypoint, seen or not. confidence: how likely it is within 5 cm. spread_m: how far
    off it is expected to be. cubes: what the points came from; start: the points that rays agree on (NaN for none)."""

    xyz: Float[Tensor, "N K 3"]
    confidence: Float[Tensor, "N K"]
    spread_m: Float[Tensor, "N K"]
    cubes: tuple[Cube, ...]
    start: Float[Tensor, "N K 3"]


class HeatmapVolumeNet(nn.Module):
    """Heatmaps of C >= 2 views to K points in space."""

    twins: Tensor

    def __init__(self, config: HeatmapVolumeConfig) -> None:
        super().__init__()
        self.config = config
        keypoint_set = load_keypoint_set(config.keypoints)
        twins = torch.from_numpy(keypoint_set.mirror_permutation.copy()).long()
        self.register_buffer("twins", twins, persistent=False)
        self.pairs = [keypoint_set.indices((f"left_{name}", f"right_{name}")).tolist() for name in HEADING_PAIRS]
        self.body = BodyPrior(len(keypoint_set))
        self.stages = nn.ModuleList(
            _Stage(config, len(keypoint_set), cube) for cube in zip(config.points, config.half_m, strict=True)
        )
        self.verdict = perceptron(config.width + 4, config.width, 2)

    def forward(
        self,
        heatmaps: Float[Tensor, "N C K H W"],
        projections: Float[Tensor, "N C 3 4"],
        seen: Bool[Tensor, "N C"],
        center: Float[Tensor, "N 3"],
        side: Float[Tensor, "N"],
        *,
        turn: Float[Tensor, "N"] | None = None,
    ) -> VolumePoints:
        """heatmaps: of any size and precision. projections: world m to their cells; the heatmaps are those of pinhole
        cameras, which `mocap.geometry.heatmap_views` makes of any lens. seen: views without the person are ignored.
        center, side: of a cube around the person, m; points farther off than its side are not believed. turn: of the
        body's frame about the vertical (rad), for training.
        """
        cube = (center, side)
        found = self._points(heatmaps, projections, seen, cube, turn)
        if self.training or not self.config.mirrored:
            return found
        flip = torch.tensor([-1.0, 1.0, 1.0, 1.0], dtype=projections.dtype, device=projections.device)
        away = flip[:3].to(found.xyz)
        cube = (center * flip[:3].to(center), side)
        other = self._points(heatmaps[:, :, self.twins], projections * flip, seen, cube, turn)
        return found._replace(
            xyz=(found.xyz + other.xyz[:, self.twins] * away) / 2,
            confidence=(found.confidence + other.confidence[:, self.twins]) / 2,
            spread_m=(found.spread_m + other.spread_m[:, self.twins]) / 2,
        )

    def _points(
        self,
        heatmaps: Float[Tensor, "N C K H W"],
        projections: Float[Tensor, "N C 3 4"],
        seen: Bool[Tensor, "N C"],
        cube: tuple[Float[Tensor, "N 3"], Float[Tensor, "N"]],
        turn: Float[Tensor, "N"] | None,
    ) -> VolumePoints:
        views, start, world_from_body, center = self._views(heatmaps, projections, seen, cube, turn)
        xyz = self._completed(start)
        cubes: list[Cube] = []
        tokens = start.new_zeros(*start.shape[:-1], self.config.width)
        for stage in self.stages:
            tokens, searched = stage(views, xyz, (start, self.twins), tokens, self.body)
            xyz = searched.settled
            cubes.append(searched)
        sure, far = self.verdict(self._summary(tokens, cubes[-1], start)).unbind(-1)
        world = tuple(_in_world(searched, center, world_from_body) for searched in cubes)
        found = start @ world_from_body.mT + center[:, None]
        return VolumePoints(world[-1].settled, sure.sigmoid(), FIRST_SPREAD_M * far.clamp(-4, 4).exp(), world, found)

    def _completed(self, start: Float[Tensor, "N K 3"]) -> Float[Tensor, "N K 3"]:
        """Points that no rays agree on, where the body has them by the others."""
        missing = start.isnan()
        with torch.no_grad():
            guess = self.body(torch.where(missing, self.body.mean, start), _found(missing, FIRST_SIGMA_M, ANYWHERE_M))
        return torch.where(missing, guess, start)

    def frame(self, start: Float[Tensor, "N K 3"], turn: Float[Tensor, "N"] | None = None) -> Float[Tensor, "N 3 3"]:
        """world_from_body: about the vertical, x from right to left; none where shoulders and hips are unknown."""
        across = sum((start[:, left, :2] - start[:, right, :2]).nan_to_num() for left, right in self.pairs)
        assert isinstance(across, Tensor)
        angle = torch.atan2(across[:, 1], across[:, 0])
        angle = angle if turn is None else angle + turn
        cosine, sine, none = angle.cos(), angle.sin(), torch.zeros_like(angle)
        rows = [cosine, -sine, none, sine, cosine, none, none, none, none + 1]
        return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))

    def _summary(
        self, tokens: Float[Tensor, "N K W"], cube: Cube, start: Float[Tensor, "N K 3"]
    ) -> Float[Tensor, "N K V"]:
        """Tokens, how wide the evidence is along each axis, and how far it has moved the point."""
        offset = cube.xyz - cube.base
        wide = (cube.probability @ cube.grid[0].square() - offset.square()).clamp(min=1e-6).sqrt()
        moved = (cube.settled - torch.where(start.isnan(), cube.settled, start)).norm(dim=-1, keepdim=True)
        return torch.cat([tokens, (wide / NEAR_M).log(), torch.asinh(moved / NEAR_M)], dim=-1)

    def _views(
        self,
        heatmaps: Float[Tensor, "N C K H W"],
        projections: Float[Tensor, "N C 3 4"],
        seen: Bool[Tensor, "N C"],
        cube: tuple[Float[Tensor, "N 3"], Float[Tensor, "N"]],
        turn: Float[Tensor, "N"] | None,
    ) -> tuple[BodyViews, Float[Tensor, "N K 3"], Float[Tensor, "N 3 3"], Float[Tensor, "N 3"]]:
        """The views and the starting points in the frame of the body, world_from_body, and where its origin is."""
        center, side = cube
        channels, keypoints = heatmaps.shape[2], self.body.mean.shape[0]
        if channels != keypoints:
            raise InputError(
                f"heatmaps of {channels} channels, but {self.config.keypoints!r} has {keypoints}",
                remedy="Give the channels of the keypoints alone, in their order: of BlazePose's 39 the first 33.",
            )
        with torch.no_grad():
            heatmaps = heatmaps.float()
            moved = projections[..., :3] @ center.to(projections)[:, None, :, None] + projections[..., 3:]
            local = torch.cat([projections[..., :3], moved], dim=-1).float()
            peaks = find_peaks(heatmaps)
            there = seen[..., None] & (peaks.height >= self.config.least_height)
            rays = rays_of_cells(local, peaks.xy, torch.where(there, peaks.height, 0.0))
            start = agreed_points(rays)
            start = torch.where((start.abs() < side[:, None, None]).all(-1, keepdim=True), start, torch.nan)
            origin, world_from_body = _middle(start), self.frame(start, turn)
            start = (start - origin[:, None]) @ world_from_body
            matrix = local[..., :3] @ world_from_body[:, None]
            offset = local[..., 3:] + local[..., :3] @ origin[:, None, :, None]
            ends = (rays.origins - origin[:, None]) @ world_from_body
            rays = Rays(ends, rays.directions @ world_from_body[:, None], rays.weight)
            m_per_px = inverted(matrix)[0].norm(dim=-2)[..., 0]
            local = torch.cat([matrix, offset], dim=-1)
            views = BodyViews(local, rays, peaks, 1 / m_per_px.clamp(min=1e-9), heatmaps)
            return views, start, world_from_body, center.to(start) + origin


class _Stage(nn.Module):
    """Look at all views and keypoints about the present points, then search a cube around each."""

    grid: Tensor
    nodes: Tensor
    between: Tensor

    def __init__(self, config: HeatmapVolumeConfig, keypoints: int, cube: tuple[int, float]) -> None:
        super().__init__()
        width, seen = config.width, config.view_width
        self.read_view = perceptron(VIEW_FEATURES, seen, seen)
        self.read_keypoint = nn.Linear(KEYPOINT_FEATURES + 2 * seen, width)
        self.name = nn.Parameter(0.1 * torch.randn(keypoints, width))
        self.exchange = nn.Sequential(*(Exchange(width, config.heads) for _ in range(config.layers)))
        self.to_view = nn.Linear(width, seen)
        self.weigh = perceptron(2 * seen, seen, 3)
        self.place = perceptron(width, width, 7)
        points, half_m = cube
        self.register_buffer("grid", cube_grid(points, half_m), persistent=False)
        self.register_buffer("nodes", cube_grid(LIFTED, half_m), persistent=False)
        self.register_buffer("between", interpolation(points, LIFTED), persistent=False)

    def forward(
        self,
        views: BodyViews,
        xyz: Float[Tensor, "N K 3"],
        known: tuple[Float[Tensor, "N K 3"], Int[Tensor, "K"]],
        tokens: Float[Tensor, "N K W"],
        body: BodyPrior,
    ) -> tuple[Float[Tensor, "N K W"], Cube]:
        """known: the starting points and the twin of every keypoint. tokens: of the stage before, or zeros."""
        told = tell(views, xyz, *known)
        read = self.read_view(told.views)
        shown = told.seen[..., None]
        mean = (read * shown).sum(1) / shown.sum(1).clamp(min=1)
        most = torch.where(shown > 0, read, -FAR_BELOW).amax(1).clamp(min=-FAR_BELOW)
        own = self.read_keypoint(torch.cat([told.keypoints, mean, most], dim=-1)) + self.name
        tokens = self.exchange(own + tokens)
        asked = self.to_view(tokens)[:, None].expand_as(read)
        weighing = _weighing(self.weigh(torch.cat([read, asked], dim=-1)))
        moved, wide, doubt = self.place(tokens).split([3, 3, 1], dim=-1)
        base = xyz + FIRST_PRIOR_M * moved
        prior = (0.5 / (FIRST_PRIOR_M * wide.clamp(-4, 2).exp()).square()) @ self.grid.square().mT
        shares = shares_at(views, base, self.nodes) @ self.between
        probability = (evidence(views, base, self.grid, weighing, shares) - prior).softmax(-1)
        grid = self.grid.expand(len(base), -1, -1)
        xyz = base + probability @ self.grid
        doubt_m = FIRST_DOUBT_M * doubt[..., 0].clamp(-3, 5).exp()
        return tokens, Cube(base, xyz, body(xyz, doubt_m), probability, grid)


def _weighing(raw: Float[Tensor, "N C K 3"]) -> Weighing:
    sigma, other, nothing = raw.unbind(-1)
    least, most = (math.log(limit / FIRST_SIGMA_M) for limit in SIGMAS_M)
    return Weighing(
        FIRST_SIGMA_M * sigma.clamp(least, most).exp(),
        (other - 3).exp().clamp(LEAST_LIKELY, MOST_LIKELY),
        (nothing - 4).exp().clamp(LEAST_LIKELY, MOST_LIKELY),
    )


def _middle(start: Float[Tensor, "N K 3"]) -> Float[Tensor, "N 3"]:
    """Of the box around points, without those that are far from most; 0 where there are too few."""
    near = ((start - start.nanmedian(1, keepdim=True).values).norm(dim=-1) < REACH_M)[..., None]
    low = torch.where(near, start, torch.inf).amin(1)
    high = torch.where(near, start, -torch.inf).amax(1)
    return torch.where(near.sum(1) >= LEAST_POINTS, (low + high) / 2, 0.0)


def _in_world(cube: Cube, center: Float[Tensor, "N 3"], world_from_body: Float[Tensor, "N 3 3"]) -> Cube:
    """The same cube; `grid` then has a turn for every sample."""
    turn = world_from_body.mT
    base, xyz, settled = (points @ turn + center[:, None] for points in (cube.base, cube.xyz, cube.settled))
    return Cube(base, xyz, settled, cube.probability, cube.grid @ turn)


def _found(missing: Bool[Tensor, "N K 3"], known_m: float, unknown_m: float) -> Float[Tensor, "N K"]:
    return torch.where(missing[..., 0], unknown_m, torch.full_like(missing[..., 0], known_m, dtype=torch.float32))
