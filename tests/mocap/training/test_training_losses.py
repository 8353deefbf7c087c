from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from mocap.geometry.heatmaps import soft_argmax_2d
from mocap.geometry.volumes import coordinate_volume
from mocap.training import losses
from mocap.training.losses import (
    gaussian_heatmaps,
    heatmap_focal_loss,
    heatmap_mse_loss,
    mae_loss,
    mse_loss,
    soft_mse_loss,
    volumetric_cross_entropy,
    volumetric_loss,
)

KNOWN = torch.tensor([[True, True, False], [True, False, True]])


def points(seed: int, scale_m: float = 0.3) -> tuple[Tensor, Tensor]:
    """Predicted and true points of two samples of three keypoints, float64; what is unknown is NaN in the truth."""
    generator = torch.Generator().manual_seed(seed)
    predicted, truth = (
        scale_m * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64) + torch.tensor([1.0, -2.0, 0.8])
        for _ in range(2)
    )
    return predicted, torch.where(KNOWN[..., None], truth, torch.nan)


def plain_soft_mse(predicted: Tensor, truth: Tensor) -> float:
    """Number by number: squared cm, softened beyond 400, the mean over the coordinates of known keypoints."""
    costs = []
    for sample in range(2):
        for keypoint in range(3):
            for axis in range(3):
                if KNOWN[sample, keypoint]:
                    error_cm = 100 * float(predicted[sample, keypoint, axis] - truth[sample, keypoint, axis])
                    squared = error_cm**2
                    costs.append(squared if squared <= 400 else squared**0.1 * 400**0.9)
    return sum(costs) / len(costs)


def test_the_algebraic_loss_is_that_of_the_paper():
    predicted, truth = points(0)
    assert ((predicted - truth).abs()[KNOWN] > 0.2).any()
    assert ((predicted - truth).abs()[KNOWN] < 0.2).any()
    assert float(soft_mse_loss(predicted, truth, KNOWN)) == pytest.approx(plain_soft_mse(predicted, truth), rel=1e-12)


def test_the_algebraic_loss_is_continuous_where_it_turns():
    at = [
        float(soft_mse_loss(torch.tensor([[e, 0.0, 0.0]]), torch.zeros(1, 3), torch.tensor([True])))
        for e in (0.1999, 0.2001)
    ]
    assert at[1] - at[0] == pytest.approx(0, abs=400 / 3 * 2 * 0.001)  # the slope below: 2 e de, in shares of 400
    assert at[0] == pytest.approx(400 / 3, rel=2e-3)


def test_mean_errors_are_in_centimetres():
    truth = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    predicted = truth + torch.tensor([[0.03, 0.0, 0.0], [0.0, -0.06, 0.0]])
    both = torch.tensor([True, True])
    assert float(mae_loss(predicted, truth, both)) == pytest.approx((3 + 6) / 6, rel=1e-5)
    assert float(mse_loss(predicted, truth, both)) == pytest.approx((9 + 36) / 6, rel=1e-5)


@pytest.mark.parametrize("loss", [soft_mse_loss, mse_loss, mae_loss])
def test_gradients_are_right_and_unknown_points_have_none(loss):
    predicted, truth = points(1)
    predicted.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, truth, KNOWN), (predicted,))
    loss(predicted, truth, KNOWN).backward()
    assert predicted.grad is not None
    assert (predicted.grad[~KNOWN] == 0).all()
    assert (predicted.grad[KNOWN] != 0).all()


@pytest.mark.parametrize("loss", [soft_mse_loss, mse_loss, mae_loss])
def test_nothing_known_costs_nothing(loss):
    predicted = torch.ones(1, 2, 3, requires_grad=True)
    cost = loss(predicted, torch.full((1, 2, 3), torch.nan), torch.zeros(1, 2, dtype=torch.bool))
    cost.backward()
    assert float(cost.detach()) == 0
    assert predicted.grad is not None
    assert (predicted.grad == 0).all()


def test_a_point_exactly_right_has_a_finite_gradient():
    predicted = torch.zeros(1, 1, 3, requires_grad=True)
    soft_mse_loss(predicted, torch.zeros(1, 1, 3), torch.tensor([[True]])).backward()
    assert predicted.grad is not None
    assert (predicted.grad == 0).all()


def volume_world() -> tuple[Tensor, Tensor, Tensor]:
    """Volumes (2, 3, 5, 6, 7) that sum to 1, their coordinates, and points of which some lie outside."""
    generator = torch.Generator().manual_seed(3)
    center = torch.tensor([[1.0, 2.0, 0.9], [-3.0, 0.5, 1.1]], dtype=torch.float64)
    coordinates = coordinate_volume(center, 2.0, size=(5, 6, 7))
    scores = torch.randn(2, 3, 5, 6, 7, generator=generator, dtype=torch.float64)
    volumes = scores.flatten(-3).softmax(-1).unflatten(-1, (5, 6, 7))
    truth = center[:, None] + 0.7 * torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    return volumes, coordinates, torch.where(KNOWN[..., None], truth, torch.nan)


