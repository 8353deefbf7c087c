"""Shifts of speeds come back through gaps, noise and other views."""

from __future__ import annotations

import numpy as np

from mocap.signal.velocity_correlation import speed_signals, top_between, velocity_correlation

STEP = 1 / 60


def speeds(n: int, late: float) -> np.ndarray:
    """Of three points that start and stop, `late` samples later."""
    t = (np.arange(n) - late) * STEP
    waves = [
        np.abs(np.sin(2 * np.pi * f * t + p)) * (1.2 + np.sin(2 * np.pi * 0.31 * f * t))
        for f, p in ((0.4, 0), (0.7, 1), (0.55, 2))
    ]
    return np.stack(waves, axis=-1)


def test_a_shift_comes_back_through_gaps_and_another_scale():
    a, b = speeds(900, 0.0), 3.0 * speeds(1000, 37.4)
    b[200:260, 1] = np.nan
    a[500:520] = np.nan
    score = velocity_correlation(speed_signals(a), speed_signals(b), first=-200, last=200)
    top = int(np.argmax(score))
    assert abs(top_between(score, top) - 200 - 37.4) < 0.1
    assert score[top] > 0.98


def test_shifts_without_overlap_say_nothing():
    score = velocity_correlation(speed_signals(speeds(60, 0.0)), speed_signals(speeds(60, 0.0)), first=-100, last=100)
    assert (score[:40] == 0).all()
    assert (score[-40:] == 0).all()
    assert np.argmax(score) == 100


def test_things_that_stand_say_nothing():
    still = speed_signals(np.full((100, 2), 0.5))
    assert (velocity_correlation(still, still, first=-5, last=5) == 0).all()


def test_the_top_of_a_parabola_is_exact():
    score = -((np.arange(9) - 4.3) ** 2)
    assert abs(top_between(score, 4) - 4.3) < 1e-12
    assert top_between(score, 0) == 0.0
