"""Heatmaps hold the points they were drawn for, to a hundredth of a cell, whatever their shape."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from calibration.camera import rescale_pixels
from mocap.synthetic.heatmaps import (
    CLEAN,
    HeatmapConfig,
    Sighted,
    centroids,
    draw_peaks,
    heatmap_from_image,
    image_from_heatmap,
    make_heatmaps,
    person_boxes,
    px_from_heatmap,
    rivals_of,
)

SHAPES = [(64, 64), (48, 64), (96, 40), (31, 57)]


def clean(size, **changes):
    return CLEAN.model_copy(update={"size": size, "sigma_cells": (1.5, 1.5), "height": (1.0, 0.15), **changes})


def points_within(rng, box, size, cells=9.0):
    """(N, C, K, 2) px at least that far from the border of the heatmap."""
    inner = rng.uniform(0, 1, (*box.shape[:-1], 7, 2)) * (np.array(size) - 1 - 2 * cells) + cells
    return image_from_heatmap(inner, box, size)


@pytest.mark.parametrize("size", SHAPES)
def test_the_centroid_of_a_clean_heatmap_is_the_point(size):
    rng = np.random.default_rng(0)
    corner = rng.uniform(-50, 400, (5, 3, 2))
    box = np.concatenate([corner, corner + rng.uniform(60, 700, (5, 3, 2))], axis=-1)
    xy = points_within(rng, box, size)
    maps = make_heatmaps(Sighted(xy, np.ones((5, 3, 7)), box), clean(size), rng)
    assert maps.shape == (5, 3, 7, size[1], size[0])
    found = centroids(maps.double()).numpy()
    # Cut at 6 sigma: 1e-8. float32 weights: 6e-8 of 64 cells. The sum over cells for the integral: exp(-2 pi² 1.5²).
    np.testing.assert_allclose(found, heatmap_from_image(xy, box, size), atol=1e-3)
    back = image_from_heatmap(found, box, size)
    scale = (box[..., None, 2:] - box[..., None, :2]) / size
    assert (np.abs(back - xy) / scale).max() < 0.01


def test_pixels_rescale_as_everywhere_else():
    """The whole picture of 640 x 360 as 64 x 45 cells."""
    box = np.array([-0.5, -0.5, 639.5, 359.5])
    xy = np.random.default_rng(1).uniform(0, 300, (11, 2))
    expected = rescale_pixels(xy, np.array([64 / 640, 45 / 360]))
    np.testing.assert_allclose(heatmap_from_image(xy, box, (64, 45)), expected, atol=1e-12)
    assert heatmap_from_image(np.array([[99.5, 0.0]]), np.array([-0.5, 0, 199.5, 1]), (64, 1))[0, 0] == 31.5


def test_torch_and_numpy_and_the_affine_map_agree():
    rng = np.random.default_rng(2)
    box = np.array([[10.0, 20, 110, 220], [0, 0, 50, 30]])
    xy = rng.uniform(0, 100, (2, 4, 2))
    cells = heatmap_from_image(xy, box, (48, 64))
    as_torch = heatmap_from_image(torch.from_numpy(xy), torch.from_numpy(box), (48, 64))
    np.testing.assert_allclose(as_torch.numpy(), cells, atol=1e-12)
    back = image_from_heatmap(as_torch, torch.from_numpy(box), (48, 64)).numpy()
    np.testing.assert_allclose(back, xy, atol=1e-12)
    matrix = px_from_heatmap(box, (48, 64))
    np.testing.assert_allclose(cells @ np.swapaxes(matrix[..., :2], -1, -2) + matrix[:, None, :, 2], xy, atol=1e-10)


def test_peaks_are_gaussians_at_exact_places():
    """Against the formula, cell by cell."""
    places = torch.tensor([[[10.3, 20.7], [40.0, 5.5]]], dtype=torch.float64)
    sigma, height = torch.tensor([[1.5, 4.0]]).double(), torch.tensor([[0.7, 0.2]]).double()
    found = draw_peaks(places, sigma, height, (50, 30))[0]
    y, x = torch.meshgrid(torch.arange(30.0).double(), torch.arange(50.0).double(), indexing="ij")
    expected = sum(
        h * torch.exp(-((x - p[0]) ** 2 + (y - p[1]) ** 2) / (2 * s**2))
        for p, s, h in zip(places[0], sigma[0], height[0], strict=True)
    )
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_width_and_height_follow_confidence():
    config = clean((64, 64), sigma_cells=(1.0, 3.0), height=(0.9, 0.1))
    box = np.array([[-0.5, -0.5, 63.5, 63.5]])
    xy = np.full((1, 3, 2), 32.0)
    maps = make_heatmaps(Sighted(xy, np.array([[1.0, 0.5, 0.01]]), box), config, np.random.default_rng(0))[0]
    for row, (sigma, height) in enumerate(((1.0, 0.9), (2.0, 0.5), (2.98, 0.108))):
        assert maps[row].max() == pytest.approx(height, rel=1e-5)
        weight = maps[row].double() / maps[row].sum()
        variance = (weight.sum(0) * (torch.arange(64) - 32.0) ** 2).sum()
        assert variance.sqrt() == pytest.approx(sigma, rel=1e-3)


def test_missing_points_have_no_peak():
    config = HeatmapConfig(noise=0.01)
    box = np.array([[-0.5, -0.5, 63.5, 63.5]])
    xy = np.array([[[np.nan, np.nan], [20.0, 20.0]]])
    sighted = Sighted(xy, np.array([[0.0, 1.0]]), box, np.full((1, 2, 2), 40.0))
    maps = make_heatmaps(sighted, config, np.random.default_rng(0))[0]
    assert maps[0].max() < 0.1  # six times the mean of |Gaussian| at the largest strength of 1.5
    assert maps[1].argmax() == 20 * 64 + 20
    flat = make_heatmaps(Sighted(xy, np.array([[0.0, 1.0]]), box), clean((64, 64)), np.random.default_rng(0))[0]
    assert not flat[0].any()


def test_the_floor_is_as_high_as_configured():
    config = HeatmapConfig(noise=0.02, second_share=0.0)
    xy = np.full((40, 50, 2), np.nan)
    maps = make_heatmaps(Sighted(xy, np.zeros((40, 50)), np.tile([0.0, 0, 64, 64], (40, 1))), config, rng := _rng())
    # 2000 strengths of relative spread 1 / sqrt(12), dealt from 61 patterns of 4096 values.
    assert maps.mean() == pytest.approx(0.02, rel=4.5 * (1 / np.sqrt(12 * 2000) + 0.8 / np.sqrt(61 * 4096)))
    assert len(torch.unique(maps[:, :, 3, 5])) > 1000
    assert rng.random() < 1


def _rng():
    return np.random.default_rng(3)


def test_second_peaks_are_as_frequent_as_configured_and_at_the_rival():
    config = HeatmapConfig(noise=0.0, second_share=0.25, second_height=(0.3, 0.6), sigma_cells=(1.0, 1.0))
    n = 3000
    xy, rivals = np.tile([10.0, 12.0], (n, 1, 1)), np.tile([50.0, 40.0], (n, 1, 1))
    sighted = Sighted(xy, np.full((n, 1), 1.0), np.tile([-0.5, -0.5, 63.5, 63.5], (n, 1)), rivals)
    second = make_heatmaps(sighted, config, _rng())[:, 0, 40, 50].numpy()
    there = second > 0.01
    assert abs(there.mean() - 0.25) < 4.5 * np.sqrt(0.25 * 0.75 / n)
    assert second[there].min() >= 0.3 - 1e-6
    assert second[there].max() <= 0.6 + 1e-6


def test_given_memory_is_used_and_gives_the_same():
    config = HeatmapConfig()
    box = np.array([[-0.5, -0.5, 63.5, 63.5]] * 3)
    xy = _rng().uniform(5, 60, (3, 4, 2))
    sighted = Sighted(xy, np.ones((3, 4)), box, xy[:, ::-1])
    memory = torch.full((3 * 4 * 64 * 64 + 10,), 7.0)
    given = make_heatmaps(sighted, config, _rng(), out=memory)
    assert given.data_ptr() == memory.data_ptr()
    assert (memory[-10:] == 7).all()
    torch.testing.assert_close(given, make_heatmaps(sighted, config, _rng()), atol=0, rtol=0)


def test_boxes_hold_the_person_and_have_the_shape_of_the_heatmap():
    xy = np.random.default_rng(4).uniform(100, 400, (6, 17, 2))
    xy[0, 3] = np.nan
    box = person_boxes(xy, HeatmapConfig(size=(48, 64), box_jitter=0.0), _rng())
    sides = box[:, 2:] - box[:, :2]
    np.testing.assert_allclose(sides[:, 0] / sides[:, 1], 48 / 64)
    assert (np.nanmin(xy, 1) >= box[:, :2]).all()
    assert (np.nanmax(xy, 1) <= box[:, 2:]).all()
    tallest = np.maximum(*(np.nanmax(xy, 1) - np.nanmin(xy, 1)).T * np.array([[1.0], [0.75]]))
    np.testing.assert_allclose(sides[:, 0], 1.25 * tallest)
    assert np.isfinite(person_boxes(np.full((1, 3, 2), np.nan), HeatmapConfig(), _rng())).all()


def test_boxes_shake_as_configured():
    xy = np.tile(np.array([[100.0, 100], [300, 200]]), (5000, 1, 1))
    still = person_boxes(xy, HeatmapConfig(box_jitter=0.0), _rng())
    shaken = person_boxes(xy, HeatmapConfig(box_jitter=0.1), _rng())
    size = (shaken[:, 2] - shaken[:, 0]) / (still[:, 2] - still[:, 0])
    assert abs(np.log(size).std() - 0.1) < 4.5 * 0.1 / np.sqrt(10000)
    middle = (shaken[:, :2] + shaken[:, 2:] - still[:, :2] - still[:, 2:]) / 2 / (shaken[:, 2:] - shaken[:, :2])
    assert abs(middle.std() - 0.1) < 4.5 * 0.1 / np.sqrt(20000)


def test_rivals_are_twins_or_other_people():
    rng = np.random.default_rng(5)
    xy, others = rng.uniform(size=(200, 2, 3, 2)), 10 + rng.uniform(size=(200, 2, 2, 3, 2))
    mirror = np.array([0, 2, 1])
    twins = rivals_of(xy, mirror, None, rng)
    assert np.isnan(twins[:, :, 0]).all()
    np.testing.assert_array_equal(twins[:, :, 1:], xy[:, :, [2, 1]])
    both = rivals_of(xy, mirror, others, rng)
    assert (both[:, :, 0] >= 10).all()
    share = (both[:, :, 1:, 0] >= 10).mean()
    assert abs(share - 0.5) < 4.5 * 0.5 / np.sqrt(800)
