"""Which cameras hang together, along which pairs, and which pairs contradict the others.

Cameras are nodes and pairs with common views of the board are edges, as long as their expected error is large. Poses
follow the best paths; the pairs beside the paths check them. When one contradicts, other trees are tried and the one
stands that most pairs agree with. Pairs that still contradict are rejected, the rest is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from calibration.board_motion import rotvecs_to_matrices
from calibration.extrinsics_pairs import PairPose, cross_matrices, rotvecs_of
from calibration.transforms import RigidTransform

MAX_TURN = np.radians(5.0)
MAX_SHIFT_SHARE = 0.05
"""Contradiction beyond noise: a focal length wrong by 3 % shifts by 3 % of the distance and is no outlier; a board
taken for its mirror pose turns by tens of degrees."""

SIGMAS = 3.0
TREES = 200
"""Random trees tried after the best paths failed; with a third of the pairs wrong, a tree of four cameras is all right
with probability 0.3, of eight with 0.06."""

AVERAGING_STEPS = 20
AVERAGED = 1e-7
"""Radians and metres."""


@dataclass(frozen=True, eq=False)
class GraphSolution:
    """Poses `cam_from_rig` of one component's cameras (by index) and what became of its pairs.

    root: the camera whose axes are the rig's. used, rejected: positions in the list of pairs. tree: those the poses
    were chained along. turn, shift_m: (pairs,) by how much each pair contradicts the solution, NaN for other pairs.
    """

    root: int
    poses: dict[int, RigidTransform]
    tree: tuple[int, ...]
    used: tuple[int, ...]
    rejected: tuple[int, ...]
    turn: Float[np.ndarray, "E"]
    shift_m: Float[np.ndarray, "E"]


def components(count: int, pairs: Sequence[PairPose]) -> list[tuple[int, ...]]:
    """Cameras that are connected through pairs, largest component first, then by the first camera."""
    label = list(range(count))
    for pair in pairs:
        one, two = label[pair.first], label[pair.second]
        label = [min(one, two) if value in (one, two) else value for value in label]
    groups = [tuple(i for i in range(count) if label[i] == value) for value in sorted(set(label))]
    return sorted(groups, key=lambda group: (-len(group), group))


def solve_graph(cameras: Sequence[int], pairs: Sequence[PairPose]) -> GraphSolution:
    """Poses of connected cameras, in the axes of the first of them."""
    mine = [i for i, pair in enumerate(pairs) if pair.first in cameras and pair.second in cameras]
    cost = {i: pairs[i].variance_m2 + 1e-12 for i in mine}
    tree, agreeing = _best_tree(cameras, pairs, mine, cost)
    poses = _chained(cameras[0], pairs, tree)
    poses = _averaged(cameras, pairs, agreeing, poses)
    turn, shift = np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    for i in mine:
        turn[i], shift[i] = _contradiction(pairs[i], poses)
    used = tuple(i for i in mine if i in agreeing)
    return GraphSolution(
        cameras[0], poses, tuple(sorted(tree)), used, tuple(i for i in mine if i not in agreeing), turn, shift
    )


def _best_tree(
    cameras: Sequence[int], pairs: Sequence[PairPose], mine: Sequence[int], cost: dict[int, float]
) -> tuple[list[int], set[int]]:
    """The tree of best paths where all pairs agree with it, otherwise the one that most moments agree with."""
    tree = _best_paths(cameras, pairs, mine, cost)
    agreeing = _agreeing(cameras[0], pairs, mine, tree)
    if len(agreeing) == len(mine):
        return tree, agreeing
    rng = np.random.default_rng(0)
    best = (_support(pairs, agreeing), tree, agreeing)
    for _ in range(TREES):
        stretched = {i: cost[i] * float(rng.lognormal(0.0, 2.0)) for i in mine}
        tree = _best_paths(cameras, pairs, mine, stretched)
        agreeing = _agreeing(cameras[0], pairs, mine, tree)
        support = _support(pairs, agreeing)
        if support > best[0]:
            best = (support, tree, agreeing)
    # The tree that won was drawn: best paths among what agrees with it are better.
    tree = _best_paths(cameras, pairs, sorted(best[2]), cost)
    again = _agreeing(cameras[0], pairs, mine, tree)
    return (tree, again) if _support(pairs, again) >= best[0] else (best[1], best[2])


def _support(pairs: Sequence[PairPose], agreeing: set[int]) -> float:
    """Pairs that agree, each worth up to one more the more moments it has: ten weigh as much as a hundred, nearly."""
    return sum(1.0 + pairs[i].n_agreeing / (10.0 + pairs[i].n_agreeing) for i in sorted(agreeing))


def _best_paths(
    cameras: Sequence[int], pairs: Sequence[PairPose], usable: Sequence[int], cost: dict[int, float]
) -> list[int]:
    """Dijkstra's tree from the camera with the smallest sum of variances to all others."""
    neighbours: dict[int, list[tuple[int, int]]] = {camera: [] for camera in cameras}
    for i in usable:
        neighbours[pairs[i].first].append((pairs[i].second, i))
        neighbours[pairs[i].second].append((pairs[i].first, i))
    trees = [_paths_from(root, neighbours, cost) for root in cameras]
    return min(trees, key=lambda found: found[0])[1]


