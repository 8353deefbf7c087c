"""Contacts of soles with the floor, from heights and speeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mocap.core.motion import Motion
from mocap.core.skeleton import load_skeleton
from mocap.synthetic.contacts import FootContactConfig, clap_times, foot_contacts, palm_gap, sole_paths
from mocap.synthetic.motion_build import SIDES, Build
from mocap.synthetic.motion_perform import balanced
from mocap.synthetic.motion_plan import Timeline
from mocap.synthetic.motion_steps import Step, sole_heights, stepping

SKELETON = load_skeleton()
FPS = 100.0


def standing(n_frames):
    """The T-pose, soles on the floor."""
    rotations = np.zeros((n_frames, len(SKELETON), 4))
    rotations[..., 0] = 1.0
    root = np.tile([0.0, 0.0, SKELETON.rest_offsets[0, 2]], (n_frames, 1))
    return Motion(SKELETON, root, rotations, FPS)


def lifted(motion, heights):
    return replace(motion, root_translation=motion.root_translation + heights[:, None] * [0.0, 0.0, 1.0])


def test_soles_are_on_the_floor_in_the_t_pose():
    paths = sole_paths(standing(1))[0]
    np.testing.assert_allclose(paths[..., 2], 0, atol=1e-12)
    left_heel, left_ball, left_tip = paths[0]
    # Ankle to ball 0.13 m, to the tip 0.205, the heel 0.4 of 0.13 behind the ankle; facing -Y.
    assert left_heel == pytest.approx([0.09, 0.052, 0.0])
    assert left_ball == pytest.approx([0.09, -0.13, 0.0])
    assert left_tip == pytest.approx([0.09, -0.205, 0.0])


def test_contact_ends_where_feet_rise_and_begins_where_they_are_down():
    # Up from frame 20 to 40 and down again to 60, by 2 mm a frame (0.2 m/s: faster than fast_m_s).
    height = np.interp(np.arange(100), [20, 40, 60], [0, 0.04, 0])
    contact = foot_contacts(lifted(standing(100), height))
    assert contact.shape == (100, 4)
    # Frames 20 and 60 still have one interval of rest beside them.
    expected = np.ones(100, dtype=bool)
    expected[21:60] = False
    for column in contact.T:
        np.testing.assert_array_equal(column, expected)


def test_what_slides_is_no_contact():
    slow, fast = (standing(60) for _ in range(2))
    way = np.arange(60)[:, None] / FPS * [1.0, 0.0, 0.0]
    assert foot_contacts(replace(slow, root_translation=slow.root_translation + 0.04 * way)).all()
    assert not foot_contacts(replace(fast, root_translation=fast.root_translation + 0.06 * way)).any()


def test_short_lifts_and_short_contacts_are_left_out():
    height = np.zeros(100)
    height[30:33] = 0.02  # 30 ms up: shorter than min_s
    height[60:] = 0.05
    height[80:83] = 0.0  # 30 ms down
    contact = foot_contacts(lifted(standing(100), height))
    assert contact[:59].all()
    assert not contact[61:].any()
    strict = foot_contacts(lifted(standing(100), height), FootContactConfig(min_s=0.0))
    assert not strict[30:33].any()


def test_a_step_lifts_the_heel_before_the_toes_and_lands_on_it():
    build = Build(SKELETON)
    step = Step("Left", 0.6, 1.0, (0.1, -0.4), 0.1)
    plan = stepping(build, Timeline.lasting(2.0, FPS), (step,))
    contact = foot_contacts(balanced(plan, build))
    heel, toes = (np.flatnonzero(~contact[:, column]) for column in (0, 1))
    # The heel rises from 0.35 s, the toes leave at 0.6, the heel lands at 1.0, toes are down at 1.12; 5 cm/s and 5 mm
    # of a movement that starts with no acceleration are up to 100 ms after its start.
    np.testing.assert_allclose(
        np.array([heel[0], heel[-1], toes[0], toes[-1]]) / FPS, [0.42, 1.0, 0.63, 1.1], atol=0.04
    )
    assert contact[:, 2:].all()


@pytest.mark.parametrize("side", SIDES)
def test_planned_heights_are_those_of_the_posed_foot(side):
    build = Build(SKELETON)
    steps = (Step("Left", 0.6, 1.0, (0.1, -0.4), 0.1), Step("Right", 1.3, 1.7, (-0.1, -0.4), -0.1, strike=0.1))
    plan = stepping(build, Timeline.lasting(2.2, FPS), steps)
    posed = sole_paths(balanced(plan, build))[:, SIDES.index(side), :, 2]
    np.testing.assert_allclose(sole_heights(build, side, plan.feet[side]), posed, atol=1e-9)


def test_hands_of_the_t_pose_are_far_apart():
    gap = palm_gap(standing(3))
    # From palm to palm: 0.18 + 0.3255 + 0.2555 + 0.48 * 0.189 m on either side.
    np.testing.assert_allclose(gap, 2 * (0.761 + 0.48 * 0.189), atol=1e-9)
    assert clap_times(standing(3)).shape == (0,)
