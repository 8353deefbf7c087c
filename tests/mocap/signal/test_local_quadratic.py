"""Parabolas come through exactly, noise does not depend on where in a frame one asks, gaps stay gaps."""

from __future__ import annotations

import numpy as np

from mocap.signal.local_quadratic import local_quadratic, steady_weights


def uneven_times(n: int) -> np.ndarray:
    return np.arange(n) / 30 + np.random.default_rng(0).uniform(-0.01, 0.01, n)


def test_parabolas_come_through_with_their_slopes():
    t, at = uneven_times(40), np.linspace(0.2, 1.1, 17)
    coefficients = np.array([[[0.3, -1.0, 2.0]], [[1.0, 4.0, -0.7]]])  # two points, one coordinate
    x = coefficients[..., 0] + coefficients[..., 1] * t[:, None, None] + coefficients[..., 2] * t[:, None, None] ** 2
    value, rate = local_quadratic(t, x, np.ones((40, 2)), at, half_width_s=0.12)
    s = at[:, None, None]
    expected = coefficients[..., 0] + coefficients[..., 1] * s + coefficients[..., 2] * s**2
    slope = coefficients[..., 1] + 2 * coefficients[..., 2] * at[:, None, None]
    np.testing.assert_allclose(value, expected, atol=1e-9)
    np.testing.assert_allclose(rate, slope, atol=1e-8)


def test_noise_is_the_same_between_samples_as_at_them():
    t = np.arange(4000) / 30
    x = np.random.default_rng(1).standard_normal((4000, 1, 1))
    at = np.arange(30, 3900) / 30
    spread = [local_quadratic(t, x, np.ones((4000, 1)), at + s / 30, half_width_s=0.15)[0].std() for s in (0.0, 0.5)]
    # A deviation of some 0.5 over 3870 samples of which four in a row depend on each other is known to 2 %; a linear
    # interpolation would differ by 29 %.
    assert abs(spread[1] / spread[0] - 1) < 0.07


def test_nothing_is_made_up_in_gaps_or_outside():
    t = np.arange(60) / 30
    x = np.sin(t)[:, None, None]
    weight = np.where((t > 0.7) & (t < 1.3), 0.0, 1.0)[:, None]
    value, rate = local_quadratic(t, x, weight, np.array([-0.05, 0.4, 1.0, 1.6, 2.1]), half_width_s=0.12)
    assert np.isfinite(value[:, 0, 0]).tolist() == [False, True, False, True, False]
    assert np.array_equal(np.isfinite(value), np.isfinite(rate))


def test_too_few_samples_give_nothing():
    value, _ = local_quadratic(
        np.arange(3) / 10, np.zeros((3, 2, 2)), np.ones((3, 2)), np.array([0.1]), half_width_s=1.0
    )
    assert np.isnan(value).all()


def test_what_jumps_out_of_line_loses_its_weight():
    t = np.arange(60) / 30
    x = np.stack([np.sin(3 * t), np.cos(2 * t)], axis=-1)[:, None]
    x = x + 0.001 * np.random.default_rng(2).standard_normal(x.shape)
    x[25, 0] += 0.5
    weight = steady_weights(t, x, np.ones((60, 1)), half_width_s=0.15)
    assert weight[25, 0] == 0
    assert (weight[np.abs(np.arange(60) - 25) > 4, 0] > 0.2).all()
