from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.signal.frame_gaps import (
    even_times,
    frame_steps,
    lost_by_length,
    nominal_rate,
    repaired,
    repeated_pictures,
    step_ratios,
    steps_from_motion,
)
from mocap.synthetic.clocks import CameraFaults, RateStep, frame_clock


def camera(fps=30.0, seconds=20.0, seed=1, **faults):
    return frame_clock(CameraFaults(**faults), fps=fps, seconds=seconds, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("fps", [24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 50.0, 60000 / 1001, 60.0, 120.0])
def test_rates_are_told_apart_under_drift_jitter_and_losses(fps):
    clock = camera(fps, drift_ppm=80.0, jitter_s=0.0005, dropped=0.02, duplicated=0.01)
    assert nominal_rate(clock.stamp_s) == pytest.approx(fps, rel=1e-9)


def test_odd_rates_have_no_name():
    assert nominal_rate(np.arange(50) / 27.3) is None
    assert nominal_rate(np.arange(2) / 30) is None


def test_lost_exposures_show_in_the_stamps():
    clock = camera(dropped=0.01, bursts=2, burst_frames=7, jitter_s=0.002)
    found = frame_steps(clock.stamp_s)
    np.testing.assert_array_equal(found.steps, np.diff(clock.exposure))
    assert found.lost == len(clock.dropped) - (len(clock.dropped) and int((clock.dropped > clock.exposure[-1]).sum()))
    assert abs(found.period_s - 1 / 30) < 1e-5
    # The jitter of 2 ms, of which a scatter over some 580 frames is right to 5 %.
    assert 0.0015 < found.jitter_s < 0.0025


def test_a_camera_that_slows_down_has_lost_nothing():
    clock = camera(rate_steps=(RateStep(at_s=8.0, fps=20.0),), jitter_s=0.0003)
    found = frame_steps(clock.stamp_s)
    assert found.uneven
    assert found.lost == 0
    np.testing.assert_array_equal(even_times(clock.stamp_s), clock.stamp_s)


def test_even_times_take_the_jitter_out_and_leave_the_gaps():
    clock = camera(jitter_s=0.0, dropped=0.02, offset_s=3.0)
    rng = np.random.default_rng(2)
    either = even_times(clock.stamp_s + rng.normal(0, 0.003, len(clock)))
    # A line through 590 times with 3 ms: 0.12 ms in the middle, twice that at the ends; four of those.
    assert np.abs(either - clock.stamp_s).max() < 1e-3
    late = even_times(clock.stamp_s + 0.005 + rng.exponential(0.004, len(clock)), late_only=True)
    assert np.abs(late - clock.stamp_s - 0.005).max() < 0.5e-3


def swinging(time_s, seed: int = 0, noise: float = 0.5):
    """Twelve points that swing at walking pace, px."""
    rng = np.random.default_rng(seed)
    phase, pace = rng.uniform(0, 6.28, (12, 2)), rng.uniform(0.5, 1.2, (12, 2))
    xy = 80 * np.sin(2 * np.pi * pace * time_s[:, None, None] + phase) + rng.uniform(100, 900, (12, 2))
    return xy + rng.normal(0, noise, xy.shape)


def test_motion_tells_the_steps_of_a_file_that_only_counts():
    clock = camera(seconds=12.0, dropped=0.01, stamps="nominal", seed=4)
    tracks = swinging(clock.time_s)
    found = steps_from_motion(tracks, 0.5)
    lost = np.flatnonzero(np.diff(clock.exposure) > 1)
    assert len(lost) >= 2
    np.testing.assert_array_equal(found, np.diff(clock.exposure))
    right = repaired(clock.stamp_s, steps=found)
    assert right.moved
    # Stamps of the file, put right, follow the true times; the file's own fall behind by a frame a loss.
    np.testing.assert_allclose(right.stamp_s - right.stamp_s[0], clock.time_s - clock.time_s[0], atol=1e-3)
    assert f"{len(clock.dropped)} lost frame" in right.sentences[0]
    np.testing.assert_allclose(sum(seconds for _, seconds in right.gaps(1 / 30)), len(clock.dropped) / 30)


def test_a_repeated_frame_is_no_loss_although_a_double_step_follows():
    clock = camera(seconds=10.0, duplicated=0.02, stamps="nominal", seed=5)
    tracks = swinging(clock.time_s, noise=0.2)
    right = repaired(clock.stamp_s, steps=steps_from_motion(tracks, 0.2))
    np.testing.assert_array_equal(right.repeated, clock.repeated)
    assert not right.moved
    assert right.lost_before.sum() == 0
    assert "repeat" in right.sentences[0]


def test_a_known_number_of_losses_is_found_under_more_noise():
    clock = camera(seconds=12.0, dropped=0.02, stamps="nominal", seed=11)
    slow = swinging(0.25 * clock.time_s, noise=1.0)
    lost = lost_by_length(len(clock), 1 / 30, 12.0)
    assert lost == len(clock.dropped)
    alone, told = steps_from_motion(slow, 1.0), steps_from_motion(slow, 1.0, lost=lost)
    assert (alone - 1).sum() <= (told - 1).sum() == lost
    off = [np.abs(repaired(clock.stamp_s, steps=s).stamp_s - clock.time_s).max() for s in (alone, told)]
    assert off[1] <= off[0] + 1e-9
    assert off[1] < 3.5 / 30, "misplaced losses are off by some frames between where they were and where they are put"
    assert lost_by_length(358, 1 / 30, 12.0) == 0


def test_what_stands_still_tells_nothing():
    tracks = np.random.default_rng(6).normal(0, 0.5, (100, 12, 2))
    assert (steps_from_motion(tracks, 0.5) == 1).all()
    ratio, sd = step_ratios(np.full((100, 12, 2), np.nan), 0.5)
    assert not np.isfinite(ratio).any()
    assert np.isinf(sd).all()


def test_repeated_pictures_differ_by_nothing_while_others_move():
    rng = np.random.default_rng(7)
    difference = rng.uniform(6, 12, 200)
    difference[[20, 90, 150]] = [0.1, 0.0, 0.3]
    difference[60:75] = 0.05  # everybody stands still
    found = repeated_pictures(difference, noise=1.0)
    np.testing.assert_array_equal(np.flatnonzero(found), [21, 91, 151])
    assert not repeated_pictures(np.full(3, 1.0)).any()


def test_stamps_that_show_gaps_are_believed():
    clock = camera(dropped=0.02)
    told = repaired(clock.stamp_s, repeated=clock.repeated, steps=np.full(len(clock) - 1, 2))
    np.testing.assert_array_equal(told.stamp_s, clock.stamp_s)
    assert told.lost_before.sum() == np.sum(np.diff(clock.exposure) - 1)
    assert "show the gaps" in told.sentences[0]
    assert repaired(np.arange(30) / 30).sentences == ()


def test_stamps_must_increase():
    with pytest.raises(InputError, match="increase after frame 1"):
        frame_steps(np.array([0.0, 0.1, 0.1, 0.2]))
    with pytest.raises(InputError, match="single frame"):
        frame_steps(np.array([0.0]))
