"""The humanoid of the package: proportions of a real adult, left and right alike, limits that a body has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mocap.core.errors import InputError
from mocap.core.skeleton import load_skeleton

STATURE = 1.75


@pytest.fixture(scope="module")
def humanoid():
    return load_skeleton("humanoid")


@pytest.fixture(scope="module")
def rest_positions(humanoid):
    positions = np.zeros((len(humanoid), 3))
    for j, parent in enumerate(humanoid.parents):
        positions[j] = humanoid.rest_offsets[j] + (positions[parent] if parent >= 0 else 0)
    return positions


def test_heights_are_those_of_drillis_and_contini(humanoid, rest_positions):
    ratios = {"LeftUpLeg": 0.530, "LeftLeg": 0.285, "LeftFoot": 0.039, "LeftArm": 0.818}
    for joint, ratio in ratios.items():
        assert rest_positions[humanoid.index(joint), 2] == pytest.approx(ratio * STATURE, abs=0.001)
    head = humanoid.index("Head")
    assert (rest_positions[head] + humanoid.tips[head])[2] == pytest.approx(STATURE, abs=0.001)
    assert humanoid.bone_lengths[humanoid.index("LeftForeArm")] == pytest.approx(0.186 * STATURE)
    assert humanoid.bone_lengths[humanoid.index("LeftHand")] == pytest.approx(0.146 * STATURE)


def test_the_t_pose_faces_minus_y_with_left_at_plus_x(humanoid, rest_positions):
    assert rest_positions[humanoid.index("LeftHand"), 0] > 0.7
    assert rest_positions[humanoid.index("LeftToeBase"), 1] < -0.1
    assert rest_positions[:, 2].min() > 0


def test_left_and_right_are_mirror_images(humanoid):
    other = humanoid.mirror_permutation
    assert (other != np.arange(len(humanoid))).sum() == 16
    np.testing.assert_array_equal(humanoid.rest_offsets[other], humanoid.rest_offsets * [-1, 1, 1])
    np.testing.assert_array_equal(humanoid.tips[other], humanoid.tips * [-1, 1, 1])
    low, high = humanoid.limits[..., 0], humanoid.limits[..., 1]
    np.testing.assert_array_equal(humanoid.limits[other, 0], humanoid.limits[:, 0])
    np.testing.assert_array_equal(low[other, 1:], -high[:, 1:])


def test_every_end_of_the_tree_has_a_tip(humanoid):
    ends = [j for j in range(len(humanoid)) if not len(humanoid.children(j))]
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(humanoid.tips).all(-1)), ends)


def test_twist_is_along_the_bone(humanoid):
    axes = dict(zip(humanoid.joint_names, humanoid.twist_axes, strict=True))
    assert axes["RightForeArm"] == axes["LeftShoulder"] == 0
    assert axes["LeftFoot"] == axes["RightToeBase"] == 1
    assert axes["Spine2"] == axes["Head"] == axes["RightLeg"] == 2


def test_knees_and_elbows_are_hinges_that_hardly_bend_back(humanoid):
    limits = np.rad2deg(humanoid.limits)
    knee, elbow = limits[humanoid.index("LeftLeg")], limits[humanoid.index("LeftForeArm")]
    assert knee[0] == pytest.approx([-10, 160])
    assert elbow[2] == pytest.approx([-155, 10])
    assert np.abs(knee[1]).max() < 10
    assert np.abs(elbow[1]).max() < 10


def test_crossed_limits_are_refused_by_name(humanoid):
    limits = humanoid.limits.copy()
    limits[humanoid.index("Neck"), 1] = [0.2, -0.2]
    with pytest.raises(InputError, match="above the upper at Neck"):
        replace(humanoid, limits=limits)
