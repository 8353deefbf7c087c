"""Anny as a family of bodies: what the fit reads of a few vertices is what the whole mesh says."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.core.motion import Motion
from mocap.models.body_skin import joint_transforms, skinned, skinned_mesh

pytest.importorskip("anny")


def test_joints_and_keypoints_are_those_of_the_whole_body():
    from mocap.synthetic.anny_body import anny_bodies

    bodies = anny_bodies()
    shape = np.array([0.1, 0.45, 0.8, 0.7, 0.55, 0.2])  # a big child
    rest, body = bodies.rest(shape), bodies.body(shape)
    np.testing.assert_allclose(rest.rest_offsets, body.skeleton.rest_offsets, atol=1e-9)
    points = np.array([rest.keypoints[name] for name in body.keypoint_names])
    np.testing.assert_allclose(points, body.keypoints, atol=1e-9)


def test_skin_follows_a_motion_and_four_joints_a_vertex_hardly_change_it():
    from mocap.synthetic.anny_body import anny_bodies

    bodies, shape = anny_bodies(), np.array([0.5, 0.7, 0.5, 0.5, 0.38, 0.5])
    skeleton = bodies.skeleton(shape)
    turns = np.tile([1.0, 0, 0, 0], (1, len(skeleton), 1))
    turns[0, skeleton.index("LeftForeArm")] = [np.sqrt(0.5), 0, 0, -np.sqrt(0.5)]
    motion = Motion(skeleton, np.array([[1.0, 2.0, skeleton.rest_offsets[0, 2]]]), turns, 30.0)
    posed, mesh = bodies.posed(shape, motion)[0], bodies.mesh(shape)
    assert abs(posed[:, 2].min()) < 1e-6  # float32 of a metre
    assert mesh.height_m == pytest.approx(posed[:, 2].max(), abs=1e-6)
    few = skinned_mesh("body", mesh)
    weights = np.zeros_like(mesh.weights)
    np.add.at(weights, (np.arange(len(weights))[:, None], few.joints), few.weights)  # unused places are joint 0 too
    from scipy.sparse import csr_array

    again = skinned(few.vertices, csr_array(weights), joint_transforms(motion))[0]
    away = np.linalg.norm(again - posed, axis=-1)
    assert away.max() < 0.005
    assert away.mean() < 1e-4
