from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from calibration import CalibrationError, RigidTransform
from calibration.transforms import matrix_to_rotvec, nearest_rotation, rotvec_to_matrix

ROUNDING = 1e-14
"""Some ten float64 operations on numbers up to pi."""

ANGLES = [0.0, 1e-300, 1e-12, 1e-9, 1e-6, 1e-3, 0.5, 2.0, 3.0, np.pi - 1e-3, np.pi - 1e-6, np.pi - 1e-9]
AXES = [np.array([2.0, -3, 6]) / 7, np.array([0.0, 0, 1]), np.array([-1.0, 0, 0]), np.array([3.0, 4, 0]) / 5]

rotvecs = arrays(np.float64, 3, elements=st.floats(-1.8, 1.8))
positions = arrays(np.float64, 3, elements=st.floats(-20, 20))
transforms = st.builds(RigidTransform.from_rotvec, rotvecs, positions)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("angle", ANGLES)
def test_rotvec_survives_the_matrix_at_every_angle(angle: float, axis: np.ndarray) -> None:
    np.testing.assert_allclose(matrix_to_rotvec(rotvec_to_matrix(axis * angle)), axis * angle, atol=ROUNDING, rtol=0)


@pytest.mark.parametrize("axis", AXES)
def test_half_turns_give_a_half_turn_about_the_same_line(axis: np.ndarray) -> None:
    rotvec = matrix_to_rotvec(rotvec_to_matrix(axis * np.pi))
    np.testing.assert_allclose(np.abs(rotvec @ axis), np.pi, atol=ROUNDING)
    np.testing.assert_allclose(np.cross(rotvec, axis), 0, atol=ROUNDING)


def test_known_rotation() -> None:
    quarter = rotvec_to_matrix(np.array([0.0, 0.0, np.pi / 2]))
    np.testing.assert_allclose(quarter @ [1.0, 0, 0], [0, 1, 0], atol=ROUNDING)


@given(rotvecs)
def test_rotvec_to_matrix_equals_opencv(rotvec: np.ndarray) -> None:
    np.testing.assert_allclose(rotvec_to_matrix(rotvec), cv2.Rodrigues(rotvec)[0], atol=ROUNDING)


@given(rotvecs)
def test_matrix_to_rotvec_is_within_half_a_turn_and_means_the_same(rotvec: np.ndarray) -> None:
    R = rotvec_to_matrix(rotvec)
    found = matrix_to_rotvec(R)
    assert np.linalg.norm(found) <= np.pi + ROUNDING
    np.testing.assert_allclose(rotvec_to_matrix(found), R, atol=ROUNDING)


@given(transforms, transforms, arrays(np.float64, (4, 2, 3), elements=st.floats(-9, 9)))
def test_composition_applies_the_right_transform_first(
    c_from_b: RigidTransform, b_from_a: RigidTransform, points: np.ndarray
) -> None:
    np.testing.assert_allclose((c_from_b @ b_from_a).apply(points), c_from_b.apply(b_from_a.apply(points)), atol=1e-12)


@given(transforms)
def test_inverse_undoes(b_from_a: RigidTransform) -> None:
    np.testing.assert_allclose((b_from_a.inverse() @ b_from_a).matrix, np.eye(4), atol=1e-13)
    np.testing.assert_allclose(b_from_a.matrix @ b_from_a.inverse().matrix, np.eye(4), atol=1e-13)


def test_identity_moves_nothing() -> None:
    points = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(RigidTransform.identity().apply(points), points)


def test_rounded_rotations_are_made_exact_and_exact_ones_are_left_alone() -> None:
    exact = rotvec_to_matrix(np.array([0.3, -1.1, 0.7]))
    rounded = RigidTransform(np.round(exact, 6), np.zeros(3)).R
    assert np.abs(rounded @ rounded.T - np.eye(3)).max() < ROUNDING
    assert np.abs(rounded - exact).max() < 1e-6
    np.testing.assert_array_equal(RigidTransform(exact, np.zeros(3)).R, exact)


def test_nearest_rotation_of_a_reflection_is_proper() -> None:
    assert np.linalg.det(nearest_rotation(np.diag([1.0, 1.0, -0.9]))) == pytest.approx(1)


def test_frozen_transforms_do_not_share_the_array_they_were_made_from() -> None:
    t = np.zeros(3)
    transform = RigidTransform(np.eye(3), t)
    t[0] = 5
    assert transform.t[0] == 0


@pytest.mark.parametrize(
    ("R", "t", "message"),
    [
        (np.diag([1.0, 1.0, -1.0]), np.zeros(3), "not a rotation matrix: |R R^T - I| = 0, det = -1.000"),
        (np.eye(3) * 1.01, np.zeros(3), "not a rotation matrix: |R R^T - I| = 0.02"),
        (np.full((3, 3), np.nan), np.zeros(3), "a finite 3x3 rotation and a finite translation"),
        (np.eye(3), np.array([0, np.inf, 0]), "a finite 3x3 rotation and a finite translation"),
    ],
)
def test_impossible_poses_are_refused(R: np.ndarray, t: np.ndarray, message: str) -> None:
    with pytest.raises(CalibrationError) as error:
        RigidTransform(R, t)
    assert message in str(error.value)
