from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.spatial.transform import Rotation

from calibration import Intrinsics
from calibration.synthetic import camera_looking_at
from mocap.core.errors import ConfigError
from mocap.synthetic.clocks import (
    CameraFaults,
    CameraMove,
    RateStep,
    camera_poses,
    frame_clock,
    moved_camera,
    sample_knock,
    sample_phone,
    sample_webcam,
    written_frames,
)


def clock_of(seed=4, fps=25.0, seconds=8.0, **faults):
    return frame_clock(CameraFaults(**faults), fps=fps, seconds=seconds, rng=np.random.default_rng(seed))


def fits_line(clock, frames=slice(None)):
    np.testing.assert_allclose(
        clock.stamp_s[frames], clock.rate * clock.time_s[frames] + clock.offset_s, rtol=0, atol=1e-9
    )


def test_without_faults_frames_come_at_their_rate_until_the_end():
    clock = clock_of()
    np.testing.assert_allclose(clock.time_s, np.arange(200) / 25.0, atol=1e-12)
    np.testing.assert_array_equal(clock.stamp_s, clock.time_s)
    assert not clock.repeated.any()
    assert len(clock.dropped) == 0
    assert len(clock) == 200


@pytest.mark.parametrize("stamps", ["clock", "nominal"])
def test_the_worked_example_of_the_docstring(stamps):
    lost, repeated = np.arange(6) == 2, np.arange(6) == 4
    faults = CameraFaults(offset_s=100.0, stamps=stamps)
    clock = written_frames(faults, np.arange(6) / 10, lost=lost, repeated=repeated, fps=10.0)
    np.testing.assert_allclose(clock.time_s, [0.0, 0.1, 0.3, 0.3, 0.5])
    expected = {"clock": [100.0, 100.1, 100.3, 100.4, 100.5], "nominal": [100.0, 100.1, 100.2, 100.3, 100.4]}
    np.testing.assert_allclose(clock.stamp_s, expected[stamps])
    assert clock.repeated.tolist() == [False, False, False, True, False]
    assert clock.exposure.tolist() == [0, 1, 3, 4, 5]
    assert clock.dropped.tolist() == [2]


def test_repeats_in_a_row_show_the_last_true_picture_and_never_a_lost_one():
    lost, repeated = np.array([0, 1, 0, 0, 0], bool), np.array([0, 0, 1, 1, 0], bool)
    clock = written_frames(CameraFaults(), np.arange(5) / 10, lost=lost, repeated=repeated, fps=10.0)
    np.testing.assert_allclose(clock.time_s, [0.0, 0.0, 0.0, 0.4])
    np.testing.assert_allclose(clock.stamp_s, [0.0, 0.2, 0.3, 0.4])


def test_a_fast_clock_gains_and_takes_its_pictures_sooner():
    clock = clock_of(seconds=60.0, drift_ppm=50.0, offset_s=-2.5)
    assert clock.rate == 1 + 50e-6
    assert clock.stamp_s[-1] - clock.time_s[-1] + 2.5 == pytest.approx(0.003, rel=2e-3)  # 50 ppm of a minute
    np.testing.assert_allclose(np.diff(clock.stamp_s), 1 / 25.0, atol=1e-12)
    assert len(clock) == 1501  # one more: 1500 intervals of its own end 3 ms before the minute does
    fits_line(clock)


def test_dropped_frames_leave_gaps_or_vanish():
    seen, hidden = clock_of(dropped=0.1), clock_of(dropped=0.1, stamps="nominal")
    np.testing.assert_array_equal(seen.time_s, hidden.time_s)
    lost = len(seen.dropped)
    assert 8 <= lost <= 35  # 20 expected of 200, sd 4.2
    assert len(seen) == 200 - lost
    np.testing.assert_allclose(np.diff(seen.stamp_s), np.diff(seen.exposure) / 25.0, atol=1e-12)
    np.testing.assert_allclose(np.diff(hidden.stamp_s), 1 / 25.0, atol=1e-12)
    # The last frame shows 199 / 25 s unless lost itself, and is stamped earlier by one frame for each that is lost.
    late = seen.time_s[-1] - hidden.stamp_s[-1]
    assert late == pytest.approx((seen.exposure[-1] - len(seen) + 1) / 25.0)
    fits_line(seen)


