"""A motion at another frame rate."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from mocap.core.errors import InputError
from mocap.core.motion import Motion
from mocap.signal.resample_motion import resample_motion
from motion_worlds import crooked_motion, marching_person, quaternions


def test_half_the_rate_keeps_every_second_frame():
    motion = marching_person(n_frames=61, fps=60)
    half = resample_motion(motion, 30.0)
    assert half.n_frames == 31
    assert half.fps == 30
    assert np.abs(half.root_translation - motion.root_translation[::2]).max() < 1e-12
    assert np.abs(half.local_rotations - motion.local_rotations[::2]).max() < 1e-12


@pytest.mark.parametrize("fps", [24.0, 59.94, 100.0, 119.88])
def test_between_frames_rotations_follow_scipys_slerp(fps):
    motion = crooked_motion(5, n_frames=6, fps=25.0)
    after = resample_motion(motion, fps)
    time = np.arange(after.n_frames) / fps
    assert time[-1] <= 5 / 25 + 1e-9 < time[-1] + 1 / fps
    for joint in range(9):
        keys = Rotation.from_quat(motion.local_rotations[:, joint][:, [1, 2, 3, 0]])
        expected = Slerp(np.arange(6) / 25, keys)(np.clip(time, 0, 0.2))
        apart = (expected.inv() * Rotation.from_quat(after.local_rotations[:, joint][:, [1, 2, 3, 0]])).magnitude()
        assert apart.max() < 1e-7  # scipy's magnitude is an arccos near 1: half of the 16 digits
    expected = np.stack([np.interp(time, np.arange(6) / 25, axis) for axis in motion.root_translation.T], axis=-1)
    assert np.abs(after.root_translation - expected).max() < 1e-12


def test_joints_that_stand_still_or_hardly_move_stay_unit_quaternions():
    motion = crooked_motion(6, n_frames=3)
    nudge = quaternions(Rotation.from_rotvec([[0, 0, 0], [1e-9, 0, 0], [2e-9, 0, 0]]))
    still = Motion(motion.skeleton, motion.root_translation, np.repeat(nudge[:, None], 9, axis=1), 10.0)
    after = resample_motion(still, 20.0)
    assert after.n_frames == 5
    assert np.abs(after.local_rotations[1, :, 1] - 0.25e-9).max() < 1e-18


def test_one_frame_and_impossible_rates():
    one = marching_person(n_frames=1)
    assert resample_motion(one, 10.0).n_frames == 1
    with pytest.raises(InputError, match="0.0 frames a second is not a frame rate"):
        resample_motion(one, 0.0)
