"""Lost exposures by what moves: points, pictures, both, and what sound says of their number."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.signal.step_counts import counted_steps, losses
from mocap.signal.step_evidence import motion_likelihood, picture_likelihood, step_ratios, whitened
from mocap.synthetic.clocks import CameraFaults, frame_clock


def clock_of(seconds=20.0, seed=3, **faults):
    return frame_clock(
        CameraFaults(stamps="nominal", **faults), fps=30.0, seconds=seconds, rng=np.random.default_rng(seed)
    )


def points_at(time_s, noise, *, slow=1.0):
    """Ten points that swing, px, seen with noise."""
    rng = np.random.default_rng(5)
    phase, pace = rng.uniform(0, 6.28, (10, 2)), slow * rng.uniform(0.4, 1.0, (10, 2))
    xy = 60 * np.sin(2 * np.pi * pace * time_s[:, None, None] + phase)
    return xy + np.random.default_rng(6).normal(0, noise, xy.shape)


def changes_at(time_s, *, power=0.8, jitter=0.04, still=()):
    """Differences of pictures of somebody who walks, levels: they grow by less than the way, and not evenly."""
    rng = np.random.default_rng(7)
    speed = 1 + 0.4 * np.sin(2 * np.pi * 0.7 * time_s)
    for start, end in still:
        speed = np.where((time_s >= start) & (time_s < end), 0.0, speed)
    change = np.full((len(time_s), 4), np.nan)
    for lag in range(1, 5):
        way = 30 * (time_s[lag:] - time_s[:-lag]) * speed[lag:]
        change[lag:, lag - 1] = 6 * way**power * np.exp(rng.normal(0, jitter, len(way))) + 0.3
    return change


def by_pictures(change):
    unclear = np.zeros(len(change), dtype=bool)
    return lambda steps: picture_likelihood(change, unclear, steps)


def by_points(points):
    white = whitened(points)
    return lambda steps: motion_likelihood(white, 1.0, steps)


def test_a_step_after_repeats_is_longer_without_a_loss():
    np.testing.assert_array_equal(
        losses(np.array([1, 0, 2, 0, 0, 3, 1, 2, 0, 3, 0])), [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0]
    )
    assert losses(np.array([], dtype=np.int64)).shape == (0,)


def test_points_are_measured_in_their_own_noise():
    time = np.arange(400) / 30
    xy = points_at(time, 0.0, slow=0.3)
    noise = np.array([0.5, 1, 2, 4, 0.5, 1, 2, 4, 1, 1])
    seen = xy + np.random.default_rng(1).normal(0, 1, xy.shape) * noise[:, None]
    scale = np.ptp(seen, axis=0)[:, 0] / np.ptp(whitened(seen), axis=0)[:, 0]
    # A median of 794 normal numbers is right to 5 %; the motion's own third difference adds less.
    np.testing.assert_allclose(scale, noise, rtol=0.2)


def test_one_point_that_jumps_says_nothing():
    xy = np.arange(60.0)[:, None, None] * np.ones((1, 8, 2)) * 5
    xy[30:, 3] += 400
    ratio, sd = step_ratios(xy, 0.1)
    assert np.abs(ratio[2:-2] - 1).max() < 1e-9
    assert np.isfinite(sd[2:-2]).all()


def test_pictures_alone_tell_what_was_lost():
    clock = clock_of(dropped=0.01)
    change = changes_at(clock.time_s)
    true = np.diff(clock.exposure)
    assert (true > 1).sum() >= 3
    np.testing.assert_array_equal(counted_steps([by_pictures(change)], len(true)).steps, true)


def test_pictures_that_lost_nothing_are_left_alone():
    for seed in range(3):
        clock = clock_of(seed=seed)
        change = changes_at(clock.time_s) * np.exp(np.random.default_rng(seed).standard_t(4, (len(clock), 1)) * 0.05)
        found = counted_steps([by_pictures(change), by_points(points_at(clock.time_s, 2.0))], len(clock) - 1)
        assert (found.steps == 1).all()
        assert found.missing == found.unseen == 0


def test_a_keyframe_or_a_flash_is_no_loss():
    clock = clock_of()
    change = changes_at(clock.time_s)
    change[200] *= 1.7
    change[201, 1:] *= 1.6
    unclear = np.zeros(len(change), dtype=bool)
    assert counted_steps([by_pictures(change)], len(clock) - 1).steps[199] > 1
    unclear[200] = True
    sure = counted_steps([lambda steps: picture_likelihood(change, unclear, steps)], len(clock) - 1)
    assert (sure.steps == 1).all()


def test_two_witnesses_are_surer_than_one():
    clock = clock_of(dropped=0.01, seconds=30.0, seed=8)
    true = np.diff(clock.exposure)
    pictures = by_pictures(changes_at(clock.time_s, power=0.6, jitter=0.06))
    points = by_points(points_at(clock.time_s, 2.0))
    right = [
        int(np.minimum(losses(counted_steps(some, len(true)).steps), losses(true)).sum())
        for some in ([pictures], [points], [pictures, points])
    ]
    assert right[2] > max(right[:2])
    assert losses(counted_steps([pictures, points], len(true)).steps)[true == 1].sum() == 0


def test_what_sound_says_is_found_as_far_as_anything_moves():
    still = ((5.0, 9.0),)
    clock = clock_of(dropped=0.015, seed=12)
    true = np.diff(clock.exposure)
    change = changes_at(clock.time_s, still=still)
    lost = int(losses(true).sum())
    hidden = int((losses(true) * ((clock.time_s[1:] > 5.0) & (clock.time_s[1:] < 9.1))).sum())
    assert 0 < hidden < lost / 2
    found = counted_steps([by_pictures(change)], len(true), lost=lost, least=lost)
    assert losses(found.steps).sum() == lost
    assert found.unseen == hidden
    assert found.missing == 0
    # What moves is in time; in the rest no loss is further from its place than the rest is long.
    late = np.cumsum(found.steps - true)
    moving = (clock.time_s[1:] < 4.9) | (clock.time_s[1:] > 9.2)
    assert (late[moving] == 0).all()
    assert np.abs(late).max() <= hidden


def test_a_number_that_nothing_bears_out_is_not_believed():
    clock = clock_of()
    found = counted_steps([by_pictures(changes_at(clock.time_s))], len(clock) - 1, lost=12, least=12)
    assert (found.steps == 1).all()
    assert found.missing == 12


def test_never_more_than_there_is_room_for():
    clock = clock_of(dropped=0.01)
    true = np.diff(clock.exposure)
    found = counted_steps([by_pictures(changes_at(clock.time_s))], len(true), most=2)
    assert losses(found.steps).sum() == 2
    assert (true[found.steps > 1] == 2).all()


@pytest.mark.parametrize("in_a_row", [1, 2])
def test_known_repeats_take_the_step_after_them(in_a_row):
    time = np.arange(300) / 30
    time[100 : 100 + in_a_row] = time[99]
    repeated = np.zeros(300, dtype=bool)
    repeated[100 : 100 + in_a_row] = True
    found = counted_steps([by_pictures(changes_at(time))], 299, repeated=repeated)
    assert losses(found.steps).sum() == 0
    np.testing.assert_array_equal(np.flatnonzero(found.steps == 0), np.arange(99, 99 + in_a_row))


def test_nobody_and_nothing_say_nothing():
    assert (counted_steps([], 0).steps.shape) == (0,)
    assert (counted_steps([by_points(np.full((50, 4, 2), np.nan))], 49).steps == 1).all()
    assert (counted_steps([by_pictures(np.full((50, 4), np.nan))], 49, lost=5, least=5).missing) == 5
