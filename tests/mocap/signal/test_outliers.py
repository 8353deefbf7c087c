from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from mocap.signal.outliers import hampel_outliers


def _naive(x: np.ndarray, half: int, n_sigma: float, floor: float) -> np.ndarray:
    frames, series, axes = x.shape
    whole = np.isfinite(x).all(-1)
    distance = np.full((frames, series), np.nan)
    for t, j in zip(*np.nonzero(whole), strict=True):
        pairs = [(t - k, t + k) for k in range(1, half + 1) if t - k >= 0 and t + k < frames]
        middles = [(x[a, j] + x[b, j]) / 2 for a, b in pairs if whole[a, j] and whole[b, j]]
        ahead = [(t + s * k, t + 2 * s * k) for k in range(1, half // 2 + 1) for s in (-1, 1)]
        ahead = [(a, b) for a, b in ahead if min(a, b) >= 0 and max(a, b) < frames]
        lines = [2 * x[a, j] - x[b, j] for a, b in ahead if whole[a, j] and whole[b, j]]
        if len(middles) >= 3:
            distance[t, j] = np.linalg.norm(x[t, j] - np.median(middles, axis=0))
        elif lines:
            distance[t, j] = np.linalg.norm(x[t, j] - np.median(lines, axis=0)) / 2
    result = np.zeros((frames, series), dtype=bool)
    for t, j in zip(*np.nonzero(whole), strict=True):
        around = slice(max(0, t - half), t + half + 1)
        if np.isnan(distance[t, j]):
            continue
        deviation = np.nanmedian(distance[around, j]) / np.sqrt(chi2.ppf(0.5, axes))
        result[t, j] = whole[around, j].sum() >= 3 and distance[t, j] > max(n_sigma * deviation, floor)
    return result


@pytest.mark.parametrize("axes", [1, 3])
def test_equals_the_naive_twin(axes: int) -> None:
    rng = np.random.default_rng(axes)
    x = rng.standard_t(2, (60, 4, axes))
    x[rng.random(x.shape) < 0.1] = np.nan
    found = hampel_outliers(x, half_window=4, n_sigma=3.0, floor=0.2)
    np.testing.assert_array_equal(found, _naive(x, 4, 3.0, 0.2))
    assert found.any()


def test_impulses_are_found_and_their_neighbours_are_not() -> None:
    t = np.arange(200) / 60
    x = np.stack([np.sin(2 * t), 0.5 * t, np.cos(3 * t)], axis=-1)[:, None] * np.ones((1, 5, 1))
    x += np.random.default_rng(0).normal(scale=0.004, size=x.shape)
    spikes = (np.arange(200)[:, None] + np.arange(5)) % 9 == 4  # at most two in a window of 11
    spikes[:12] = spikes[-12:] = False
    spikes[[0, -1]] = True
    x[spikes] += [0.3, -0.2, 0.25]
    found = hampel_outliers(x, half_window=5, n_sigma=5.0, floor=0.03)
    assert found[spikes].all()
    # 5 deviations of a 3D Gaussian: chi² with 3 degrees beyond 25, 1.5e-5; windows with two spikes misjudge a few
    assert found[~spikes].mean() < 0.005


def test_still_points_are_never_outliers_below_the_floor() -> None:
    x = np.zeros((40, 1, 3))
    x[20, 0, 1] = 0.01
    assert not hampel_outliers(x, half_window=5, n_sigma=3.0, floor=0.02).any()
    assert hampel_outliers(x, half_window=5, n_sigma=3.0, floor=0.005).sum() == 1


def test_a_turning_point_and_a_steady_run_are_no_outliers() -> None:
    t = np.arange(-50, 51) / 60.0
    parabola = np.stack([30 * t**2, 4 * t, 0 * t], axis=-1)[:, None]  # 6 g
    assert not hampel_outliers(parabola, half_window=5, n_sigma=4.0).any()


def test_missing_samples_and_lonely_ones_are_no_outliers() -> None:
    x = np.full((30, 2, 3), np.nan)
    x[10, 0], x[11, 0] = 0.0, 50.0
    assert not hampel_outliers(x, half_window=4, n_sigma=3.0).any()
