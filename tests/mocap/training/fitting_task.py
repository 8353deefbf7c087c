"""A task that is quick: a small network with drop-out and a batch norm learns three waves of five numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mocap.core.config import Config
from mocap.training.seeds import generator_at


class FittingTaskConfig(Config):
    """noise: of what is learned from. broken_from: the step from which on the truth is not finite, -1 for never."""

    batch: int = 32
    hidden: int = 24
    dropout: float = 0.1
    norm: bool = False
    noise: float = 0.1
    broken_from: int = -1


@dataclass(frozen=True, eq=False)
class Pairs:
    """(N, 5) numbers and their (N, 3) waves."""

    numbers: Tensor
    waves: Tensor


class FittingTask:
    """See `mocap.training.task.Task`."""

    def __init__(self, config: FittingTaskConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def model(self) -> nn.Module:
        c = self.config
        norm = [nn.BatchNorm1d(c.hidden)] if c.norm else []
        return nn.Sequential(nn.Linear(5, c.hidden), *norm, nn.SiLU(), nn.Dropout(c.dropout), nn.Linear(c.hidden, 3))

    def batch(self, step: int, *, rank: int, world: int) -> Pairs:
        pairs = _pairs(self.config.batch, generator_at(self.seed, step, rank), self.config.noise)
        broken = 0 <= self.config.broken_from <= step
        return Pairs(pairs.numbers, pairs.waves * torch.nan) if broken else pairs

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        error = model(batch.numbers) - batch.waves
        return error.square().mean(), {"largest": error.abs().max().item()}

    def validate(self, model: nn.Module) -> dict[str, float]:
        held_out = _pairs(200, generator_at(10_000_019), 0.0)
        device = next(model.parameters()).device
        error = (model(held_out.numbers.to(device)) - held_out.waves.to(device)).square().mean().item()
        return {"error": error, "root_error": error**0.5}


def _pairs(n: int, generator: torch.Generator, noise: float) -> Pairs:
    numbers = torch.randn(n, 5, generator=generator)
    waves = torch.stack([(k * numbers[:, k] + numbers[:, k + 1]).sin() for k in range(3)], dim=-1)
    return Pairs(numbers, waves + noise * torch.randn(n, 3, generator=generator))
