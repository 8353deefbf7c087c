"""The pieces of the bundle adjustment: derivatives, splines, banded systems."""

from __future__ import annotations

import numpy as np
import pytest

from calibration import Lens
from calibration.board_motion import rotvecs_to_matrices
from calibration.bundle_lenses import project_linearised
from calibration.bundle_linear import Normal, knots_log_det, solve
from calibration.bundle_motion import first_speed_cost, motion_prior, prior_terms
from calibration.bundle_placing import on_back, place_moving
from calibration.bundle_state import CameraState, Knots
from calibration.lenses import distort_direction
from calibration.rotation_vectors import inverse_left_jacobians, left_jacobians, logs

BROWN = np.array([900.0, 905, 620, 370, -0.2, 0.08, 1e-3, -2e-3, 0.02])
RATIONAL = np.array([900.0, 905, 620, 370, 0.3, 0.08, 1e-3, -2e-3, 0.02, 0.5, 0.1, 0.01])
FISHEYE = np.array([520.0, 515, 702, 560, -0.02, 0.01, -4e-3, 1e-3])
KINDS = [(Lens.BROWN_CONRADY, BROWN), (Lens.BROWN_CONRADY, RATIONAL), (Lens.FISHEYE, FISHEYE)]
STEP = 1e-6


def random_knots(rng: np.random.Generator, count: int) -> Knots:
    turn = rotvecs_to_matrices(rng.normal(0, 0.4, (count, 3)))
    rates = rng.normal(0, 0.7, (2, count, 3))
    return Knots(np.cumsum(rng.uniform(0.05, 0.2, count)), turn, rng.normal(0, 0.3, (count, 3)), rates[0], rates[1])


def points(rng: np.random.Generator, lens: Lens) -> np.ndarray:
    """(4, 3, 5) m; a fisheye lens sees behind its plane too."""
    x = rng.normal(0, 0.5, (4, 3, 5))
    x[:, 2] = np.abs(x[:, 2]) + 1.0
    if lens is Lens.FISHEYE:
        x[0, 2, 0] = -0.1
        x[0, :2, 1] = 0.0
    return x


@pytest.mark.parametrize(("lens", "parameters"), KINDS, ids=["brown", "rational", "fisheye"])
def test_projection_is_that_of_the_lenses(lens, parameters):
    x = points(np.random.default_rng(1), lens)
    px, _ = project_linearised(x, lens, parameters, skew=1.5, with_lens=False)
    u, v = np.moveaxis(distort_direction(np.moveaxis(x, 1, 2), parameters[4:], lens), -1, 0)
    np.testing.assert_allclose(px[:, 0], parameters[0] * u + 1.5 * v + parameters[2], rtol=1e-12)
    np.testing.assert_allclose(px[:, 1], parameters[1] * v + parameters[3], rtol=1e-12)


@pytest.mark.parametrize(("lens", "parameters"), KINDS, ids=["brown", "rational", "fisheye"])
def test_derivatives_of_projection_by_differences(lens, parameters):
    x = points(np.random.default_rng(2), lens)

    def px(x: np.ndarray, p: np.ndarray = parameters) -> np.ndarray:
        return project_linearised(x, lens, p, skew=1.5, with_lens=False)[0]

    _, jacobian = project_linearised(x, lens, parameters, skew=1.5, with_lens=True)
    columns = []
    for axis in range(3):
        turn = np.eye(3)[axis] * STEP
        R = rotvecs_to_matrices(turn)
        columns.append((px(R @ x) - px(R.T @ x)) / (2 * STEP))
    for axis in range(3):
        shift = np.eye(3)[axis][:, None] * STEP
        columns.append((px(x + shift) - px(x - shift)) / (2 * STEP))
    for i, value in enumerate(parameters):
        step = np.zeros(len(parameters))
        step[i] = STEP * max(abs(value), 1)
        columns.append((px(x, parameters + step) - px(x, parameters - step)) / (2 * step[i]))
    # Central differences of numbers of 1e3 are good to 1e3 * 1e-16 / 1e-6 = 1e-7 plus the third derivative times 1e-12.
    np.testing.assert_allclose(jacobian, np.stack(columns, axis=1), rtol=2e-6, atol=2e-5)


def test_points_behind_a_camera_have_no_pixel():
    x = np.array([[[0.1], [0.2], [-1.0]]])
    px, _ = project_linearised(x, Lens.BROWN_CONRADY, BROWN, skew=0.0, with_lens=False)
    assert np.isnan(px).all()


