from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.signal.clock_fit import envelope_line, robust_line


def test_a_line_with_a_third_of_outliers_is_found_within_its_own_deviation():
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 60, 300)
    y = 0.3 + 50e-6 * x + rng.normal(0, 1e-3, 300)
    y[::3] += rng.uniform(0.01, 2.0, 100)
    fit = robust_line(x, y)
    true = 0.3 + 50e-6 * fit.middle
    # Outliers all lie on one side, 10 deviations and more away: they count nothing. Five sd leave 1 seed in a million.
    assert abs(fit.value - true) < 5 * fit.value_sd
    assert abs(fit.slope - 50e-6) < 5 * fit.slope_sd
    assert 0.5e-3 < fit.scatter < 2e-3
    assert 0.6 < fit.inliers < 0.7
    np.testing.assert_allclose(fit.at_zero, fit.at(np.zeros(1))[0])


def test_what_is_known_of_the_slope_decides_where_the_points_do_not():
    one = robust_line(np.array([3.0]), np.array([0.5]), slope=2e-5, slope_sd=1e-5)
    assert one.slope == pytest.approx(2e-5)
    assert one.value == pytest.approx(0.5)
    with pytest.raises(InputError, match="at least one"):
        robust_line(np.full(3, np.nan), np.zeros(3))


def test_the_envelope_finds_the_clock_below_delays_that_only_add():
    rng = np.random.default_rng(2)
    sent = np.arange(900) / 30
    delay = 0.02 + rng.exponential(0.015, 900)
    delay[200:260] += 0.4  # the network stalls
    slope, start = envelope_line(sent, sent * (1 + 40e-6) + 5.0 + delay)
    # Of 900 exponential delays the least are about 15 ms / 900 = 0.02 ms; at the ends the edge may rest on one of the
    # last 30 (0.5 ms).
    assert abs(slope - (1 + 40e-6)) < 0.5e-3 / 15
    assert abs(start + slope * 15 - (15 * (1 + 40e-6) + 5.02)) < 0.3e-3
    assert (sent * (1 + 40e-6) + 5.0 + delay - slope * sent - start).min() > -1e-9


def test_the_envelope_of_points_on_a_line_is_the_line():
    slope, start = envelope_line(np.arange(5.0), 2 + 3 * np.arange(5.0))
    assert (slope, start) == (pytest.approx(3.0), pytest.approx(2.0))
