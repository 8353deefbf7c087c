from __future__ import annotations

import numpy as np
import pytest

from mocap.capture.sync_timestamps import timestamp_estimates
from mocap.core.errors import InputError
from mocap.io.file_clock import FileClock


def stamps(start: float, fps: float = 30.0):
    return start + np.arange(60) / fps


def test_the_recorders_own_clock_is_believed():
    (found,) = timestamp_estimates({"a": stamps(0.0), "b": stamps(0.0)}, shared=True)
    assert (found.camera, found.offset_s, found.confidence) == ("b", 0.0, 1.0)
    assert found.sd_s < 1e-3


def test_one_computers_times_are_likely_and_own_zeros_say_nothing():
    likely, _ = timestamp_estimates({"a": stamps(0.0), "b": stamps(0.31), "c": stamps(0.012)})
    assert (likely.offset_s, likely.confidence) == (0.0, 0.5)
    (nothing,) = timestamp_estimates({"a": stamps(0.0), "b": stamps(0.0)})
    assert nothing.confidence == 0.0


def test_videos_that_begin_a_little_after_zero_count_from_their_own():
    began = {"a": stamps(0.0), "b": stamps(0.066)}  # two pictures wait for those that are shown before them
    (nothing,) = timestamp_estimates(began, listed=False)
    assert nothing.confidence == 0.0
    (found,) = timestamp_estimates(began, listed=False, clocks={"a": FileClock(5.0, 10.0), "b": FileClock(5.0, 12.0)})
    # b's stamp is 0.066 s two seconds after a's was 0.
    assert found.offset_s == pytest.approx(0.066 - 2.0)
    (likely,) = timestamp_estimates({"a": stamps(100.0), "b": stamps(102.0)}, listed=False)
    assert (likely.offset_s, likely.confidence) == (0.0, 0.5)


def test_timecodes_go_on_over_midnight():
    both = {"a": stamps(0.0), "b": stamps(0.0)}
    (found,) = timestamp_estimates(both, clocks={"a": FileClock(None, 86399.5), "b": FileClock(None, 1.0)})
    assert found.offset_s == pytest.approx(-1.5)


def test_a_camera_without_frames_has_no_clock():
    (nothing,) = timestamp_estimates({"a": stamps(0.0), "b": np.zeros(0)})
    assert (nothing.confidence, nothing.note) == (0.0, "no frames with times")


def test_timecodes_are_good_to_a_frame_and_times_of_day_to_seconds():
    both = {"a": stamps(0.0), "b": stamps(0.0)}
    coded = {"a": FileClock(5.0, 3600.0), "b": FileClock(9.0, 3601.5)}
    (found,) = timestamp_estimates(both, clocks=coded)
    # b began 1.5 s later: what is 1.5 s to a is 0 s to b.
    assert found.offset_s == pytest.approx(-1.5)
    assert 0.01 < found.sd_s < 1 / 30
    (day,) = timestamp_estimates(both, clocks={"a": FileClock(5.0), "b": FileClock(9.0)})
    assert day.offset_s == pytest.approx(-4.0)
    assert day.sd_s >= 1.0
    assert day.confidence < 0.2


def test_one_camera_is_not_enough():
    with pytest.raises(InputError, match="two cameras"):
        timestamp_estimates({"a": stamps(0.0)})
