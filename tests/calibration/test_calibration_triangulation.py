from __future__ import annotations

import numpy as np
import pytest

from calibration import CalibrationError, Camera, Intrinsics, Rig, RigidTransform
from calibration.triangulation import reprojection_px, triangulate_dlt
from camera_worlds import looking_at, mixed_rig


def _seen(rig: Rig, points: np.ndarray) -> np.ndarray:
    return np.moveaxis(rig.project(points), 0, -2)


def _points(shape: tuple[int, ...] = (4, 2), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform([-1, -1, 0], [1, 1, 2], (*shape, 3))


def test_exact_pixels_give_the_points_of_every_lens() -> None:
    rig, points = mixed_rig(), _points()
    px = _seen(rig, points)
    np.testing.assert_allclose(triangulate_dlt(rig, px), points, atol=1e-10)
    np.testing.assert_allclose(reprojection_px(rig, points, px), 0, atol=1e-9)


def test_known_answer_of_two_cameras_side_by_side() -> None:
    """Baseline 0.2 m, focal length 500: a disparity of 50 px is a depth of 2 m."""
    lens = Intrinsics((640, 480), np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), np.zeros(5))
    right = Camera("right", lens, RigidTransform(np.eye(3), np.array([-0.2, 0, 0])))
    rig = Rig((Camera("left", lens, RigidTransform.identity()), right))
    point = triangulate_dlt(rig, np.array([[370.0, 265.0], [320.0, 265.0]]))
    np.testing.assert_allclose(point, [0.2, 0.1, 2.0], atol=1e-12)


def test_two_views_are_enough_and_one_is_not() -> None:
    rig, points = mixed_rig(), _points((5,))
    px = _seen(rig, points)
    px[0, 2:] = np.nan
    px[1, 1:] = np.nan
    px[2] = np.nan
    px[3, :, 1] = np.nan
    found = triangulate_dlt(rig, px)
    np.testing.assert_array_equal(np.isnan(found).any(-1), [False, True, True, True, False])
    np.testing.assert_allclose(found[[0, 4]], points[[0, 4]], atol=1e-10)
    error = reprojection_px(rig, points, px)
    np.testing.assert_array_equal(np.isnan(error[0]), [False, False, True, True, True])


def test_weight_zero_is_as_good_as_missing() -> None:
    rig, points = mixed_rig(), _points((3,))
    px = _seen(rig, points)
    px[:, 1] += 80
    weight = np.ones((3, 5))
    weight[:, 1] = 0
    np.testing.assert_allclose(triangulate_dlt(rig, px, weight), points, atol=1e-10)
    np.testing.assert_array_equal(
        np.isnan(triangulate_dlt(rig, px, np.eye(5)[:3])), np.ones((3, 3), dtype=bool), err_msg="one view is left"
    )


def test_weight_pulls_the_point_towards_the_view() -> None:
    rig, points = mixed_rig(), _points((1,))
    px = _seen(rig, points) + np.random.default_rng(3).normal(0, 4, (1, 5, 2))
    errors = []
    for weight in (0.1, 1.0, 100.0):
        point = triangulate_dlt(rig, px, np.array([[weight, 1, 1, 1, 1.0]]))
        errors.append(reprojection_px(rig, point, px)[0, 0])
    assert errors[0] > errors[1] > errors[2]


def test_weights_and_repeated_views_mean_the_same() -> None:
    rig = mixed_rig()
    px = _seen(rig, _points((1,))) + np.random.default_rng(4).normal(0, 3, (1, 5, 2))
    again = Camera("again", rig["cam1"].intrinsics, rig["cam1"].cam_from_world)
    twice = triangulate_dlt(Rig((*rig.cameras, again)), np.concatenate([px, px[:, 1:2]], axis=1))
    np.testing.assert_allclose(triangulate_dlt(rig, px, np.array([[1, 2.0, 1, 1, 1]])), twice, atol=1e-12)


def test_noise_of_a_pixel_costs_millimetres() -> None:
    """1 px at a focal length of 1000 and 4 m is 4 mm a view; five views share it, the weakest axis less well."""
    rig, points = mixed_rig(), _points((400,))
    noisy = _seen(rig, points) + np.random.default_rng(5).normal(0, 1, (400, 5, 2))
    error = np.linalg.norm(triangulate_dlt(rig, noisy) - points, axis=-1)
    assert 1e-3 < np.sqrt((error**2).mean()) < 8e-3


def test_parallel_rays_fix_no_depth() -> None:
    lens = Intrinsics((640, 480), np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), np.zeros(5))
    near = Camera("near", lens, looking_at(np.array([0.0, -5, 1]), np.array([0.0, 0, 1])))
    nearer = Camera("nearer", lens, looking_at(np.array([0.0, -4, 1]), np.array([0.0, 0, 1])))
    rig = Rig((near, nearer))
    on_both_axes, beside = np.array([0.0, 1, 1]), np.array([1.0, 1, 1.5])
    assert np.isnan(triangulate_dlt(rig, _seen(rig, on_both_axes))).all()
    np.testing.assert_allclose(triangulate_dlt(rig, _seen(rig, beside)), beside, atol=1e-9)
    barely = np.array([0.02, 1, 1])
    assert np.isnan(triangulate_dlt(rig, _seen(rig, barely))).all()
    np.testing.assert_allclose(triangulate_dlt(rig, _seen(rig, barely), min_parallax=1e-6), barely, atol=1e-6)


def test_pixels_that_a_lens_does_not_image_do_not_count() -> None:
    rig, points = mixed_rig(), _points((1,))
    px = _seen(rig, points)
    px[0, 1] = -6000.0
    assert np.isnan(rig["cam1"].intrinsics.undistort(px[0, 1])).all()
    np.testing.assert_allclose(triangulate_dlt(rig, px), points, atol=1e-10)


def test_wrong_number_of_cameras_and_bad_weights_are_refused() -> None:
    rig = mixed_rig()
    with pytest.raises(CalibrationError, match="pixels of 4 cameras for a rig of 5"):
        triangulate_dlt(rig, np.zeros((2, 4, 2)))
    for weight in (np.full((2, 5), np.nan), np.full((2, 5), -1.0)):
        with pytest.raises(CalibrationError, match="from zero upwards"):
            triangulate_dlt(rig, np.zeros((2, 5, 2)), weight)
