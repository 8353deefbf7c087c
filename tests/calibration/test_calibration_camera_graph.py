"""Graphs of cameras: best paths, pairs that contradict, and averages as good as their weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration import Intrinsics, Rig, RigidTransform
from calibration.camera_graph import components, solve_graph
from calibration.extrinsics_pairs import PairPose
from calibration.rotation_vectors import rotvecs_of
from calibration.synthetic import ring
from calibration.transforms import matrix_to_rotvec, rotvec_to_matrix

LENS = Intrinsics((1280, 720), np.array([[900.0, 0, 620], [0, 905, 370], [0, 0, 1]]), np.zeros(5))
RIG = ring(6, LENS)
PLACES = np.random.default_rng(0).uniform(-0.6, 0.6, (40, 3)) + [0.0, 0.0, 1.0]


def pair(first: int, second: int, *, std: float = 0.0, n: int = 40, wrong: RigidTransform | None = None, rng=None):
    """The true pose of a pair with a normal error of `std` (rad and m, about where the board was)."""
    one, two = RIG.cameras[first].cam_from_world, RIG.cameras[second].cam_from_world
    pose, middle = two @ one.inverse(), two.apply(PLACES.mean(axis=0))
    if std:
        turn, shift = rng.normal(0, std, 3), rng.normal(0, std, 3)
        R = rotvec_to_matrix(turn)
        pose = RigidTransform(R, middle + shift - R @ middle) @ pose
    pose = pose if wrong is None else wrong @ pose
    covariance = max(std, 1e-4) ** 2 * np.eye(6)
    return PairPose(first, second, pose, covariance, middle, one.apply(PLACES), n, n)


def errors(poses: dict[int, RigidTransform], rig: Rig = RIG) -> tuple[float, float]:
    base = rig.cameras[min(poses)].cam_from_world
    off = [(rig.cameras[i].cam_from_world @ base.inverse(), pose) for i, pose in poses.items()]
    shift = max(np.linalg.norm(true.inverse().t - pose.inverse().t) for true, pose in off)
    return float(shift), float(max(np.linalg.norm((true @ pose.inverse()).rotvec) for true, pose in off))


FLIP = RigidTransform(rotvec_to_matrix(np.array([0.0, np.radians(50), 0.0])), np.array([0.3, 0.1, -0.2]))


def test_exact_pairs_give_exact_poses():
    pairs = [pair(i, j) for i in range(6) for j in range(i + 1, 6)]
    solution = solve_graph(range(6), pairs)
    assert max(errors(solution.poses)) < 1e-9
    assert solution.rejected == ()
    assert len(solution.tree) == 5


def test_paths_go_where_errors_are_small():
    rng = np.random.default_rng(1)
    weak = pair(0, 1, std=0.05, rng=rng)
    detour = [pair(0, 2, std=1e-3, rng=rng), pair(1, 2, std=1e-3, rng=rng)]
    solution = solve_graph(range(3), [weak, *detour])
    assert solution.tree == (1, 2)
    assert errors(solution.poses)[0] < 0.02


def test_averages_are_better_than_paths_and_as_good_as_their_weights():
    rng = np.random.default_rng(2)
    averaged, chained = [], []
    for _ in range(15):
        pairs = [pair(i, j, std=2e-3, rng=rng) for i in range(6) for j in range(i + 1, 6)]
        solution = solve_graph(range(6), pairs)
        averaged.append(errors(solution.poses)[1])
        chained.append(errors(solve_graph(range(6), [pairs[i] for i in solution.tree]).poses)[1])
    # Fifteen pairs for five unknown poses: three for each.
    assert np.mean(averaged) < 0.8 * np.mean(chained)


@pytest.mark.parametrize("wrong", [(0, 1), (2, 4), (3, 5)])
def test_a_wrong_pair_is_rejected_even_when_it_seems_the_best(wrong):
    rng = np.random.default_rng(3)
    pairs = [pair(i, j, std=3e-3, rng=rng) for i in range(6) for j in range(i + 1, 6)]
    k = next(k for k, p in enumerate(pairs) if (p.first, p.second) == wrong)
    pairs[k] = replace(pair(*wrong, n=90, wrong=FLIP), covariance=1e-8 * np.eye(6))
    solution = solve_graph(range(6), pairs)
    assert solution.rejected == (k,)
    assert errors(solution.poses)[0] < 0.03
    assert solution.turn[k] == pytest.approx(np.radians(50), abs=0.05)


def test_several_wrong_pairs_of_a_larger_graph_are_rejected():
    rng = np.random.default_rng(4)
    pairs = [pair(i, j, std=3e-3, rng=rng) for i in range(6) for j in range(i + 1, 6)]
    bad = (0, 6, 9, 13)
    for n, k in enumerate(bad):
        flip = RigidTransform(rotvec_to_matrix(rng.normal(0, 0.6, 3)), rng.normal(0, 0.3, 3))
        pairs[k] = pair(pairs[k].first, pairs[k].second, n=20 + n, wrong=flip)
    solution = solve_graph(range(6), pairs)
    assert solution.rejected == bad
    assert errors(solution.poses)[0] < 0.03


def test_nothing_checks_a_bridge():
    """The only pair to a camera stands, right or wrong."""
    solution = solve_graph(range(3), [pair(0, 1), pair(1, 2, wrong=FLIP)])
    assert solution.rejected == ()
    assert solution.used == (0, 1)


def test_components_are_the_largest_first():
    pairs = [pair(1, 4), pair(2, 3), pair(3, 5)]
    assert components(6, pairs) == [(2, 3, 5), (1, 4), (0,)]
    assert components(3, []) == [(0,), (1,), (2,)]


def test_variances_of_pairs_are_those_of_where_boards_appear():
    rng = np.random.default_rng(5)
    std = np.array([0.01, 0.02, 0.005, 0.003, 0.01, 0.02])
    exact = replace(pair(0, 2), covariance=np.diag(std**2))
    seen = exact.pose.apply(exact.places)
    moved = []
    for _ in range(4000):
        step = rng.normal(0, std)
        R = rotvec_to_matrix(step[:3])
        moved.append((((seen - exact.middle) @ R.T + exact.middle + step[3:] - seen) ** 2).sum(axis=1).mean())
    # The mean of 4000 squares of six normal numbers: 1 / sqrt(1000) of it, and four of those.
    assert exact.variance_m2 == pytest.approx(np.mean(moved), rel=0.1)


def test_turns_of_matrices_are_their_rotation_vectors():
    rng = np.random.default_rng(6)
    axis = rng.normal(size=(50, 3))
    vectors = axis / np.linalg.norm(axis, axis=1, keepdims=True) * rng.uniform(0, 3.1, (50, 1))
    matrices = np.stack([rotvec_to_matrix(v) for v in vectors])
    np.testing.assert_allclose(rotvecs_of(matrices), vectors, atol=1e-7)
    np.testing.assert_allclose(rotvecs_of(matrices), [matrix_to_rotvec(m) for m in matrices], atol=1e-7)
    half = np.diag([1.0, -1.0, -1.0])
    assert np.linalg.norm(rotvecs_of(half)) == pytest.approx(np.pi)
    np.testing.assert_array_equal(rotvecs_of(np.eye(3)), 0)
