from __future__ import annotations

import numpy as np
import pytest

from mocap.signal.light_events import light_events, match_events


def filmed(changes, *, fps=30.0, offset=0.0, seconds=8.0, share=0.5, seed=0, drop=()):
    """(brightness, stamps) of a camera: the light's mean over every exposure, with 0.1 levels of flicker.

    changes: (time, level from then on).
    """
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 1 / fps)
    time = start + np.arange(int((seconds - start) * fps)) / fps
    half = 0.5 * share / fps
    inside = np.linspace(-half, half, 201)
    at = time[:, None] + inside
    light = np.full(at.shape, 60.0)
    for when, level in changes:
        light = np.where(at >= when, level, light)
    level = light.mean(1) + rng.normal(0, 0.1, len(time)) + 2 * np.sin(0.5 * time)
    keep = np.setdiff1d(np.arange(len(time)), drop)
    return level[keep], time[keep] + offset


SWITCH = [(1.234, 90.0), (2.9871, 55.0), (4.5, 100.0), (6.1234, 70.0)]


def test_every_change_is_found_within_its_bounds():
    for share in (0.1, 0.5, 1.0):
        found = light_events(*filmed(SWITCH, seed=1, share=share))
        assert len(found) == 4
        np.testing.assert_array_equal(np.sign(found.change), [1, -1, 1, -1])
        error = np.abs(found.time_s - [when for when, _ in SWITCH])
        assert (error <= found.half_s + 0.02 / 30).all()
        assert (found.half_s <= 0.5 / 30 + 1e-9).all(), "no change is off by more than half a frame"


def test_a_quiet_scene_and_slow_changes_are_no_events():
    level, stamp = filmed([], seed=3)
    assert len(light_events(level, stamp)) == 0
    assert len(light_events(level + 40 * np.sin(stamp), stamp)) == 0
    level[100:140] = np.nan
    assert len(light_events(level, stamp)) == 0


@pytest.mark.parametrize(("fps", "offset"), [(29.97, 0.51), (60.0, -1.7)])
def test_two_cameras_are_put_together_over_lost_frames(fps, offset):
    one = light_events(*filmed(SWITCH, seed=4, share=0.8))
    two = light_events(*filmed(SWITCH, seed=5, fps=fps, offset=offset, share=0.4, drop=(20, 21, 50)))
    match = match_events(one, two)
    assert match is not None
    assert len(match.matched) == 4
    # Four changes, each within bounds of up to half of 33 ms and half of 16 ms; the bounds' overlap is narrower.
    assert abs(match.line.value - offset) < 3 * match.line.value_sd
    assert match.line.value_sd < 0.008
    assert match.confidence > 0.5


def test_an_even_blinking_has_rivals_and_one_change_is_little():
    blinking = [(0.5 + 0.5 * k, 60.0 + 30 * (k % 2 == 0)) for k in range(14)]
    match = match_events(light_events(*filmed(blinking, seed=6)), light_events(*filmed(blinking, seed=7, offset=0.2)))
    assert match is not None
    assert match.confidence < 0.3
    single = match_events(light_events(*filmed(SWITCH[:1], seed=8)), light_events(*filmed(SWITCH[:1], seed=9)))
    assert single is not None
    assert single.confidence <= 0.4
    nothing = light_events(*filmed([], seed=1))
    assert match_events(nothing, light_events(*filmed(SWITCH))) is None


def test_the_deviation_of_the_offset_is_honest():
    ratio = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        changes = [(float(t), 60.0 + 40 * (k % 2 == 0)) for k, t in enumerate(np.sort(rng.uniform(0.5, 7.5, 5)))]
        one = light_events(*filmed(changes, seed=seed, share=0.3))
        two = light_events(*filmed(changes, seed=seed + 100, fps=25.0, offset=0.7, share=0.6))
        match = match_events(one, two)
        if match is not None:
            ratio.append((match.line.value - 0.7) / match.line.value_sd)
    # Of 30 errors over their deviations the root mean square has a deviation of its own of 13 %.
    assert len(ratio) == 30
    assert 0.4 < np.sqrt(np.mean(np.square(ratio))) < 1.4
