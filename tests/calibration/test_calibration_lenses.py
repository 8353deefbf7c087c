from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration import Intrinsics, Lens
from calibration.lenses import (
    distort,
    distort_direction,
    fisheye_angle_from_radius,
    fisheye_fold,
    fold_radius,
    undistort,
)

PX = 1e-6
"""Agreement asked for with OpenCV and between the directions; float64 resolves 2e-13 px at 2000 px."""

SIZE = (1280, 720)
K = np.array([[903.5, 0, 618.3], [0, 911.2, 394.2], [0, 0, 1]])
PINHOLE = np.zeros(3)
EXACT = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 5000, 1e-16)

BARREL = np.array([-0.34, 0.12, 6e-4, -4e-4, -0.02])
RATIONAL = np.array([0.3, -0.05, 3e-4, 2e-4, 0.004, 0.45, 0.01, 0.002])
FISHEYE = np.array([0.021, -0.013, 0.004, -0.001])
FOLDING = np.array([-0.3, 0.0, 0.0, 0.0, 0.0])
"""r (1 - 0.3 r²) turns back at r = 1 / sqrt(0.9) = 1.0541 with the distorted radius 0.7027."""
FOLD = 1 / np.sqrt(0.9)


def _points(seed: int = 0) -> np.ndarray:
    """Rays up to 42° from the axis, in camera coordinates, shape (5, 7, 3)."""
    rng = np.random.default_rng(seed)
    z = rng.uniform(0.5, 6, (5, 7, 1))
    return np.concatenate([rng.uniform(-0.65, 0.65, (5, 7, 2)) * z, z], axis=-1)


def _grid(size: tuple[int, int]) -> np.ndarray:
    """Pixels over the whole image, out to the outer edges of its corner pixels."""
    width, height = size
    return np.stack(np.meshgrid(np.linspace(-0.5, width - 0.5, 67), np.linspace(-0.5, height - 0.5, 41)), axis=-1)


@pytest.mark.parametrize(
    "distortion", [np.array([]), BARREL[:4], BARREL, RATIONAL, np.pad(RATIONAL, (0, 4)), np.pad(RATIONAL, (0, 6))]
)
def test_project_equals_opencv(distortion: np.ndarray) -> None:
    points = _points()
    expected = cv2.projectPoints(points.reshape(-1, 3), PINHOLE, PINHOLE, K, distortion)[0].reshape(5, 7, 2)
    np.testing.assert_allclose(Intrinsics(SIZE, K, distortion).project(points), expected, atol=PX, rtol=0)


def test_fisheye_projects_as_opencv() -> None:
    points = _points()
    expected = cv2.fisheye.projectPoints(points.reshape(-1, 1, 3), PINHOLE, PINHOLE, K, FISHEYE)[0].reshape(5, 7, 2)
    np.testing.assert_allclose(Intrinsics(SIZE, K, FISHEYE, Lens.FISHEYE).project(points), expected, atol=PX, rtol=0)


@pytest.mark.parametrize("distortion", [BARREL[:4], BARREL, RATIONAL])
def test_undistort_equals_opencv(distortion: np.ndarray) -> None:
    lens = Intrinsics(SIZE, K, distortion)
    px = lens.project(_points())
    expected = cv2.undistortPoints(px.reshape(-1, 1, 2), K, distortion, P=K, criteria=EXACT).reshape(px.shape)
    np.testing.assert_allclose(lens.undistort(px), expected, atol=PX, rtol=0)


def test_fisheye_undistorts_as_opencv() -> None:
    lens = Intrinsics(SIZE, K, FISHEYE, Lens.FISHEYE)
    px = lens.project(_points())
    # With an epsilon below its rounding OpenCV calls a point lost and returns -1e6.
    criteria = (EXACT[0], 100, 1e-12)
    expected = cv2.fisheye.undistortPoints(px.reshape(-1, 1, 2), K, FISHEYE, P=K, criteria=criteria).reshape(px.shape)
    np.testing.assert_allclose(lens.undistort(px), expected, atol=PX, rtol=0)


@pytest.mark.parametrize(
    ("distortion", "lens"),
    [
        (BARREL, Lens.BROWN_CONRADY),
        (RATIONAL, Lens.BROWN_CONRADY),
        (np.zeros(5), Lens.BROWN_CONRADY),
        (FISHEYE, Lens.FISHEYE),
    ],
)
def test_ray_is_the_direction_of_the_point(distortion: np.ndarray, lens: Lens) -> None:
    intrinsics, points = Intrinsics(SIZE, K, distortion, lens), _points()
    expected = points / np.linalg.norm(points, axis=-1, keepdims=True)
    # 1e-6 px at 900 px of focal length is 1.1e-9 rad; Newton ends at 1e-13
    np.testing.assert_allclose(intrinsics.ray(intrinsics.project(points)), expected, atol=1e-12)


