"""Bodies of the SMPL family against its published formulas, computed the long way."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mocap.core.smpl_arrays import BODY_JOINTS, SMPL_FROM_OURS
from mocap.models.body_family import body_markers, rest_joints
from mocap.models.smpl_body import SmplBodies
from smpl_worlds import published, some_motion, tube_person


@pytest.mark.parametrize("model", ["smpl", "smplh", "smplx"])
def test_skin_and_joints_are_those_of_the_published_formulas(model: str):
    arrays = tube_person(model)
    bodies = SmplBodies(arrays, "neutral", 5)
    betas = np.array([0.8, -1.0, 0.5, 1.2, -0.7])
    motion = some_motion(bodies, betas)
    skin = bodies.posed(betas, motion)
    for t in range(motion.n_frames):
        rotvecs = np.zeros((len(arrays.parents), 3))
        for j, name in enumerate(BODY_JOINTS):
            w, x, y, z = motion.local_rotations[t, motion.skeleton.index(name)]
            rotvecs[j] = SMPL_FROM_OURS @ Rotation.from_quat([x, y, z, w]).as_rotvec()
        at_rest = bodies.root_rest(betas)
        trans = SMPL_FROM_OURS @ (motion.root_translation[t] - at_rest)
        wanted, _ = published(arrays, betas, rotvecs, trans)
        np.testing.assert_allclose(skin[t], wanted @ SMPL_FROM_OURS, atol=1e-12)


def test_the_rest_pose_stands_on_the_floor_with_its_joints_inside():
    bodies = SmplBodies(tube_person(), "female", 4)
    shape = np.array([1.0, 0.5, -1.0, 0.3])
    mesh, skeleton = bodies.mesh(shape), bodies.skeleton(shape)
    joints = rest_joints(skeleton.rest_offsets, skeleton.parents)
    assert abs(mesh.vertices[:, 2].min()) < 1e-12
    assert abs(joints[0, :2]).max() < 1e-12
    for j in range(len(skeleton)):
        own = mesh.vertices[mesh.weights[:, j] == 1]
        assert (own.min(0) - 1e-9 <= joints[j]).all()
        assert (joints[j] <= own.max(0) + 1e-9).all()


@pytest.mark.parametrize(("model", "first"), [("smplh", 22), ("smplx", 25)])
def test_fingers_move_with_the_hand_that_carries_them(model, first):
    arrays = tube_person(model)
    weights = SmplBodies(arrays, "neutral", 3).mesh(np.zeros(3)).weights
    np.testing.assert_allclose(weights.sum(1), 1.0)
    left = SmplBodies(arrays, "neutral", 3).skeleton(np.zeros(3)).index("LeftHand")
    assert (weights[:, left] == 1).sum() == (arrays.weights[:, [20, *range(first, first + 15)]] == 1).sum()


@pytest.mark.parametrize("model", ["smplh", "smplx"])
def test_keypoints_lie_where_their_names_say(model):
    bodies = SmplBodies(tube_person(model), "neutral", 3)
    rest = bodies.rest(np.zeros(3))
    at = rest.keypoints
    assert at["left_heel"][1] > at["left_ankle"][1] > at["left_big_toe"][1]
    assert at["left_ear"][0] > at["nose"][0] > at["right_ear"][0]
    assert at["nose"][1] < min(at["left_ear"][1], at["right_ear"][1])
    assert at["head"][2] == max(point[2] for point in at.values())
    assert at["left_index"][0] > at["left_wrist"][0] > at["left_elbow"][0]
    skeleton = bodies.skeleton(np.zeros(3))
    joints = rest_joints(skeleton.rest_offsets, skeleton.parents)
    np.testing.assert_allclose(at["right_knee"], joints[skeleton.index("RightLeg")], atol=1e-12)


def test_markers_follow_the_shape():
    from mocap.core.markers import load_markers

    bodies = SmplBodies(tube_person(), "neutral", 3)
    skeleton = bodies.skeleton(np.zeros(3))
    small, tall = (
        body_markers(load_markers("humanoid", skeleton), bodies.rest(np.array([b, 0, 0])), skeleton.parents)
        for b in (0.0, 2.0)
    )
    assert set(small.keypoints) <= set(bodies.rest(np.zeros(3)).keypoints)
    hip, heel = small.keypoints.index("left_hip"), small.keypoints.index("left_heel")
    assert not small.offsets[hip].any()
    np.testing.assert_allclose(tall.offsets[heel], 1.08 * small.offsets[heel], rtol=1e-9)
