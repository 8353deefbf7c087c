"""Losses of cameras that only count their frames: found by the other cameras, and none where none is."""

from __future__ import annotations

import numpy as np
import pytest

from dancing_points import detections_of, round_the_room
from mocap.capture.sync_gaps import GapConfig, lost_frames
from mocap.core.clock import Clock, FrameFaults
from mocap.frame_faults import FoundFaults, faults_together

FPS, SECONDS = 30.0, 7.0
OFFSETS_S = (0.0, 0.731, -0.412)
QUICK = GapConfig(search_s=1.5, samples=100, refined=200, rounds=1)
NEAR_FRAMES = 12
"""Errors of 1 px hide a period of somebody who moves at some 100 px/s for a third of a second at most."""


@pytest.fixture(scope="module")
def rig():
    return round_the_room(3)


def counted_take(rig, lost, people=((1, (0.0, 0.0)),)):
    """(detections, stamps that count on) of cameras that lost these exposures."""
    exposures = np.arange(round(FPS * SECONDS))
    times = {n: np.delete(exposures, list(gone)) / FPS for n, gone in zip(rig.names, lost, strict=True)}
    stamps = {
        n: Clock(offset).stamp_s(np.arange(len(times[n])) / FPS) for n, offset in zip(rig.names, OFFSETS_S, strict=True)
    }
    return detections_of(list(people), rig, times, noise_px=1.0), stamps


def test_a_camera_that_lost_frames_is_told_by_the_others(rig):
    detections, stamps = counted_take(rig, [(), (70, 150), (110,)])
    known = {name: FoundFaults(FrameFaults()) for name in rig.names}
    known[rig.names[0]] = FoundFaults(FrameFaults(repeated=(40,)))
    known[rig.names[1]] = FoundFaults(FrameFaults(gaps=((70, 1 / FPS),)), lost=1, missing=1)
    found = faults_together(known, stamps, detections, rig, config=QUICK)
    first, second, third = (found[name] for name in rig.names)
    assert first is known[rig.names[0]]
    assert [frame for frame, _ in second.faults.gaps] == pytest.approx([70, 149], abs=NEAR_FRAMES)
    assert [seconds for _, seconds in second.faults.gaps] == pytest.approx([1 / FPS, 1 / FPS])
    assert (second.lost, second.missing) == (2, 0)
    assert [frame for frame, _ in third.faults.gaps] == pytest.approx([110], abs=NEAR_FRAMES)


def test_cameras_that_lost_nothing_are_left_alone(rig):
    detections, stamps = counted_take(rig, [(), (), ()], people=[(1, (-0.7, 0.0)), (2, (0.8, 0.3))])
    found = lost_frames(detections, stamps, rig, counting=rig.names, config=QUICK)
    assert all(not lost.any() for lost in found.values())


def test_stamps_that_are_not_a_count_are_believed(rig):
    detections, stamps = counted_take(rig, [(), (), ()])
    shown = {n: s + (np.arange(len(s)) > 90) / FPS if n == rig.names[1] else s for n, s in stamps.items()}
    found = faults_together({n: FoundFaults(FrameFaults()) for n in rig.names}, shown, detections, rig, config=QUICK)
    assert found[rig.names[1]].faults.gaps == ()


def test_a_moment_tells_nothing(rig):
    detections, stamps = counted_take(rig, [(), (), ()])
    few = detections.select(detections.frame < 20)
    found = lost_frames(few, {name: stamp[:20] for name, stamp in stamps.items()}, rig, counting=rig.names)
    assert not any(lost.any() for lost in found.values())
