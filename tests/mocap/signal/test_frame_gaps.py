from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.signal.frame_gaps import (
    even_times,
    frame_steps,
    lost_by_length,
    nominal_rate,
    only_counts,
    repaired,
    repeated_pictures,
)
from mocap.signal.step_counts import steps_from_motion
from mocap.signal.step_evidence import step_ratios
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
    assert lost_by_length(357, 1 / 30, 12.0) == 0
    assert lost_by_length(355, 1 / 30, 12.0) == 5
    assert lost_by_length(712, 1 / 60, 12.0) == 0, "sound ends by an eighth of a second later"


def test_what_stands_still_tells_nothing():
    tracks = np.random.default_rng(6).normal(0, 0.5, (100, 12, 2))
    assert (steps_from_motion(tracks, 0.5) == 1).all()
    ratio, sd = step_ratios(np.full((100, 12, 2), np.nan), 0.5)
    assert not np.isfinite(ratio).any()
    assert np.isinf(sd).all()


def changes(place, *, noise=1.0, lags=4):
    """Levels that pictures of something at `place` change by: 20 for a step of 1."""
    change = np.full((len(place), lags), np.nan)
    for lag in range(1, lags + 1):
        change[lag:, lag - 1] = np.hypot(20 * np.abs(place[lag:] - place[:-lag]), noise)
    return change


def test_pictures_that_repeat_are_found_alone_and_in_pairs():
    place = np.arange(120.0)
    for frame in (20, 50, 51, 90):
        place[frame] = place[frame - 1]
    np.testing.assert_array_equal(np.flatnonzero(repeated_pictures(changes(place))), [20, 50, 51, 90])
    assert not repeated_pictures(np.full((3, 4), 20.0)).any()


def test_what_rests_or_stands_still_repeats_nothing():
    place = np.concatenate([np.arange(30.0), np.full(12, 29.0), 29 + 0.05 * np.arange(30.0)])
    place[60] = place[59]
    assert not repeated_pictures(changes(place)).any()


def test_hands_that_turn_round_are_no_repeat():
    # At 137 and 108 of sample_sessions/phones cam01, and at 18 of cam02, hands that clap are where they were.
    for early in (0.0, 0.05, 0.1):
        time = np.arange(-20.0, 20.0) + 0.5 + early
        for way in (time**2 / 4, np.abs(3 * time)):
            assert not repeated_pictures(changes(way)).any()


def test_damaged_pictures_are_not_taken_for_repeats():
    change = changes(np.arange(40.0))
    change[20:23] = np.nan
    change[20, 0] = 0.0
    assert not repeated_pictures(change).any()


def test_what_only_counts_is_told_from_times():
    counted = np.arange(200) / 29.97
    assert only_counts(counted)
    assert only_counts(np.round(counted, 3))
    assert only_counts(np.floor(1000 * counted) / 1000)
    assert only_counts(np.round(counted, 6))
    rng = np.random.default_rng(1)
    assert not only_counts(np.round(counted + rng.normal(0, 0.001, 200), 3))
    assert not only_counts(np.delete(counted, 100))
    assert not only_counts(counted[:2])


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