def test_a_burst_takes_its_frames_in_a_row():
    clock = clock_of(bursts=1, burst_frames=12)
    assert len(clock.dropped) == 12
    assert np.ptp(clock.dropped) == 11
    assert np.diff(clock.stamp_s).max() == pytest.approx(13 / 25.0)


def test_duplicated_frames_repeat_the_moment_but_not_the_stamp():
    clock = clock_of(duplicated=0.15)
    again = np.flatnonzero(clock.repeated)
    assert 15 <= len(again) <= 48  # 30 expected of 200, sd 5
    np.testing.assert_array_equal(clock.time_s[again], clock.time_s[again - 1])
    np.testing.assert_allclose(np.diff(clock.stamp_s), 1 / 25.0, atol=1e-12)
    assert not clock.repeated[0]
    fits_line(clock, ~clock.repeated)


def test_jitter_is_in_times_and_stamps_alike_and_keeps_the_order():
    clock = clock_of(jitter_s=0.003, seconds=40.0)
    even = np.arange(1000) / 25.0
    assert np.std(clock.time_s - even) == pytest.approx(0.003, rel=0.1)
    fits_line(clock)
    wild = clock_of(jitter_s=0.05)
    assert np.diff(wild.time_s).min() > 0
    assert wild.time_s.min() >= 0


def test_rate_steps():
    steps = (RateStep(at_s=6.0, fps=30.0), RateStep(at_s=2.0, fps=15.0))
    clock = clock_of(fps=30.0, rate_steps=steps)
    spacing = np.diff(clock.time_s)
    np.testing.assert_allclose(spacing[clock.time_s[1:] <= 2.0], 1 / 30)
    np.testing.assert_allclose(spacing[(clock.time_s[:-1] >= 2.0) & (clock.time_s[1:] <= 6.0)], 1 / 15)
    np.testing.assert_allclose(spacing[clock.time_s[:-1] >= 6.0], 1 / 30)
    assert len(clock) == 60 + 60 + 60


def test_late_start_early_stop_and_stamps_from_zero():
    clock = clock_of(starts_late_s=1.23, stops_after_s=5.0, stamps_from_zero=True, drift_ppm=100.0)
    assert clock.time_s[0] == 1.23
    assert 5.0 - 1 / 25.0 <= clock.time_s[-1] < 5.0
    assert clock.stamp_s[0] == 0.0
    assert clock.offset_s == pytest.approx(-1.23 * 1.0001)
    fits_line(clock)
    with pytest.raises(ConfigError, match="starts at 3 s takes no picture before 2 s. Let it start sooner"):
        clock_of(starts_late_s=3.0, stops_after_s=2.0)


def test_everything_at_once_is_in_order_and_the_same_again():
    faults = {"dropped": 0.05, "bursts": 2, "duplicated": 0.05, "jitter_s": 0.002, "drift_ppm": -80.0, "offset_s": 7.0}
    first, again, other = clock_of(**faults), clock_of(**faults), clock_of(5, **faults)
    np.testing.assert_array_equal(first.time_s, again.time_s)
    np.testing.assert_array_equal(first.stamp_s, again.stamp_s)
    assert len(other) != len(first) or np.abs(other.time_s - first.time_s).max() > 1e-4
    assert (np.diff(first.stamp_s) > 0).all()
    assert (np.diff(first.time_s) >= 0).all()
    np.testing.assert_array_equal(np.diff(first.time_s) == 0, first.repeated[1:])
    fits_line(first, ~first.repeated)


def test_impossible_faults_are_refused():
    with pytest.raises(ValidationError):
        CameraFaults(dropped=1.2)
    with pytest.raises(ValidationError):
        CameraFaults(stamps="guessed")


