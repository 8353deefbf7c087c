from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mocap.geometry.heatmaps import (
    hard_argmax_2d,
    heatmap_from_image,
    heatmap_moments,
    heatmap_projections,
    image_from_heatmap,
    mass_near,
    soft_argmax_2d,
    soft_argmax_3d,
    whole_picture,
)
from mocap.synthetic import heatmaps as drawn

ROUNDING = 1e-12
"""float64: sums of some hundred terms of some ten each."""


def _normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_soft_argmax_2d_equals_a_loop_over_cells() -> None:
    maps = _normal(2, 3, 5, 7)
    xy, probability = soft_argmax_2d(maps, temperature=0.5)
    for b in range(2):
        for j in range(3):
            weight = np.exp(maps[b, j].numpy() / 0.5)
            weight /= weight.sum()
            x = sum(weight[row, column] * column for row in range(5) for column in range(7))
            y = sum(weight[row, column] * row for row in range(5) for column in range(7))
            np.testing.assert_allclose(xy[b, j], [x, y], atol=ROUNDING)
            np.testing.assert_allclose(probability[b, j], weight, atol=ROUNDING)


def test_soft_argmax_3d_equals_a_loop_over_voxels() -> None:
    volumes, places = _normal(2, 3, 3, 4, 5), 100 * _normal(2, 3, 4, 5, 3, seed=1)
    xyz, probability = soft_argmax_3d(volumes, places)
    for b in range(2):
        for j in range(3):
            weight = np.exp(volumes[b, j].numpy())
            weight /= weight.sum()
            expected = sum(weight[index] * places[b][index].numpy() for index in np.ndindex(3, 4, 5))
            np.testing.assert_allclose(xyz[b, j], expected, atol=100 * ROUNDING)
            np.testing.assert_allclose(probability[b, j], weight, atol=ROUNDING)


def test_a_logarithmic_gaussian_is_found_exactly() -> None:
    """exp of -(r / sigma)² / 2 on whole cells, sigma 1.5, far from the edge: sampling errs by exp(-2 π² sigma²)."""
    x, y = torch.meshgrid(torch.arange(40.0).double(), torch.arange(30.0).double(), indexing="xy")
    maps = -((x - 17.3) ** 2 + (y - 12.8) ** 2) / (2 * 1.5**2)
    xy, probability = soft_argmax_2d(maps[None])
    torch.testing.assert_close(xy[0], torch.tensor([17.3, 12.8], dtype=torch.float64), atol=1e-12, rtol=0)
    _, covariance = heatmap_moments(probability)
    torch.testing.assert_close(covariance[0], 2.25 * torch.eye(2).double(), atol=1e-10, rtol=0)


def test_a_float32_volume_far_from_the_origin_keeps_its_precision() -> None:
    """A flat softmax over 32³ voxels 50 m away: its sum errs by some 1e-6, which must not become 50 µm."""
    shares = torch.linspace(-1, 1, 32)
    places = torch.stack(torch.meshgrid(shares, shares, shares, indexing="ij"), dim=-1) + torch.tensor([50.0, 40, 1])
    xyz, _ = soft_argmax_3d(torch.rand(2, 32, 32, 32, generator=torch.Generator().manual_seed(0)), places)
    exact, _ = soft_argmax_3d(
        torch.rand(2, 32, 32, 32, generator=torch.Generator().manual_seed(0)).double(), places.double()
    )
    # Half a unit in the last place of 50 is 2e-6, once in the answer; sums of values up to 2 err less.
    torch.testing.assert_close(xyz.double(), exact, atol=6e-6, rtol=0)


def test_moments_and_mass_of_two_peaks() -> None:
    """Shares 0.75 and 0.25, 8 cells apart in x: 0.75 x 0.25 x 64 = 12."""
    maps = torch.zeros(1, 9, 16, dtype=torch.float64)
    maps[0, 4, 3], maps[0, 4, 11], maps[0, 0, 0] = 3.0, 1.0, -5.0
    mean, covariance = heatmap_moments(maps)
    assert mean.tolist() == [[5.0, 4.0]]
    assert covariance.tolist() == [[[12.0, 0.0], [0.0, 0.0]]]
    xy, height = hard_argmax_2d(maps)
    assert xy.tolist() == [[3.0, 4.0]]
    assert height.tolist() == [3.0]
    assert mass_near(maps, xy, radius=2.0).tolist() == [0.75]
    assert mass_near(maps, xy, radius=8.0).tolist() == [1.0]
    assert mass_near(maps, xy * math.nan, radius=8.0).tolist() == [0.0]


