from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.geometry.sound_paths import (
    SPEED_M_PER_S,
    ArrivalModel,
    SoundPlaces,
    nearest_to_axes,
    solve_sound_clocks,
)

MICROPHONES = np.array([[3.2, 0.1, 1.4], [0.3, 3.6, 2.1], [-3.4, -0.2, 1.1], [0.2, -2.9, 1.8]])
OFFSETS = np.array([0.0, 1.2345, -0.8, 0.05])
DRIFTS = np.array([0.0, 40e-6, -25e-6, 10e-6])
MIDDLE = 30.0


def world(n: int = 25, *, noise: float = 1e-4, seed: int = 1):
    rng = np.random.default_rng(seed)
    times = np.sort(rng.uniform(0, 60, n))
    places = rng.uniform([-1.5, -1.0, 0.8], [0.5, 1.8, 1.5], (n, 3))
    way = np.linalg.norm(places[:, None] - MICROPHONES, axis=-1) / SPEED_M_PER_S
    arrival = times[:, None] + way
    arrival = arrival + OFFSETS + DRIFTS * (arrival - MIDDLE) + rng.normal(0, noise, way.shape)
    return arrival, places


def errors_ms(clocks, at_s: float = MIDDLE):
    found = clocks.offset_s + clocks.drift * (at_s - clocks.middle_s)
    return 1e3 * np.abs(found - OFFSETS - DRIFTS * (at_s - MIDDLE))


def test_with_known_places_only_the_noise_is_left():
    arrival, places = world()
    known = SoundPlaces(places, 1e-3, np.full(len(places), 1e-3))
    clocks = solve_sound_clocks(arrival, 0, microphone_m=MICROPHONES, places=known)
    # 0.1 ms of noise in the camera's and the reference's arrivals, 25 sounds: 0.03 ms; five of those.
    assert errors_ms(clocks).max() < 0.15
    assert errors_ms(clocks, 60.0).max() < 0.3
    assert clocks.offset_s[0] == 0
    assert clocks.offset_sd_s[0] < 1e-9


def test_the_way_of_the_sound_is_in_the_deviation_where_nothing_is_known_of_it():
    arrival, _ = world()
    clocks = solve_sound_clocks(arrival, 0)
    assert errors_ms(clocks).max() > 1.0, "somebody who is not in the middle shifts the clocks by metres / 343 m/s"
    assert (errors_ms(clocks) < 3e3 * clocks.offset_sd_s + 1e-9).all()
    assert clocks.offset_sd_s[1] > np.sqrt(2) * 1.5 / SPEED_M_PER_S


def test_places_that_are_roughly_known_help_by_as_much_as_their_deviation_says():
    found = []
    for seed in range(20):
        arrival, places = world(seed=seed)
        rng = np.random.default_rng(seed)
        told = places + rng.normal(0, 0.1, 3) + rng.normal(0, 0.15, places.shape)
        given = SoundPlaces(told, 0.1, np.full(len(told), 0.15))
        clocks = solve_sound_clocks(arrival, 0, microphone_m=MICROPHONES, places=given)
        found.append(errors_ms(clocks)[1:] / (1e3 * clocks.offset_sd_s[1:]))
    ratio = np.concatenate(found)
    # 60 errors over their own deviations, three and three of one world: their square has a mean of about 1.
    assert 0.3 < np.sqrt((ratio**2).mean()) < 2.0


def test_arrivals_of_other_sounds_are_left_out():
    arrival, places = world(40)
    rng = np.random.default_rng(3)
    wrong = rng.random(arrival.shape) < 0.1
    arrival[wrong] += rng.uniform(0.005, 0.03, int(wrong.sum()))
    known = SoundPlaces(places, 0.05, np.full(len(places), 0.05))
    clocks = solve_sound_clocks(arrival, 0, microphone_m=MICROPHONES, places=known)
    assert errors_ms(clocks).max() < 1.0
    assert clocks.heard.sum() < arrival.size - 0.5 * wrong.sum()


def test_a_microphone_that_shares_no_sound_is_told():
    arrival, _ = world(6)
    arrival[:, 2] = np.nan
    clocks = solve_sound_clocks(arrival, 0, model=ArrivalModel(path_m=0.0))
    assert np.isinf(clocks.offset_sd_s[2])
    assert np.isfinite(clocks.offset_sd_s[[1, 3]]).all()
    with pytest.raises(InputError, match="two microphones"):
        solve_sound_clocks(np.full((3, 2), np.nan), 0)
    with pytest.raises(InputError, match="go together"):
        solve_sound_clocks(arrival, 0, microphone_m=MICROPHONES)


def test_the_point_that_cameras_look_at():
    target = np.array([0.4, -0.3, 1.1])
    axes = target - MICROPHONES
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    np.testing.assert_allclose(nearest_to_axes(MICROPHONES, axes), target, atol=1e-12)
