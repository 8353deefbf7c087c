"""Parts of the calibration of single cameras: tables, poses from rays, least squares, uncertainty, choice of models."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lens_worlds import BROWN, FISHEYE, LENSES, held_in_front

from calibration import Intrinsics
from calibration.intrinsics_choice import covers_window
from calibration.intrinsics_fit import BROWN as BROWN_MODEL
from calibration.intrinsics_fit import FISHEYE as FISHEYE_MODEL
from calibration.intrinsics_fit import FittedLens, LensModel, fit_lens, lens_prior, posed, refined_poses
from calibration.intrinsics_prior import intrinsics_from, parameters_of
from calibration.intrinsics_solver import WeakPrior, cost_of, distances, linearise, moved, solve
from calibration.intrinsics_uncertainty import covariance_of, coverage_of, ray_std_of
from calibration.intrinsics_views import ViewTable, Window, mirrored_poses, poses_from_rays, table_of_views
from calibration.synthetic import Seeing

EXACT = Seeing(noise_px=0.0, max_angle=1.4)
NOISY = Seeing(noise_px=0.3, max_angle=1.4)


def table(lens: Intrinsics, seeing: Seeing = EXACT, n_views: int = 12, seed: int = 0) -> ViewTable:
    return table_of_views(
        held_in_front(lens, np.random.default_rng(seed), n_views=n_views, seeing=seeing), ("cam01",), 6
    )[0]


def fitted(lens: Intrinsics, model: LensModel, **world) -> FittedLens:
    it = table(lens, **({"seeing": NOISY, "n_views": 30} | world))
    return fit_lens(it, posed(it, parameters_of(lens), lens.lens), model, outlier_sigmas=4.5)


def test_tables_hold_the_corners_of_their_views():
    it = held_in_front(BROWN, np.random.default_rng(0), n_views=9, seeing=NOISY)
    rows, dropped = table_of_views(it, ("cam01",), 6)
    assert not dropped
    for row, view in enumerate(rows.view):
        there = rows.present[row]
        np.testing.assert_array_equal(rows.xy[row, there], it.xy[it.view == view])
        board = it.points[it.corner[it.view == view]]
        np.testing.assert_allclose(rows.points[row, there] - rows.points[row, 0], board - board[0], atol=1e-12)


def test_corners_on_a_line_give_no_pose():
    it = held_in_front(BROWN, np.random.default_rng(0), n_views=9, seeing=EXACT)
    on_line = np.isclose(it.points[it.corner, 1], it.points[0, 1])
    view = int(np.argmax(np.bincount(it.view[on_line])))
    rows, dropped = table_of_views(it.of_corners((it.view != view) | on_line), ("cam01",), 4)
    assert dropped == {view: "its corners lie on a line"}
    assert view not in rows.view


@pytest.mark.parametrize("name", LENSES)
def test_poses_follow_from_exact_rays(name):
    lens = LENSES[name]
    rows = table(lens)
    R, t = poses_from_rays(rows, lens.ray(rows.xy))
    px = lens.project(rows.points @ np.swapaxes(R, -1, -2) + t[:, None])
    # Nine unknowns from exact numbers: the smallest eigenvector of a matrix whose condition is below 1e8.
    assert np.abs(px - rows.xy)[rows.present].max() < 1e-4


def test_the_other_pose_looks_alike_from_far_away():
    R, t = posed(table(BROWN), parameters_of(BROWN), BROWN.lens).R, np.tile([0.5, -0.3, 4.0], (12, 1))
    R_other, _ = mirrored_poses(R, t)
    np.testing.assert_allclose(R_other @ np.swapaxes(R_other, -1, -2), np.tile(np.eye(3), (12, 1, 1)), atol=1e-12)
    assert (np.linalg.det(R_other) > 0).all()
    board = np.array([[0.1, 0, 0], [0, 0.1, 0], [-0.1, 0.05, 0]])
    one, other = (points @ np.swapaxes(turn, -1, -2) + t[:, None] for points, turn in ((board, R), (board, R_other)))
    # They differ by perspective only: board size over distance, squared.
    assert np.abs(one[..., :2] / one[..., 2:] - other[..., :2] / other[..., 2:]).max() < 3 * (0.11 / 4) ** 2


@pytest.mark.parametrize("name", LENSES)
def test_normal_equations_are_those_of_finite_differences(name):
    lens = LENSES[name]
    rows = table(lens, n_views=4)
    weight = rows.weight * np.random.default_rng(1).uniform(0.2, 1, rows.weight.shape)
    rows = rows.weighted(weight)
    start = posed(rows, parameters_of(lens), lens.lens)
    nudged = moved(start, 1e-3 * np.abs(start.parameters), np.full((len(rows), 6), 2e-3))
    # The gradient of the eliminated system at poses that are at their best is that of the cost.
    fixed = np.zeros(len(start.parameters), dtype=bool)
    nothing = WeakPrior(start.parameters, np.zeros_like(start.parameters))
    at_best = solve(rows, nudged, nothing, noise_px=1.0, free=fixed)
    gradient = linearise(rows, at_best).gradient.sum(axis=0)
    for index, value in enumerate(start.parameters):
        step = np.zeros_like(fixed, dtype=float)
        step[index] = 1e-6 * max(abs(value), 1.0)
        still = np.zeros((len(rows), 6))
        slope = (cost_of(rows, moved(at_best, step, still)) - cost_of(rows, moved(at_best, -step, still))) / (
            2 * step[index]
        )
        assert gradient[index] == pytest.approx(slope, rel=1e-3, abs=1e-4 * np.abs(gradient).max())


def test_outliers_do_not_move_the_poses():
    rows = table(BROWN, Seeing(noise_px=0.1, outlier_share=0.03, max_angle=1.4), n_views=30)
    rows = rows.of(rows.weight.sum(axis=1) > 16)
    fit = refined_poses(rows, parameters_of(BROWN), BROWN.lens)
    error = distances(rows, fit)
    fine = np.array([np.median(row[there]) for row, there in zip(error, rows.present, strict=True)])
    # Medians of 16 and more distances of deviation 0.1: 0.12, known to a quarter.
    assert fine.max() < 0.3


def test_covariances_grow_with_what_neighbouring_views_share():
    plain = fitted(BROWN, BROWN_MODEL)
    independent = covariance_of(plain)
    shift = np.repeat(np.random.default_rng(3).normal(0, 0.02, (10, 1, 1)), 3, axis=0)[: len(plain.table)]
    bent = replace(plain.table, xy=plain.table.xy + shift * (plain.table.xy - [640, 360]))
    shared = covariance_of(fit_lens(bent, plain.fit, BROWN_MODEL, outlier_sigmas=1000.0))
    assert np.sqrt(shared[0, 0] / independent[0, 0]) > 3


@pytest.mark.parametrize(("lens", "model"), [(BROWN, BROWN_MODEL), (FISHEYE, FISHEYE_MODEL)])
def test_ray_uncertainty_is_that_of_drawn_lenses(lens, model):
    it = fitted(lens, model)
    covariance = covariance_of(it)
    numbers = it.fit.parameters
    mean = intrinsics_from(numbers, lens.image_size, lens.lens)
    grid = np.stack(np.meshgrid(np.linspace(40, 1240, 13), np.linspace(40, 680, 9)), axis=-1).reshape(-1, 2)
    coverage = coverage_of(grid, lens.image_size)
    rng = np.random.default_rng(0)
    squares = []
    for drawn in rng.multivariate_normal(numbers, covariance, 60):
        rays = intrinsics_from(drawn, lens.image_size, lens.lens).ray(grid)
        u, _, vt = np.linalg.svd(mean.ray(grid).T @ rays)
        turned = rays @ (vt.T @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ u.T)
        squares.append(((turned - mean.ray(grid)) ** 2).sum(-1).mean())
    # 60 draws of some nine numbers, of which two or three dominate: 1 / sqrt(2 x 60 x 2) = 6 %; the grids differ.
    assert ray_std_of(mean, covariance, coverage) == pytest.approx(np.sqrt(np.mean(squares)), rel=0.25)


def test_coverage_counts_corners_by_place():
    counts = coverage_of(np.array([[-0.5, -0.5], [1279.4, 719.4], [160.0, 0.0], [159.0, 0.0]]), (1280, 720))
    assert counts.shape == (8, 8)
    assert (counts[0, 0], counts[0, 1], counts[7, 7], counts.sum()) == (2, 1, 1, 4)


def test_priors_let_strong_lenses_be():
    prior = lens_prior(Window.of_picture((1280, 720)), 900.0, BROWN_MODEL)
    deviations = (parameters_of(BROWN) - prior.mean) * np.sqrt(prior.information)
    assert np.abs(deviations).max() < 1.5
    assert prior.mean[2] == 639.5
    plain = lens_prior(Window.of_picture((1280, 720)), 900.0, replace(BROWN_MODEL, typical=False))
    assert (plain.information[4:] < 1e-3 * prior.information[4:]).all()


def test_a_polynomial_that_turns_back_within_the_picture_is_noticed():
    it = fitted(BROWN, BROWN_MODEL)
    assert covers_window(it)
    folding = it.fit.parameters.copy()
    folding[4:] = [-0.6, 0, 0, 0, 0]  # turns back at 1 / sqrt(1.8) = 0.75; the corners of the picture are at 0.81
    assert not covers_window(replace(it, fit=replace(it.fit, parameters=folding)))
