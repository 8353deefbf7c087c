from __future__ import annotations

import torch

from mocap.models.heatmap_statistics import N_SHAPES, peak_shapes, peak_statistics
from mocap.synthetic.heatmaps import draw_peaks

SIZE = (70, 62)
"""Width and height, no multiples of 4."""


def _drawn(places: list[list[float]], sigma: list[float], height: list[float]) -> torch.Tensor:
    peaks = torch.tensor(places)[None]
    return draw_peaks(peaks, torch.tensor([sigma]), torch.tensor([height]), SIZE)


def test_a_peak_is_measured() -> None:
    found = peak_statistics(_drawn([[40.3, 12.6]], [1.5], [0.8]))
    torch.testing.assert_close(found.xy[0], torch.tensor([40.3, 12.6]), atol=0.02, rtol=0)
    # the highest cell is up to half a cell off in x and y: exp(-(0.3² + 0.4²) / 2 / 1.5²) = 0.946
    assert abs(found.height.item() - 0.8 * 0.946) < 0.01
    # With u = r² / 2 sigma² and L = ln 10, what is above a tenth of a Gaussian's height has the variance sigma² times
    # (integral of u (exp(-u) - 0.1) from 0 to L) / (that of exp(-u) - 0.1) = 0.4046 / 0.6697 = 0.604; cells are coarse.
    torch.testing.assert_close(found.spread[0], 0.604 * 2.25 * torch.eye(2), atol=0.12, rtol=0)


def test_another_peak_is_found_and_a_flank_is_none() -> None:
    two = peak_statistics(_drawn([[20.0, 20.0], [50.0, 44.0]], [2.0, 2.0], [0.9, 0.5]))
    assert (two.second_xy - torch.tensor([50.0, 44.0])).abs().max() <= 2
    assert abs(two.second_height.item() - 0.5) < 0.05
    one = peak_statistics(_drawn([[20.0, 20.0]], [4.0], [0.9]))
    assert one.second_height.item() < 0.05


def test_two_peaks_beside_each_other_are_wide_along_the_line_between_them() -> None:
    found = peak_statistics(_drawn([[30.0, 30.0], [34.0, 30.0]], [1.5, 1.5], [0.5, 0.5]))
    spread = found.spread[0]
    assert spread[0, 0] > 2 * spread[1, 1]
    assert peak_shapes(found, SIZE)[0, 2] < 0.7


def test_peaks_at_the_border_and_in_the_last_cells_are_found() -> None:
    places = torch.tensor([[[0.0, 0.0]], [[69.0, 61.0]], [[69.0, 0.0]]])
    maps = draw_peaks(places, torch.full((3, 1), 1.5), torch.full((3, 1), 0.7), SIZE)
    found = peak_statistics(maps)
    assert (found.xy - places[:, 0]).abs().max() < 1.5
    torch.testing.assert_close(found.height, torch.full((3,), 0.7))
    assert peak_shapes(found, SIZE)[:, 5].abs().max() < 0.05


def test_an_empty_heatmap_has_no_shape() -> None:
    found = peak_statistics(torch.zeros(2, 3, 62, 70))
    assert (found.height == 0).all()
    assert found.xy.isnan().all()
    shapes = peak_shapes(found, SIZE)
    assert shapes.shape == (2, 3, N_SHAPES)
    assert shapes.isnan().all()


def test_half_precision_gives_the_same() -> None:
    maps = _drawn([[20.25, 20.5], [50.0, 44.0]], [2.0, 2.0], [0.9, 0.5])
    one, half = peak_shapes(peak_statistics(maps), SIZE), peak_shapes(peak_statistics(maps.half()), SIZE)
    torch.testing.assert_close(one, half, atol=5e-3, rtol=0)