def _paths_from(
    root: int, neighbours: dict[int, list[tuple[int, int]]], cost: dict[int, float]
) -> tuple[float, list[int]]:
    distance, through, done = {root: 0.0}, {}, set()
    while len(done) < len(distance):
        camera = min((c for c in distance if c not in done), key=lambda c: (distance[c], c))
        done.add(camera)
        for other, i in neighbours[camera]:
            reached = distance[camera] + cost[i]
            if other not in done and reached < distance.get(other, np.inf):
                distance[other], through[other] = reached, i
    return sum(distance.values()), list(through.values())


def _chained(root: int, pairs: Sequence[PairPose], tree: Sequence[int]) -> dict[int, RigidTransform]:
    poses, left = {root: RigidTransform.identity()}, list(tree)
    while left:
        i = next(i for i in left if pairs[i].first in poses or pairs[i].second in poses)
        left.remove(i)
        pair = pairs[i]
        if pair.first in poses:
            poses[pair.second] = pair.pose @ poses[pair.first]
        else:
            poses[pair.first] = pair.pose.inverse() @ poses[pair.second]
    return poses


def _contradiction(pair: PairPose, poses: dict[int, RigidTransform]) -> tuple[float, float]:
    """Turn (rad) and shift (m, rms at the places of the board) between a pair and the solution."""
    solved = poses[pair.second] @ poses[pair.first].inverse()
    turn = float(np.linalg.norm(rotvecs_of(solved.R @ pair.pose.R.T)))
    shift = solved.apply(pair.places) - pair.pose.apply(pair.places)
    return turn, float(np.sqrt((shift**2).sum(axis=-1).mean()))


def _agreeing(root: int, pairs: Sequence[PairPose], mine: Sequence[int], tree: Sequence[int]) -> set[int]:
    """Pairs within their own uncertainty and that of the paths between their cameras, beside a fixed allowance."""
    poses = _chained(root, pairs, tree)
    slack = _path_slack(root, pairs, tree)
    agreeing = set()
    for i in mine:
        pair = pairs[i]
        turn, shift = _contradiction(pair, poses)
        distance = float(np.linalg.norm(pair.places, axis=-1).mean())
        path_turn, path_shift = slack[pair.first] + slack[pair.second]
        turn_limit = MAX_TURN + SIGMAS * np.sqrt(pair.turn_std**2 + path_turn)
        shift_limit = MAX_SHIFT_SHARE * distance + SIGMAS * np.sqrt(pair.variance_m2 + path_shift)
        if i in tree or (turn < min(turn_limit, np.radians(30)) and shift < min(shift_limit, 0.3 * distance)):
            agreeing.add(i)
    return agreeing


def _path_slack(root: int, pairs: Sequence[PairPose], tree: Sequence[int]) -> dict[int, np.ndarray]:
    """Variances (rad², m²) along the tree from its root to every camera."""
    slack, left = {root: np.zeros(2)}, list(tree)
    while left:
        i = next(i for i in left if pairs[i].first in slack or pairs[i].second in slack)
        left.remove(i)
        pair = pairs[i]
        known, new = (pair.first, pair.second) if pair.first in slack else (pair.second, pair.first)
        slack[new] = slack[known] + np.array([pair.turn_std**2, pair.variance_m2])
    return slack


