from __future__ import annotations

import numpy as np
import pytest
import torch

from calibration import Rig
from camera_worlds import mixed_rig
from mocap.geometry.projection import camera_tensors, normalise, project, project_with_jacobian, rays, undistort

PX_TOLERANCE = 1e-6
"""The agreement asked for; float64 at 2000 px resolves 5e-13 px, and Newton ends at 1e-13 x focal length."""


def _points(seed: int = 0, shape: tuple[int, ...] = (7, 3)) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-1, -1, 0], [1, 1, 2], (*shape, 3))


def test_project_equals_the_numpy_rig_for_every_lens() -> None:
    rig, points = mixed_rig(), _points()
    px = project(camera_tensors(rig), torch.from_numpy(points)).numpy()
    assert px.shape == (7, 3, 5, 2)
    np.testing.assert_allclose(np.moveaxis(px, -2, 0), rig.project(points), atol=PX_TOLERANCE, rtol=0)


@pytest.mark.parametrize("camera", range(5))
def test_each_lens_alone_gives_the_same_as_in_the_mixed_rig(camera: int) -> None:
    rig, points = mixed_rig(), torch.from_numpy(_points(1))
    alone = camera_tensors(Rig((rig.cameras[camera],)))
    together = project(camera_tensors(rig), points)[..., camera, :]
    torch.testing.assert_close(project(alone, points)[..., 0, :], together, atol=1e-9, rtol=0)
    torch.testing.assert_close(
        undistort(alone, together[..., None, :])[..., 0, :],
        torch.from_numpy(rig.cameras[camera].intrinsics.undistort(together.numpy())),
        atol=PX_TOLERANCE,
        rtol=0,
    )


def test_points_behind_a_camera_are_nan_there_only() -> None:
    rig = mixed_rig()
    behind_first = rig.cameras[0].center - 2.0 * rig.cameras[0].cam_from_world.R[2]
    px, jacobian = project_with_jacobian(camera_tensors(rig), torch.from_numpy(behind_first))
    expected = rig.project(behind_first[None])[:, 0]
    assert torch.isnan(px[0]).all()
    assert torch.isnan(jacobian[0]).all()
    np.testing.assert_array_equal(np.isnan(px.numpy()), np.isnan(expected))
    assert np.isfinite(expected).any()


def test_undistort_equals_the_numpy_lens_and_inverts_project() -> None:
    rig, points = mixed_rig(), _points(2)
    cameras = camera_tensors(rig)
    px = project(cameras, torch.from_numpy(points))
    straight = undistort(cameras, px).numpy()
    expected = np.stack([c.intrinsics.undistort(px[..., i, :].numpy()) for i, c in enumerate(rig)], axis=-2)
    np.testing.assert_allclose(straight, expected, atol=PX_TOLERANCE, rtol=0)
    pinhole = np.einsum("cij,...j->...ci", rig.projections, np.concatenate([points, np.ones((7, 3, 1))], axis=-1))
    np.testing.assert_allclose(straight, pinhole[..., :2] / pinhole[..., 2:], atol=PX_TOLERANCE, rtol=0)


def test_rays_equal_the_numpy_rays_and_pass_through_the_point() -> None:
    rig, points = mixed_rig(), _points(3)
    cameras = camera_tensors(rig)
    px = project(cameras, torch.from_numpy(points))
    directions = rays(cameras, px).numpy()
    expected = np.stack([c.ray(px[..., i, :].numpy()) for i, c in enumerate(rig)], axis=-2)
    np.testing.assert_allclose(directions, expected, atol=1e-12)
    away = points[..., None, :] - rig.centers
    # 1e-12 rad of direction at 6 m is 6e-12 m
    np.testing.assert_allclose(np.cross(away, directions), 0, atol=1e-10)


