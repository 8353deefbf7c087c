"""First rigs from views of a board: near the truth, whoever shares views with whom, and sentences where nobody does."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration import CalibrationError, InputError, Intrinsics, Lens, Rig
from calibration.board_motion import BoardMotion
from calibration.boards import CharucoBoard
from calibration.extrinsics import DisconnectedCamerasError, ExtrinsicsConfig, initial_rig
from calibration.formats import read_calibration
from calibration.formats.point_data import read_point_data
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, camera_looking_at, observe_board, ring, waved_board

BOARD = CharucoBoard(5, 7, 0.1, 0.075)
PINHOLE = Intrinsics(
    (1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])
)
FISHEYE = Intrinsics((1440, 1080), np.array([[520.0, 0, 702], [0, 515, 560], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE)


def lenses(rig: Rig) -> dict[str, Intrinsics]:
    return {camera.name: camera.intrinsics for camera in rig}


def seen(rig: Rig, *, n_moments: int = 200, seed: int = 3, within_m=None, **seeing) -> BoardObservations:
    where = {} if within_m is None else {"within_m": within_m}
    motion = waved_board(BOARD.corners, n_moments=n_moments, fps=8, rng=np.random.default_rng(seed), **where)
    return observe_board(rig, motion, BOARD.corners, Seeing(**seeing), np.random.default_rng(seed + 50))


def errors(found: Rig, true: Rig) -> tuple[float, float]:
    """Largest error of a centre (m) and of a turn (rad), both rigs in the axes of the first camera found."""
    base = true[found.names[0]].cam_from_world
    shift, turn = [], []
    for camera in found:
        expected = true[camera.name].cam_from_world @ base.inverse()
        shift.append(np.linalg.norm(expected.inverse().t - camera.center))
        turn.append(np.linalg.norm((expected @ camera.cam_from_world.inverse()).rotvec))
    return float(max(shift)), float(max(turn))


def residuals(rig: Rig, motion: BoardMotion, it: BoardObservations) -> np.ndarray:
    """(N,) px, of corners at the moments' poses (no velocities)."""
    R, t = motion.at(it.view_moment, motion.time_s[np.searchsorted(motion.moment, it.view_moment)])
    world = np.einsum("nij,nj->ni", R[it.view], it.points[it.corner]) + t[it.view]
    index = np.array([rig.names.index(name) for name in it.cameras])
    return np.linalg.norm(rig.project(world)[index[it.camera], np.arange(it.n_corners)] - it.xy, axis=1)


def test_without_noise_the_rig_is_exact():
    rig = ring(5, (PINHOLE, FISHEYE))
    it = seen(rig, noise_px=0.0)
    found, motion, report = initial_rig(it, lenses(rig))
    shift, turn = errors(found, rig)
    assert shift < 1e-6
    assert turn < 1e-6
    np.testing.assert_allclose(found.cameras[0].cam_from_world.matrix, np.eye(4), atol=1e-12)
    assert residuals(found, motion, it).max() < 1e-3
    assert all(edge.used and edge.rms_px < 1e-3 for edge in report.edges)
    assert report.sentences == ()


@pytest.mark.parametrize("seed", range(4))
def test_with_noise_outliers_and_clocks_apart_the_rig_is_a_good_start(seed):
    rig = ring(6, (PINHOLE, FISHEYE))
    it = seen(rig, seed=seed, outlier_share=0.05, time_jitter_s=0.015)
    found, motion, _ = initial_rig(it, lenses(rig))
    shift, turn = errors(found, rig)
    # A pair's poses are good to its own view errors (10 mm of depth) by the root of its moments, about 3 mm; around the
    # ring three pairs add up, and the weakest pairs of a seed have a few moments only.
    assert shift < 0.06
    assert turn < np.radians(1.0)
    # Within 15 ms the board moves 10 mm: 3 px at 3 m. Bundle adjustment models that, a start does not.
    assert np.median(residuals(found, motion, it)) < 1.5


