"""What `ViewConfidenceNet` learns from: keypoint-only people in random rigs, with the errors that detectors make.

Batch i of a seed is the same whoever makes it and whenever. Points are compared with the truth by the loss of Iskakov
et al. 2019 or by distance; a second head learns whether the point is within 5 cm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from mocap.core.config import Config
from mocap.geometry.projection import normalise
from mocap.models.heatmap_statistics import peak_shapes, peak_statistics
from mocap.models.keypoint_views import KeypointViews
from mocap.models.view_confidences import (
    LEAST_CONFIDENCE,
    ViewConfidenceConfig,
    ViewConfidenceNet,
    WeightedPoints,
    without_heatmaps,
)
from mocap.synthetic.body_bank import BodyKind
from mocap.synthetic.heatmaps import HeatmapConfig
from mocap.synthetic.samples import SampleBlock, SampleConfig, Samples
from mocap.training.drawn_views import flat_cameras
from mocap.training.losses import soft_mse_loss
from mocap.training.people_streams import HELD_OUT, VALIDATION_SEED, people_streams, stream_like, trained_motions

WITHIN_M = 0.05
THRESHOLD_M = 0.2
CM_PER_M = 100.0
EARLY_ROUNDS = 0.5
"""Weight of the points of a round against those of the next."""
CERTAINTY = 0.05
"""Weight of the second head's loss."""


class AlgebraicTaskConfig(Config):
    """people: in a batch. errors: presets of detector errors, body: kinds of bodies, both taken by turns.
    with_heatmaps: share of the batches that have them (the model must do without, too); of those, a tenth of the
    people lose theirs.

    loss: "paper" (squares in cm, their 0.1th power beyond 20 cm) or "distance" (in cm, its logarithm beyond).
    """

    net: ViewConfidenceConfig = ViewConfidenceConfig()
    people: int = Field(default=96, ge=1)
    cameras: tuple[int, int] = (2, 5)
    errors: tuple[str, ...] = ("blazepose_measured", "blazepose_like", "hard")
    with_heatmaps: float = Field(default=0.25, ge=0, le=1)
    body: tuple[BodyKind, ...] = ("auto", "humanoid")
    bodies: int = Field(default=128, ge=1)
    loss: Literal["paper", "distance"] = "distance"
    validation_blocks: int = Field(default=6, ge=1)


@dataclass(frozen=True, eq=False)
class AlgebraicBatch:
    """Reports and the truth (m); NaN for keypoints that a body lacks."""

    views: KeypointViews
    xyz: Float[Tensor, "N K 3"]