def test_real_lenses_round_trip_over_the_whole_image(real_lenses: dict[str, Intrinsics]) -> None:
    for name, lens in real_lenses.items():
        px = _grid(lens.image_size)
        np.testing.assert_allclose(lens.project(lens.ray(px)), px, atol=PX, rtol=0, err_msg=name)
        expected = cv2.undistortPoints(px.reshape(-1, 1, 2), lens.K, lens.distortion, P=lens.K, criteria=EXACT)
        np.testing.assert_allclose(lens.undistort(px), expected.reshape(px.shape), atol=PX, rtol=0, err_msg=name)


@settings(deadline=None)
@given(
    st.tuples(st.floats(-0.35, 0.3), st.floats(-0.1, 0.3), st.floats(-0.05, 0.2)),
    st.tuples(st.floats(-2e-3, 2e-3), st.floats(-2e-3, 2e-3)),
    st.floats(0.01, 0.97),
    st.floats(0, 6.28),
)
def test_undistort_inverts_distort_up_to_the_fold(radial: tuple, tangential: tuple, share: float, turn: float) -> None:
    (k1, k2, k3), (p1, p2) = radial, tangential
    distortion = np.array([k1, k2, p1, p2, k3])
    radius = share * min(fold_radius(tuple(distortion.tolist())), 1.2)
    xy = radius * np.array([np.cos(turn), np.sin(turn)])
    found = undistort(distort(xy, distortion, Lens.BROWN_CONRADY), distortion, Lens.BROWN_CONRADY)
    # At 0.97 of the fold the slope is 6 % of its value on the axis and 1e-13 of Newton becomes 2e-12.
    np.testing.assert_allclose(found, xy, atol=1e-10)


@settings(deadline=None)
@given(
    st.tuples(st.floats(-0.05, 0.05), st.floats(-0.02, 0.02), st.floats(-5e-3, 5e-3), st.floats(-2e-3, 2e-3)),
    st.floats(0.0, 0.97),
)
def test_fisheye_angle_inverts_up_to_the_fold(coefficients: tuple, share: float) -> None:
    distortion = np.array(coefficients)
    angle = share * fisheye_fold(coefficients)[0]
    direction = np.array([np.sin(angle) * 0.6, np.sin(angle) * 0.8, np.cos(angle)])
    radius = np.linalg.norm(distort_direction(direction, distortion, Lens.FISHEYE))
    np.testing.assert_allclose(fisheye_angle_from_radius(radius, distortion), angle, atol=1e-9)


def test_fold_is_where_the_polynomial_turns_back() -> None:
    assert fold_radius(tuple(FOLDING)) == pytest.approx(FOLD, abs=1e-12)
    assert fold_radius((0.0,) * 5) == np.inf
    assert fold_radius((0.1, 0.0, 0.0, 0.0, 0.0)) == np.inf
    # 1 / (1 - r²/4) has its pole at r = 2, which comes before any turn
    assert fold_radius((0.0, 0.0, 0.0, 0.0, 0.0, -0.25, 0.0, 0.0)) == pytest.approx(2, abs=1e-12)
    # theta - theta³/12 turns at theta = 2 with theta_d = 4/3
    assert fisheye_fold((-1 / 12, 0.0, 0.0, 0.0)) == pytest.approx((2, 4 / 3), abs=1e-12)
    assert fisheye_fold((0.0,) * 4) == pytest.approx((np.pi, np.pi))


def test_rays_beyond_the_fold_are_not_imaged() -> None:
    lens = Intrinsics(SIZE, K, FOLDING)
    inside, outside = np.array([0.999 * FOLD, 0, 1]), np.array([1.001 * FOLD, 0, 1])
    assert np.isfinite(lens.project(inside)).all()
    assert np.isnan(lens.project(outside)).all()
    # OpenCV puts a ray from 61° off the axis where one from 23° belongs: a ghost in the middle of the image.
    ghost = cv2.projectPoints(np.array([[1.8, 0.0, 1.0]]), PINHOLE, PINHOLE, K, FOLDING)[0].reshape(2)
    assert 0 < ghost[0] < SIZE[0]
    assert np.isnan(lens.project(np.array([1.8, 0.0, 1.0]))).all()


def test_pixels_beyond_the_fold_have_no_ray_and_those_before_it_all_do() -> None:
    lens = Intrinsics(SIZE, K, FOLDING)
    farthest = FOLD * (1 - 0.3 * FOLD**2)
    share = np.array([0.5, 0.9, 0.999, 0.999999, 1.0001, 1.2])
    px = K[:2, 2] + K[0, 0] * farthest * share[:, None] * [0.6, 0.8] * [1, K[1, 1] / K[0, 0]]
    rays = lens.ray(px)
    np.testing.assert_array_equal(np.isnan(rays).any(-1), share > 1)
    np.testing.assert_array_equal(np.isnan(lens.undistort(px)).any(-1), share > 1)
    np.testing.assert_allclose(lens.project(rays[:4]), px[:4], atol=PX)