def test_rotation_vectors_and_their_jacobians():
    rng = np.random.default_rng(3)
    vectors = np.concatenate([rng.normal(0, 0.8, (6, 3)), np.zeros((1, 3)), [[1e-6, 0, 0]], [[0, 0, 1e-3]]])
    R = rotvecs_to_matrices(vectors)
    np.testing.assert_allclose(logs(R), vectors, atol=1e-12)
    np.testing.assert_allclose(left_jacobians(vectors) @ inverse_left_jacobians(vectors), np.eye(3) + 0 * R, atol=1e-9)
    small = rng.normal(0, STEP, (len(vectors), 3))
    stepped = logs(rotvecs_to_matrices(small) @ R)
    expected = vectors + (inverse_left_jacobians(vectors) @ small[:, :, None])[:, :, 0]
    np.testing.assert_allclose(stepped, expected, atol=20 * STEP**2)


def test_half_turns_have_an_axis():
    axis = np.array([0.6, 0.0, 0.8])
    found = logs(rotvecs_to_matrices(np.pi * axis)[None])[0]
    np.testing.assert_allclose(np.abs(found), np.pi * axis, atol=1e-7)


TIMES = [0.02, 0.5, 0.98]


def test_a_board_is_placed_at_its_knots_and_between_them_smoothly():
    knots = random_knots(np.random.default_rng(4), 5)
    rows = np.arange(5)
    at = place_moving(knots, rows, knots.time_s)
    np.testing.assert_allclose(at.t, knots.t, atol=1e-12)
    np.testing.assert_allclose(at.R, knots.R, atol=1e-12)
    for side in (-1e-7, 1e-7):
        near = place_moving(knots, rows, knots.time_s + side)
        # Random knots ask for accelerations up to 6 * 1 m / (0.05 s)² = 2400 m/s²: half of that times 1e-14.
        np.testing.assert_allclose(near.t - knots.t, side * knots.velocity, atol=2e-11)
        np.testing.assert_allclose(near.rates[:, :3], knots.spin, atol=3e-4)
        np.testing.assert_allclose(near.rates[:, 3:], knots.velocity, atol=3e-4)


def test_rates_are_the_derivatives_of_places():
    knots = random_knots(np.random.default_rng(5), 4)
    time = np.array([knots.time_s[1] + share * (knots.time_s[2] - knots.time_s[1]) for share in TIMES])
    row = np.ones(3, dtype=int)
    placed, before, after = (place_moving(knots, row, time + d) for d in (0, -STEP, STEP))
    np.testing.assert_allclose(placed.rates[:, 3:], (after.t - before.t) / (2 * STEP), atol=1e-7)
    turned = logs(after.R @ np.swapaxes(before.R, 1, 2)) / (2 * STEP)
    np.testing.assert_allclose(placed.rates[:, :3], turned, atol=1e-6)


def test_rates_grow_as_differences_say():
    knots = random_knots(np.random.default_rng(9), 3)
    time = np.array([knots.time_s[1] + share * (knots.time_s[2] - knots.time_s[1]) for share in TIMES])
    row = np.ones(3, dtype=int)
    placed, before, after = (place_moving(knots, row, time + d) for d in (0, -STEP, STEP))
    slope = (after.rates - before.rates) / (2 * STEP)
    np.testing.assert_allclose(placed.gains[:, 3:], slope[:, 3:], rtol=1e-5, atol=1e-6)
    # Of the spin's, how the left Jacobian of the turn since the knot changes is left out: a tenth of it here.
    assert np.linalg.norm(placed.gains[:, :3] - slope[:, :3]) < 0.2 * np.linalg.norm(slope[:, :3])


