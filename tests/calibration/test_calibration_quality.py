"""What a calibration report measures: residual fields, expected errors of points, distances on the board."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from calibration_report_worlds import aligned, pixels_in_pictures

from calibration import CalibrationError, Camera, Intrinsics, Lens, Rig, RigidTransform, quality_pixels, quality_volume
from calibration.board_grids import AprilGrid
from calibration.board_motion import BoardMotion, rotvecs_to_matrices
from calibration.boards import CharucoBoard
from calibration.bundle_result import POSE_NAMES
from calibration.intrinsics_prior import intrinsics_from, parameter_names, parameters_of
from calibration.quality_board import board_scale, neighbour_pairs
from calibration.quality_pixels import coverage, pixel_errors, residual_field
from calibration.quality_volume import about_volume, expected_errors, ray_std_mm, working_volume
from calibration.synthetic import Seeing, observe_board, ring, waved_board
from calibration.triangulation import triangulate_dlt

BOARD = CharucoBoard(5, 7, 0.1, 0.075)
LENSES = (
    Intrinsics((1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])),
    Intrinsics((1440, 1080), np.array([[620.0, 0, 702], [0, 615, 560], [0, 0, 1]]), np.zeros(4), Lens.FISHEYE),
)
RIG = ring(4, LENSES)
LOW, HIGH = np.array([-0.9, -0.7, 0.2]), np.array([0.9, 0.7, 1.8])


# Pixels


def test_statistics_are_over_trusted_corners():
    residual = np.array([[3.0, 4.0], [0.0, 1.0], [1.0, 0.0], [300.0, 0.0]])
    errors = pixel_errors(residual, np.array([False, False, False, True]), np.array([True, False, False, True]))
    assert (errors.corners, errors.outliers, errors.unused) == (4, 1, 2)
    assert errors.rms_px == pytest.approx(3.0)  # sqrt((25 + 1 + 1) / 3)
    assert errors.median_px == pytest.approx(1.0)
    assert np.isnan(pixel_errors(residual, *np.ones((2, 4), dtype=bool)).rms_px)


def test_coverage_counts_corners_by_place():
    # Pixel centres are whole numbers: the eighth of 1280 ends between pixels 159 and 160.
    xy = np.array([[-0.5, -0.5], [159.4, 10.0], [159.6, 10.0], [1279.4, 719.4]])
    counts = coverage(xy, (1280, 720))
    assert counts.sum() == 4
    assert (counts[0, 0], counts[0, 1], counts[7, 7]) == (2, 1, 1)


def views_of_noise(rng: np.random.Generator, n_views: int = 100) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners of boards all over a picture, whose errors have a part that is common to their view and drifts."""
    middle = rng.uniform([200, 150], [1080, 570], (n_views, 1, 2))
    xy = middle + rng.uniform(-150, 150, (n_views, 24, 2))
    drift = np.convolve(rng.normal(size=2 * n_views + 4), np.ones(4) / 2)[: 2 * n_views].reshape(n_views, 1, 2)
    residual = 0.3 * drift + rng.normal(0, 0.3, xy.shape)
    return xy.reshape(-1, 2), residual.reshape(-1, 2), np.repeat(np.arange(n_views), 24)


def test_chance_makes_no_field(monkeypatch):
    monkeypatch.setattr(quality_pixels, "FLIPS", 499)
    p = []
    for seed in range(100):
        xy, residual, view = views_of_noise(np.random.default_rng(seed))
        p.append(residual_field(xy, residual, view, (1280, 720)).p_value)
    # p-values are uniform: below 0.01 lies 1 of 100, and more than 5 happen once in 1800 times; below 0.5 half,
    # five binomial deviations of it are 25.
    assert np.sum(np.array(p) < 0.01) <= 5
    assert abs(np.sum(np.array(p) < 0.5) - 50) <= 25


