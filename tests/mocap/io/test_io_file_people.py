"""Joints as files lay, scale and mirror them: only how they turn away from their rest pose counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mocap.core.errors import InputError
from mocap.io.file_people import FileJoints, mirror_pairs, rotations_of
from motion_worlds import quaternions

PARENTS = np.array([-1, 0, 1])
BONES_M = np.array([[0.3, -0.2, 1.0], [0.0, 0.1, 0.5], [0.2, 0.0, 0.4]])
NAMES = ("Hips", "Spine", "Head")


def chain(turns: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """world_from_joint (T, J, 4, 4) of joints with their own axes and scales (J, 3, 3), turned against their parents'
    rest by turns (T, J, 3, 3)."""
    matrices = np.tile(np.eye(4), (*turns.shape[:2], 1, 1))
    world = np.zeros_like(turns)
    for joint, parent in enumerate(PARENTS):
        above = world[:, parent] if parent >= 0 else np.eye(3)
        world[:, joint] = above @ turns[:, joint]
        base = matrices[:, parent, :3, 3] if parent >= 0 else 0.0
        matrices[:, joint, :3, 3] = base + above @ BONES_M[joint]
    matrices[..., :3, :3] = world @ axes
    return matrices


@pytest.mark.parametrize("scale", [[1, 1, 1], [0.01, 0.02, 0.03], [-1, 1, 1], [1, 1, -1], [-2, -2, -2]])
def test_own_axes_scales_and_mirrors_do_not_change_how_joints_turn(scale):
    rng = np.random.default_rng(5)
    turns = Rotation.random(12, random_state=rng).as_matrix().reshape(4, 3, 3, 3)
    axes = Rotation.random(3, random_state=rng).as_matrix() * np.array(scale, dtype=float)
    at_rest = chain(np.tile(np.eye(3), (1, 3, 1, 1)), axes)[0]
    joints = FileJoints("fbx", NAMES, PARENTS, at_rest, chain(turns, axes), np.full((3, 3), np.nan))
    motion, rest_axes = joints.motion(fps=30.0, person="a")
    wanted = quaternions(Rotation.from_matrix(turns.reshape(-1, 3, 3))).reshape(4, 3, 4)
    # Unit quaternions of either sign; 1e-12 is a thousand times what 15 digits leave after three products.
    np.testing.assert_allclose(np.abs((motion.local_rotations * wanted).sum(-1)), 1.0, atol=1e-12)
    np.testing.assert_allclose(motion.skeleton.rest_offsets, BONES_M, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rest_axes, axis=-1), 1.0, atol=1e-12)


def test_sheared_axes_count_as_the_nearest_rotation():
    turned = Rotation.from_rotvec([0.3, -0.5, 0.2]).as_matrix()
    stretch = np.array([[1.0, 0.1, 0.0], [0.1, 1.0, 0.0], [0.0, 0.0, 1.0]])  # symmetric with equal columns
    matrix = np.eye(4)
    matrix[:3, :3] = turned @ stretch
    np.testing.assert_allclose(rotations_of(matrix), turned, atol=1e-12)


def test_a_joint_without_size_is_refused():
    with pytest.raises(InputError, match="joints of scale 0"):
        rotations_of(np.diag([1.0, 0.0, 1.0, 1.0]))


def test_names_that_differ_by_the_side_are_pairs():
    assert mirror_pairs(("LeftArm", "RightArm", "left_hip", "LeftTail", "right_hip")) == (
        ("LeftArm", "RightArm"),
        ("left_hip", "right_hip"),
    )
