"""Heatmaps as chances: 0 where they are right, gradients everywhere, nothing where nothing is labelled."""

from __future__ import annotations

import math

import pytest
import torch

from mocap.training.heatmap_likelihood import heatmap_cross_entropy
from mocap.training.losses import gaussian_heatmaps

CELLS = torch.tensor([[[3.0, 2.0], [6.2, 5.6], [float("nan"), float("nan")]]])
TARGET = gaussian_heatmaps(CELLS, (9, 7), sigma=1.0, exact_peak=False)
WEIGHT = torch.tensor([[1.0, 0.5, 0.0]])


def test_the_target_itself_costs_nothing() -> None:
    """softmax(log g) is g / sum g, so the divergence is 0 up to the rounding of 63 float32 terms."""
    assert float(heatmap_cross_entropy(TARGET.clamp(min=1e-30).log(), TARGET, WEIGHT)) == pytest.approx(0, abs=1e-5)


def test_ignorance_costs_what_is_not_known() -> None:
    """Equal logits: log(cells) less the target's entropy, which the definition gives directly."""
    wanted = TARGET[0, 0] / TARGET[0, 0].sum()
    entropy = -(wanted * wanted.clamp(min=1e-30).log()).sum()
    only = torch.tensor([[1.0, 0.0, 0.0]])
    found = heatmap_cross_entropy(torch.zeros_like(TARGET), TARGET, only)
    assert float(found) == pytest.approx(math.log(63) - float(entropy), rel=1e-5)


def test_weights_share_the_cost() -> None:
    logits = torch.randn(TARGET.shape, generator=torch.Generator().manual_seed(1))
    one, other = (heatmap_cross_entropy(logits, TARGET, torch.tensor([w])) for w in ([1.0, 0, 0], [0, 1.0, 0]))
    both = heatmap_cross_entropy(logits, TARGET, torch.tensor([[1.0, 0.5, 0.0]]))
    assert float(both) == pytest.approx(float(one * 1.0 + other * 0.5) / 1.5, rel=1e-5)


def test_gradients_reach_every_cell_of_labelled_keypoints_alone() -> None:
    logits = torch.zeros_like(TARGET, requires_grad=True)
    heatmap_cross_entropy(logits, TARGET, WEIGHT).backward()
    assert logits.grad is not None
    assert bool((logits.grad[0, :2] != 0).all())
    assert bool((logits.grad[0, 2] == 0).all())


def test_nothing_labelled_costs_nothing() -> None:
    logits = torch.randn(TARGET.shape).requires_grad_()
    loss = heatmap_cross_entropy(logits, torch.zeros_like(TARGET), torch.zeros(1, 3))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert bool(logits.grad.isfinite().all())


def test_gradient_is_right() -> None:
    logits = torch.randn(1, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2)).requires_grad_()
    target = gaussian_heatmaps(torch.tensor([[[1.0, 2.0], [3.3, 0.4]]], dtype=torch.float64), (5, 4), sigma=1.0)
    weight = torch.tensor([[1.0, 0.3]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: heatmap_cross_entropy(x, target, weight), (logits,))
