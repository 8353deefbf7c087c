"""What `HeatmapVolumeNet` learns from: keypoint-only people in random rigs, heatmaps drawn with detectors' errors.

A batch follows from the seed, the step and the rank alone. The frame of each body, and with it the cubes, is turned
about the vertical at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mocap.core.config import Config
from mocap.models.heatmap_volumes import Cube, HeatmapVolumeConfig, HeatmapVolumeNet, VolumePoints
from mocap.synthetic.body_bank import BodyKind
from mocap.synthetic.heatmaps import HeatmapConfig
from mocap.synthetic.samples import SampleConfig, Samples
from mocap.training.drawn_views import DrawnViews, drawn_views
from mocap.training.losses import volumetric_cross_entropy
from mocap.training.people_streams import HELD_OUT, VALIDATION_SEED, people_streams, stream_like, trained_motions
from mocap.training.seeds import generator_at, rng_at

WITHIN_M = 0.05
BENT_M = 0.05
CM_PER_M = 100.0
BODY_BLOCKS_FROM = 10_000_000
STEADY_M = 0.002
"""Added to distances before their logarithm."""


class VolumetricTaskConfig(Config):
    """people: in a batch. errors: presets of detector errors, body: kinds of bodies, both by turns; validation
    has the first errors. turn_rad: spread of the body's frame about the vertical. cross_entropy: weight of -log
    probability at the truth against the distance in cm (0.01 in the paper). early: weight of the first cube's points,
    and of points before the rest of the body is asked; placing: of the middles of the cubes; certainty: of the heads
    for confidence and spread. body_blocks: batches whose true points say what a body is. stray_cube_m: spread of the
    cube's middle.
    """

    net: HeatmapVolumeConfig = HeatmapVolumeConfig()
    people: int = Field(default=32, ge=1)
    cameras: tuple[int, int] = (2, 5)
    errors: tuple[str, ...] = ("blazepose_like", "blazepose_measured", "hard")
    heatmaps: HeatmapConfig = HeatmapConfig(size=(32, 32), sigma_cells=(0.75, 1.5))
    body: tuple[BodyKind, ...] = ("auto", "humanoid")
    bodies: int = Field(default=128, ge=1)
    turn_rad: float = Field(default=0.3, ge=0)
    stray_cube_m: float = Field(default=0.04, ge=0)
    cross_entropy: float = Field(default=0.02, ge=0)
    early: float = Field(default=0.3, ge=0)
    placing: float = Field(default=0.1, ge=0)
    certainty: float = Field(default=0.05, ge=0)
    body_blocks: int = Field(default=250, ge=1)
    validation_blocks: int = Field(default=4, ge=1)


@dataclass(frozen=True, eq=False)
class VolumetricBatch:
    """What was drawn, and how the frame of each body is turned (rad)."""

    views: DrawnViews
    turn: Float[Tensor, "N"]


class VolumetricTask:
    """Batches, loss and validation for the training loop."""

    def __init__(self, config: VolumetricTaskConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed

    def model(self) -> nn.Module:
        """The network, untrained but for what a body is, which follows from true points alone."""
        network = HeatmapVolumeNet(self.config.net)
        network.body.fit(torch.cat([self._body(number) for number in range(self.config.body_blocks)]))
        return network

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> VolumetricBatch:
        """Of a step of the training; every process has its own."""
        index = step * world + rank
        streams = self._trained
        views = self._draw(streams[index % len(streams)], index, self.seed)
        turn = self.config.turn_rad * torch.randn(len(views.truth), generator=generator_at(self.seed, 5, index))
        return VolumetricBatch(views, turn)

    def loss(self, model: nn.Module, batch: VolumetricBatch) -> tuple[Tensor, dict[str, float]]:
        """Distances in cm, and what the paper adds to them; the figures are of the last cube."""
        views, how = batch.views, self.config
        found: VolumePoints = model(
            views.heatmaps, views.projections, views.seen, views.center, views.side, turn=batch.turn
        )
        known = views.truth.isfinite().all(-1)
        truth = torch.where(known[..., None], views.truth, 0.0)
        last = len(found.cubes) - 1
        total = torch.zeros((), device=truth.device)
        for number, cube in enumerate(found.cubes):
            weight = 1.0 if number == last else how.early
            total = total + weight * _bent_cm(cube.settled, truth, known)
            total = total + how.early * _bent_cm(cube.xyz, truth, known)
            total = total + how.placing * _bent_cm(cube.base, truth, known)
            total = total + how.cross_entropy * _cross_entropy(cube, truth, known)
        certainty = _of_certainty(found, truth, known)
        error = (found.xyz.detach() - truth).norm(dim=-1)[known]
        figures = {"mpjpe_mm": 1000 * float(error.mean()), "certainty": float(certainty.detach())}
        return total + how.certainty * certainty, figures

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Held-out motions, rigs and bodies: the mean over 2, 3 and 4 views first, then each; errors above 1 m count
        as 1 m."""
        figures = {}
        with torch.no_grad():
            for count, streams in self._held_out.items():
                errors = [
                    self._error(model, streams[number % len(streams)], number)
                    for number in range(self.config.validation_blocks)
                ]
                figures[f"mpjpe_mm_{count}_views"] = 1000 * float(torch.cat(errors).clamp(max=1.0).mean())
        return {"mpjpe_mm": sum(figures.values()) / len(figures), **figures}

    def _error(self, model: nn.Module, stream: Samples, number: int) -> Float[Tensor, "n"]:
        device = next(model.parameters()).device
        views = self._draw(stream, number, VALIDATION_SEED)
        given = (views.heatmaps, views.projections, views.seen, views.center, views.side)
        found: VolumePoints = model(*(array.to(device) for array in given))
        error = (found.xyz.cpu() - views.truth).norm(dim=-1)
        return error[error.isfinite()]

    def _body(self, number: int) -> Float[Tensor, "n K 3"]:
        """True points in the frames of their bodies."""
        stream = self._trained[number % len(self._trained)]
        xyz = torch.from_numpy(stream.block(BODY_BLOCKS_FROM + number).xyz).float()
        known = xyz[xyz.isfinite().all(-1).all(-1)]
        turn = self.config.turn_rad * torch.randn(len(known), generator=generator_at(self.seed, 6, number))
        centred = known - (known.amin(1, keepdim=True) + known.amax(1, keepdim=True)) / 2
        return centred @ HeatmapVolumeNet(self.config.net).frame(centred, turn)

    def _draw(self, stream: Samples, index: int, seed: int) -> DrawnViews:
        return drawn_views(
            stream.block(index),
            self.config.heatmaps,
            rng_at(seed, 4, index),
            mirror=stream.keypoint_set.mirror_permutation,
            cube_jitter_m=self.config.stray_cube_m,
        )

    @cached_property
    def _trained(self) -> list[Samples]:
        errors, cameras = self.config.errors, self.config.cameras
        streams = people_streams(self._people(trained_motions()), self.seed, errors=errors, body=self.config.body)
        return [stream_like(stream, {"cameras": cameras}) for stream in streams]

    @cached_property
    def _held_out(self) -> dict[int, list[Samples]]:
        """By the number of views, one for each kind of bodies."""
        errors, body = self.config.errors[:1], self.config.body
        streams = people_streams(self._people(HELD_OUT), VALIDATION_SEED, errors=errors, body=body)
        return {n: [stream_like(stream, {"cameras": (n, n)}) for stream in streams] for n in (2, 3, 4)}

    def _people(self, motions: tuple[str, ...]) -> SampleConfig:
        given = self.config
        return SampleConfig(
            keypoints=given.net.keypoints, block_size=given.people, bodies=given.bodies, motions=motions
        )


