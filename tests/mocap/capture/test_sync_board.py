"""Clocks from a waved board: known clocks come back, with the rig known or not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, observe_board, waved_board
from dancing_points import frame_times, round_the_room
from mocap.capture.sync_board import BoardSyncConfig, sync_by_board
from mocap.core.clock import Clock
from mocap.core.errors import InputError

CLOCKS = (Clock(), Clock(0.7345, 1 + 40e-6), Clock(-1.171, 1 - 40e-6))
RATES = (25.0, 30.0, 15.0)
SECONDS = 30.0
BOARD = np.stack([*(c.ravel() * 0.13 for c in np.meshgrid(np.arange(4.0), np.arange(6.0))), np.zeros(24)], axis=-1)
QUICK = BoardSyncConfig(search_s=3.0, samples=300)


@pytest.fixture(scope="module")
def rig():
    return round_the_room(3)


@pytest.fixture(scope="module")
def seen(rig) -> BoardObservations:
    """What each camera saw at its own times; the observations keep their own stamps."""
    moments = 300.0
    motion = waved_board(BOARD, n_moments=round(SECONDS * moments), fps=moments, rng=np.random.default_rng(3))
    parts = []
    for number, (camera, clock, fps) in enumerate(zip(rig, CLOCKS, RATES, strict=True)):
        times = frame_times(clock, fps, SECONDS)
        times = times[(times >= 0) & (times < SECONDS - 0.01)]
        rows = np.round(times * moments).astype(np.int64)
        fields = ("moment", "time_s", "R", "t", "velocity", "spin")
        own = replace(motion, **{name: getattr(motion, name)[rows] for name in fields})
        one = observe_board(
            rig.subset([camera.name]), own, BOARD, Seeing(noise_px=0.3, two_sided=True), np.random.default_rng(number)
        )
        parts.append(replace(one, view_time_s=clock.stamp_s(one.view_time_s), view_frame=np.arange(one.n_views)))
    return BoardObservations.joined(parts)


def errors_ms(estimates):
    at, known = np.array([0.0, SECONDS / 2, SECONDS]), dict(zip(("cam01", "cam02", "cam03"), CLOCKS, strict=True))
    return {
        e.camera: 1000 * (e.clock.stamp_s(known[e.reference].stamp_s(at)) - known[e.camera].stamp_s(at))
        for e in estimates
    }


@pytest.mark.parametrize("known", [True, False], ids=["known rig", "unknown rig"])
def test_known_clocks_come_back(rig, seen, known):
    lenses = {camera.name: camera.intrinsics for camera in rig}
    estimates = sync_by_board(seen, lenses, QUICK, rig=rig if known else None)
    wrong = errors_ms(estimates)
    assert set(wrong) == {"cam02", "cam03"}
    # Times are rounded to 1/300 s (1.7 ms at most, evenly spread); noise of 0.3 px at some 100 px/s over 24 corners.
    assert max(abs(error[1]) for error in wrong.values()) < 1.0
    assert max(np.abs(error).max() for error in wrong.values()) < 2.0
    assert all(e.method == "board" and e.confidence > 0.7 for e in estimates)


def test_frames_without_times_are_refused(rig, seen):
    lenses = {camera.name: camera.intrinsics for camera in rig}
    with pytest.raises(InputError, match="of which there is no time"):
        sync_by_board(seen, lenses, QUICK, stamps_s={"cam01": np.arange(10.0)})


def test_cameras_that_nothing_is_known_of_are_named(rig, seen):
    lenses = {camera.name: camera.intrinsics for camera in rig if camera.name != "cam02"}
    with pytest.raises(InputError, match="the lens of cam02 is not known. Record the board close"):
        sync_by_board(seen, lenses, QUICK)
    with pytest.raises(InputError, match="camera cam09 did not see the board; there are cam01"):
        sync_by_board(seen, lenses, QUICK, reference="cam09")