def test_a_lens_that_does_not_fit_makes_one():
    rng = np.random.default_rng(1)
    xy, residual, view = views_of_noise(rng)
    centred = (xy - [640, 360]) / 640
    bent = 4.0 * centred * ((centred**2).sum(axis=1, keepdims=True) - 0.3)
    field = residual_field(xy, residual + bent, view, (1280, 720))
    assert field.p_value < 0.01
    # What the field loses within a cell (a tenth of the picture) is second order; chance leaves a fifth.
    assert field.systematic_px == pytest.approx(np.sqrt((bent**2).sum(axis=1).mean()), rel=0.2)
    assert field.mean_px.shape == (6, 10, 2)
    place = np.array([[5, 9], [0, 0]])
    outward = field.mean_px[tuple(place.T)] * np.sign([[1, 1], [-1, -1]])
    assert (outward[np.isfinite(outward)] > 0).all()


def test_too_few_views_tell_nothing_of_a_lens():
    xy, residual, view = views_of_noise(np.random.default_rng(0), n_views=6)
    field = residual_field(xy, residual, view, (1280, 720))
    assert np.isnan(field.p_value)
    assert np.isnan(field.systematic_px)
    empty = residual_field(xy[:0], residual[:0], view[:0], (720, 1280))
    assert empty.corners.shape == (10, 6)
    assert np.isnan(empty.mean_px).all()


# Working volume


def lens_and_pose(rig: Rig) -> tuple[tuple[str, str], ...]:
    names = [(camera.name, name) for camera in rig for name in POSE_NAMES]
    return tuple(names + [(camera.name, name) for camera in rig for name in parameter_names(camera.intrinsics)[:5]])


def uncertain(rig: Rig, rng: np.random.Generator) -> tuple[tuple[tuple[str, str], ...], np.ndarray]:
    """A covariance with correlations, of a size that a calibration might have."""
    parameters = lens_and_pose(rig)
    size = {**dict.fromkeys(POSE_NAMES[:3], 5e-4), **dict.fromkeys(POSE_NAMES[3:], 2e-3), "k1": 1e-3}
    std = np.array([size.get(name, 1.0) for _, name in parameters])
    mixing = rng.normal(size=(len(std), len(std))) / np.sqrt(len(std))
    return parameters, std[:, None] * (mixing @ mixing.T) * std


def disturbed(rig: Rig, parameters: tuple[tuple[str, str], ...], error: np.ndarray) -> Rig:
    """The rig with errors of its parameters: R = exp(w) R0, centres and lens numbers shifted."""
    of = dict(zip(parameters, error, strict=True))
    cameras = []
    for camera in rig:
        w, shift = (np.array([of[camera.name, name] for name in names]) for names in (POSE_NAMES[:3], POSE_NAMES[3:]))
        R = rotvecs_to_matrices(w) @ camera.cam_from_world.R
        lens = parameters_of(camera.intrinsics)
        names = parameter_names(camera.intrinsics)
        lens = lens + [of.get((camera.name, name), 0.0) for name in names]
        intrinsics = intrinsics_from(lens, camera.intrinsics.image_size, camera.intrinsics.lens)
        cameras.append(Camera(camera.name, intrinsics, RigidTransform(R, -R @ (camera.center + shift))))
    return Rig(tuple(cameras))


def test_expected_errors_are_those_that_happen(monkeypatch):
    monkeypatch.setattr(quality_volume, "MOST_POINTS", 60)
    rng = np.random.default_rng(4)
    parameters, covariance = uncertain(RIG, rng)
    volume = expected_errors(RIG, parameters, covariance, low=LOW, high=HIGH)
    points, px = volume.points, pixels_in_pictures(RIG, volume.points)
    errors = np.array([aligned(found, points) - points for found in triangulated_by_wrong_rigs(covariance, px, points)])
    happened = 1e3 * np.sqrt((errors**2).sum(axis=-1).mean(axis=0))
    # RMS of 60 draws of a length with 1-3 degrees of freedom: 9 % each at most (sqrt(2 / 60) / 2). Points share the
    # draws, so that their mean ratio is hardly better known than one's. Five deviations, and three for the mean.
    ratio = happened / volume.calibration_mm
    assert np.abs(ratio - 1).max() < 0.45
    assert abs(ratio.mean() - 1) < 0.27