def _bent_cm(
    xyz: Float[Tensor, "N K 3"], truth: Float[Tensor, "N K 3"], known: Bool[Tensor, "N K"]
) -> Float[Tensor, ""]:
    """Mean distance in cm; beyond 5 cm its logarithm, of the same slope there."""
    distance = (torch.where(known[..., None], xyz - truth, 0.0).square().sum(-1) + 1e-8).sqrt()
    bent = distance.clamp(max=BENT_M) + BENT_M * (distance / BENT_M).clamp(min=1.0).log()
    return CM_PER_M * (bent * known).sum() / known.sum().clamp(min=1)


def _cross_entropy(cube: Cube, truth: Float[Tensor, "N K 3"], known: Bool[Tensor, "N K"]) -> Float[Tensor, ""]:
    """-log of the probability at the grid point next to the truth, each keypoint having a cube of its own."""
    side = round(cube.probability.shape[-1] ** (1 / 3))
    coordinates = (cube.base.detach()[:, :, None] + cube.grid[:, None]).unflatten(2, (side, side, side))
    volumes = cube.probability[:, :, None].unflatten(-1, (side, side, side))
    return volumetric_cross_entropy(volumes, coordinates, truth[:, :, None], known[:, :, None])


def _of_certainty(found: VolumePoints, truth: Float[Tensor, "N K 3"], known: Bool[Tensor, "N K"]) -> Float[Tensor, ""]:
    """Cross-entropy of "within 5 cm", and of the distance as that of an exponential distribution."""
    distance = (found.xyz.detach() - truth).norm(dim=-1)[known]
    good = (distance < WITHIN_M).to(distance.dtype)
    spread = found.spread_m[known]
    unlikely = spread.log() + (distance + STEADY_M) / spread
    return functional.binary_cross_entropy(found.confidence[known].clamp(1e-4, 1 - 1e-4), good) + unlikely.mean()
