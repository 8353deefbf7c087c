from __future__ import annotations

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration import (
    CalibrationError,
    Camera,
    InputError,
    Intrinsics,
    Lens,
    Rig,
    RigidTransform,
    UnknownCameraError,
    rescale_pixels,
)
from camera_worlds import mixed_rig

SIZE = (320, 200)
K = np.array([[301.0, 0, 151.3], [0, 293.0, 108.8], [0, 0, 1]])
BARREL = np.array([-0.2, 0.05, 1e-3, -7e-4, 0.01])


def _image_of_spot(intrinsics: Intrinsics, point: np.ndarray) -> np.ndarray:
    """A smooth spot (sigma 6 px) drawn at the projection of a point."""
    width, height = intrinsics.image_size
    x, y = intrinsics.project(point)
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 6.0**2))


def _centroid(image: np.ndarray) -> np.ndarray:
    columns, rows = np.meshgrid(np.arange(image.shape[1]), np.arange(image.shape[0]))
    return np.array([(columns * image).sum(), (rows * image).sum()]) / image.sum()


@pytest.mark.parametrize("size", [(160, 100), (80, 100), (640, 400), (213, 133)])
def test_resized_camera_sees_what_cv2_resize_shows(size: tuple[int, int]) -> None:
    camera, point = Intrinsics(SIZE, K, BARREL), np.array([0.11, -0.07, 1.3])
    kind = cv2.INTER_AREA if size[0] < SIZE[0] else cv2.INTER_LINEAR
    small = cv2.resize(_image_of_spot(camera, point), size, interpolation=kind)
    # Both kernels are symmetric about the pixel's centre, so the centroid is kept; without the half pixel the
    # prediction is off by 0.25 px and more. At 213 and 133 the grids beat against each other by about 1e-3 px.
    np.testing.assert_allclose(camera.resized(size).project(point), _centroid(small), atol=5e-3)


def test_cropped_camera_sees_what_a_slice_shows() -> None:
    camera, point = Intrinsics(SIZE, K, BARREL), np.array([0.11, -0.07, 1.3])
    part = _image_of_spot(camera, point)[35:185, 90:290]
    cropped = camera.cropped((90, 35), (200, 150))
    assert cropped.image_size == (200, 150)
    np.testing.assert_allclose(cropped.project(point), _centroid(part), atol=1e-6)


@given(st.floats(-50, 4000), st.floats(0.01, 20))
def test_rescaling_keeps_the_edges_of_the_image_and_undoes_itself(x: float, scale: float) -> None:
    px = np.array([[x, -0.5]])
    scaled = rescale_pixels(px, scale)
    assert scaled[0, 1] == -0.5
    np.testing.assert_allclose(rescale_pixels(scaled, 1 / scale), px, rtol=1e-12, atol=1e-10)


def test_rescaling_by_one_half_known_numbers() -> None:
    """The centres of pixels 0 and 1 are the corners' neighbours of new pixel 0: their middle, 0.5, is its centre."""
    np.testing.assert_array_equal(rescale_pixels(np.array([0.5, 2.5]), 0.5), [0.0, 1.0])
    np.testing.assert_array_equal(rescale_pixels(np.array([0.5, 0.5]), np.array([2.0, 4.0])), [1.5, 3.5])


