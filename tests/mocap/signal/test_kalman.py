from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import ConfigError
from mocap.signal import kalman
from mocap.signal.kalman import density_for_cutoff, motion_model, rts_smooth

FPS = 40.0


def _naive_map(x: np.ndarray, variance: np.ndarray, density: float, order: int) -> tuple[np.ndarray, np.ndarray]:
    """One coordinate: the same posterior as one dense least-squares problem over all states, with a flat prior."""
    F, Q = motion_model(1 / FPS, density, order)
    T = len(x)
    H = np.zeros((T * order, T * order))
    b = np.zeros(T * order)
    weight = np.linalg.inv(Q)
    for t in range(T - 1):
        A = np.zeros((order, T * order))
        A[:, t * order : (t + 1) * order] = F
        A[:, (t + 1) * order : (t + 2) * order] -= np.eye(order)
        H += A.T @ weight @ A
    for t in range(T):
        if np.isfinite(x[t]) and np.isfinite(variance[t]):
            H[t * order, t * order] += 1 / variance[t]
            b[t * order] += x[t] / variance[t]
    cov = np.linalg.inv(H)
    return (cov @ b)[::order], np.sqrt(np.diag(cov)[::order])


@pytest.mark.parametrize("order", [1, 2, 3])
def test_equals_the_dense_posterior_with_gaps_and_uneven_noise(order: int) -> None:
    rng = np.random.default_rng(order)
    x = np.cumsum(rng.normal(size=(25, 3, 2)), axis=0)
    variance = rng.uniform(0.2, 3.0, (25, 3))
    x[8:13, 0] = np.nan
    variance[15:18, 1] = np.inf
    density = {1: 30.0, 2: 2e3, 3: 1e5}[order]
    found, deviation = rts_smooth(x, variance, fps=FPS, density=density, order=order)
    for j, d in np.ndindex(3, 2):
        expected, spread = _naive_map(x[:, j, d], variance[:, j], density, order)
        # the diffuse prior weighs 1e-8 of a sample, values are of order 10; the dense inverse itself is good to 1e-6
        np.testing.assert_allclose(found[:, j, d], expected, atol=2e-5)
        np.testing.assert_allclose(deviation[:, j], spread, rtol=1e-4)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_polynomials_of_the_models_degree_come_through(order: int) -> None:
    t = np.arange(80.0) / FPS
    x = sum((k + 1.5) * t**k for k in range(order))[:, None] * [1.0, -2.0]
    found, _ = rts_smooth(
        x, np.full(80, 1e-4), fps=FPS, density=density_for_cutoff(6.0, 1e-4, fps=FPS, order=order), order=order
    )
    np.testing.assert_allclose(found, x, atol=1e-6)  # |x| <= 70, diffuse prior 1e-8


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("hz", [1.0, 3.0, 6.0])
def test_gain_is_the_one_that_the_docstring_states(order: int, hz: float) -> None:
    t = np.arange(1200) / FPS
    x = np.sin(2 * np.pi * hz * t)[:, None]
    density = density_for_cutoff(3.0, 0.04, fps=FPS, order=order)
    found, _ = rts_smooth(x, np.full(1200, 0.04), fps=FPS, density=density, order=order)
    middle = slice(400, 800)
    gain = (found[middle] * x[middle]).sum() / (x[middle] ** 2).sum()
    expected = 1 / (1 + (np.sqrt(2) - 1) * (hz / 3.0) ** (2 * order))
    # in discrete time w is replaced by 2 sin(w/2): at 6 Hz of 40 frames a second that is 3.7 % per power
    assert gain == pytest.approx(expected, abs=0.02)