def test_strong_barrel_inverts_close_to_its_fold() -> None:
    """Newton alone leaves the branch here: k2 > 0 turns the polynomial up again beyond its fold."""
    distortion = np.array([-0.6, 0.16, 1e-3, -8e-4, 0.0])
    limit = fold_radius(tuple(distortion.tolist()))
    assert limit == pytest.approx(1, abs=1e-12)  # 1 - 1.8 r² + 0.8 r⁴ is zero at 1 and at 1.25
    radius = np.linspace(0, 0.98 * limit, 60)
    turn = np.linspace(0, 2 * np.pi, 25)[:, None]
    xy = np.stack([radius * np.cos(turn), radius * np.sin(turn)], axis=-1)
    found = undistort(distort(xy, distortion, Lens.BROWN_CONRADY), distortion, Lens.BROWN_CONRADY)
    np.testing.assert_allclose(found, xy, atol=1e-9)


def test_fisheye_sees_beyond_ninety_degrees_in_both_directions() -> None:
    lens = Intrinsics(SIZE, K, FISHEYE, Lens.FISHEYE)
    angle = np.radians([10.0, 89.0, 90.0, 91.0, 105.0])
    directions = np.stack([np.sin(angle) * 0.6, -np.sin(angle) * 0.8, np.cos(angle)], axis=-1)
    px = lens.project(3.0 * directions)
    np.testing.assert_allclose(lens.ray(px), directions, atol=1e-12)
    assert (np.diff(np.linalg.norm(px - K[:2, 2], axis=-1)) > 0).all()
    np.testing.assert_array_equal(np.isnan(lens.undistort(px)).any(-1), angle > np.radians(89.9))


def test_fisheye_beyond_its_fold_is_nan() -> None:
    lens = Intrinsics(SIZE, K, np.array([-1 / 12, 0, 0, 0]), Lens.FISHEYE)
    angle = np.array([1.9, 2.1])
    directions = np.stack([np.sin(angle), np.zeros(2), np.cos(angle)], axis=-1)
    np.testing.assert_array_equal(np.isnan(lens.project(directions)).any(-1), [False, True])
    px = K[:2, 2] + np.array([[K[0, 0] * 4 / 3 * 0.999999, 0], [K[0, 0] * 4 / 3 * 1.0001, 0]])
    np.testing.assert_array_equal(np.isnan(lens.ray(px)).any(-1), [False, True])
    np.testing.assert_allclose(lens.project(lens.ray(px[0])), px[0], atol=PX)


def test_fisheye_axis_has_its_limit() -> None:
    lens = Intrinsics(SIZE, K, FISHEYE, Lens.FISHEYE)
    near = np.array([[0.0, 0, 2], [1e-200, 0, 2], [1e-14, -1e-14, 2], [2e-9, 0, 2]])
    np.testing.assert_allclose(lens.project(near), K[:2, 2] + K[0, 0] * near[:, :2] / 2, atol=1e-9)
    np.testing.assert_allclose(lens.ray(K[:2, 2]), [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(lens.undistort(K[:2, 2]), K[:2, 2])
    assert np.isnan(lens.project(np.array([[0.0, 0, 0], [0, 0, -1]]))).all()


@pytest.mark.parametrize("lens", [Lens.BROWN_CONRADY, Lens.FISHEYE])
def test_missing_stays_missing_and_touches_nothing_else(lens: Lens) -> None:
    intrinsics = Intrinsics(SIZE, K, FISHEYE if lens is Lens.FISHEYE else BARREL, lens)
    points = _points()
    whole = intrinsics.project(points)
    points[2, 3, 1] = np.nan
    px = intrinsics.project(points)
    assert np.isnan(px[2, 3]).all()
    assert np.isnan(px).sum() == 2
    np.testing.assert_array_equal(np.delete(px.reshape(-1, 2), 17, 0), np.delete(whole.reshape(-1, 2), 17, 0))
    for back, count in ((intrinsics.undistort(px), 2), (intrinsics.ray(px), 3)):
        assert np.isnan(back[2, 3]).all()
        assert np.isnan(back).sum() == count


def test_pinhole_points_at_or_behind_the_camera_are_nan() -> None:
    points = np.array([[0.1, 0.1, 0.0], [0.1, 0.1, -1.0], [0.0, 0.0, 0.0], [0.1, 0.1, 1.0]])
    assert np.isnan(Intrinsics(SIZE, K, BARREL).project(points)).any(-1).tolist() == [True, True, True, False]
