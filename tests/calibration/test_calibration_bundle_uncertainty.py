"""Deviations of a rig whose corners err together: by moments that follow each other, and by corners of the board."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration import Intrinsics
from calibration.boards import CharucoBoard
from calibration.bundle_adjustment import BundleConfig, bundle_adjust
from calibration.bundle_linear import Normal, knots_by_cameras, products, solve
from calibration.bundle_parameters import choose_parameters
from calibration.bundle_problem import linearise
from calibration.bundle_solver import descend
from calibration.bundle_start import Work, settled
from calibration.bundle_uncertainty import MOST_BLOCKS, _pulls
from calibration.observations import BoardObservations
from calibration.synthetic import Seeing, observe_board, ring, waved_board

POINTS = CharucoBoard(5, 7, 0.1, 0.075).corners
LENS = Intrinsics(
    (1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.array([-0.1, 0.05, 1e-3, 0, 0])
)
NAMES = ("fx", "fy")


def world(seed: int, noise_px: float, moments: int = 60):
    rng = np.random.default_rng(seed)
    rig = ring(4, (LENS,))
    motion = waved_board(POINTS, n_moments=moments, fps=8, rng=rng)
    return rig, motion, observe_board(rig, motion, POINTS, Seeing(noise_px=noise_px, two_sided=True), rng)


def drifting(seen: BoardObservations, seed: int, px: float, length: int = 4) -> BoardObservations:
    """Corners of `length` moments that follow each other are off alike: by a field that is linear in the board."""
    rng = np.random.default_rng(seed)
    flat = np.concatenate([POINTS[:, :2] - POINTS[:, :2].mean(axis=0), np.zeros((len(POINTS), 1))], axis=1)
    bent = np.concatenate([flat[:, :2], flat[:, :1] * flat[:, 1:2], flat[:, :2] ** 2], axis=1)
    bent /= np.sqrt((bent**2).mean(axis=0))
    spans = seen.view_moment[seen.view] // length
    fields = rng.normal(0, px / np.sqrt(5), (int(spans.max()) + 1, len(seen.cameras), 5, 2))
    off = np.einsum("nf,nfc->nc", bent[seen.corner], fields[spans, seen.camera])
    return replace(seen, xy=seen.xy + off)


def misprinted(seen: BoardObservations, rig, motion, seed: int, metres: float) -> BoardObservations:
    """Every corner of the print lies elsewhere than said."""
    moved = POINTS + np.random.default_rng(seed).normal(0, metres, POINTS.shape) * [1, 1, 0]
    moment, row = seen.view_moment[seen.view], np.arange(seen.n_corners)

    def px(points: np.ndarray) -> np.ndarray:
        at = np.einsum("nij,nj->ni", motion.R[moment], points[seen.corner]) + motion.t[moment]
        return rig.project(at)[seen.camera, row]

    return replace(seen, xy=seen.xy + px(moved) - px(POINTS))


def squares(rig, motion, seen: BoardObservations) -> float:
    """Squared errors of focal lengths by their variances, in the mean."""
    result = bundle_adjust(rig, motion, seen, BundleConfig(continuous=False))
    found = []
    for camera in rig:
        off = np.diag(result.rig[camera.name].intrinsics.K - camera.intrinsics.K)[:2]
        found.append(np.mean(off**2 / np.diag(result.covariance_of(camera.name, NAMES))))
    return float(np.mean(found))


@pytest.mark.parametrize("how", ["moments", "print"])
def test_errors_that_hang_together_are_told(how, monkeypatch):
    honest, alone = [], []
    for seed in range(5):
        rig, motion, seen = world(seed, 0.1)
        wrong = drifting(seen, 50 + seed, 0.3) if how == "moments" else misprinted(seen, rig, motion, 50 + seed, 1e-3)
        honest.append(squares(rig, motion, wrong))
        with monkeypatch.context() as patch:
            patch.setattr("calibration.bundle_uncertainty._pulls", lambda *_: [])
            alone.append(squares(rig, motion, wrong))
    # 5 rigs whose 8 focal lengths hang together, 3 free numbers each: sqrt(2 / 15) = 0.37. One factor for nearly all
    # directions leaves those short that these errors move most, by up to 1.9 in variance (20 rigs); and two of 0.37.
    assert np.mean(alone) > 3
    assert np.mean(honest) < 1.9 * (1 + 2 * 0.37)


def solved(rig, motion, seen: BoardObservations):
    config = settled(BundleConfig(continuous=False, back_offset=False), False)
    parameters = choose_parameters(rig, seen, config, priors={})
    problem, state = Work(rig, motion, seen, config, parameters, np.zeros(seen.n_views, dtype=bool), False).start()
    problem = problem.counting(replace(problem.kernel, noise_px=0.3))
    return problem, descend(problem, state, max_iterations=20)


def test_groups_hold_all_information_and_pull_nowhere_together():
    problem, final = solved(*world(3, 0.3))
    known = solve(final.at.normal, np.zeros((len(problem.parameters), 0))).reduced - problem.parameters.information
    scale = np.sqrt(np.diag(known))
    by_block, by_corner = _pulls(problem, final)
    assert len(by_block.gradient) == MOST_BLOCKS
    assert len(by_corner.gradient) == len(POINTS)
    for groups in (by_block, by_corner):
        # Without the 1e-3 that keeps knots in place, next to 1e5 of a view.
        np.testing.assert_allclose(groups.information.sum(axis=0), known, atol=1e-6 * np.outer(scale, scale).max())
        # What is left at the end of the descent: 1e-2 of squared deviations.
        together = groups.gradient.sum(axis=0) - problem.parameters.information @ (
            final.state.values(problem.parameters) - problem.parameters.mean
        )
        assert together @ np.linalg.pinv(known, rcond=1e-10) @ together < 0.02


def test_a_step_of_the_cameras_moves_knots_as_the_dense_system_says():
    rng = np.random.default_rng(4)
    mixed = rng.normal(size=(3, 6, 4))
    root = rng.normal(size=(3, 6, 9))
    knots = root @ np.swapaxes(root, 1, 2) + np.eye(6)
    normal = Normal(np.eye(4), knots, None, mixed, np.zeros(4), np.zeros((3, 6)))
    np.testing.assert_allclose(knots_by_cameras(normal), np.linalg.solve(knots, mixed), rtol=1e-9)


@pytest.mark.parametrize(("rows", "wide"), [(7, 3), (5000, 60), (40, 500), (12, 0)])
def test_products_in_pieces_are_products(rows, wide):
    rng = np.random.default_rng(5)
    left, right = rng.normal(size=(rows, wide)), rng.normal(size=(rows, wide + 1))
    np.testing.assert_allclose(products(left, right), left.T @ right, rtol=1e-9, atol=1e-10)


def test_gradients_by_clocks_of_rolling_shutters_by_differences():
    rig, motion, seen = world(6, 0.3, moments=20)
    config = settled(BundleConfig(continuous=True, clocks={"cam02": (0.01, 5e-5)}, time_jitter=False), True)
    parameters = choose_parameters(rig, seen, config, priors={})
    problem, state = Work(rig, motion, seen, config, parameters, np.zeros(seen.n_views, dtype=bool), True).start()
    knots = state.knots
    knots = replace(knots, velocity=knots.velocity + np.random.default_rng(7).normal(0, 0.5, knots.velocity.shape))
    state = replace(state, knots=knots)
    still, nowhere = np.zeros((len(knots), 12)), [None] * len(rig)
    at = linearise(problem, state)
    for name in ("offset", "line"):
        column, size = parameters.names.index(("cam02", name)), {"offset": 1e-5, "line": 1e-8}[name]
        step = np.zeros(len(parameters))
        step[column] = size
        plus, minus = (linearise(problem, state.stepped(parameters, s, still, nowhere)).cost for s in (step, -step))
        # The gradient points downhill and is half the derivative of a sum of squares. Without the board's acceleration
        # between the rows that by the offset is a fifth off.
        assert at.normal.camera_gradient[column] == pytest.approx(-(plus - minus) / (4 * size), rel=2e-3)
