"""Stamps of a sender on our clock: what the network adds must not be in them."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.capture.stream_clock import LARGEST_DRIFT, LEAST_STEP, StreamClock

FPS = 30.0
OFFSET_S = 5000.0


def arrivals(seconds: float, *, drift_ppm: float = 0.0, delay_s: float = 0.01, seed: int = 0):
    """(N,) stamps, arrivals and true times: exponential delays in the order of sending."""
    rng = np.random.default_rng(seed)
    true = 100 + np.arange(int(seconds * FPS)) / FPS
    stamp = (true - 100) * (1 + 1e-6 * drift_ppm) + OFFSET_S
    return stamp, np.maximum.accumulate(true + rng.exponential(delay_s, len(true))), true


def mapped(stamp, arrival):
    clock = StreamClock()
    return np.array([clock.time_s(s, a) for s, a in zip(stamp.tolist(), arrival.tolist(), strict=True)])


@pytest.mark.parametrize("drift_ppm", [-200, 0, 300])
def test_jitter_does_not_enter_the_times(drift_ppm):
    """The least of 30 n delays of 10 ms is 10 / (30 n) ms on average; after 20 s the line lies within 1 ms, and the
    intervals between times carry none of the 10 ms."""
    stamp, arrival, true = arrivals(45, drift_ppm=drift_ppm)
    error = mapped(stamp, arrival) - true
    late = error[int(20 * FPS) :]
    assert np.abs(late).max() < 1e-3
    assert np.diff(late).std() < 2e-5
    assert (arrival - true)[int(20 * FPS) :].std() > 8e-3


def test_a_fixed_delay_stays_since_nobody_can_know_it():
    stamp, arrival, true = arrivals(5, delay_s=1e-9)
    np.testing.assert_allclose(mapped(stamp, arrival + 0.04) - true, 0.04, atol=1e-6)


def test_times_ascend_even_when_the_first_pictures_were_late():
    stamp, arrival, _ = arrivals(3)
    arrival[:20] = arrival[20] - 1e-4 * np.arange(20, 0, -1)  # a burst of what had waited
    times = mapped(stamp, arrival)
    assert (np.diff(times) >= LEAST_STEP / FPS - 1e-9).all()


def test_a_clock_that_was_set_begins_anew():
    stamp, arrival, true = arrivals(10, delay_s=1e-4)
    stamp[100:] -= 4000.0
    stamp[200:] += 9000.0
    np.testing.assert_allclose(mapped(stamp, arrival), true, atol=2e-3)


def test_made_up_stamps_do_not_bend_the_clock_further_than_clocks_go():
    stamp, arrival, _ = arrivals(30, drift_ppm=5000)
    clock = StreamClock()
    for s, a in zip(stamp.tolist(), arrival.tolist(), strict=True):
        clock.time_s(s, a)
    assert abs(clock.rate - 1) <= LARGEST_DRIFT
