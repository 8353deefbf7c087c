"""A person made by formula moves like one."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.core.keypoints import load_keypoint_set
from mocap.core.skeleton import load_skeleton
from mocap.synthetic.body_points import keypoints_on_body, place_of
from mocap.synthetic.gait import joint_poses, walk_and_reach

SKELETON = load_skeleton()


@pytest.fixture(scope="module")
def motion():
    return walk_and_reach(SKELETON, seconds=4.0, fps=30.0)


def test_the_motion_has_the_length_and_rate_asked_for(motion):
    assert (motion.n_frames, motion.fps) == (120, 30.0)
    assert walk_and_reach(SKELETON, seconds=2.0, fps=50.0).n_frames == 100


def test_soles_are_on_the_floor_and_never_below(motion):
    points = keypoints_on_body(motion, load_keypoint_set("blazepose33"))
    _, joints = joint_poses(motion)
    toes = joints[:, [SKELETON.index("LeftToeBase"), SKELETON.index("RightToeBase")], 2]
    # The ball of the foot rests 18 mm above the floor; tips and heels are the other sole points of the same height.
    assert toes.min() == pytest.approx(0.018, abs=1e-3)
    assert points[..., 2].min() > 0


def test_the_person_walks_a_metre_a_second_and_then_stands(motion):
    speed = np.linalg.norm(np.diff(motion.root_translation[:, :2], axis=0), axis=1) * motion.fps
    # Ordinary walking: 0.8 to 1.6 m/s, here averaged over one stride of about 32 frames.
    assert 0.8 < speed[:32].mean() < 1.6
    assert speed[100:].max() < 0.1


def test_knees_bend_forwards_only(motion):
    _, joints = joint_poses(motion)
    for side in ("Left", "Right"):
        hip, knee, ankle = (joints[:, SKELETON.index(f"{side}{part}")] for part in ("UpLeg", "Leg", "Foot"))
        facing = motion_forward(motion)
        bulge = ((knee - (hip + ankle) / 2) * facing).sum(-1)
        # Interpolating the table between tenths of a stride may overshoot straight by a degree: 8 mm at the knee.
        assert bulge.min() > -0.008
        assert bulge.max() > 0.1


def motion_forward(motion):
    """Where the pelvis faces."""
    w, x, y, z = np.moveaxis(motion.local_rotations[:, 0], -1, 0)
    return -np.stack([2 * (x * y - w * z), w * w - x * x + y * y - z * z, 2 * (y * z + w * x)], axis=-1)


def test_the_right_hand_ends_above_the_shoulder_and_ahead(motion):
    _, joints = joint_poses(motion)
    hand, shoulder = joints[-1, SKELETON.index("RightHand")], joints[-1, SKELETON.index("RightArm")]
    assert hand[2] > shoulder[2]
    assert (hand - shoulder) @ motion_forward(motion)[-1] > 0.3


def test_keypoints_of_both_sides_mirror_each_other():
    keypoint_set = load_keypoint_set("blazepose33")
    for left, right in keypoint_set.mirror_pairs:
        (joint, offset), (other, mirrored) = place_of(left), place_of(right)
        assert other == joint.replace("Left", "Right")
        np.testing.assert_array_equal(mirrored, offset * [-1, 1, 1])
    assert place_of("tail") is None


def test_every_keypoint_of_the_default_network_is_placed(motion):
    points = keypoints_on_body(motion, load_keypoint_set("blazepose33"))
    assert np.isfinite(points).all()
    assert np.isnan(keypoints_on_body(motion, load_keypoint_set("halpe26"))).any(), "halpe26 has points unknown here"
