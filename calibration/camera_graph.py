"""Which cameras hang together, along which pairs, and which pairs contradict the others.

Cameras are nodes and pairs with common views of the board are edges, as long as their expected error is large. Poses
follow the best paths; the pairs beside the paths check them. When one contradicts, other trees are tried and the one
stands that most pairs agree with. Pairs that still contradict are rejected, the rest is averaged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.board_motion import rotvecs_to_matrices
from calibration.camera_graph_table import PairTable
from calibration.extrinsics_pairs import PairPose
from calibration.transforms import RigidTransform

TREES = 300
"""Random trees tried after the best paths failed. Pairs that close no triangle are drawn a tenth as often: with a
quarter of the pairs of eight cameras wrong, more than half of the trees are all right."""

AVERAGING_STEPS = 20
AVERAGED = 1e-7
"""Radians and metres."""


@dataclass(frozen=True, eq=False)
class GraphSolution:
    """Poses `cam_from_rig` of one component's cameras (by index) and what became of its pairs.

    root: the camera whose axes are the rig's. used, rejected: positions in the list of pairs. tree: those the poses
    were chained along. turn (rad), shift_m: (pairs,) by how much each pair contradicts the solution, NaN for pairs of
    other components.
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
    turn, shift = np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    if not mine:
        return GraphSolution(cameras[0], {cameras[0]: RigidTransform.identity()}, (), (), (), turn, shift)
    edges = PairTable.of(cameras, [pairs[i] for i in mine])
    tree, agrees = _best_tree(edges)
    R, t = _averaged(edges.of_rows(np.flatnonzero(agrees)), *edges.chained(tree)[:2])
    turn[mine], shift[mine] = edges.contradictions(R, t)
    poses = {camera: RigidTransform(*pose) for camera, *pose in zip(cameras, R, t, strict=True)}
    used = tuple(i for i, agreed in zip(mine, agrees, strict=True) if agreed)
    rejected = tuple(i for i, agreed in zip(mine, agrees, strict=True) if not agreed)
    return GraphSolution(cameras[0], poses, tuple(sorted(mine[i] for i in tree)), used, rejected, turn, shift)


def _best_tree(edges: PairTable) -> tuple[list[int], Bool[np.ndarray, "E"]]:
    """The tree of best paths where all pairs agree with it, otherwise the one that most pairs agree with."""
    tree = _best_paths(edges, range(len(edges.first)))
    agrees = edges.agrees(tree)
    if agrees.all():
        return tree, agrees
    worth = 1.0 + edges.n_agreeing / (10.0 + edges.n_agreeing)
    best = (float(worth[agrees].sum()), tree, agrees)
    likely, rng = 0.1 + edges.triangle_share(), np.random.default_rng(0)
    for _ in range(TREES):
        tree = _spanning_tree(edges, np.argsort(rng.exponential(size=len(likely)) / likely, kind="stable"))
        agrees = edges.agrees(tree)
        if worth[agrees].sum() > best[0]:
            best = (float(worth[agrees].sum()), tree, agrees)
    # The tree that won was drawn: best paths among what agrees with it are better.
    tree = _best_paths(edges, np.flatnonzero(best[2]).tolist())
    agrees = edges.agrees(tree)
    return (tree, agrees) if worth[agrees].sum() >= best[0] else best[1:]


def _spanning_tree(edges: PairTable, order: Int[np.ndarray, "E"]) -> list[int]:
    """The first pairs of an order that tie all cameras together (Kruskal)."""
    label, tree = list(range(edges.n_cameras)), []
    for i in order.tolist():
        one, two = label[edges.first[i]], label[edges.second[i]]
        if one != two:
            label = [one if value == two else value for value in label]
            tree.append(i)
    return tree


def _best_paths(edges: PairTable, usable: Sequence[int]) -> list[int]:
    """Dijkstra's tree from the camera with the smallest sum of variances to all others."""
    neighbours: list[list[tuple[int, int]]] = [[] for _ in range(edges.n_cameras)]
    for i in usable:
        first, second = int(edges.first[i]), int(edges.second[i])
        neighbours[first].append((second, i))
        neighbours[second].append((first, i))
    trees = [_paths_from(root, neighbours, edges.shift_variance) for root in range(edges.n_cameras)]
    return min(trees, key=lambda found: found[0])[1]


def _paths_from(
    root: int, neighbours: Sequence[Sequence[tuple[int, int]]], cost: Float[np.ndarray, "E"]
) -> tuple[float, list[int]]:
    distance, through, done = {root: 0.0}, {}, set()
    while len(done) < len(distance):
        camera = min((c for c in distance if c not in done), key=lambda c: (distance[c], c))
        done.add(camera)
        for other, i in neighbours[camera]:
            reached = distance[camera] + float(cost[i])
            if other not in done and reached < distance.get(other, np.inf):
                distance[other], through[other] = reached, i
    return sum(distance.values()), list(through.values())


def _averaged(
    edges: PairTable, R: Float[np.ndarray, "C 3 3"], t: Float[np.ndarray, "C 3"]
) -> tuple[Float[np.ndarray, "C 3 3"], Float[np.ndarray, "C 3"]]:
    """Poses nearest to all agreeing pairs, weighted by their covariances (Gauss–Newton, Cauchy weights).

    The unknowns are a turn and a shift in each camera's axes, cam ← exp(w) cam + d; the first camera stands still.
    """
    for _ in range(AVERAGING_STEPS):
        normal, gradient = edges.normal_equations(R, t)
        step = np.zeros((len(R), 6))
        step[1:] = -np.linalg.solve(normal[6:, 6:], gradient[6:]).reshape(-1, 6)
        turn = rotvecs_to_matrices(step[:, :3])
        R, t = turn @ R, (turn @ t[..., None])[..., 0] + step[:, 3:]
        if np.abs(step).max() < AVERAGED:
            break
    return R, t