def triangulated_by_wrong_rigs(covariance: np.ndarray, px: np.ndarray, points: np.ndarray, draws: int = 60):
    parameters = lens_and_pose(RIG)
    rng = np.random.default_rng(8)
    factor = np.linalg.cholesky(covariance + 1e-18 * np.eye(len(covariance)))
    for _ in range(draws):
        wrong = disturbed(RIG, parameters, factor @ rng.normal(size=len(covariance)))
        yield least_squares_points(wrong, px, points)


def moved_as_one(parameters: tuple[tuple[str, str], ...], shift: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Changes of the parameters when the whole rig is shifted and turned a little."""
    change = dict.fromkeys(parameters, 0.0)
    for camera in RIG:
        there = shift + np.cross(turn, camera.center)
        for name, value in zip(POSE_NAMES, [*(-camera.cam_from_world.R @ turn), *there], strict=True):
            change[camera.name, name] = value
    return np.array(list(change.values()))


def test_the_gauge_of_the_covariance_does_not_matter(monkeypatch):
    monkeypatch.setattr(quality_volume, "MOST_POINTS", 300)
    rng = np.random.default_rng(6)
    parameters, covariance = uncertain(RIG, rng)
    modes = np.stack([moved_as_one(parameters, *rng.normal(0, 0.01, (2, 3))) for _ in range(6)])
    loose = covariance + modes.T @ modes
    tight, free = (expected_errors(RIG, parameters, it, low=LOW, high=HIGH) for it in (covariance, loose))
    np.testing.assert_allclose(free.calibration_mm, tight.calibration_mm, rtol=1e-3)
    one, other = (about_volume(RIG, parameters, it, tight.points) for it in (covariance, loose))
    np.testing.assert_allclose(other, one, atol=1e-6 * np.sqrt(np.outer(np.diag(one), np.diag(one))).max())
    assert np.trace(loose[:6, :6]) > 2 * np.trace(other[:6, :6])


def test_cameras_that_are_held_keep_their_covariance():
    parameters = tuple(("cam01", name) for name in POSE_NAMES)
    points = np.random.default_rng(0).uniform(LOW, HIGH, (50, 3))
    np.testing.assert_array_equal(about_volume(RIG, parameters, np.eye(6), points), np.eye(6))


def least_squares_points(rig: Rig, px: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Two Gauss-Newton steps on pixels from a start, by finite differences: the naive twin."""
    points = start.copy()
    for _ in range(2):
        now = np.moveaxis(rig.project(points), 0, 1).reshape(len(points), -1)
        residual = np.nan_to_num(px.reshape(len(points), -1) - now)
        steps = [np.moveaxis(rig.project(points + 1e-6 * axis), 0, 1) for axis in np.eye(3)]
        jacobian = np.nan_to_num(np.stack([(step.reshape(len(points), -1) - now) / 1e-6 for step in steps], axis=-1))
        jacobian[np.isnan(px.reshape(len(points), -1))] = 0.0
        points = points + (np.linalg.pinv(jacobian) @ residual[..., None])[..., 0]
    return points


def test_pixel_noise_moves_points_as_expected():
    rng = np.random.default_rng(5)
    volume = expected_errors(RIG, (), np.zeros((0, 0)), low=LOW, high=HIGH)
    assert not volume.calibration_mm.any()
    chosen = rng.choice(np.flatnonzero(volume.cameras == 4), 20, replace=False)
    points = volume.points[chosen]
    px = np.moveaxis(RIG.project(points), 0, 1)
    noisy = px + rng.normal(0, 1.0, (200, *px.shape))
    found = least_squares_points(RIG, noisy.reshape(-1, 4, 2), np.tile(points, (200, 1))).reshape(200, -1, 3)
    happened = 1e3 * np.sqrt(((found - points) ** 2).sum(axis=-1).mean(axis=0))
    # 200 independent draws of at least one degree of freedom: 5 %; four deviations.
    np.testing.assert_allclose(happened, volume.mm_per_px[chosen], rtol=0.2)


def test_only_what_two_cameras_see_counts():
    volume = expected_errors(RIG, (), np.zeros((0, 0)), low=LOW - 4, high=HIGH + 4)
    px = RIG.project(volume.points)
    sizes = np.array([camera.intrinsics.image_size for camera in RIG])[:, None]
    with np.errstate(invalid="ignore"):
        inside = ((px >= -0.5) & (px < sizes - 0.5)).all(axis=-1)
    np.testing.assert_array_equal(inside.sum(axis=0), volume.cameras)
    assert volume.cameras.min() >= 2
    assert 0 < volume.seen_share < 0.8


def test_rays_pass_by_as_far_as_a_camera_is_shifted():
    sideways = RIG.cameras[0].cam_from_world.R[0]
    covariance = 1e-4 * np.outer(sideways, sideways)
    parameters = tuple((RIG.names[0], name) for name in POSE_NAMES[3:])
    on_axis = np.array([[0.0, 0.0, 1.0]])
    # The camera looks at (0, 0, 1): a shift of 10 mm along its picture's rows moves that ray by 10 mm; its lens bends
    # what is half a percent of the picture off the axis by 1e-5 of it.
    assert ray_std_mm(RIG.cameras[0], on_axis, parameters, covariance) == pytest.approx(10.0, rel=1e-3)
    assert np.isnan(ray_std_mm(RIG.cameras[0], np.array([[9.0, 0, 1]]), parameters, covariance))


def test_the_working_volume_has_room_for_a_person():
    board = np.random.default_rng(0).uniform([-0.8, -0.6, 0.7], [0.8, 0.6, 1.5], (2000, 3))
    low, high = working_volume(board, has_floor=True)
    np.testing.assert_allclose(low, [-1.3, -1.1, 0.0], atol=0.03)
    np.testing.assert_allclose(high, [1.3, 1.1, 2.0], atol=0.03)
    low, high = working_volume(board, has_floor=False)
    assert (low[2], high[2]) == (pytest.approx(0.2, abs=0.03), pytest.approx(2.0, abs=0.03))


def test_a_volume_without_extent_is_refused():
    with pytest.raises(CalibrationError, match="no extent"):
        expected_errors(RIG, (), np.zeros((0, 0)), low=HIGH, high=LOW)


# The board


@pytest.fixture(scope="module")
def motion() -> BoardMotion:
    return waved_board(BOARD.corners, n_moments=60, fps=10, rng=np.random.default_rng(3))


def scale_of(motion: BoardMotion, known: BoardMotion, rig: Rig = RIG, **seeing: float):
    seen = observe_board(RIG, motion, BOARD.corners, Seeing(**seeing), np.random.default_rng(7))
    return board_scale(seen, rig, known, held_out=True, noise_px=seeing.get("noise_px", 0.3))


def test_a_perfect_rig_measures_the_board_as_printed(motion):
    found = scale_of(motion, motion, noise_px=0.0)
    assert found.nominal_mm == pytest.approx(100.0)
    assert found.mean_mm == pytest.approx(100.0, abs=1e-6)
    assert max(found.std_mm, found.straightness_mm, found.p95_error_mm) < 1e-6
    assert found.held_out
    assert found.moments > 20


def test_noise_of_distances_is_that_of_two_points(motion):
    found = scale_of(motion, motion, noise_px=0.3)
    volume = expected_errors(RIG, (), np.zeros((0, 0)), low=LOW, high=HIGH)
    # One direction of three, of two corners: sqrt(2 / 3) of a point's error, which differs by direction and place.
    expected = 0.3 * np.sqrt(2 / 3) * volume.median_mm_per_px
    assert 0.6 * expected < found.std_mm < 2.0 * expected
    assert found.mean_mm == pytest.approx(100.0, abs=5 * found.std_mm / np.sqrt(found.distances / 4))


def test_pictures_at_different_times_do_not_bend_the_board(motion):
    jitter = {"noise_px": 0.0, "time_jitter_s": 0.015}
    aware = scale_of(motion, motion, **jitter)
    still = replace(motion, velocity=np.zeros_like(motion.t), spin=np.zeros_like(motion.t))
    between = scale_of(motion, still, **jitter)
    standing = replace(still, R=np.repeat(still.R[:1], 60, axis=0), t=np.repeat(still.t[:1], 60, axis=0))
    blind = scale_of(motion, standing, **jitter)
    # Accelerations below 3 m/s² act for 15 ms: 0.3 mm; velocities up to 1 m/s make 15 mm of difference.
    assert aware.std_mm < 0.1
    assert between.std_mm < 0.25 * blind.std_mm
    assert between.distances >= aware.distances


def test_moments_that_were_kept_out_take_velocities_from_their_neighbours(motion):
    seen = observe_board(
        RIG, motion, BOARD.corners, Seeing(noise_px=0.0, time_jitter_s=0.015), np.random.default_rng(7)
    )
    kept_out = motion.moment % 5 == 2
    columns = {name: getattr(motion, name)[~kept_out] for name in ("moment", "time_s", "R", "t", "velocity", "spin")}
    found = board_scale(
        seen.of_views(seen.view_moment % 5 == 2), RIG, BoardMotion(**columns), held_out=True, noise_px=0.3
    )
    assert found.moments >= 5
    assert found.mean_mm == pytest.approx(100.0, abs=0.1)
    assert found.std_mm < 0.5


def test_a_rig_of_the_wrong_size_is_seen(motion):
    larger = Rig(
        tuple(Camera(c.name, c.intrinsics, RigidTransform(c.cam_from_world.R, 1.01 * c.cam_from_world.t)) for c in RIG)
    )
    assert scale_of(motion, motion, larger, noise_px=0.1).mean_mm == pytest.approx(101.0, abs=0.1)


def test_wrong_corners_do_not_count(motion):
    clean, dirty = scale_of(motion, motion), scale_of(motion, motion, outlier_share=0.05)
    assert dirty.std_mm < 1.5 * clean.std_mm
    assert dirty.distances < clean.distances


def test_one_camera_measures_no_board(motion):
    seen = observe_board(RIG, motion, BOARD.corners, Seeing(), np.random.default_rng(7)).of_cameras(["cam01"])
    assert board_scale(seen, RIG, motion, held_out=False, noise_px=0.3) is None


def test_neighbours_of_a_board_are_one_square_apart():
    pairs, length, lines = neighbour_pairs(BOARD.corners)
    assert len(pairs) == 6 * 3 + 4 * 5  # 4 x 6 inner corners
    np.testing.assert_allclose(length, 0.1)
    assert sorted(len(line) for line in lines) == [4] * 6 + [6] * 4


def test_neighbours_of_a_grid_of_tags_are_a_tag_or_a_gap_apart():
    grid = AprilGrid(3, 2, 0.08, 0.02)
    pairs, length, _ = neighbour_pairs(grid.corners)
    assert len(pairs) == 5 * 4 + 3 * 6
    assert sorted(set(np.round(length, 9))) == [0.02, 0.08]
    np.testing.assert_allclose(length, np.linalg.norm(np.diff(grid.corners[pairs], axis=1)[:, 0], axis=-1))


def test_dlt_agrees_with_least_squares_on_clean_points():
    points = np.random.default_rng(2).uniform(LOW, HIGH, (30, 3))
    px = np.moveaxis(RIG.project(points), 0, 1)
    np.testing.assert_allclose(least_squares_points(RIG, px, points + 0.01), triangulate_dlt(RIG, px), atol=1e-6)
