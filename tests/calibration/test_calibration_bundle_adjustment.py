"""Bundle adjustment of rigs whose truth is known: errors, their deviations, clocks, shutters, prints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration import CalibrationError, Camera, Intrinsics, Lens, Rig, RigidTransform
from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.boards import CharucoBoard
from calibration.bundle_adjustment import BundleConfig, BundleResult, bundle_adjust
from calibration.bundle_held_out import follow_board, synchronised
from calibration.bundle_result import BACK_NAMES, BOARD, POSE_NAMES
from calibration.intrinsics_prior import IntrinsicsPrior
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, observe_board, ring, waved_board

BOARD_SHAPE = CharucoBoard(5, 7, 0.1, 0.075)
POINTS = BOARD_SHAPE.corners
PINHOLE = Intrinsics(
    (1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])
)
FISHEYE = Intrinsics((1440, 1080), np.array([[520.0, 0, 702], [0, 515, 560], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE)
BOTH_SIDES = Seeing(noise_px=0.3, two_sided=True)


def world(
    seed: int,
    *,
    cameras: int = 4,
    moments: int = 60,
    fps: float | int = 8,
    lenses: tuple[Intrinsics, ...] = (PINHOLE,),
    seeing: Seeing = BOTH_SIDES,
) -> tuple[Rig, BoardMotion, BoardObservations]:
    rng = np.random.default_rng(seed)
    rig = ring(cameras, lenses)
    motion = waved_board(POINTS, n_moments=moments, fps=fps, rng=rng)
    return rig, motion, observe_board(rig, motion, POINTS, seeing, rng)


def disturbed(rig: Rig, motion: BoardMotion, seed: int, focal: float = 1.0) -> tuple[Rig, BoardMotion]:
    """Off by 2 cm and 0.6 degrees per axis, focal lengths by a factor; without velocities."""
    rng = np.random.default_rng(seed)
    cameras = []
    for camera in rig:
        K = camera.intrinsics.K.copy()
        K[[0, 1], [0, 1]] *= focal
        off = RigidTransform.from_rotvec(rng.normal(0, 0.01, 3), rng.normal(0, 0.02, 3))
        cameras.append(Camera(camera.name, replace(camera.intrinsics, K=K), off @ camera.cam_from_world))
    still = np.zeros_like(motion.t)
    R = rotvecs_to_matrices(rng.normal(0, 0.01, motion.t.shape)) @ motion.R
    t = motion.t + rng.normal(0, 0.02, motion.t.shape)
    return Rig(tuple(cameras)), BoardMotion(motion.moment, motion.time_s, R, t, still, still)


def errors(result: BundleResult, truth: Rig) -> np.ndarray:
    """(C, 6): turns in camera axes (rad) and shifts (m), without what the rig has in common."""
    places = np.median(result.motion.t + result.motion.R @ POINTS.mean(axis=0), axis=0)
    distance = np.median(np.linalg.norm(result.rig.centers - places, axis=1))
    found, gauge = [], []
    for one, other in zip(result.rig, truth, strict=True):
        turn = RigidTransform(one.cam_from_world.R @ other.cam_from_world.R.T, np.zeros(3)).rotvec
        found.append(np.concatenate([turn, one.center - other.center]))
        x, y, z = one.center - result.rig.centers.mean(axis=0)
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        gauge.append(np.block([[-one.cam_from_world.R, np.zeros((3, 3))], [-cross, np.eye(3)]]))
    weight = np.tile(np.repeat([distance, 1.0], 3), len(found))
    stacked, directions = np.concatenate(found) * weight, np.concatenate(gauge) * weight[:, None]
    rest = stacked - directions @ np.linalg.lstsq(directions, stacked, rcond=None)[0]
    return (rest / weight).reshape(-1, 6)


def normalised(result: BundleResult, truth: Rig) -> float:
    """Mean over cameras of e^T C^-1 e / 6."""
    rows = zip(result.rig.names, errors(result, truth), strict=True)
    return float(np.mean([e @ np.linalg.solve(result.covariance_of(n), e) / 6 for n, e in rows]))


@pytest.mark.parametrize("lenses", [(PINHOLE,), (FISHEYE,), (PINHOLE, FISHEYE)], ids=["pinhole", "fisheye", "mixed"])
def test_errors_are_as_large_as_predicted(lenses):
    found = []
    for seed in range(3):
        rig, motion, seen = world(seed, lenses=lenses)
        result = bundle_adjust(*disturbed(rig, motion, seed), seen)
        assert result.converged
        assert not result.moving
        # Some 4,000 numbers: known to 1 / sqrt(2 * 4000) = 1.1 %; four of these.
        assert result.noise_px == pytest.approx(0.3, rel=0.045)
        found.append(normalised(result, rig))
    # 3 seeds, 4 cameras, 6 numbers of which a quarter is the gauge's: sqrt(2 / 54) = 0.19; three of these.
    assert np.mean(found) == pytest.approx(1.0, abs=0.58)


@pytest.mark.slow
def test_errors_are_as_large_as_predicted_over_twenty_seeds():
    found, focal = [], []
    for seed in range(20):
        rig, motion, seen = world(seed, cameras=5, moments=80, seeing=Seeing(noise_px=0.3, outlier_share=0.05))
        result = bundle_adjust(*disturbed(rig, motion, seed, 1.03), seen)
        found.append(normalised(result, rig))
        for camera in rig:
            off = np.diag(result.rig[camera.name].intrinsics.K - camera.intrinsics.K)[:2]
            block = result.covariance_of(camera.name, ("fx", "fy"))
            focal.append(off @ np.linalg.solve(block, off) / 2)
    # sqrt(2 / (20 * 24)) = 0.065 for poses; focal lengths of a rig hang together: 20 to 200 free numbers, 0.1 to 0.3.
    assert np.mean(found) == pytest.approx(1.0, abs=0.2)
    assert np.mean(focal) == pytest.approx(1.0, abs=0.4)


def test_wrong_focal_lengths_and_outliers_are_overcome():
    rig, motion, seen = world(5, seeing=replace(BOTH_SIDES, outlier_share=0.05))
    result = bundle_adjust(*disturbed(rig, motion, 5, 1.03), seen)
    clean = bundle_adjust(rig, motion, seen)
    assert 0.03 < result.outlier.mean() < 0.08
    for name in rig.names:
        # From both starts the same solution, to a tenth of a deviation.
        std = np.sqrt(result.covariance_of(name, ("fx",))[0, 0])
        assert abs(result.rig[name].intrinsics.K[0, 0] - clean.rig[name].intrinsics.K[0, 0]) < 0.1 * std
        assert abs(result.rig[name].intrinsics.K[0, 0] - 1.0 * rig[name].intrinsics.K[0, 0]) < 5 * std


def test_residuals_are_what_the_result_predicts():
    rig, motion, seen = world(6, moments=20, fps=2)
    result = bundle_adjust(rig, motion, seen)
    R, t = result.view_rotation[seen.view], result.view_position[seen.view]
    at = np.einsum("nij,nj->ni", R, POINTS[seen.corner]) + t
    expected = seen.xy - result.rig.project(at)[seen.camera, np.arange(seen.n_corners)]
    np.testing.assert_allclose(result.residual_px, expected, atol=1e-9)
    kept = ~result.outlier
    assert result.rms_px == pytest.approx(np.sqrt((expected[kept] ** 2).sum(axis=1).mean()))


def test_the_same_twice():
    rig, motion, seen = world(7, moments=20, fps=2)
    one, two = (bundle_adjust(*disturbed(rig, motion, 1), seen) for _ in range(2))
    np.testing.assert_array_equal(one.rig.centers, two.rig.centers)
    np.testing.assert_array_equal(one.covariance, two.covariance)


def test_lenses_stay_when_told_so():
    rig, motion, seen = world(8, moments=20, fps=2)
    result = bundle_adjust(rig, motion, seen, BundleConfig(refine_intrinsics=False))
    assert {name for _, name in result.parameters} - set(BACK_NAMES) == set(POSE_NAMES)
    for camera in rig:
        np.testing.assert_array_equal(result.rig[camera.name].intrinsics.K, camera.intrinsics.K)


def test_what_is_known_of_a_lens_counts():
    rig, motion, seen = world(9, moments=20, fps=2)
    sure = np.diag([1e-3, 1e-3, 1e-3, 1e-3, 0, 0, 0, 0, 0]) ** 2
    result = bundle_adjust(rig, motion, seen, priors={"cam02": IntrinsicsPrior(PINHOLE, sure)})
    assert ("cam02", "k1") not in result.parameters
    np.testing.assert_allclose(result.rig["cam02"].intrinsics.K, PINHOLE.K, atol=5e-3)
    assert ("cam01", "k1") in result.parameters


def test_one_lens_for_several_cameras():
    rig, motion, seen = world(10, moments=30, fps=2)
    config = BundleConfig(shared=(("cam01", "cam03"),))
    result = bundle_adjust(*disturbed(rig, motion, 2), seen, config)
    np.testing.assert_array_equal(result.rig["cam01"].intrinsics.K, result.rig["cam03"].intrinsics.K)
    assert ("cam03", "fx") not in result.parameters
    alone = bundle_adjust(*disturbed(rig, motion, 2), seen)
    both = result.covariance_of("cam01", ("fx",))[0, 0]
    assert both < alone.covariance_of("cam01", ("fx",))[0, 0]


def delayed(seen: BoardObservations, delay: np.ndarray) -> BoardObservations:
    """With reported times that are early by a delay of each camera."""
    return replace(seen, view_time_s=seen.view_time_s - delay[seen.view_camera])


def test_clocks_are_found():
    jittery = replace(BOTH_SIDES, time_jitter_s=0.01)
    rig, motion, seen = world(11, seeing=jittery)
    delay = np.array([0.06, -0.06, 0.03, -0.03])
    result = bundle_adjust(*disturbed(rig, motion, 3), delayed(seen, delay))
    assert result.moving
    for name, true in zip(rig.names, delay, strict=True):
        found, std = result.time_offset_s[name], np.sqrt(result.covariance_of(name, ("offset",))[0, 0])
        assert abs(found - true) < 4 * std + 1e-4
        assert std < 1e-3
    assert result.rms_px == pytest.approx(0.3 * np.sqrt(2), rel=0.05)
    rigid = bundle_adjust(*disturbed(rig, motion, 3), delayed(seen, delay), BundleConfig(continuous=False))
    assert rigid.noise_px > 1.2 * result.noise_px
    assert np.abs(errors(result, rig)[:, 3:]).max() < 0.5 * np.abs(errors(rigid, rig)[:, 3:]).max()


def test_unsynchronized_cameras_without_times_are_noticed():
    rig, motion, seen = world(12, seeing=replace(BOTH_SIDES, time_jitter_s=0.04))
    nominal = replace(seen, view_time_s=motion.time_s[seen.view_moment])
    result = bundle_adjust(*disturbed(rig, motion, 4), nominal)
    assert result.moving
    assert result.noise_px < 0.4


def test_a_rolling_shutter_is_found():
    rig, motion, seen = world(13, moments=50, seeing=replace(BOTH_SIDES, time_jitter_s=0.005))
    line = 3e-5
    xy = seen.xy.copy()
    for _ in range(3):  # the row at which a corner is seen depends on when it is
        late = line * (xy[:, 1] - (720 - 1) / 2)
        R, t = motion.at(seen.view_moment[seen.view], seen.view_time_s[seen.view] + late)
        R0, t0 = motion.at(seen.view_moment[seen.view], seen.view_time_s[seen.view])
        at, at0 = (np.einsum("nij,nj->ni", a, POINTS[seen.corner]) + b for a, b in ((R, t), (R0, t0)))
        row = np.arange(seen.n_corners)
        xy = seen.xy + rig.project(at)[seen.camera, row] - rig.project(at0)[seen.camera, row]
    result = bundle_adjust(*disturbed(rig, motion, 5), replace(seen, xy=xy))
    for name in rig.names:
        std = np.sqrt(result.covariance_of(name, ("line",))[0, 0])
        assert abs(result.line_time_s[name] - line) < 4 * std + 1e-7
        assert std < 3e-6


def test_prints_that_do_not_coincide_are_found():
    rig, motion, seen = world(14)
    glued = RigidTransform.from_rotvec(np.array([0.004, -0.002, 0.01]), np.array([0.002, -0.001, 0.005]))
    middle = motion.t + motion.R @ POINTS.mean(axis=0)
    row = seen.view_moment
    behind = ((rig.centers[seen.view_camera] - middle[row]) * motion.R[row, :, 2]).sum(axis=1) > 0
    moment, index = row[seen.view], np.arange(seen.n_corners)

    def px(points: np.ndarray) -> np.ndarray:
        at = np.einsum("nij,nj->ni", motion.R[moment], points[seen.corner]) + motion.t[moment]
        return rig.project(at)[seen.camera, index]

    moved = np.where(behind[seen.view, None], px(glued.apply(POINTS)) - px(POINTS), 0.0)
    result = bundle_adjust(*disturbed(rig, motion, 6), replace(seen, xy=seen.xy + moved))
    assert result.parameters[:6] == tuple((BOARD, name) for name in BACK_NAMES)
    std = np.sqrt(np.diag(result.covariance)[:6])
    middle_error = result.front_from_back.apply(POINTS.mean(axis=0)) - glued.apply(POINTS.mean(axis=0))
    assert (np.abs(middle_error) < 4 * std[3:]).all()
    assert std[3:].max() < 1e-3
    assert result.noise_px == pytest.approx(0.3, rel=0.05)


def test_a_board_is_followed_before_cameras_that_stay():
    rig, motion, seen = world(15, moments=60, seeing=replace(BOTH_SIDES, time_jitter_s=0.01))
    early = delayed(seen, np.array([0.02, 0, -0.02, 0]))
    held = early.view_moment % 4 == 0
    result = bundle_adjust(*disturbed(rig, motion, 7), early.of_views(~held))
    there = follow_board(motion, early.of_views(held), result)
    np.testing.assert_allclose(there.rig.centers, result.rig.centers, atol=1e-12)
    assert there.parameters == ()
    # Few moments far apart tell little of the motion between pictures: clocks hold, so residuals stay those of noise.
    assert there.rms_px == pytest.approx(0.3 * np.sqrt(2), rel=0.1)
    together = synchronised(early.of_views(held), there)
    R, t = there.motion.R, there.motion.t
    at = np.searchsorted(there.motion.moment, together.view_moment[together.view])
    world_points = np.einsum("nij,nj->ni", R[at], POINTS[together.corner]) + t[at]
    off = together.xy - there.rig.project(world_points)[together.camera, np.arange(together.n_corners)]
    np.testing.assert_allclose(off, there.residual_px[~there.outlier], atol=1e-8)


def test_moments_without_a_pose_are_left_out():
    rig, motion, seen = world(16, moments=20, fps=2)
    few = BoardMotion(*(getattr(motion, n)[:15] for n in ("moment", "time_s", "R", "t", "velocity", "spin")))
    result = bundle_adjust(rig, few, seen)
    unknown = seen.view_moment[seen.view] >= 15
    assert np.isnan(result.residual_px[unknown]).all()
    assert result.outlier[unknown].all()
    assert len(result.motion) == 15


def test_faults_are_told():
    rig, motion, seen = world(17, moments=12, fps=2)
    with pytest.raises(CalibrationError, match="cam04 saw the board but have no place in the rig"):
        bundle_adjust(rig.subset(["cam01", "cam02", "cam03"]), motion, seen)
    blind = seen.of_views(seen.view_camera != 2)
    with pytest.raises(CalibrationError, match="cam03 never saw the board"):
        bundle_adjust(rig, motion, blind)
    with pytest.raises(CalibrationError, match="throws good corners away"):
        BundleConfig(gate=1.0)
    mixed = Rig((rig.cameras[0], replace(rig.cameras[1], intrinsics=FISHEYE), *rig.cameras[2:]))
    with pytest.raises(CalibrationError, match="share a lens, but start with different ones"):
        bundle_adjust(mixed, motion, seen, BundleConfig(shared=(("cam01", "cam02"),)))