def test_fisheye_rays_reach_beyond_ninety_degrees() -> None:
    rig = mixed_rig().subset(["cam3"])
    cameras = camera_tensors(rig)
    edge = torch.tensor([[702.0 + 520 * 1.65, 560.5]], dtype=torch.float64)  # theta_d = 1.65 rad > pi/2
    direction = rays(cameras, edge)[0]
    np.testing.assert_allclose(direction.numpy(), rig.cameras[0].ray(edge.numpy())[0], atol=1e-12)
    assert (rig.cameras[0].cam_from_world.R @ direction.numpy())[2] < 0
    assert torch.isnan(normalise(cameras, edge)).all()


def test_fisheye_axis_is_a_branch_with_finite_values_and_gradients() -> None:
    rig = mixed_rig().subset(["cam3"])
    cameras = camera_tensors(rig)
    on_axis = torch.from_numpy(rig.cameras[0].center + 2 * rig.cameras[0].cam_from_world.R[2]).requires_grad_()
    px, jacobian = project_with_jacobian(cameras, on_axis)
    px.sum().backward()
    centre = cameras.K[:, :2, 2].clone().requires_grad_()
    straight = undistort(cameras, centre)
    straight.sum().backward()
    torch.testing.assert_close(px.detach(), cameras.K[:, :2, 2], atol=1e-9, rtol=0)
    assert torch.isfinite(jacobian).all()
    torch.testing.assert_close(on_axis.grad, jacobian.sum((0, 1)).detach(), atol=1e-6, rtol=1e-9)
    torch.testing.assert_close(straight.detach(), centre.detach(), atol=1e-9, rtol=0)
    torch.testing.assert_close(centre.grad, torch.ones_like(centre), atol=1e-9, rtol=0)


def test_pixels_that_the_lens_does_not_image_are_nan_as_in_numpy() -> None:
    rig = mixed_rig()
    cameras = camera_tensors(rig)
    px = torch.full((1, 5, 2), -6000.0, dtype=torch.float64)
    expected = np.stack([c.intrinsics.undistort(px[:, i].numpy())[0] for i, c in enumerate(rig)])
    found = undistort(cameras, px)[0].numpy()
    assert np.isnan(expected).any()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))


def test_missing_pixels_stay_missing() -> None:
    rig = mixed_rig()
    cameras = camera_tensors(rig)
    px = project(cameras, torch.from_numpy(_points(4)))
    px[2, 1, 3] = torch.nan
    assert torch.isnan(undistort(cameras, px)).sum() == 2
    assert torch.isnan(rays(cameras, px)).sum() == 3


def test_jacobian_equals_autograd() -> None:
    cameras = camera_tensors(mixed_rig())
    points = torch.from_numpy(_points(5, (4,)))
    px, jacobian = project_with_jacobian(cameras, points)
    expected = torch.stack([torch.autograd.functional.jacobian(lambda p: project(cameras, p), p) for p in points])
    torch.testing.assert_close(px, project(cameras, points))
    torch.testing.assert_close(jacobian, expected, atol=1e-8, rtol=1e-9)


def test_gradients_of_both_directions() -> None:
    cameras = camera_tensors(mixed_rig())
    points = torch.from_numpy(_points(6, (2,))).requires_grad_()
    px = project(cameras, points).detach().requires_grad_()
    assert torch.autograd.gradcheck(lambda p: project(cameras, p), (points,))
    # The implicit derivative of the Newton inversion, to the accuracy of central differences in px.
    assert torch.autograd.gradcheck(lambda p: normalise(cameras, p), (px,), eps=1e-4, atol=1e-8, rtol=1e-4)
    assert torch.autograd.gradcheck(lambda p: rays(cameras, p), (px,), eps=1e-4, atol=1e-8, rtol=1e-4)


def test_single_precision_keeps_its_type_and_is_good_to_a_hundredth_of_a_pixel() -> None:
    rig, points = mixed_rig(), _points(7)
    cameras = camera_tensors(rig, dtype=torch.float32)
    px = project(cameras, torch.from_numpy(points).float())
    assert px.dtype == torch.float32
    # float32 resolves 6e-8 of 2000 px = 1.2e-4 px; some thirty operations stay below 1e-2
    np.testing.assert_allclose(np.moveaxis(px.numpy(), -2, 0), rig.project(points), atol=1e-2, rtol=0)