def test_moments_have_the_sign_of_a_slanted_peak() -> None:
    maps = torch.zeros(1, 5, 5, dtype=torch.float64)
    maps[0, 1, 1] = maps[0, 3, 3] = 1.0
    assert heatmap_moments(maps)[1].tolist() == [[[1.0, 1.0], [1.0, 1.0]]]


def test_an_empty_heatmap_has_no_place_and_no_gradient() -> None:
    maps = torch.zeros(1, 4, 4, requires_grad=True)
    mean, covariance = heatmap_moments(maps)
    assert mean.isnan().all()
    assert covariance.isnan().all()
    assert mass_near(maps, torch.zeros(1, 2), radius=2.0).tolist() == [0.0]
    (mean.nansum() + covariance.nansum()).backward()
    assert maps.grad is not None
    assert (maps.grad == 0).all()


def test_gradcheck_of_the_soft_argmaxes_and_moments() -> None:
    maps = _normal(2, 2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda maps: soft_argmax_2d(maps, temperature=0.7), (maps,))
    assert torch.autograd.gradcheck(heatmap_moments, ((maps.detach().abs() + 0.1).requires_grad_(),))
    volumes, places = _normal(1, 2, 2, 3, 2).requires_grad_(), _normal(1, 2, 3, 2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(soft_argmax_3d, (volumes, places))


def test_a_saturated_softmax_has_a_finite_gradient() -> None:
    """Heights of 1e4 at temperature 0.01 overflow exp; all but one cell underflow."""
    maps = torch.zeros(1, 4, 4, requires_grad=True)
    xy, _ = soft_argmax_2d(maps + 1e4 * torch.eye(4)[0].outer(torch.eye(4)[2]), temperature=0.01)
    assert xy.tolist() == [[2.0, 0.0]]
    xy.sum().backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_dtypes_and_leading_axes(dtype: torch.dtype, leading: tuple[int, ...]) -> None:
    expected = torch.float64 if dtype == torch.float64 else torch.float32
    maps = _normal(*leading, 5, 6, 7).to(dtype)
    xy, probability = soft_argmax_2d(maps)
    assert xy.shape == (*leading, 5, 2)
    assert (xy.dtype, probability.dtype) == (expected, expected)
    xyz, _ = soft_argmax_3d(_normal(*leading, 5, 2, 3, 4).to(dtype), _normal(*leading, 2, 3, 4, 3).to(dtype))
    assert xyz.shape == (*leading, 5, 3)
    assert xyz.dtype == expected
    assert hard_argmax_2d(maps)[0].shape == (*leading, 5, 2)


def test_the_middle_of_a_picture_is_the_middle_of_its_heatmap() -> None:
    px = torch.tensor([[99.5, 49.5], [-0.5, -0.5]], dtype=torch.float64)
    cells = heatmap_from_image(px, whole_picture((200, 100)), (64, 32))
    assert cells.tolist() == [[31.5, 15.5], [-0.5, -0.5]]
    assert image_from_heatmap(cells, whole_picture((200, 100)), (64, 32)).tolist() == px.tolist()


def test_boxes_are_those_of_the_synthetic_heatmaps() -> None:
    px, box = 300 * _normal(4, 6, 2), torch.tensor([[10.0, 20.0, 330.0, 260.0]]).double() + _normal(4, 1, seed=2)
    cells = heatmap_from_image(px, box, (64, 48))
    torch.testing.assert_close(cells, drawn.heatmap_from_image(px, box, (64, 48)), atol=ROUNDING, rtol=0)
    torch.testing.assert_close(image_from_heatmap(cells, box, (64, 48)), px, atol=1e-10, rtol=0)


def test_projections_of_heatmaps() -> None:
    projections, points = _normal(2, 3, 4), _normal(2, 5, 3, seed=1)
    homogeneous = torch.cat([points, torch.ones(2, 5, 1).double()], dim=-1)
    box = torch.tensor([10.0, 20.0, 330.0, 260.0]).double()

    def projected(matrices: torch.Tensor) -> torch.Tensor:
        image = homogeneous @ matrices.mT
        return image[..., :2] / image[..., 2:]

    cells = projected(heatmap_projections(projections, box, (64, 48)))
    expected = heatmap_from_image(projected(projections), box, (64, 48))
    torch.testing.assert_close(cells, expected, atol=1e-10, rtol=1e-10)