def test_focal_lengths_wrong_by_three_percent_still_start():
    rig = ring(5, PINHOLE)
    wrong = {n: replace(lens, K=lens.K * [[1.03, 1, 1], [1, 1.03, 1], [1, 1, 1]]) for n, lens in lenses(rig).items()}
    it = seen(rig, time_jitter_s=0.015)
    found, motion, report = initial_rig(it, wrong)
    shift, turn = errors(found, rig)
    # Depths grow by as much as the focal lengths: 3 % of the 5 m across the ring.
    assert shift < 0.25
    assert turn < np.radians(2.0)
    assert all(edge.used for edge in report.edges)
    assert np.median(residuals(found, motion, it)) < 2.0


def test_cameras_in_a_row_never_see_the_board_all_at_once():
    """Five cameras along a wall whose neighbours alone share what they see."""
    rig = Rig(
        tuple(
            camera_looking_at(f"c{i}", PINHOLE, center=(1.2 * i, -2.0, 1.2), target=(1.2 * i, 0.0, 1.0))
            for i in range(5)
        )
    )
    it = seen(rig, n_moments=400, within_m=((-0.6, -0.2, 0.6), (5.4, 0.6, 1.6)))
    table = np.zeros((5, 400), dtype=bool)
    table[it.view_camera, it.view_moment] = True
    assert table.sum(axis=0).max() < 5
    found, motion, report = initial_rig(it, lenses(rig))
    shift, turn = errors(found, rig)
    assert shift < 0.08
    assert turn < np.radians(1.0)
    assert {e.cameras for e in report.edges if e.in_tree} >= {("c0", "c1"), ("c3", "c4")}
    assert np.sqrt(np.mean(residuals(found, motion, it) ** 2)) < 0.6


def test_cameras_that_face_each_other_meet_through_the_back_of_the_board():
    rig = ring(2, PINHOLE)
    it = seen(rig, two_sided=True)
    assert np.dot(rig.cameras[0].cam_from_world.R[2], rig.cameras[1].cam_from_world.R[2]) < 0
    found, _, _ = initial_rig(it, lenses(rig))
    shift, turn = errors(found, rig)
    assert shift < 0.01
    assert turn < np.radians(0.3)


def test_cameras_that_face_each_other_meet_through_those_between_them():
    rig = ring(6, PINHOLE)
    it = seen(rig, n_moments=300)
    opposite = [("cam01", "cam04"), ("cam02", "cam05"), ("cam03", "cam06")]
    found, _, report = initial_rig(it, lenses(rig))
    assert not {e.cameras for e in report.edges if e.in_tree} & set(opposite)
    shift, turn = errors(found, rig)
    assert shift < 0.03
    assert turn < np.radians(0.6)


def test_a_small_far_board_does_not_flip_cameras():
    """Each view alone leaves its tilt open (a quarter of the first solutions are wrong); the moments agree on it."""
    board = CharucoBoard(4, 5, 0.054, 0.04)
    rig = ring(4, PINHOLE, radius_m=4)
    motion = waved_board(board.corners, n_moments=200, fps=8, rng=np.random.default_rng(1))
    it = observe_board(
        rig, motion, board.corners, Seeing(time_jitter_s=0.015, min_square_px=4.0), np.random.default_rng(2)
    )
    found, _, _ = initial_rig(it, lenses(rig))
    assert errors(found, rig)[1] < np.radians(2.5)


def test_the_order_of_views_and_cameras_does_not_matter():
    rig = ring(4, (PINHOLE, FISHEYE))
    it = seen(rig, n_moments=80, outlier_share=0.03)
    found, _, _ = initial_rig(it, lenses(rig))
    again, _, _ = initial_rig(it, lenses(rig))
    for one, two in zip(found, again, strict=True):
        assert np.array_equal(one.cam_from_world.matrix, two.cam_from_world.matrix)
    turned, _, _ = initial_rig(it.of_cameras(it.cameras[::-1]), lenses(rig))
    assert turned.names == rig.names[::-1]
    # Other sums in another order; what is left of convergence is a thousandth of the uncertainty.
    assert errors(turned, found)[0] < 1e-3


