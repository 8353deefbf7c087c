"""Clocks: both directions, and what estimates of pairs say turned round."""

import numpy as np
import pytest

from mocap.core.clock import Clock, ClockEstimate
from mocap.core.errors import InputError


def test_a_clock_that_is_late_and_slow():
    clock = Clock(offset_s=5.0, rate=0.5)
    np.testing.assert_array_equal(clock.stamp_s(np.array([0.0, 4.0])), [5.0, 7.0])
    np.testing.assert_array_equal(clock.time_s(np.array([5.0, 7.0])), [0.0, 4.0])


def test_an_estimate_is_a_clock_on_that_of_the_reference():
    found = ClockEstimate("audio", "b", "a", offset_s=2.0, drift_ppm=1e5)
    np.testing.assert_allclose(found.clock.stamp_s(np.array([10.0])), [2.0 + 1.1 * 10.0])
    assert ClockEstimate("flash", "b", "a", offset_s=2.0).clock == Clock(2.0, 1.0)


def test_an_estimate_turned_round_says_the_same():
    lags = np.array([1.0, 2.0, 4.0])
    found = ClockEstimate("audio", "b", "a", 2.0, 1e5, 0.001, 0.9, (lags, np.array([0.1, 0.9, 0.2])))
    back = found.reversed()
    assert (back.camera, back.reference, back.sd_s, back.confidence) == ("a", "b", 0.001, 0.9)
    stamp_a = np.array([0.0, 3.0, 60.0])
    np.testing.assert_allclose(back.clock.stamp_s(found.clock.stamp_s(stamp_a)), stamp_a, atol=1e-12)
    assert back.curve is not None
    np.testing.assert_array_equal(back.curve[0], [-4.0, -2.0, -1.0])
    np.testing.assert_array_equal(back.curve[1], [0.2, 0.9, 0.1])


@pytest.mark.parametrize(("offset", "rate"), [(np.nan, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, np.inf)])
def test_what_is_no_clock_is_refused(offset, rate):
    with pytest.raises(InputError, match="is none"):
        Clock(offset, rate)


def test_an_unknown_method_is_refused_and_the_known_ones_are_named():
    with pytest.raises(InputError, match="smell") as caught:
        ClockEstimate("smell", "b", "a", 0.0)
    assert "audio" in str(caught.value)