def camera_of():
    K = np.array([[900.0, 0.0, 630.0], [0.0, 910.0, 350.0], [0.0, 0.0, 1.0]])
    lens = Intrinsics((1280, 720), K, np.array([-0.1, 0.02, 0.0, 0.0, 0.0]))
    return camera_looking_at("a", lens, center=[2.0, -3.0, 1.7], target=[0.0, 0.1, 1.0], roll=0.05)


def test_a_camera_turned_to_its_right_sees_things_move_left_and_one_shifted_has_another_centre():
    camera = camera_of()
    turned = moved_camera(camera, (CameraMove(at_s=1.0, turn_deg=(0.0, 2.0, 0.0)),), 3.0)
    np.testing.assert_allclose(turned.center, camera.center, atol=1e-12)
    ahead = camera.center + camera.cam_from_world.R[2] * 3.0
    shift = turned.intrinsics.undistort(turned.project(ahead)) - camera.intrinsics.undistort(camera.project(ahead))
    np.testing.assert_allclose(shift, [-900 * np.tan(np.deg2rad(2.0)), 0.0], atol=1e-6)
    relative = turned.cam_from_world.R @ camera.cam_from_world.R.T
    assert np.rad2deg(Rotation.from_matrix(relative).magnitude()) == pytest.approx(2.0)
    shifted = moved_camera(camera, (CameraMove(at_s=1.0, shift_m=(0.1, -0.2, 0.05)),), 3.0)
    np.testing.assert_allclose(shifted.center - camera.center, [0.1, -0.2, 0.05], atol=1e-12)
    np.testing.assert_allclose(shifted.cam_from_world.R, camera.cam_from_world.R, atol=1e-12)


def test_moves_happen_at_their_time_one_after_the_other():
    camera = camera_of()
    knock = CameraMove(at_s=1.0, takes_s=0.2, shift_m=(0.02, 0.0, 0.0), turn_deg=(1.0, 0.5, -0.3))
    put_elsewhere = CameraMove(at_s=4.0, takes_s=1.0, shift_m=(0.5, 0.1, 0.2), turn_deg=(0.0, -8.0, 2.0))
    poses = camera_poses(camera, (put_elsewhere, knock), np.array([0.0, 1.0, 1.1, 1.2, 3.9, 4.5, 5.0, 9.0]))
    before = camera.cam_from_world.matrix
    np.testing.assert_allclose(poses[:2], [before, before], atol=1e-12)
    np.testing.assert_allclose(poses[3], poses[4], atol=1e-12)
    np.testing.assert_allclose(poses[6], poses[7], atol=1e-12)
    centers = -np.einsum("fba,fb->fa", poses[:, :3, :3], poses[:, :3, 3])
    shifts = centers[[2, 4, 5, 7]] - camera.center  # half of the knock, all of it, half of the move after it, all
    expected = [[0.01, 0.0, 0.0], [0.02, 0.0, 0.0], [0.27, 0.05, 0.1], [0.52, 0.1, 0.2]]
    np.testing.assert_allclose(shifts, expected, atol=1e-12)
    between = Rotation.from_matrix(poses[7, :3, :3] @ poses[4, :3, :3].T).magnitude()
    assert np.rad2deg(between) == pytest.approx(np.hypot(8, 2))


def test_samples_are_valid_and_differ():
    rng = np.random.default_rng(0)
    for sample in (sample_phone, sample_webcam):
        clocks = [frame_clock(sample(rng), fps=30.0, seconds=6.0, rng=rng) for _ in range(20)]
        assert len({clock.rate for clock in clocks}) == 20
        assert all(len(clock) > 100 for clock in clocks)
    turns = [np.linalg.norm(sample_knock(rng, 2.0).turn_deg) for _ in range(20)]
    assert min(turns) >= 1.0 - 1e-9
    assert max(turns) <= 4.0 + 1e-9