def test_volumetric_cross_entropy_is_that_of_the_nearest_voxel():
    volumes, coordinates, truth = volume_world()
    expected = 0.0
    for sample in range(2):
        places = coordinates[sample].reshape(-1, 3).numpy()
        for keypoint in range(3):
            if KNOWN[sample, keypoint]:
                nearest = np.linalg.norm(places - truth[sample, keypoint].numpy(), axis=-1).argmin()
                expected -= math.log(float(volumes[sample, keypoint].flatten()[nearest]) + 1e-6)
    found = volumetric_cross_entropy(volumes, coordinates, truth, KNOWN)
    assert float(found) == pytest.approx(expected / 6, rel=1e-12)  # over all six, as published


def test_the_volumetric_loss_is_the_sum_of_its_parts():
    volumes, coordinates, truth = volume_world()
    predicted, _ = points(5)
    whole = volumetric_loss(predicted, truth, KNOWN, volumes=volumes, coordinates=coordinates)
    parts = (
        mae_loss(predicted, truth, KNOWN) + 0.01 * volumetric_cross_entropy(volumes, coordinates, truth, KNOWN).numpy()
    )
    assert float(whole) == pytest.approx(float(parts), rel=1e-12)


def test_volumetric_cross_entropy_has_a_right_gradient():
    volumes, coordinates, truth = volume_world()
    volumes.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda v: volumetric_cross_entropy(v, coordinates, truth, KNOWN), (volumes,), atol=1e-4
    )


def test_gaussian_heatmaps_peak_where_they_should():
    cells = torch.tensor([[10.0, 6.0], [8.25, 7.75], [torch.nan, torch.nan]])
    heatmaps = gaussian_heatmaps(cells, (24, 18), sigma=1.5, exact_peak=False)
    assert heatmaps.shape == (3, 18, 24)
    assert float(heatmaps[0, 6, 10]) == 1.0
    assert float(heatmaps[0, 6, 12]) == pytest.approx(math.exp(-4 / (2 * 1.5**2)), rel=1e-6)
    assert (heatmaps[2] == 0).all()
    found, _ = soft_argmax_2d(torch.log(heatmaps[:2] + 1e-30))
    torch.testing.assert_close(found, cells[:2], atol=1e-4, rtol=0)  # edges are 5.5 sigma away: they cut off 1e-7


def test_exact_peaks_are_one_in_one_cell():
    cells = torch.tensor([[3.25, 12.75], [0.5, 7.5], [-0.4, 17.4], [-3.0, 4.0]])
    ones = (gaussian_heatmaps(cells, (24, 18), sigma=2.0) == 1).flatten(-2).sum(-1)
    assert ones.tolist() == [1, 1, 1, 0]  # the last lies outside


def test_heatmap_mse_is_half_the_mean_square():
    target = gaussian_heatmaps(torch.tensor([[4.0, 3.0], [2.0, 5.0]]), (9, 8), sigma=1.0)
    predicted = target.clone()
    predicted[0] += 0.5
    predicted[1] += torch.nan
    weight = torch.tensor([2.0, 0.0])
    assert float(heatmap_mse_loss(predicted, target, weight)) == pytest.approx(0.5 * 0.25 * 2.0 / 2)


def test_focal_loss_is_the_formula():
    target = gaussian_heatmaps(torch.tensor([[4.0, 3.0], [2.3, 5.1], [1.0, 1.0]]), (9, 8), sigma=1.2)
    logits = torch.randn(3, 8, 9, generator=torch.Generator().manual_seed(2))
    weight = torch.tensor([1.0, 1.0, 0.0])
    cost = 0.0
    for y, z in zip(target[:2].double().flatten().tolist(), logits[:2].double().flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-z))
        cost -= (1 - p) ** 2 * math.log(p) if y >= 1 else (1 - y) ** 4 * p**2 * math.log(1 - p)
    assert float(heatmap_focal_loss(logits, target, weight)) == pytest.approx(cost / 2, rel=1e-5)


def test_focal_loss_survives_sure_networks():
    logits = torch.full((1, 6, 5), 80.0, requires_grad=True)
    cost = heatmap_focal_loss(logits, torch.zeros(1, 6, 5), torch.ones(1))
    cost.backward()
    assert float(cost.detach()) == pytest.approx(80 * 30, rel=1e-6)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("loss", [heatmap_mse_loss, heatmap_focal_loss])
def test_heatmap_losses_fall_where_the_target_is_followed(loss):
    target = gaussian_heatmaps(torch.tensor([[[5.0, 4.0]], [[1.0, 6.0]]]), (9, 8), sigma=1.0)
    scores = torch.zeros(2, 1, 8, 9, requires_grad=True)
    optimiser = torch.optim.Adam([scores], lr=0.1)
    for _ in range(100):
        optimiser.zero_grad()
        loss(scores, target, torch.ones(2, 1)).backward()
        optimiser.step()
    assert scores.detach().flatten(-2).argmax(-1).tolist() == target.flatten(-2).argmax(-1).tolist()


def test_constants_are_those_of_the_paper():
    assert (losses.SOFT_BEYOND_M, losses.SOFT_POWER) == (0.2, 0.1)