@pytest.mark.parametrize("back", [False, True], ids=["front", "back"])
def test_derivatives_of_places_by_knots(back):
    knots = random_knots(np.random.default_rng(6), 3)
    time = np.array([knots.time_s[0] + share * (knots.time_s[1] - knots.time_s[0]) for share in TIMES])
    row = np.zeros(3, dtype=int)
    camera = CameraState(
        np.eye(3),
        np.zeros(3),
        BROWN,
        back_turn=rotvecs_to_matrices(np.array([0.02, 0.1, 0])),
        back_shift=np.ones(3) / 9,
    )

    def place(it: Knots):
        placed = place_moving(it, row, time)
        return on_back(placed, camera, np.ones(3, dtype=bool)) if back else placed

    placed = place(knots)
    for column in range(24):
        step = np.zeros((3, 12))
        step[column // 12, column % 12] = STEP
        plus, minus = place(knots.stepped(step)), place(knots.stepped(-step))
        turn = logs(plus.R @ np.swapaxes(minus.R, 1, 2)) / (2 * STEP)
        shift = (plus.t - minus.t) / (2 * STEP)
        # What is left out of the turn's derivative is at most half of (b spin): 0.5 * 4/27 * 0.2 s * 2 rad/s = 0.03.
        np.testing.assert_allclose(placed.by_knots[:, :3, column], turn, atol=0.03)
        if not back:
            np.testing.assert_allclose(placed.by_knots[:, 3:, column], shift, atol=1e-7)


def test_the_gradient_of_the_motion_prior_by_differences():
    knots = random_knots(np.random.default_rng(7), 4)
    prior = motion_prior(knots)

    def cost(it: Knots) -> float:
        return sum(prior_terms(prior, it).costs) + first_speed_cost(prior, it)

    terms = prior_terms(prior, knots)
    for i in range(4):
        for j in range(12):
            step = np.zeros((4, 12))
            step[i, j] = STEP
            slope = (cost(knots.stepped(step)) - cost(knots.stepped(-step))) / (2 * STEP)
            # The gradient points downhill and is half the derivative of a sum of squares.
            assert -2 * terms.gradient[i, j] == pytest.approx(slope, rel=1e-5, abs=1e-4)


def test_constant_velocity_costs_nothing():
    time = np.array([0.0, 0.1, 0.25, 0.3])
    spin, velocity = np.array([0.3, -0.2, 0.5]), np.array([0.1, 0.2, 0.3])
    knots = Knots(
        time,
        rotvecs_to_matrices(time[:, None] * spin),
        time[:, None] * velocity,
        np.tile(velocity, (4, 1)),
        np.tile(spin, (4, 1)),
    )
    np.testing.assert_allclose(prior_terms(motion_prior(knots), knots).costs, 0.0, atol=1e-6)


def dense(normal: Normal) -> np.ndarray:
    """The whole matrix, cameras first."""
    count, size, wide = normal.mixed.shape
    whole = np.zeros((wide + count * size,) * 2)
    whole[:wide, :wide] = normal.cameras
    for k in range(count):
        own = slice(wide + k * size, wide + (k + 1) * size)
        whole[own, own] = normal.knots[k]
        whole[own, :wide], whole[:wide, own] = normal.mixed[k], normal.mixed[k].T
        if normal.beside is not None and k + 1 < count:
            following = slice(wide + (k + 1) * size, wide + (k + 2) * size)
            whole[own, following], whole[following, own] = normal.beside[k], normal.beside[k].T
    return whole


@pytest.mark.parametrize("tied", [False, True], ids=["alone", "tied"])
def test_the_sparse_solution_is_the_dense_one(tied):
    rng = np.random.default_rng(8)
    count, size, wide = 6, 12 if tied else 6, 5
    rows = rng.normal(size=(400, wide + count * size))
    full = rows.T @ rows + 50 * np.eye(rows.shape[1])
    blocks = full[wide:, wide:].reshape(count, size, count, size)
    normal = Normal(
        full[:wide, :wide],
        np.stack([blocks[k, :, k] for k in range(count)]),
        np.stack([blocks[k, :, k + 1] for k in range(count - 1)]) if tied else None,
        full[wide:, :wide].reshape(count, size, wide),
        rng.normal(size=wide),
        rng.normal(size=(count, size)),
    )
    whole = dense(normal)
    right = np.concatenate([normal.camera_gradient, normal.knot_gradient.reshape(-1)])
    expected = np.linalg.solve(whole, right)
    solved = solve(normal, np.zeros((wide, 0)))
    np.testing.assert_allclose(solved.step, expected[:wide], rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(solved.knot_step.reshape(-1), expected[wide:], rtol=1e-9, atol=1e-14)
    schur = whole[:wide, :wide] - whole[:wide, wide:] @ np.linalg.solve(whole[wide:, wide:], whole[wide:, :wide])
    np.testing.assert_allclose(solved.reduced, schur, rtol=1e-9, atol=1e-9)
    assert knots_log_det(normal) == pytest.approx(np.linalg.slogdet(whole[wide:, wide:])[1], rel=1e-10)