def test_resizing_moves_every_projection_like_its_pixel() -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([-0.4, -0.3, 0.8], [0.4, 0.3, 3.0], (6, 4, 3))
    for camera in mixed_rig():
        lens = camera.intrinsics
        size = (lens.image_size[0] // 2, lens.image_size[1] // 4)
        scale = np.array(size) / lens.image_size
        np.testing.assert_allclose(lens.resized(size).project(points), rescale_pixels(lens.project(points), scale))


def test_skew_shifts_x_with_y() -> None:
    skewed = np.array([[301.0, 2.5, 151.3], [0, 293.0, 108.8], [0, 0, 1]])
    camera, point = Intrinsics(SIZE, skewed, np.zeros(5)), np.array([0.2, 0.4, 2.0])
    np.testing.assert_allclose(camera.project(point), [301 * 0.1 + 2.5 * 0.2 + 151.3, 293 * 0.2 + 108.8])
    np.testing.assert_allclose(camera.ray(camera.project(point)), point / np.linalg.norm(point), atol=1e-14)
    np.testing.assert_allclose(camera.resized((160, 400)).K[0, 1], 2.5 / 2)
    np.testing.assert_allclose(camera.undistort(np.array([3.0, 4.0])), [3, 4])


def test_camera_projects_like_opencv_with_its_rotation_vector() -> None:
    points = np.random.default_rng(1).uniform([-1, -1, 0], [1, 1, 2], (5, 3, 3))
    for camera in mixed_rig():
        lens, pose = camera.intrinsics, camera.cam_from_world
        if lens.lens is Lens.FISHEYE or lens.K[0, 1]:
            continue  # cv2 has no skew; its fisheye is compared with the lenses
        expected = cv2.projectPoints(points.reshape(-1, 3), pose.rotvec, pose.t, lens.K, lens.distortion)[0]
        np.testing.assert_allclose(camera.project(points), expected.reshape(5, 3, 2), atol=1e-6, rtol=0)


def test_rays_start_at_the_center_and_pass_through_the_point() -> None:
    points = np.random.default_rng(2).uniform([-1, -1, 0], [1, 1, 2], (4, 2, 3))
    for camera in mixed_rig():
        away = points - camera.center
        expected = away / np.linalg.norm(away, axis=-1, keepdims=True)
        np.testing.assert_allclose(camera.ray(camera.project(points)), expected, atol=1e-12)
        np.testing.assert_allclose(camera.cam_from_world.apply(camera.center), 0, atol=1e-12)


def test_projection_matrix_gives_the_undistorted_pixels() -> None:
    rig, points = mixed_rig(), np.random.default_rng(3).uniform([-1, -1, 0], [1, 1, 2], (6, 3))
    homogeneous = np.concatenate([points, np.ones((6, 1))], axis=1) @ rig.projections.transpose(0, 2, 1)
    px = rig.project(points)
    straight = np.stack([camera.intrinsics.undistort(px[i]) for i, camera in enumerate(rig)])
    np.testing.assert_allclose(straight, homogeneous[..., :2] / homogeneous[..., 2:], atol=1e-6, rtol=0)


def test_rig_keeps_order_and_finds_names() -> None:
    rig = mixed_rig()
    assert len(rig) == 5
    assert rig.subset(["cam3", "cam0"]).names == ("cam3", "cam0")
    assert rig["cam2"] is rig.cameras[2]
    np.testing.assert_allclose(rig.centers[1], rig["cam1"].center)
    assert rig.project(np.zeros((2, 3, 3))).shape == (5, 2, 3, 2)


def test_four_coefficients_get_a_zero_k3_and_none_mean_no_distortion() -> None:
    assert Intrinsics(SIZE, K, np.array([0.1, 0.2, 0.3, 0.4])).distortion.tolist() == [0.1, 0.2, 0.3, 0.4, 0.0]
    assert Intrinsics(SIZE, K, np.array([])).distortion.tolist() == [0.0] * 5
    assert len(Intrinsics(SIZE, K, np.zeros((14, 1)).reshape(-1)).distortion) == 8


BAD_INTRINSICS = {
    "no size": (((0, 5), K, np.zeros(5), Lens.BROWN_CONRADY), "image size 0 x 5 is not a whole number of pixels"),
    "negative focal": (((4, 5), -K, np.zeros(5), Lens.BROWN_CONRADY), "positive focal lengths"),
    "nan": (((4, 5), K * np.nan, np.zeros(5), Lens.BROWN_CONRADY), "3x3 and finite"),
    "lower": (((4, 5), K + np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0]]), np.zeros(5), Lens.BROWN_CONRADY), "triangular"),
    "scaled": (((4, 5), 2 * K, np.zeros(5), Lens.BROWN_CONRADY), "last row 0 0 1"),
    "three": (
        ((4, 5), K, np.zeros(3), Lens.BROWN_CONRADY),
        "3 distortion coefficients for a brown_conrady lens. Give 5",
    ),
    "prism": (
        ((4, 5), K, np.full(12, 0.1), Lens.BROWN_CONRADY),
        "thin-prism and tilted-sensor terms are not supported",
    ),
    "tilt": (((4, 5), K, np.eye(14)[13], Lens.BROWN_CONRADY), "14 distortion coefficients"),
    "fisheye": (((4, 5), K, np.zeros(5), Lens.FISHEYE), "5 distortion coefficients for a fisheye lens. Give 4 finite"),
    "infinite": (((4, 5), K, np.full(5, np.inf), Lens.BROWN_CONRADY), "5 distortion coefficients"),
}


@pytest.mark.parametrize("case", BAD_INTRINSICS)
def test_impossible_intrinsics_are_refused(case: str) -> None:
    arguments, message = BAD_INTRINSICS[case]
    with pytest.raises(CalibrationError) as error:
        Intrinsics(*arguments)
    assert message in str(error.value)


def test_impossible_rigs_are_refused() -> None:
    camera = Camera("left", Intrinsics(SIZE, K, BARREL), RigidTransform.identity())
    with pytest.raises(CalibrationError, match="camera names appear twice: left"):
        Rig((camera, camera))
    with pytest.raises(CalibrationError, match="at least one camera"):
        Rig(())
    with pytest.raises(UnknownCameraError, match="no camera named 'right'; the rig has left"):
        Rig((camera,))["right"]
    with pytest.raises(UnknownCameraError, match="the rig has left"):
        Rig((camera,)).subset(["left", "top"])


def test_errors_say_where_what_and_what_to_do_and_cross_processes() -> None:
    error = CalibrationError("it is broken.", where="rig.toml", remedy="Mend it.")
    assert str(error) == "rig.toml: it is broken. Mend it."
    assert str(InputError("it is broken")) == "it is broken"
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is CalibrationError
    assert (copy.what, copy.where, copy.remedy) == (error.what, error.where, error.remedy)