class AlgebraicTask:
    """Batches, loss and validation for the training loop."""

    def __init__(self, config: AlgebraicTaskConfig, seed: int = 0) -> None:
        self.config, self.seed = config, seed

    def model(self) -> nn.Module:
        """The network, untrained."""
        return ViewConfidenceNet(self.config.net)

    def batch(self, step: int, *, rank: int = 0, world: int = 1) -> AlgebraicBatch:
        """Of a step of the training; every process has its own."""
        index = step * world + rank
        rng = np.random.default_rng([self.seed, 3, index])
        streams = self._drawn if rng.random() < self.config.with_heatmaps else self._plain
        batch = batch_of(streams[index % len(streams)].block(index))
        dropped = torch.from_numpy(rng.random(len(batch.xyz)) < 0.1)
        return AlgebraicBatch(without_heatmaps(batch.views, dropped), batch.xyz)

    def loss(self, model: nn.Module, batch: AlgebraicBatch) -> tuple[Tensor, dict[str, float]]:
        """Of the points of all rounds and of the second head; the figures are of the last round."""
        found: WeightedPoints = model(batch.views)
        rounds = (*found.rounds, found.xyz)
        shares = [EARLY_ROUNDS ** (len(rounds) - 1 - number) for number in range(len(rounds))]
        of_points = [self._of_points(xyz, batch.xyz) for xyz in rounds]
        points = sum((s * p for s, p in zip(shares, of_points, strict=True)), torch.zeros(())) / sum(shares)
        certainty = _of_certainty(found, batch.xyz)
        error = _distance(found.xyz, batch.xyz)
        figures = {"mpjpe_mm": 1000 * float(error.detach().mean()), "certainty": float(certainty.detach())}
        return points + CERTAINTY * certainty, figures

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Held-out motions, rigs and bodies without heatmaps: the robust mean of all cases first, then each."""
        errors, number = {}, len(self.config.errors)
        with torch.no_grad():
            for which, name in enumerate(self.config.errors):
                streams = self._held_out[which::number]
                blocks = [streams[i % len(streams)].block(i) for i in range(self.config.validation_blocks)]
                errors[name] = torch.cat([_validation_error(model, block) for block in blocks])
        figures = {f"mpjpe_mm_{name}": 1000 * float(error.clamp(max=1.0).mean()) for name, error in errors.items()}
        return {"mpjpe_mm": float(np.mean(list(figures.values()))), **figures}

    @cached_property
    def _plain(self) -> list[Samples]:
        return self._streams({"cameras": self.config.cameras, "motions": trained_motions()}, self.seed)

    @cached_property
    def _drawn(self) -> list[Samples]:
        return [stream_like(stream, {"heatmaps": HeatmapConfig()}) for stream in self._plain]

    @cached_property
    def _held_out(self) -> list[Samples]:
        return self._streams({"cameras": (4, 4), "motions": HELD_OUT}, VALIDATION_SEED)

    def _streams(self, update: dict[str, Any], seed: int) -> list[Samples]:
        """One for each preset of errors and kind of bodies."""
        given = self.config
        base = SampleConfig(block_size=given.people, bodies=given.bodies).model_copy(update=update)
        return people_streams(base, seed, errors=given.errors, body=given.body)

    def _of_points(self, xyz: Float[Tensor, "N K 3"], truth: Float[Tensor, "N K 3"]) -> Float[Tensor, ""]:
        if self.config.loss == "distance":
            return _bent(_distance(xyz, truth)).mean()
        return soft_mse_loss(xyz, truth, (xyz.isfinite() & truth.isfinite()).all(-1))


def batch_of(block: SampleBlock) -> AlgebraicBatch:
    """A block of samples as the network takes it, in float64."""
    count = block.xy.shape[1]
    px = torch.from_numpy(block.xy).flatten(0, 1).swapaxes(0, 1)
    xy = normalise(flat_cameras(block.cameras), px).swapaxes(0, 1).unflatten(0, (-1, count))
    confidence = torch.where(xy.isnan().any(-1), 0.0, torch.from_numpy(block.confidence))
    pose = torch.from_numpy(np.concatenate([block.cameras.R, block.cameras.t[..., None]], axis=-1))
    focal = torch.from_numpy(block.cameras.focal).prod(-1).sqrt()
    shapes = None
    if block.heatmaps is not None:
        height, width = block.heatmaps.shape[-2:]
        shapes = peak_shapes(peak_statistics(block.heatmaps), (width, height)).double()
    return AlgebraicBatch(KeypointViews(xy, pose, focal, confidence, shapes), torch.from_numpy(block.xyz))


def _distance(xyz: Float[Tensor, "N K 3"], truth: Float[Tensor, "N K 3"]) -> Float[Tensor, "n"]:
    """m, of the points that are there."""
    there = xyz.isfinite().all(-1) & truth.isfinite().all(-1)
    return ((xyz[there] - truth[there]).square().sum(-1) + 1e-8).sqrt()


def _bent(distance: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
    """cm up to the threshold; beyond, its logarithm with the same slope there."""
    near = distance.clamp(max=THRESHOLD_M)
    return CM_PER_M * (near + THRESHOLD_M * (distance / THRESHOLD_M).clamp(min=1.0).log())


def _of_certainty(found: WeightedPoints, truth: Float[Tensor, "N K 3"]) -> Float[Tensor, ""]:
    """Cross-entropy of "within 5 cm"."""
    there = found.xyz.isfinite().all(-1) & truth.isfinite().all(-1)
    good = ((found.xyz[there] - truth[there]).norm(dim=-1) < WITHIN_M).to(found.confidence.dtype)
    return functional.binary_cross_entropy(found.confidence[there].clamp(max=1 - LEAST_CONFIDENCE), good)


def _validation_error(model: nn.Module, block: SampleBlock) -> Float[Tensor, "n"]:
    batch = batch_of(block)
    return _distance(model(batch.views).xyz, batch.xyz)