def test_boards_are_placed_where_one_camera_alone_saw_them():
    rig = ring(4, PINHOLE)
    it = seen(rig)
    found, motion, _ = initial_rig(it, lenses(rig))
    cameras = np.zeros((4, motion.moment.max() + 1), dtype=bool)
    cameras[it.view_camera, it.view_moment] = True
    alone = np.flatnonzero(cameras.sum(axis=0) == 1)
    assert len(alone) > 10
    assert np.isin(alone, motion.moment).all()
    only = np.isin(it.view_moment, alone)[it.view]
    assert np.median(residuals(found, motion, it)[only]) < 0.6


def test_pairs_are_reported():
    rig = ring(4, PINHOLE)
    it = seen(rig)
    _, _, report = initial_rig(it, lenses(rig))
    edge = next(e for e in report.edges if e.cameras == ("cam01", "cam02"))
    shared = set(it.view_moment[it.view_camera == 0]) & set(it.view_moment[it.view_camera == 1])
    assert edge.n_moments == len(shared)
    corners = [
        {(it.view_moment[v], c) for v, c in zip(it.view, it.corner, strict=True) if it.view_camera[v] == k}
        for k in (0, 1)
    ]
    assert edge.n_corners == len(corners[0] & corners[1])
    assert 0.3 < edge.rms_px < 5
    assert report.components == (rig.names,)
    assert report.n_views == {name: int((it.view_camera == i).sum()) for i, name in enumerate(it.cameras)}


def test_a_pair_with_few_moments_is_said_to_be_weak():
    rig = ring(3, PINHOLE)
    it = seen(rig, two_sided=True)
    joint = [set(it.view_moment[it.view_camera == i]) for i in range(3)]
    both = sorted(joint[2] & (joint[0] | joint[1]))
    few = it.of_views((it.view_camera != 2) | ~np.isin(it.view_moment, both[3:]))
    found, _, report = initial_rig(few, lenses(rig))
    assert any("cam03 hang together by" in s and "show the board to both" in s for s in report.sentences)
    assert errors(found, rig)[1] < np.radians(3)


@pytest.mark.parametrize("fault", ["mirrored", "late"])
def test_a_camera_that_fits_nowhere_is_doubted(fault):
    rig = ring(4, PINHOLE)
    it = seen(rig, two_sided=True, time_jitter_s=0.01)
    if fault == "mirrored":
        xy = it.xy.copy()
        theirs = it.camera == 1
        xy[theirs, 0] = 1279 - xy[theirs, 0]
        it = replace(it, xy=xy)
    else:
        late = 4 * (it.view_camera == 1)
        kept = it.view_moment >= late
        it = replace(it, view_moment=it.view_moment - late * kept, view_time_s=it.view_time_s - late / 8).of_views(kept)
    found, _, report = initial_rig(it, lenses(rig))
    assert report.doubtful == ("cam02",)
    assert len(report.sentences) == 1
    assert "What camera cam02 saw does not fit" in report.sentences[0]
    assert errors(found.subset(["cam01", "cam03", "cam04"]), rig)[0] < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_nobody_is_doubted_without_reason(seed):
    rig = ring(5, (PINHOLE, FISHEYE))
    it = seen(rig, seed=seed, outlier_share=0.05, time_jitter_s=0.015, two_sided=True)
    _, _, report = initial_rig(it, lenses(rig))
    assert report.doubtful == ()
    assert not [s for s in report.sentences if "agree" in s]


def test_what_is_no_board_is_left_out():
    rig = ring(4, PINHOLE)
    it = seen(rig)
    wrong = np.flatnonzero(it.view_camera == 2)[[3, 7]]
    xy, rows = it.xy.copy(), np.isin(it.view, wrong)
    xy[rows] = np.random.default_rng(0).uniform(200, 600, (int(rows.sum()), 2))
    found, _, report = initial_rig(replace(it, xy=xy), lenses(rig))
    assert report.misfits == tuple(wrong.tolist())
    frames = it.view_frame[wrong]
    assert f"In 2 pictures of camera cam03 (frames {frames[0]}, {frames[1]})" in report.sentences[0]
    assert errors(found, rig)[0] < 0.03


