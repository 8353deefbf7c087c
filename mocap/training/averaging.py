"""The running mean of a network's weights: smoother than the last step's, and usually better."""

from __future__ import annotations

import copy

import torch
from torch import nn


class WeightAverage:
    """An exponential mean whose decay rises to `decay`, so that the first steps do not stay in it.

    After n updates the decay is the lesser of `decay` and (1 + n) / (10 + n). Buffers are those of the last step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take in the weights of a step."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for mean, value in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for mean, value in zip(self.model.buffers(), model.buffers(), strict=True):
            mean.copy_(value)
