"""People who move before a rig: their keypoints, and who hides whom."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from camera_worlds import mixed_rig
from mocap.core.errors import InputError
from mocap.core.keypoints import load_keypoint_set
from mocap.core.truth import Visibility
from mocap.synthetic.body_bank import make_bodies
from mocap.synthetic.detector_config import preset
from mocap.synthetic.detector_errors import as_detections, detect
from mocap.synthetic.gait import joint_poses, walk_and_reach
from mocap.synthetic.moving_people import views_of_motions

SET = load_keypoint_set("blazepose33")
RIG = mixed_rig()


@pytest.fixture(scope="module")
def bodies():
    return make_bodies(2, SET, np.random.default_rng(1), "humanoid")


@pytest.fixture(scope="module")
def motions(bodies):
    made = [walk_and_reach(bodies.body_skeleton(p), seconds=1.0, fps=10.0, person=f"p{p}") for p in range(2)]
    return [made[0], replace(made[1], root_translation=made[1].root_translation + [0.5, 0.4, 0.0])]


def test_keypoints_lie_on_the_people_and_pixels_are_their_projections(bodies, motions):
    xyz, views = views_of_motions(motions, bodies, RIG, keypoint_set=SET)
    assert xyz.shape == (10, 2, 33, 3)
    np.testing.assert_allclose(views.xy, np.moveaxis(RIG.project(xyz), 0, 2), atol=1e-9)
    for person, motion in enumerate(motions):
        joints = joint_poses(motion)[1]
        knee = np.linalg.norm(
            xyz[:, person, SET.index("left_knee")] - joints[:, motion.skeleton.index("LeftLeg")], axis=-1
        )
        # The keypoint lies 17.6 mm from the joint of an adult of 1.75 m.
        assert np.ptp(knee) < 1e-9
        assert 0.012 < knee[0] < 0.021
    assert views.fps == 10.0


def test_two_people_hide_each_other_and_one_alone_does_not(bodies, motions):
    _, both = views_of_motions(motions, bodies, RIG, keypoint_set=SET)
    alone = bodies.rows([0])
    _, single = views_of_motions(motions[:1], alone, RIG, keypoint_set=SET)
    assert (both.visibility == Visibility.HIDDEN_BY_OTHER).mean() > 0.01
    assert not (single.visibility == Visibility.HIDDEN_BY_OTHER).any()
    kept = both.visibility[:, :1] != Visibility.HIDDEN_BY_OTHER
    np.testing.assert_array_equal(both.visibility[:, :1][kept], single.visibility[kept])


def test_reports_of_people_become_detections(bodies, motions):
    _, views = views_of_motions(motions, bodies, RIG, keypoint_set=SET)
    found = detect(views, preset("blazepose_like"), np.random.default_rng(0))
    detections, who = as_detections(found, views, RIG.names, np.random.default_rng(1))
    assert detections.n_frames == 10
    assert set(who) >= {0, 1}


def test_mistakes_are_told(bodies, motions):
    with pytest.raises(InputError, match="1 motions.*2 bodies"):
        views_of_motions(motions[:1], bodies, RIG, keypoint_set=SET)
    with pytest.raises(InputError, match="the motion of p1 was made on another skeleton than body 0"):
        views_of_motions(motions[::-1], bodies, RIG, keypoint_set=SET)
