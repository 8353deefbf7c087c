"""Clocks refined on rays: what rests tells nothing, and drifts stay near what clocks usually drift."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mocap.geometry.clock_refinement import refine_clocks
from mocap.geometry.ray_tracks import RayTracks

STEP_S, SECONDS, POINTS, MOVING = 1 / 30, 30.0, 30, 3
ORIGINS = np.array([[4.0, 0.0, 1.2], [0.3, 4.2, 1.7], [-3.8, 0.5, 2.3]])
OFFSETS = np.array([0.0, 0.021, -0.014])
NOISE = 0.003
"""Of a ray, rad: 12 mm at 4 m."""
SCALES = (6.0, 4.0, 3.0, 3.0, 3.0, 3.0)


def tracks_of(rng: np.random.Generator, *, noise: float, drift: float = 0.0, moving: int = MOVING) -> list[RayTracks]:
    """Points around the origin of which a few swing once in two seconds; noise that lasts a quarter of a second."""
    stamp = STEP_S * np.arange(round(SECONDS / STEP_S))
    rest, phase = rng.uniform(-0.6, 0.6, (POINTS, 3)) + [0, 0, 1], rng.uniform(0, 6, (POINTS, 3))
    swing = np.where(np.arange(POINTS) < moving, 0.15, 0.0)[:, None]
    found = []
    for origin, offset, rate in zip(ORIGINS, OFFSETS, (0.0, drift, -drift), strict=True):
        time = stamp - offset - rate * (stamp - SECONDS / 2)
        point = rest + swing * np.sin(2 * np.pi * 0.5 * time[:, None, None] + phase)
        ray = (point - origin) / np.linalg.norm(point - origin, axis=-1, keepdims=True)
        error = gaussian_filter1d(rng.standard_normal(ray.shape), 2.0, axis=0)
        ray = ray + noise * error / error.std()
        sizes = np.full((1, len(stamp)), NOISE)
        found.append(RayTracks(origin, 0.0, STEP_S, ray[None], np.gradient(ray, STEP_S, axis=0)[None], sizes))
    return found


def refined(tracks: list[RayTracks], **options: float):
    times = np.linspace(0.5, SECONDS - 0.5, 870)
    return refine_clocks(tracks, times, np.zeros(3), scales=SCALES, drift_sd=options.get("drift_sd", 30e-6))


def test_rays_without_noise_give_the_clocks_exactly():
    fit = refined(tracks_of(np.random.default_rng(0), noise=0.0, drift=50e-6), drift_sd=1e-3)
    # Rates by central differences are (2π 0.5 / 30)² / 6, 0.2 %, too small between the samples; clocks differ by less
    # than a step, and a cubic is off by that share of 0.2 % in a quarter of it.
    np.testing.assert_allclose(fit.offset_s, OFFSETS, atol=2e-5)
    np.testing.assert_allclose(fit.drift, [0.0, 50e-6, -50e-6], atol=1e-5)


def test_points_that_rest_do_not_pull():
    """27 of 30 rest: their rates are noise, and hold ten times the power of those that move at 0.33 m/s (RMS).

    A pair sees 17 mm of noise over 0.19 m/s across its plane: 90 ms from one look at one point. Noise lasts 0.24 s, so
    that three points give 375 looks in 30 s, and more than one pair tells of each clock: 90 / sqrt(560), 3.8 ms. With
    the rates as they are it was 9 ms, four times the deviation that was told."""
    wrong, deviation = [], []
    for seed in range(4):
        fit = refined(tracks_of(np.random.default_rng(seed), noise=NOISE))
        wrong.append(fit.offset_s[1:] - OFFSETS[1:])
        deviation.append(np.sqrt(np.diag(fit.covariance)[1:3]))
    assert np.sqrt(np.mean(np.square(wrong))) < 2 * 0.0038
    assert np.sqrt(np.mean((np.array(wrong) / deviation) ** 2)) < 2.0


def test_where_nothing_moves_nothing_is_known_and_drifts_stay_usual():
    fit = refined(tracks_of(np.random.default_rng(5), noise=NOISE, moving=0))
    assert np.sqrt(np.diag(fit.covariance)[1:3]).min() > 0.0038  # less than three moving points tell
    assert np.abs(fit.drift).max() < 4 * 30e-6
