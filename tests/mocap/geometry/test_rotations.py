"""Rotations against scipy, against each other, and their gradients at the singular places."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from mocap.geometry import rotations as rot

EXACT = 1e-12  # float64 with at most a few dozen operations on numbers of order 1
AXES = torch.tensor(
    [[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0], [0.6, 0, -0.8], [-0.48, 0.6, 0.64], [-1.0, 0, 0]], dtype=torch.float64
)


def random_rotvecs(*leading: int, largest: float = np.pi, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    axis = torch.randn(*leading, 3, generator=generator, dtype=torch.float64)
    angle = torch.rand(*leading, 1, generator=generator, dtype=torch.float64) * largest
    return axis / axis.norm(dim=-1, keepdim=True) * angle


def random_quats(*leading: int, seed: int = 0) -> torch.Tensor:
    return rot.rotvec_to_quat(random_rotvecs(*leading, seed=seed))


def scipy_of(q: torch.Tensor) -> Rotation:
    return Rotation.from_quat(q.reshape(-1, 4).numpy(), scalar_first=True)


def same_rotation(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return torch.minimum((a - b).norm(dim=-1), (a + b).norm(dim=-1))


def test_a_quarter_turn_about_z_takes_x_to_y():
    q = rot.rotvec_to_quat(torch.tensor([0.0, 0.0, np.pi / 2], dtype=torch.float64))
    torch.testing.assert_close(q, torch.tensor([0.5**0.5, 0, 0, 0.5**0.5], dtype=torch.float64))
    x = torch.tensor([1.0, 0, 0], dtype=torch.float64)
    torch.testing.assert_close(rot.quat_rotate(q, x), torch.tensor([0.0, 1.0, 0], dtype=torch.float64))


def test_products_and_applications_match_scipy():
    a, b = random_quats(2, 5, 7, seed=1), random_quats(5, 1, seed=2)
    v = torch.randn(2, 5, 7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    a_all, b_all = torch.broadcast_tensors(a, b)
    expected = (scipy_of(a_all.clone()) * scipy_of(b_all.clone())).as_matrix().reshape(2, 5, 7, 3, 3)
    np.testing.assert_allclose(rot.quat_to_matrix(rot.quat_multiply(a, b)).numpy(), expected, atol=EXACT)
    turned = scipy_of(a).apply(v.reshape(-1, 3).numpy()).reshape(2, 5, 7, 3)
    np.testing.assert_allclose(rot.quat_rotate(a, v).numpy(), turned, atol=EXACT)
    np.testing.assert_allclose(rot.quat_rotate(rot.quat_conjugate(a), rot.quat_rotate(a, v)), v, atol=EXACT)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-7, 9.99e-4, 1.001e-3, 1.0, 3.0, np.pi - 1e-9, np.pi])
def test_conversions_match_scipy_at_every_size_of_angle(angle):
    vectors = AXES * angle
    expected = Rotation.from_rotvec(vectors.numpy())
    q = rot.rotvec_to_quat(vectors)
    assert same_rotation(q, torch.from_numpy(expected.as_quat(scalar_first=True))).max() < EXACT
    np.testing.assert_allclose(rot.rotvec_to_matrix(vectors), expected.as_matrix(), atol=EXACT)
    assert same_rotation(rot.matrix_to_quat(rot.quat_to_matrix(q)), q).max() < EXACT
    back = rot.quat_to_rotvec(q)
    assert same_rotation(rot.rotvec_to_quat(back), q).max() < EXACT
    assert (back.norm(dim=-1) <= np.pi + EXACT).all()
    if angle < np.pi - 1e-6:
        # a matrix holds the sine of a small angle to eps, hence the axis to eps / angle
        np.testing.assert_allclose(back, vectors, atol=EXACT)
        np.testing.assert_allclose(rot.matrix_to_rotvec(rot.rotvec_to_matrix(vectors)), vectors, atol=1e-9)


def test_both_signs_of_a_quaternion_give_one_rotation_vector():
    q = random_quats(50)
    torch.testing.assert_close(rot.quat_to_rotvec(q), rot.quat_to_rotvec(-q))


@pytest.mark.parametrize("angle", [0.0, 1e-4, 9.9e-4, 2.0, np.pi, 5.0])
def test_gradients_from_rotation_vectors(angle):
    vectors = (AXES * angle).clone().requires_grad_()
    assert gradcheck(rot.rotvec_to_quat, (vectors,))
    assert gradcheck(rot.rotvec_to_matrix, (vectors,))
    assert gradcheck(rot.left_jacobian, (vectors,))


@pytest.mark.parametrize("angle", [0.0, 1e-4, 9.9e-4, 2.0, np.pi - 1e-3])
def test_gradients_to_rotation_vectors(angle):
    vectors = (AXES * angle).clone().requires_grad_()
    assert gradcheck(lambda v: rot.quat_to_rotvec(rot.rotvec_to_quat(v)), (vectors,))
    assert gradcheck(lambda v: rot.matrix_to_rotvec(rot.rotvec_to_matrix(v)), (vectors,))
    assert gradcheck(rot.left_jacobian_inverse, (vectors,))


@pytest.mark.parametrize("angle", [0.0, np.pi])
def test_gradients_through_matrices_at_the_singular_angles(angle):
    vectors = (AXES * angle).clone().requires_grad_()
    assert gradcheck(lambda v: rot.matrix_to_quat(rot.rotvec_to_matrix(v)), (vectors,))
    rot.quat_to_rotvec(rot.rotvec_to_quat(vectors)).sum().backward()
    assert torch.isfinite(vectors.grad).all()


def test_the_left_jacobian_is_the_derivative_of_the_rotation():
    v = random_rotvecs(40, largest=6.0, seed=4)
    dv = 1e-6 * random_rotvecs(40, largest=1.0, seed=5)
    moved = rot.quat_multiply(rot.rotvec_to_quat(v + dv), rot.quat_conjugate(rot.rotvec_to_quat(v)))
    predicted = torch.einsum("nij,nj->ni", rot.left_jacobian(v), dv)
    np.testing.assert_allclose(rot.quat_to_rotvec(moved), predicted, atol=1e-12)  # second order: |dv|^2
    product = rot.left_jacobian(v) @ rot.left_jacobian_inverse(v)
    np.testing.assert_allclose(product, torch.eye(3, dtype=v.dtype).expand(40, 3, 3), atol=1e-10)


def test_slerp_goes_the_short_way_at_constant_speed():
    a, b = random_quats(30, seed=6), random_quats(30, seed=7)
    t = torch.linspace(0, 1, 5, dtype=torch.float64)[:, None]
    path = rot.slerp(a, b, t)
    assert path.shape == (5, 30, 4)
    assert same_rotation(path[0], a).max() < EXACT
    assert same_rotation(path[-1], b).max() < EXACT
    step = rot.quat_to_rotvec(rot.quat_multiply(rot.quat_conjugate(path[:-1]), path[1:])).norm(dim=-1)
    whole = rot.quat_to_rotvec(rot.quat_multiply(rot.quat_conjugate(a), b)).norm(dim=-1)
    np.testing.assert_allclose(step, (whole / 4).expand(4, 30), atol=1e-9)


def test_shortest_arc_takes_start_to_end_by_the_least_angle():
    start = AXES[:, None].expand(6, 6, 3)
    end = AXES[None].expand(6, 6, 3)  # equal, perpendicular and opposite pairs among them
    arc = rot.shortest_arc(start, end)
    np.testing.assert_allclose(rot.quat_rotate(arc, start.clone()), end, atol=EXACT)
    angle = torch.arccos((start * end).sum(-1).clamp(-1, 1))
    np.testing.assert_allclose(
        rot.quat_to_rotvec(arc).norm(dim=-1), angle, atol=1e-7
    )  # arccos near 1 loses half the digits


@pytest.mark.parametrize("distance", [1e-5, 1e-7, 1e-9, 0.0])
def test_shortest_arc_near_opposite_directions(distance):
    start = AXES[3].clone()
    end = -AXES[3] + distance * AXES[1]
    end = end / end.norm()
    arc = rot.shortest_arc(start, end)
    # below 1e-7 the branch turns by exactly pi, so that the end is missed by the distance itself
    np.testing.assert_allclose(rot.quat_rotate(arc, start), end, atol=1e-7)


def test_gradient_of_shortest_arc_is_finite_when_nothing_turns():
    start = AXES.clone().requires_grad_()
    rot.shortest_arc(start, AXES).sum().backward()
    assert torch.isfinite(start.grad).all()


def test_swing_and_twist_multiply_back_and_keep_to_their_axes():
    q = random_quats(6, 20, seed=8)
    axis = AXES[:, None]
    swing, twist = rot.swing_twist(q, axis)
    assert same_rotation(rot.quat_multiply(swing, twist), q).max() < EXACT
    assert (swing[..., 1:] * axis).sum(-1).abs().max() < EXACT
    assert torch.linalg.cross(twist[..., 1:], axis.expand(6, 20, 3)).abs().max() < EXACT


def test_a_half_turn_swing_has_no_twist():
    q = torch.tensor([[0.0, 0, 1, 0]], dtype=torch.float64)
    swing, twist = rot.swing_twist(q, torch.tensor([1.0, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(twist, rot.quat_identity(1))
    torch.testing.assert_close(swing, q)
