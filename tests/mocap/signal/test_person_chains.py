"""Pieces of tracks find together over moments without a sighting, and people never share a frame."""

from __future__ import annotations

import numpy as np

from mocap.signal.person_chains import person_chains


def sightings(*people: tuple[np.ndarray, float, float]):
    """Rows of people who are seen in some frames, from x at a speed in px a frame; 30 frames a second."""
    rows = [(f, np.array([[x + v * f, 100.0], [x + v * f, 300.0]])) for frames, x, v in people for f in frames]
    rows.sort(key=lambda row: row[0])
    frame, xy = np.array([f for f, _ in rows]), np.stack([xy for _, xy in rows])
    return frame, np.full(len(rows), -1), xy, np.full(len(rows), 200.0)


def test_a_person_who_is_lost_for_a_moment_stays_one():
    frame, track, xy, size = sightings((np.r_[0:40, 50:90], 400.0, 1.0), (np.arange(30, 60), 1100.0, -1.0))
    owner = person_chains(frame, track, xy, size, stamp_s=frame / 30)
    assert set(owner[xy[:, 0, 0] < 600]) == {0}
    assert set(owner[xy[:, 0, 0] > 900]) == {1}


def test_another_place_or_another_time_is_another_person():
    frame, track, xy, size = sightings(
        (np.arange(20), 100.0, 0.0), (np.arange(24, 40), 900.0, 0.0), (np.arange(100, 130), 100.0, 0.0)
    )
    owner = person_chains(frame, track, xy, size, stamp_s=frame / 30)
    assert len(set(owner.tolist())) == 3
    assert set(owner[frame >= 100]) == {0}  # the most seen


def test_glimpses_are_nobody():
    frame, track, xy, size = sightings((np.arange(20), 100.0, 0.0), (np.arange(5, 7), 900.0, 0.0))
    owner = person_chains(frame, track, xy, size, stamp_s=frame / 30)
    assert (owner[xy[:, 0, 0] > 500] == -1).all()


def test_every_third_frame_is_enough():
    frame, track, xy, size = sightings((np.arange(1, 90, 3), 400.0, 1.0))
    assert set(person_chains(frame, track, xy, size, stamp_s=frame / 30)) == {0}
