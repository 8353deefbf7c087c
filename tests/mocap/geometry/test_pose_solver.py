"""The solver: every term's derivative against finite differences, and what it must do with limits and fixed frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from body_worlds import Body, angle_index, moving_body
from mocap.geometry.pose_model import Pose, place
from mocap.geometry.pose_solver import Observations, PosePrior, PoseProblem, SolverOptions, solve_poses
from mocap.geometry.rotations import quat_multiply, rotvec_to_quat


def observations(body: Body, *, noise: float = 0.02) -> Observations:
    markers = body.placement.markers
    ones = torch.ones(markers.shape[:2], dtype=torch.float64)
    return Observations(markers, ones, torch.full((markers.shape[1],), noise, dtype=torch.float64))


def prior(body: Body, **weights: float) -> PosePrior:
    """Everything off but the weights given."""
    d = body.model.n_angles
    of = (
        {"rest": 0.0, "upright": 0.0, "angles": 0.0}
        | dict.fromkeys(("drift", "translation", "turn", "root"), 0.0)
        | weights
    )
    generator = torch.Generator().manual_seed(0)
    mixed = torch.randn(d, d, generator=generator, dtype=torch.float64)
    return PosePrior(
        rest=0.5 * (body.model.lower + body.model.upper),
        precision=of["rest"] * (mixed @ mixed.T / d),
        upright=of["upright"],
        translation=(of["drift"], of["translation"]),
        root=(of["turn"], of["root"]),
        angles=torch.full((d,), of["angles"], dtype=torch.float64),
    )


def shaken(body: Body, size: float, seed: int = 0) -> Pose:
    generator = torch.Generator().manual_seed(seed)
    step = size * torch.randn(len(body.pose), body.model.n_steps, generator=generator, dtype=torch.float64)
    return body.model.moved_by(body.pose, step)


TERMS = {
    "markers": {},
    "rest": {"rest": 50.0},
    "upright": {"upright": 300.0},
    "drift": {"drift": 500.0},
    "turn": {"turn": 400.0},
    "translation": {"translation": 4000.0},
    "root": {"root": 700.0},
    "angles": {"angles": 200.0},
}


def problem_of(term: str, *, n_frames: int = 6) -> tuple[Body, PoseProblem, Pose]:
    body = moving_body(n_frames, reach=0.4)
    seen = observations(body)
    if term != "markers":
        seen = Observations(seen.targets, torch.zeros_like(seen.confidence), seen.noise)
    pose = shaken(body, 0.05)
    lean = rotvec_to_quat(torch.tensor([0.4, 0.8, 0.1], dtype=torch.float64)).expand(n_frames, 4)
    return (
        body,
        PoseProblem(body.model, seen, prior(body, **TERMS[term])),
        Pose(pose.translation, quat_multiply(pose.root, lean), pose.angles),
    )


@pytest.mark.parametrize("term", TERMS)
def test_the_gradient_of_every_term_is_that_of_finite_differences(term):
    body, problem, pose = problem_of(term)
    gradient = problem.equations(pose, place(body.model, pose), 3.0).gradient
    size, scale = 1e-6, max(1.0, float(gradient.abs().max()))
    some = [*range(6), *range(6, body.model.n_steps, 9)]  # the root's, and a ninth of the angles
    for frame, steps in ((0, some), (2, range(body.model.n_steps)), (5, some)):
        for n in steps:
            step = torch.zeros_like(gradient)
            step[frame, n] = size
            ahead, behind = (body.model.moved_by(pose, s) for s in (step, -step))
            slope = (_cost(problem, ahead) - _cost(problem, behind)) / (2 * size)
            # rounding: costs of up to 1e4 hold 1e-12, divided by 2e-6
            assert float(gradient[frame, n]) == pytest.approx(slope, abs=1e-6 * scale + 1e-5)


def _cost(problem: PoseProblem, pose: Pose) -> float:
    return problem.cost(pose, place(problem.model, pose), 3.0)


@pytest.mark.parametrize("term", [t for t in TERMS if t != "upright"])
def test_the_matrix_is_the_derivative_of_the_gradient_where_residuals_vanish(term):
    body, problem, _ = problem_of(term)
    pose = body.pose
    if term != "markers":  # zero acceleration and rest: one pose in all frames
        pose = Pose(torch.zeros(6, 3).double(), body.pose.root[:1].expand(6, 4), problem.prior.rest.expand(6, -1))
    equations = problem.equations(pose, place(body.model, pose), 1e6)
    generator = torch.Generator().manual_seed(1)
    direction = torch.randn(6, body.model.n_steps, generator=generator, dtype=torch.float64)
    size = 1e-6
    slopes = []
    for sign in (1, -1):
        moved = body.model.moved_by(pose, sign * size * direction)
        slopes.append(problem.equations(moved, place(body.model, moved), 1e6).gradient)
    expected = (slopes[0] - slopes[1]) / (2 * size)
    actual = torch.from_numpy(_times(equations.matrix(), direction.numpy()))
    np.testing.assert_allclose(actual, expected, atol=1e-5 * float(expected.abs().max()))


def _times(matrix, x: np.ndarray) -> np.ndarray:
    product = np.einsum("tij,tj->ti", matrix.diagonal, x)
    for k, straight, corner in ((1, matrix.one, matrix.corner_one), (2, matrix.two, matrix.corner_two)):
        at = slice(matrix.corner, matrix.corner + 3)
        ahead, back = straight * x[:-k], straight * x[k:]
        ahead[:, at] = np.einsum("tij,tj->ti", corner, x[:-k, at])
        back[:, at] = np.einsum("tji,tj->ti", corner, x[k:, at])
        product[k:] += ahead
        product[:-k] += back
    return product


def test_tilt_upside_down_and_level_has_a_finite_slope():
    body = moving_body(3)
    turns = torch.tensor([[0.0, 0, 0], [np.pi, 0, 0], [np.pi / 2, 0, 0]], dtype=torch.float64)
    pose = Pose(body.pose.translation, rotvec_to_quat(turns), body.pose.angles)
    seen = observations(body)
    unseen = Observations(seen.targets, torch.zeros_like(seen.confidence), seen.noise)
    problem = PoseProblem(body.model, unseen, prior(body, upright=1.0))
    equations = problem.equations(pose, place(body.model, pose), 3.0)
    assert torch.isfinite(equations.gradient).all()
    assert torch.isfinite(equations.diagonal).all()
    assert float(equations.gradient[2, 3]) == pytest.approx(np.pi / 2)


def test_shaken_poses_return_to_the_markers():
    body = moving_body(12)
    start = shaken(body, 0.1)
    weak = prior(body, rest=1e-4)
    problem = PoseProblem(body.model, observations(body), weak)
    pose, trace = solve_poses(problem, start, SolverOptions())
    assert trace.cost < 1e-5 * _cost(problem, start)
    # the prior's pull: 1e-4 rad^-2, rows of the mixed matrix of norm 5, 2 rad away: 1e-3; against 1 / (0.02 m)^2 on the
    # shortest levers of 0.02 m: 2e-5 m, for some ten angles at once
    assert (place(body.model, pose).markers - body.placement.markers).abs().max() < 2e-4


def test_a_target_beyond_a_limit_leaves_the_joint_at_the_limit():
    body = moving_body(3)
    knee = angle_index(body, "LeftLeg", "x")
    beyond = body.pose.angles.clone()
    beyond[:, knee] = -0.6
    bent_back = place(body.model, Pose(body.pose.translation, body.pose.root, beyond)).markers
    seen = observations(body)
    problem = PoseProblem(body.model, Observations(bent_back, seen.confidence, seen.noise), prior(body, rest=1e-3))
    pose, _ = solve_poses(problem, body.pose, SolverOptions())
    np.testing.assert_allclose(pose.angles[:, knee], body.model.lower[knee], atol=1e-12)


def test_fixed_frames_do_not_move():
    body = moving_body(8)
    start = shaken(body, 0.1)
    smooth = prior(body, rest=1e-3, translation=1e4, root=1e3, angles=1e3)
    pose, _ = solve_poses(PoseProblem(body.model, observations(body), smooth, fixed=2), start, SolverOptions())
    torch.testing.assert_close(pose.angles[:2], start.angles[:2], rtol=0, atol=0)
    torch.testing.assert_close(pose.translation[:2], start.translation[:2], rtol=0, atol=0)
    assert (pose.angles[2:] - start.angles[2:]).abs().max() > 0.05


def test_an_unseen_middle_frame_is_bridged_by_smoothness():
    body = moving_body(9, fps=120.0)
    seen = observations(body)
    confidence = seen.confidence.clone()
    confidence[4] = 0.0
    smooth = prior(body, rest=1e-6, translation=1.0, root=1.0, angles=1.0)
    start = body.pose.frames(torch.tensor([0, 1, 2, 3, 3, 5, 6, 7, 8]))
    problem = PoseProblem(body.model, Observations(seen.targets, confidence, seen.noise), smooth)
    pose, _ = solve_poses(problem, start, SolverOptions(tolerance=1e-9))
    missed = (place(body.model, pose).markers - body.placement.markers)[4].norm(dim=-1)
    # a cubic through the neighbours misses sin(w t) by under (w dt)^4 / 4: w < 5 rad/s, dt = 1/120 s, 3 rad, 1 m, and
    # as much again for the ten angles of a limb
    assert missed.max() < 1e-5