def test_gaps_are_filled_between_samples_only_and_with_growing_doubt() -> None:
    t = np.arange(90.0) / FPS
    x = np.stack([np.sin(4 * t), np.cos(3 * t)], axis=-1)[:, None]
    holed = x.copy()
    holed[:6] = holed[40:48] = holed[-4:] = np.nan
    variance = np.full((90, 1), 1e-6)
    found, deviation = rts_smooth(holed, variance, fps=FPS, density=density_for_cutoff(8.0, 1e-6, fps=FPS), order=3)
    assert np.isnan(found[:6]).all()
    assert np.isnan(found[-4:]).all()
    assert np.isnan(deviation[-4:]).all()
    assert np.isfinite(found[6:-4]).all()
    # Over 8 frames = 0.2 s a quintic through 3 derivatives misses |x^(6)| h^6 / (6! 2^6) = 4^6 0.225^6 / 46080 < 1e-5
    # plus the noise bandwidth: far below a straight line, which misses 4² 0.225² / 8 = 0.1
    np.testing.assert_allclose(found[40:48, 0], x[40:48, 0], atol=5e-3)
    middle = deviation[38:50, 0]
    assert middle.argmax() in (5, 6)
    assert middle.max() > 3 * deviation[20, 0]


def test_deviation_is_the_spread_of_the_error() -> None:
    rng = np.random.default_rng(4)
    order, sigma = 2, 0.5
    F, Q = motion_model(1 / FPS, 40.0, order)
    state, truth = np.zeros((order, 400)), []
    for _ in range(120):
        state = F @ state + np.linalg.cholesky(Q) @ rng.normal(size=(order, 400))
        truth.append(state[0])
    truth = np.array(truth)[..., None]
    x = truth + sigma * rng.normal(size=truth.shape)
    found, deviation = rts_smooth(x, np.full((120, 400), sigma**2), fps=FPS, density=40.0, order=order)
    squared = ((found - truth)[..., 0] / deviation) ** 2
    # mean of a chi-square of 1: 1; 400 series x at least 10 independent stretches: 3 sqrt(2 / 4000) = 0.067
    assert squared.mean() == pytest.approx(1.0, abs=0.067)
    assert np.abs(found - truth).mean() < 0.6 * np.abs(x - truth).mean()


def test_an_uncertain_sample_counts_less() -> None:
    x = np.zeros((60, 2, 1))
    x[30] = 1.0
    variance = np.full((60, 2), 0.01)
    variance[30, 1] = 1.0
    found, _ = rts_smooth(x, variance, fps=FPS, density=density_for_cutoff(5.0, 0.01, fps=FPS), order=3)
    assert found[30, 1, 0] < 0.05 * found[30, 0, 0]


def test_series_in_turns_equal_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    x, variance = rng.normal(size=(30, 5, 2)), rng.uniform(0.1, 1, (30, 5))
    whole = rts_smooth(x, variance, fps=FPS, density=1e4)
    monkeypatch.setattr(kalman, "MAX_ELEMENTS", 2 * 30 * 3 * 3 * 5)
    parts = rts_smooth(x, variance, fps=FPS, density=1e4)
    np.testing.assert_allclose(parts[0], whole[0], atol=1e-12)
    np.testing.assert_allclose(parts[1], whole[1], atol=1e-12)


def test_nothing_single_and_two_samples() -> None:
    x = np.full((10, 3, 2), np.nan)
    x[4, 1] = 7.0
    x[[2, 6], 2] = [[1.0, 5.0], [3.0, 1.0]]
    found, _ = rts_smooth(x, np.ones((10, 3)), fps=FPS, density=1e3, order=2)
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_allclose(found[4, 1], 7.0, atol=1e-6)
    assert np.isfinite(found[:, 1]).all(-1).sum() == 1
    np.testing.assert_allclose(found[2:7, 2], np.linspace([1.0, 5.0], [3.0, 1.0], 5), atol=1e-4)


def test_an_impossible_order_is_refused() -> None:
    with pytest.raises(ConfigError, match="order from 1 to 4"):
        rts_smooth(np.zeros((5, 1)), np.ones(5), fps=FPS, density=1.0, order=7)
