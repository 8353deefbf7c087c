"""Forward kinematics against 4x4 matrices multiplied one by one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from mocap.core.errors import InputError
from mocap.geometry.kinematics import descends_from, forward_kinematics

PARENTS = (-1, 0, 1, 1, 0, 3, 4)  # two branches, of different depth, siblings out of order


def naive(local: np.ndarray, root: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    world = []
    for j, parent in enumerate(PARENTS):
        step = np.eye(4)
        step[:3, :3] = Rotation.from_quat(local[j], scalar_first=True).as_matrix()
        step[:3, 3] = root if parent < 0 else offsets[j]
        world.append(step if parent < 0 else world[parent] @ step)
    return np.stack(world)


def example(*leading: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    local = rng.normal(size=(*leading, len(PARENTS), 4))
    local /= np.linalg.norm(local, axis=-1, keepdims=True)
    return local, rng.normal(size=(*leading, 3)), rng.normal(size=(len(PARENTS), 3))


def test_matches_matrices_multiplied_one_by_one():
    local, root, offsets = example(2, 5)
    rotations, positions = forward_kinematics(*map(torch.from_numpy, (local, root, offsets)), PARENTS)
    assert rotations.shape == (2, 5, 7, 4)
    for i in np.ndindex(2, 5):
        expected = naive(local[i], root[i], offsets)
        np.testing.assert_allclose(positions[i], expected[:, :3, 3], atol=1e-12)
        actual = Rotation.from_quat(rotations[i].numpy(), scalar_first=True).as_matrix()
        np.testing.assert_allclose(actual, expected[:, :3, :3], atol=1e-12)


def test_one_pose_without_leading_axes_and_a_numpy_parent_array():
    local, root, offsets = example()
    _, positions = forward_kinematics(*map(torch.from_numpy, (local, root, offsets)), np.array(PARENTS))
    np.testing.assert_allclose(positions, naive(local, root, offsets)[:, :3, 3], atol=1e-12)


def test_gradients():
    local, root, offsets = (torch.from_numpy(a).requires_grad_() for a in example(2))
    assert gradcheck(lambda *a: forward_kinematics(*a, PARENTS)[1], (local, root, offsets))


def test_a_child_before_its_parent_is_refused():
    local, root, offsets = map(torch.from_numpy, example())
    with pytest.raises(InputError, match="every parent before its children"):
        forward_kinematics(local, root, offsets, (-1, 0, 3, 1, 0, 3, 4))


def test_descent():
    table = np.array(descends_from(PARENTS))
    assert table[5].tolist() == [True, True, False, True, False, True, False]
    assert table[:, 4].tolist() == [False, False, False, False, True, False, True]