def test_badly_known_lenses_leave_no_view_out():
    rig = ring(4, PINHOLE)
    bent = {n: replace(lens, distortion=np.array([0.05, 0.0, 0, 0, 0])) for n, lens in lenses(rig).items()}
    _, _, report = initial_rig(seen(rig, outlier_share=0.05), bent)
    assert report.misfits == ()


def test_one_camera_is_a_rig_too():
    rig = ring(3, PINHOLE)
    it = seen(rig).of_cameras(["cam02"])
    found, motion, report = initial_rig(it, lenses(rig))
    assert found.names == ("cam02",)
    assert report.edges == ()
    assert len(motion) == it.n_views
    assert np.median(residuals(found, motion, it)) < 0.6


def test_a_camera_that_never_saw_the_board_is_named():
    rig = ring(4, PINHOLE)
    it = seen(rig)
    blind = it.of_views(it.view_camera != 2)
    with pytest.raises(
        DisconnectedCamerasError,
        match=r"camera cam03 never saw the board \(0 pictures\)\. Hold it so that cam03 sees it at the same moment as "
        "cam01, cam02 or cam04",
    ):
        initial_rig(blind, lenses(rig))


def test_a_camera_that_saw_it_alone_is_named_with_its_neighbour():
    rig = ring(4, PINHOLE)
    it = seen(rig)
    theirs = set(it.view_moment[it.view_camera != 1])
    alone = it.of_views((it.view_camera != 1) | ~np.isin(it.view_moment, list(theirs)))
    count = int((alone.view_camera == 1).sum())
    assert count
    with pytest.raises(DisconnectedCamerasError) as caught:
        initial_rig(alone, lenses(rig))
    said = str(caught.value)
    assert f"camera cam02 saw the board in {count} pictures, but never when cam01, cam03 or cam04 did" in said
    assert "Hold it so that cam02 sees it at the same moment as cam0" in said
    assert "s apart; any of the others will do" in said
    again = pickle.loads(pickle.dumps(caught.value))
    assert isinstance(again, DisconnectedCamerasError)
    assert str(again) == said


def test_two_halves_are_told_apart():
    rig = ring(4, PINHOLE)
    it = seen(rig)
    half = np.where(it.view_camera < 2, 0, 1)
    apart = it.of_views(half == it.view_moment % 2)
    with pytest.raises(DisconnectedCamerasError, match="cameras cam0. and cam0. saw the board in .* and .* pictures"):
        initial_rig(apart, lenses(rig))


def test_pairs_can_be_asked_for_more_moments():
    rig = ring(4, PINHOLE)
    it = seen(rig)
    with pytest.raises(DisconnectedCamerasError):
        initial_rig(it, lenses(rig), ExtrinsicsConfig(min_moments=1000))


def test_nothing_seen_is_said():
    rig = ring(3, PINHOLE)
    it = seen(rig, n_moments=5)
    with pytest.raises(CalibrationError, match="no camera saw enough of the board.*cam01, cam02, cam03"):
        initial_rig(it.of_views(np.zeros(it.n_views, dtype=bool)), lenses(rig))
    assert issubclass(DisconnectedCamerasError, InputError)


def test_real_corners_of_four_webcams(shared_data: Path):
    """Stored intrinsics and stored corners: near the stored solution, which has a pose an index too."""
    folder = shared_data / "caliscope/history/8d1cb291_low_res_numeric"
    stored = read_calibration(folder / "config.toml")
    it = read_point_data(folder / "point_data.csv").of_cameras(stored.names)
    found, motion, report = initial_rig(it, lenses(stored))
    shift, turn = errors(found, stored)
    assert shift < 0.02  # of 1.3 m between cameras
    assert turn < np.radians(1.5)
    assert np.median(residuals(found, motion, it)) < 1.3
    assert all(edge.used for edge in report.edges)
