"""Both poses of a board from one picture each: exact, as uncertain as they say, and as OpenCV finds them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from calibration import CalibrationError, Intrinsics, Lens, Rig
from calibration.board_motion import rotvecs_to_matrices
from calibration.board_pose import ViewPoses, board_poses
from calibration.board_pose_rays import corner_rays, jacobian, pose_normals, residuals
from calibration.boards import CharucoBoard
from calibration.observations import BoardObservations
from calibration.rotation_vectors import rotvecs_of
from calibration.synthetic import Seeing, observe_board, ring, waved_board

BOARD = CharucoBoard(5, 7, 0.1, 0.075)
SMALL = CharucoBoard(4, 5, 0.04, 0.03)
K = np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]])
PINHOLE = Intrinsics((1280, 720), K, np.array([-0.1, 0.05, 1e-3, -5e-4, 0]))
RATIONAL = Intrinsics((1280, 960), K, np.array([0.3, -0.1, 1e-3, 0, 0.02, 0.5, -0.05, 0.03]))
FISHEYE = Intrinsics(
    (1440, 1080), np.array([[520.0, 0, 702], [0, 515, 560], [0, 0, 1]]), np.array([0.02, -0.01, 0.003, 0]), Lens.FISHEYE
)
RIG = ring(5, (PINHOLE, RATIONAL, FISHEYE))
LENSES = {camera.name: camera.intrinsics for camera in RIG}


def seen(board: CharucoBoard = BOARD, n_moments: int = 60, seed: int = 3, **seeing) -> tuple[BoardObservations, ...]:
    """Observations, and the true cam_from_board (R, middle) of their views."""
    motion = waved_board(board.corners, n_moments=n_moments, fps=6, rng=np.random.default_rng(seed))
    it = observe_board(RIG, motion, board.corners, Seeing(**seeing), np.random.default_rng(seed + 50))
    R, t = motion.at(it.view_moment, it.view_time_s)
    turn = np.stack([camera.cam_from_world.R for camera in RIG])[it.view_camera]
    middle = R @ board.corners.mean(axis=0) + t - RIG.centers[it.view_camera]
    return it, turn @ R, np.einsum("vij,vj->vi", turn, middle)


def angles(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.linalg.norm(rotvecs_of(one @ np.swapaxes(two, -1, -2)), axis=-1)


def test_poses_without_noise_are_exact():
    it, R, middle = seen(noise_px=0.0, two_sided=True)
    poses = board_poses(it, LENSES)
    # Residuals are those of central differences of the projection (1e-9 of a pixel), which vanish at the truth.
    np.testing.assert_allclose(poses.R, R, atol=1e-9)
    np.testing.assert_allclose(poses.center, middle, atol=1e-9)
    np.testing.assert_allclose(poses.t + poses.R @ it.points.mean(axis=0), poses.center, atol=1e-12)
    assert poses.known.all()
    assert poses.rms_px.max() < 1e-6


def test_errors_are_as_large_as_they_say():
    it, R, middle = seen(n_moments=120, noise_px=0.4)
    poses = board_poses(it, LENSES)
    right = angles(poses.R, R) < 0.1
    assert right.mean() > 0.98
    error = np.concatenate([rotvecs_of(R @ np.swapaxes(poses.R, -1, -2)), middle - poses.center], axis=-1)[right]
    square = np.einsum("vi,vij,vj->v", error, poses.information[right], error) / 0.4**2
    # Chi squared with 6 degrees of freedom: the mean of n is known to sqrt(12 / n); five of those, and 10 % for the
    # Cauchy weights (efficiency 0.95 and a scale from a few corners).
    assert square.mean() / 6 == pytest.approx(1.0, abs=0.1 + 5 * np.sqrt(12 / len(square)) / 6)


def test_a_twentieth_of_wild_corners_does_little_harm():
    clean, R, _ = seen(noise_px=0.3)
    wild, *_ = seen(noise_px=0.3, outlier_share=0.05)
    errors = [
        np.median(angles(board_poses(it, LENSES).R, truth))
        for it, truth in ((clean, R), (wild, seen(noise_px=0.3, outlier_share=0.05)[1]))
    ]
    # One corner of 22 missing costs 2 %; the rest is the scatter of a median of 100.
    assert errors[1] < 1.3 * errors[0]
    assert np.median(board_poses(wild, LENSES).rms_px) == pytest.approx(0.3 * np.sqrt(2), rel=0.15)


def test_a_small_board_has_two_poses_and_the_true_one_is_among_them():
    it, R, _ = seen(SMALL, noise_px=0.3, min_square_px=4.0)
    poses = board_poses(it, LENSES)
    first, second = angles(poses.R, R), np.where(np.isfinite(poses.rms_second_px), angles(poses.R_second, R), np.inf)
    assert (np.minimum(first, second) < 0.25).mean() > 0.97
    assert (second < first).sum() > 3, "the test is about boards for which the better fit may be the wrong one"
    assert (poses.ambiguity[second < first] > 0.5).all()
    assert (poses.rms_px <= poses.rms_second_px).all()


def test_poses_are_those_of_opencv():
    """The oracle: cv2.solvePnP (IPPE), refined by cv2.solvePnPRefineLM, one view at a time."""
    it, *_ = seen(n_moments=40, noise_px=0.2)
    poses = board_poses(it, LENSES)
    checked = 0
    for view in np.flatnonzero(np.isin(it.view_camera, (0, 3)) & (it.corners_per_view >= 8)):
        rows = it.view == view
        points, xy = it.points[it.corner[rows]], it.xy[rows]
        _, rvec, tvec = cv2.solvePnP(points, xy, PINHOLE.K, PINHOLE.distortion, flags=cv2.SOLVEPNP_IPPE)
        rvec, tvec = cv2.solvePnPRefineLM(points, xy, PINHOLE.K, PINHOLE.distortion, rvec, tvec)
        R = cv2.Rodrigues(rvec)[0]
        if angles(poses.R[view], R) > 0.1:
            continue
        sigma = np.sqrt(np.diag(np.linalg.inv(poses.information[view]))) * 0.2
        # Cauchy weights against equal ones: they differ by a fraction of the uncertainty.
        assert angles(poses.R[view], R) < np.linalg.norm(sigma[:3])
        middle = R @ it.points.mean(axis=0) + tvec[:, 0]
        assert np.linalg.norm(poses.center[view] - middle) < np.linalg.norm(sigma[3:])
        checked += 1
    assert checked >= 10


def test_a_fisheye_camera_sees_boards_beside_itself():
    lens = Intrinsics((1000, 1000), np.array([[260.0, 0, 510], [0, 262, 495], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE)
    R = rotvecs_to_matrices(np.array([[0.2, np.radians(95), 0.1]]))
    center = np.array([[0.9, 0.1, -0.08]])
    xy = lens.project((BOARD.corners - BOARD.corners.mean(axis=0)) @ R[0].T + center[0])
    n = len(xy)
    one = np.zeros(1, dtype=int)
    it = BoardObservations(
        ("f",), ((1000, 1000),), BOARD.corners, one, one, one, np.zeros(1), np.zeros(n, dtype=int), np.arange(n), xy
    )
    poses = board_poses(it, {"f": lens})
    np.testing.assert_allclose(poses.center, center, atol=1e-9)
    assert poses.center[0, 2] < 0, "the test is about boards behind the plane of the camera"
    np.testing.assert_allclose(poses.R, R, atol=1e-9)


def test_derivatives_are_those_of_the_residuals():
    it, R, middle = seen(n_moments=8, noise_px=2.0)
    rays = corner_rays(it, LENSES)
    J = jacobian(rays, *residuals(rays, R, middle))
    step = 1e-6
    for k in range(6):
        delta = np.zeros((len(R), 6))
        delta[:, k] = step
        ahead, back = (
            residuals(rays, rotvecs_to_matrices(s * delta[:, :3]) @ R, middle + s * delta[:, 3:])[0] for s in (1, -1)
        )
        numeric = ((ahead - back) / (2 * step)).reshape(len(R), -1)
        # Up to 1e4 px/m; the third derivative times step² and rounding (1e-13 px / step) are far below.
        np.testing.assert_allclose(J[:, k], numeric, atol=1e-4)


def test_residuals_about_the_seen_ray_are_those_of_the_picture():
    it, R, middle = seen(n_moments=30, noise_px=0.5)
    rays = corner_rays(it, LENSES)
    residual = rays.residual_px(R, middle)
    for camera in RIG:
        for view in np.flatnonzero(it.view_camera == it.index(camera.name))[:4]:
            slots = np.flatnonzero(rays.mask[view])
            px = camera.intrinsics.project((R[view] @ rays.point[view]).T[slots] + middle[view])
            expected = px - it.xy[rays.row[view, slots]]
            found = residual[view][:, slots].T
            # The lens's curvature over 1.5 px is below 1/500 of it.
            np.testing.assert_allclose(found, expected, atol=5e-3)


def test_views_too_poor_for_a_pose_have_none():
    it, *_ = seen(n_moments=20, missing_share=0.0, noise_px=0.0)
    row_of = np.unique(it.view, return_index=True)[1]
    keep = np.ones(it.n_corners, dtype=bool)
    keep[it.view == 0] = False
    three = it.view == 1
    keep[three] = np.arange(three.sum()) < 3
    on_a_line = it.view == 2
    keep[on_a_line] = it.corner[on_a_line] < 4
    assert len(row_of) > 3
    poses = board_poses(it.of_corners(keep), LENSES)
    assert poses.known.tolist() == [False] * 3 + [True] * (it.n_views - 3)
    assert np.isnan(poses.R[:3]).all()
    assert np.isinf(poses.rms_second_px[:3]).all()
    assert np.isfinite(poses.R[3:]).all()


@pytest.mark.parametrize("corners", [(0, 4, 8, 13), (0, 1, 2, 19), (5, 6, 9, 10), (3, 6, 9, 12, 23)])
def test_few_corners_are_enough_even_three_on_a_line(corners):
    """Three of four corners on a line leave the homography open, but not the pose."""
    it, R, _ = seen(n_moments=40, noise_px=0.1, missing_share=0.0)
    whole = np.flatnonzero(it.corners_per_view == len(it.points))
    few = it.of_corners(np.isin(it.corner, corners)).of_views(np.isin(np.arange(it.n_views), whole))
    poses = board_poses(few, LENSES)
    assert poses.rms_px.max() < 0.5
    either = np.fmin(angles(poses.R, R[whole]), angles(poses.R_second, R[whole]))
    assert (either < 0.3).mean() > 0.9
    assert len(whole) > 15


def test_the_order_of_corners_does_not_matter():
    it, *_ = seen(n_moments=15)
    order = np.random.default_rng(0).permutation(it.n_corners)
    other = replace(it, view=it.view[order], corner=it.corner[order], xy=it.xy[order])
    one, two = board_poses(it, LENSES), board_poses(other, LENSES)
    np.testing.assert_allclose(one.R, two.R, atol=1e-6)
    assert np.array_equal(board_poses(it, LENSES).R, one.R), "twice the same input is twice the same output"


def test_no_views_are_no_poses():
    it, *_ = seen(n_moments=5)
    poses = board_poses(it.of_views(np.zeros(it.n_views, dtype=bool)), LENSES)
    assert isinstance(poses, ViewPoses)
    assert poses.R.shape == (0, 3, 3)


def test_losses_of_views_add_up_to_the_reprojection():
    it, R, middle = seen(n_moments=10, noise_px=0.5)
    rays = corner_rays(it, LENSES)
    normal, gradient, loss = pose_normals(rays, R, middle, 1e4)
    expected = (residuals(rays, R, middle)[0] ** 2).sum(axis=(1, 2)) / 1e8
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert np.linalg.eigvalsh(normal).min() > 0
    assert gradient.shape == (it.n_views, 6)


@pytest.mark.parametrize(
    ("lenses", "message"),
    [
        ({"cam01": PINHOLE}, "no intrinsics of camera cam02. Calibrate its lens first; there are cam01"),
        (
            LENSES | {"cam01": PINHOLE.resized((640, 360))},
            r"camera cam01 are for pictures of \(640, 360\), these are of",
        ),
    ],
)
def test_lenses_that_do_not_fit_are_refused(lenses, message):
    it, *_ = seen(n_moments=30)
    with pytest.raises(CalibrationError, match=message):
        board_poses(it, lenses)


def test_a_board_that_is_no_plane_is_refused():
    it, *_ = seen(n_moments=5)
    with pytest.raises(CalibrationError, match="plane z = 0"):
        board_poses(replace(it, points=it.points + [0, 0, 0.01]), LENSES)


def test_a_camera_without_views_needs_no_intrinsics():
    it, *_ = seen(n_moments=10)
    assert isinstance(RIG, Rig)
    some = it.of_views(it.view_camera != 4)
    lenses = {name: lens for name, lens in LENSES.items() if name != it.cameras[4]}
    assert board_poses(some, lenses).known.all()
