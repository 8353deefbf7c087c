"""Tables of what cameras saw of a board, and worlds in which they see one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration import CalibrationError, Intrinsics, Lens, UnknownCameraError
from calibration.board_motion import BoardMotion
from calibration.boards import CharucoBoard
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, observe_board, ring, waved_board
from calibration.transforms import RigidTransform

BOARD = CharucoBoard(5, 7, 0.1, 0.075)
LENSES = (
    Intrinsics((1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])),
    Intrinsics((1440, 1080), np.array([[520.0, 0, 702], [0, 515, 560], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE),
)
RIG = ring(5, LENSES)


@pytest.fixture(scope="module")
def motion() -> BoardMotion:
    return waved_board(BOARD.corners, n_moments=120, fps=12, rng=np.random.default_rng(3))


def seen(motion: BoardMotion, **seeing: float) -> BoardObservations:
    return observe_board(RIG, motion, BOARD.corners, Seeing(**seeing), np.random.default_rng(5))


def errors(it: BoardObservations, motion: BoardMotion) -> np.ndarray:
    """(N, 2) px: seen minus where the corner was when its picture was taken."""
    R, t = motion.at(it.view_moment, it.view_time_s)
    world = np.einsum("nij,nj->ni", R[it.view], it.points[it.corner]) + t[it.view]
    expected = RIG.project(world)[it.camera, np.arange(it.n_corners)]
    return it.xy - expected


def test_corners_are_where_the_rig_projects_them(motion):
    it = seen(motion, noise_px=0.0, time_jitter_s=0.015)
    assert np.abs(errors(it, motion)).max() < 1e-9
    assert np.abs(it.view_time_s - motion.time_s[it.view_moment]).max() > 0.01


def test_noise_is_as_asked(motion):
    it = seen(motion, noise_px=0.4)
    # The deviation of n normal numbers is known to 1 / sqrt(2 n); five of those.
    assert errors(it, motion).std() == pytest.approx(0.4, rel=5 / np.sqrt(4 * it.n_corners))


def test_outliers_are_as_many_as_asked(motion):
    wild = np.abs(errors(seen(motion, noise_px=0.1, outlier_share=0.1), motion)).max(axis=1) > 0.6
    # All but 0.02² of the outliers lie further away; five binomial deviations.
    assert wild.mean() == pytest.approx(0.1, abs=5 * np.sqrt(0.1 * 0.9 / len(wild)))


def test_a_board_is_seen_from_its_front_or_when_two_sided_from_both(motion):
    one, two = seen(motion), seen(motion, two_sided=True)
    assert one.n_views < two.n_views
    R, _ = motion.at(one.view_moment, one.view_time_s)
    sight = -RIG.centers[one.view_camera]
    assert (np.einsum("vi,vi->v", R[:, :, 2], sight + np.array([0, 0, 1.0])) > 0).mean() > 0.95
    assert set(np.unique(two.view_camera)) == set(range(5))


def test_velocities_are_the_derivatives_of_the_poses(motion):
    R, t = motion.at(motion.moment[:-1], motion.time_s[:-1] + 1e-3)
    fine = waved_board(BOARD.corners, n_moments=119 * 12, fps=1000, rng=np.random.default_rng(3))
    # One millisecond on, the second derivative (below 8 m/s², 8 rad/s²) has moved it by 4e-6.
    np.testing.assert_allclose(t[0], fine.t[1], atol=1e-5)
    np.testing.assert_allclose(R[0], fine.R[1], atol=1e-5)


def test_a_motion_in_another_world(motion):
    there = RigidTransform.from_rotvec(np.array([0.2, -0.4, 1.0]), np.array([1.0, 2.0, 3.0]))
    moved = motion.moved(there, scale=2.0)
    R, t = motion.at(motion.moment, motion.time_s + 0.01)
    R_moved, t_moved = moved.at(motion.moment, motion.time_s + 0.01)
    np.testing.assert_allclose(R_moved, there.R @ R, atol=1e-12)
    np.testing.assert_allclose(t_moved, 2 * t @ there.R.T + there.t, atol=1e-12)


def test_unknown_moments_have_no_pose(motion):
    R, t = motion.at(np.array([3, 500]), np.array([0.25, 1.0]))
    assert np.isfinite(R[0]).all()
    assert np.isnan(t[1]).all()
    assert motion.has(np.array([3, 500])).tolist() == [True, False]


def test_parts_of_a_table_join_to_the_whole(motion):
    it = seen(motion)
    parts = [it.of_cameras([name]) for name in it.cameras]
    assert [part.cameras for part in parts] == [(name,) for name in it.cameras]
    again = BoardObservations.joined(parts)
    order = np.argsort(it.view_camera, kind="stable")
    np.testing.assert_array_equal(again.view_moment, it.view_moment[order])
    assert sorted(map(tuple, again.xy)) == sorted(map(tuple, it.xy))
    assert errors(again, motion).std() == pytest.approx(errors(it, motion).std(), rel=1e-9)


def test_cameras_can_be_put_in_another_order(motion):
    it = seen(motion)
    turned = it.of_cameras(["cam04", "cam01"])
    assert turned.image_sizes == (it.image_sizes[3], it.image_sizes[0])
    mine, theirs = turned.camera == 0, it.camera == 3
    np.testing.assert_array_equal(turned.xy[mine], it.xy[theirs])


def test_views_without_corners_stay(motion):
    it = seen(motion)
    few = it.of_corners(it.view != 2)
    assert few.n_views == it.n_views
    assert few.corners_per_view[2] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: {"cameras": ("cam01", "cam02", "cam02", "cam04", "cam05")}, "named twice"),
        (lambda it: {"corner": it.corner + 1}, "an id that a board of 24 corners does not have"),
        (lambda it: {"view": it.view + 1}, "a view that is not there"),
        (lambda it: {"view_camera": it.view_camera + 1}, "a camera that is not there"),
        (lambda it: {"xy": np.full_like(it.xy, np.nan)}, "not finite"),
    ],
)
def test_tables_that_do_not_fit_are_refused(motion, change, message):
    it = seen(motion)
    with pytest.raises(CalibrationError, match=message):
        replace(it, **change(it))


def test_what_does_not_belong_together_is_not_joined(motion):
    it = seen(motion)
    with pytest.raises(CalibrationError, match="different boards"):
        BoardObservations.joined([it, replace(it, points=it.points * 2)])
    other = replace(it, image_sizes=((640, 480), *it.image_sizes[1:]))
    with pytest.raises(
        CalibrationError, match=r"cam01 has pictures of \(640, 480\)|cam01 has pictures of \(1280, 720\)"
    ):
        BoardObservations.joined([it, other])
    with pytest.raises(UnknownCameraError, match="cam09"):
        it.index("cam09")
