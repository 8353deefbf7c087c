"""Euler curves: the same rotation, no jumps, the pole included."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.io.euler import POLE_LENGTH, ROTATION_ORDERS, continuous_euler
from motion_worlds import quaternions

# Half sum and half difference are each good to eps / POLE_LENGTH beside the pole, but there they turn the joint by
# only POLE_LENGTH of that; what is left is the rotation that holding an angle below POLE_LENGTH gives away.
POLE_RAD = 4 * POLE_LENGTH

angle = st.floats(-10, 10, allow_nan=False)
quarter = st.sampled_from([-np.pi / 2, np.pi / 2, np.pi, 0.0])
close = st.floats(-1e-6, 1e-6)


def turned_by(rotations: np.ndarray, angles: np.ndarray, order: str) -> np.ndarray:
    """Angle between a rotation and what the angles say, rad."""
    before = Rotation.from_quat(rotations.reshape(-1, 4)[:, [1, 2, 3, 0]])
    return (before.inv() * Rotation.from_euler(order, angles.reshape(-1, 3))).magnitude()


@pytest.mark.parametrize("order", ROTATION_ORDERS)
@given(a=angle, b=st.one_of(angle, quarter, st.builds(float.__add__, quarter, close)), c=angle)
@example(a=0.3, b=np.pi / 2, c=-1.2)
@example(a=0.3, b=-np.pi / 2, c=-1.2)
@example(a=0.0, b=0.0, c=0.0)
def test_any_rotation_in_any_order_comes_back(order, a, b, c):
    rotations = quaternions(Rotation.from_euler(order, [[a, b, c]]))
    angles = continuous_euler(rotations, order)
    assert turned_by(rotations, angles, order).max() <= POLE_RAD
    assert abs(angles[0, 1]) <= np.pi / 2 + 1e-12


@pytest.mark.parametrize("order", ROTATION_ORDERS)
def test_away_from_the_pole_the_angles_are_those_put_in(order):
    before = np.random.default_rng(3).uniform([-3, -1.5, -3], [3, 1.5, 3], (50, 3))
    angles = continuous_euler(quaternions(Rotation.from_euler(order, before))[None], order)
    # 1.5 rad is 0.07 rad from the pole: rounding of 1e-16 grows to 1e-16 / 0.035.
    assert np.abs(angles[0] - before).max() < 1e-13


@pytest.mark.parametrize("order", ROTATION_ORDERS)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_three_whole_turns_about_one_axis_are_one_straight_line(order, axis):
    """Through the pole six times where the axis is the middle one."""
    before = np.zeros((400, 3))
    before[:, axis] = np.linspace(0.1, 6 * np.pi + 0.1, 400)
    angles = continuous_euler(quaternions(Rotation.from_euler(order, before)), order)
    assert np.abs(angles - before).max() < 1e-9


@pytest.mark.parametrize("order", ROTATION_ORDERS)
def test_at_the_pole_the_free_angle_is_held(order):
    """A middle angle that rests at a quarter turn: only a ± c is seen, and the outer curves must not jump."""
    time = np.linspace(0, 1, 101)
    middle = np.minimum(time * np.pi, np.pi / 2)
    middle[50:] = np.pi / 2
    before = np.stack([0.4 + 0.3 * time, middle, np.full(101, -0.7)], axis=-1)
    rotations = quaternions(Rotation.from_euler(order, before))
    angles = continuous_euler(rotations, order)
    assert turned_by(rotations, angles, order).max() <= POLE_RAD
    # The whole motion of an outer angle after the pole, 0.15 rad, may move to the other one in steps of 0.003.
    assert np.abs(np.diff(angles, axis=0)).max() < 0.04


def test_a_first_frame_at_the_pole_takes_its_free_angle_from_the_next():
    before = np.array([[0.4, np.pi / 2, -0.7], [0.4, np.pi / 2 - 0.01, -0.7]])
    angles = continuous_euler(quaternions(Rotation.from_euler("ZXY", before)), "ZXY")
    assert np.abs(angles - before).max() < 1e-9


@given(seed=st.integers(0, 10_000), order=st.sampled_from(ROTATION_ORDERS))
def test_every_step_is_the_shorter_of_the_two_ways(seed, order):
    """Oracle: frame by frame, against the other triple of angles that is the same rotation."""
    rng = np.random.default_rng(seed)
    path = [Rotation.random(random_state=rng)]
    for step in np.cumsum(rng.normal(scale=0.01, size=(60, 3)), axis=0):
        path.append(path[-1] * Rotation.from_rotvec(step))
    rotations = quaternions(Rotation.concatenate(path))
    angles = continuous_euler(rotations, order)
    assert turned_by(rotations, angles, order).max() <= POLE_RAD
    for before, now in pairwise(angles):
        other = np.array([now[0] + np.pi, np.pi - now[1], now[2] + np.pi])
        other += 2 * np.pi * np.round((before - other) / (2 * np.pi))
        assert np.linalg.norm(now - before) <= np.linalg.norm(other - before) + 1e-9


def test_no_frames_and_unknown_orders():
    assert continuous_euler(np.zeros((0, 5, 4)), "XYZ").shape == (0, 5, 3)
    with pytest.raises(InputError, match="no rotation order 'XYX'; there are XYZ, XZY"):
        continuous_euler(np.zeros((1, 4)), "XYX")