def _averaged(
    cameras: Sequence[int], pairs: Sequence[PairPose], used: set[int], poses: dict[int, RigidTransform]
) -> dict[int, RigidTransform]:
    """Poses nearest to all agreeing pairs, weighted by their covariances (Gauss–Newton, Cauchy weights).

    The unknowns are a turn and a shift in each camera's axes, cam ← exp(w) cam + d; the first camera stands still.
    """
    edges = _Edges.of(cameras, [pairs[i] for i in sorted(used)])
    R = np.stack([poses[camera].R for camera in cameras])
    t = np.stack([poses[camera].t for camera in cameras])
    for _ in range(AVERAGING_STEPS):
        normal, gradient = edges.normal_equations(R, t)
        step = np.zeros((len(cameras), 6))
        step[1:] = -np.linalg.solve(normal[6:, 6:], gradient[6:]).reshape(-1, 6)
        turn = rotvecs_to_matrices(step[:, :3])
        R, t = turn @ R, (turn @ t[..., None])[..., 0] + step[:, 3:]
        if np.abs(step).max() < AVERAGED:
            break
    return {camera: RigidTransform(*pose) for camera, *pose in zip(cameras, R, t, strict=True)}


@dataclass(frozen=True, eq=False)
class _Edges:
    """E pairs as arrays: rows of their cameras, pose, where the board was, and information."""

    first: Int[np.ndarray, "E"]
    second: Int[np.ndarray, "E"]
    R: Float[np.ndarray, "E 3 3"]
    t: Float[np.ndarray, "E 3"]
    middle: Float[np.ndarray, "E 3"]
    information: Float[np.ndarray, "E 6 6"]

    @staticmethod
    def of(cameras: Sequence[int], pairs: Sequence[PairPose]) -> _Edges:
        row = {camera: k for k, camera in enumerate(cameras)}
        return _Edges(
            np.array([row[pair.first] for pair in pairs]),
            np.array([row[pair.second] for pair in pairs]),
            np.stack([pair.pose.R for pair in pairs]),
            np.stack([pair.pose.t for pair in pairs]),
            np.stack([pair.middle for pair in pairs]),
            np.linalg.inv(np.stack([pair.covariance for pair in pairs])),
        )

    def normal_equations(
        self, R: Float[np.ndarray, "C 3 3"], t: Float[np.ndarray, "C 3"]
    ) -> tuple[Float[np.ndarray, "U U"], Float[np.ndarray, "U"]]:
        """Of the turn and shift, at the board's middle, from where each pair puts it to where the poses do."""
        R_solved = R[self.second] @ np.swapaxes(R[self.first], -1, -2)
        t_solved = t[self.second] - (R_solved @ t[self.first][..., None])[..., 0]
        inner = (np.swapaxes(self.R, -1, -2) @ (self.middle - self.t)[..., None])[..., 0]
        moved = (R_solved @ inner[..., None])[..., 0] + t_solved
        off = rotvecs_of(R_solved @ np.swapaxes(self.R, -1, -2))
        error = np.concatenate([off, moved - self.middle], axis=-1)
        information = self.information
        square = (error[:, None] @ information @ error[..., None])[:, 0, 0]
        information = information / (1 + square / (6 * SIGMAS**2))[:, None, None]
        # The second camera turns the place where the board appears, the first one the place it comes from.
        J = np.zeros((len(error), 6, 2, 6))
        J[:, :3, 0, :3] = J[:, 3:, 0, 3:] = -R_solved
        J[:, 3:, 0, :3] = R_solved @ cross_matrices(inner)
        J[:, :3, 1, :3] = J[:, 3:, 1, 3:] = np.eye(3)
        J[:, 3:, 1, :3] = -cross_matrices(moved)
        weighted = np.swapaxes(J.reshape(-1, 6, 12), -1, -2) @ information
        at = 6 * np.stack([self.first, self.second], axis=1)[..., None] + np.arange(6)
        at = at.reshape(-1, 12)
        normal, gradient = np.zeros((6 * len(R),) * 2), np.zeros(6 * len(R))
        np.add.at(normal, (at[:, :, None], at[:, None, :]), weighted @ J.reshape(-1, 6, 12))
        np.add.at(gradient, at, (weighted @ error[..., None])[..., 0])
        return normal, gradient
