"""Stairs in the time of cameras, from rays without errors."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.geometry.ray_tracks import RayTracks
from mocap.geometry.stair_counts import MOST_TOGETHER, CountedCamera, lost_counts

STEP = 1 / 30
N = 240
ORIGINS = np.array([[3.0, 0.0, 1.5], [-1.5, 2.6, 1.2], [-1.5, -2.6, 1.8]])
ONE = ([0], [0])


def points_at(time_s):
    """Ten points that go round and round with periods of 1.5 to 3 s."""
    rng = np.random.default_rng(3)
    place, size, phase = rng.normal(0, 0.4, (10, 3)), rng.normal(0, 0.3, (10, 3)), rng.uniform(0, 6.3, (10, 3))
    pace = 2 * np.pi / rng.uniform(1.5, 3.0, (10, 3))
    return place + size * np.sin(pace * time_s[:, None, None] + phase) + [0, 0, 1.0]


def camera(origin, lost_at=(), step_nats=6.5):
    """Sees the points at exposures that are numbered on though some are lost."""
    exposures = np.delete(np.arange(N + len(lost_at)), list(lost_at))
    ray = points_at(exposures * STEP) - origin
    direction = ray / np.linalg.norm(ray, axis=-1, keepdims=True)
    rng = np.random.default_rng(int(1000 * abs(origin[0] + origin[1])))
    direction = direction + rng.normal(0, 0.002, direction.shape)
    rate = np.gradient(direction, STEP, axis=0)
    tracks = RayTracks(origin, 0.0, STEP, direction[None], rate[None], np.full((1, len(direction)), 0.004))
    return CountedCamera(tracks, 0.0, STEP, step_nats)


def steps(counts):
    return [np.flatnonzero(np.diff(count)).tolist() for count in counts.T]


LINKS = {(0, 1): ONE, (0, 2): ONE, (1, 2): ONE}


def test_stairs_are_found_where_they_are():
    cameras = [camera(o, gone) for o, gone in zip(ORIGINS, [(), (70, 180), (130,)], strict=True)]
    first, second, third = steps(lost_counts(cameras, LINKS, STEP * np.arange(N), correlated=6.0))
    assert first == []
    # Misfits are averaged over 7 moments, and a stair is as wide.
    np.testing.assert_allclose(second, [70, 180], atol=4)
    np.testing.assert_allclose(third, [130], atol=4)


def test_two_at_once_count_twice():
    counts = lost_counts(
        [camera(o, gone) for o, gone in zip(ORIGINS, [(), (120, 121), ()], strict=True)],
        LINKS,
        STEP * np.arange(N),
        correlated=6.0,
    )
    assert (counts[-1] - counts[0]).tolist() == [0, 2, 0]


def test_none_where_none_is_or_none_can_be():
    whole = [camera(o) for o in ORIGINS]
    assert steps(lost_counts(whole, LINKS, STEP * np.arange(N), correlated=6.0)) == [[], [], []]
    believed = [camera(ORIGINS[0]), camera(ORIGINS[1], (90,), np.inf), camera(ORIGINS[2])]
    counts = lost_counts(believed, LINKS, STEP * np.arange(N), correlated=6.0)
    assert steps(counts)[1] == []
    assert steps(lost_counts(whole[:2], {}, STEP * np.arange(N), correlated=6.0)) == [[], []]


def test_more_cameras_than_states_allow_are_refused():
    with pytest.raises(ValueError, match="too many states"):
        lost_counts([camera(ORIGINS[0])] * (MOST_TOGETHER + 1), {}, STEP * np.arange(N), correlated=6.0)
