"""How far the numbers of a bundle adjustment can be trusted, when corners do not err alone.

Groups of corners are blocks of moments that follow each other, and the corners of the board (`grouped_errors`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.bundle_linear import knots_by_cameras, products, solve
from calibration.bundle_parameters import OFFSET
from calibration.bundle_problem import Problem, gauge_directions, gauge_metric, placed_views, predicted_views
from calibration.bundle_solver import Descent, scaled_gauge, viewing_distance
from calibration.bundle_views import CameraViews
from calibration.grouped_errors import FEWEST_BLOCKS, MOST_BLOCKS, Pulls, grouped_covariance


def covariance_of(problem: Problem, final: Descent) -> Float[np.ndarray, "P P"]:
    """Of the P numbers, in the gauge in which the rig as a whole neither turns nor shifts."""
    if not len(problem.parameters):
        return np.zeros((0, 0))
    held = scaled_gauge(problem, final.state, final.at)
    total = solve(final.at.normal, held).reduced + held @ held.T
    covariance = grouped_covariance(total, _pulls(problem, final))
    distance = viewing_distance(final.state)
    free = gauge_directions(problem.parameters, final.state, distance)
    without = np.eye(len(total)) - (free @ free.T) * gauge_metric(problem.parameters, distance)
    covariance = without @ covariance @ without.T
    return (covariance + covariance.T) / 2


def _pulls(problem: Problem, final: Descent) -> list[Pulls]:
    """By blocks of moments, and by corners of the board, where there are enough of either. Every corner of the board is
    seen from everywhere, so its share of the information is that of the corners seen."""
    knots = final.state.knots
    blocks = min(MOST_BLOCKS, len(knots) // 2)
    rank = np.argsort(np.argsort(knots.time_s, kind="stable"), kind="stable")
    corners = 1 + max(int(it.ids.max(initial=0)) for it in problem.views)
    sums = _Sums(len(problem.parameters), rank * max(blocks, 1) // len(knots), (max(blocks, 1), corners))
    follow = knots_by_cameras(final.at.normal)
    for index in range(len(problem.views)):
        if len(problem.views[index].views):
            _add_camera(sums, _felt(problem, final, index, follow), problem.views[index])
    groups, seen = [], sums.seen > 0
    if blocks >= FEWEST_BLOCKS:
        groups.append(Pulls(sums.by_block, sums.information))
    if np.count_nonzero(seen) >= FEWEST_BLOCKS:
        share = sums.seen[seen] / sums.seen.sum()
        groups.append(Pulls(sums.by_corner[seen], share[:, None, None] * sums.information.sum(axis=0)))
    return groups


class _Sums:
    """Gathered camera by camera. block: of every knot."""

    def __init__(self, numbers: int, block: Int[np.ndarray, "K"], counts: tuple[int, int]) -> None:
        self.block = block
        self.by_block = np.zeros((counts[0], numbers))
        self.information = np.zeros((counts[0], numbers, numbers))
        self.by_corner = np.zeros((counts[1], numbers))
        self.seen = np.zeros(counts[1])


@dataclass(frozen=True, eq=False)
class _Felt:
    """What the corners of a camera say of the local numbers of its views, and how these depend on the P numbers when
    motion and times follow. pull: (V, L, S); information: (V, L, L); maps: (V, L, P)."""

    pull: Float[np.ndarray, "V L S"]
    information: Float[np.ndarray, "V L L"]
    maps: Float[np.ndarray, "V L P"]
    counting: Bool[np.ndarray, "V S"]


def _felt(problem: Problem, final: Descent, index: int, follow: Float[np.ndarray, "K D P"]) -> _Felt:
    it, camera, columns = problem.views[index], final.state.cameras[index], problem.parameters.columns[index]
    placed = placed_views(problem, it, camera, final.state.knots)
    predicted = predicted_views(it, camera, placed, columns)
    counting = problem.kernel.kept[it.rows] & predicted.valid
    squared = (predicted.residual**2).sum(axis=1)
    weight = np.where(counting, problem.kernel.weights(squared), 0.0)[:, None] / problem.kernel.noise_px**2
    pull = (predicted.jacobian * (weight * predicted.residual)[:, None]).sum(axis=2)
    flat = predicted.jacobian.reshape(*predicted.jacobian.shape[:2], -1)
    information = (predicted.jacobian * weight[:, None]).reshape(flat.shape) @ np.swapaxes(flat, 1, 2)
    free, own = np.flatnonzero(columns >= 0), len(columns)
    by_camera, by_knot = predicted.maps[:, :, free], predicted.maps[:, :, own:]
    late = final.at.lateness[index]
    if late is not None:
        by_time = (predicted.maps[:, :, own + OFFSET] / late.information[:, None])[:, :, None]
        by_camera = by_camera - by_time * late.by_camera[:, None]
        by_knot = by_knot - by_time * late.by_knot[:, None]
    size = follow.shape[1]
    maps = -(by_knot[:, :, :size] @ follow[placed.first])
    if by_knot.shape[2] > size:
        maps -= by_knot[:, :, size:] @ follow[placed.second]
    maps[:, :, columns[free]] += by_camera
    return _Felt(pull, information, maps, counting)


def _add_camera(sums: _Sums, felt: _Felt, it: CameraViews) -> None:
    each = np.swapaxes(felt.pull, 1, 2) @ felt.maps
    np.add.at(sums.by_block, sums.block[it.row], each.sum(axis=1))
    np.add.at(sums.by_corner, it.ids[felt.counting], each[felt.counting])
    np.add.at(sums.seen, it.ids[felt.counting], 1)
    toward = felt.information @ felt.maps
    wide = felt.maps.shape[2]
    for block in np.unique(sums.block[it.row]):
        mine = sums.block[it.row] == block
        sums.information[block] += products(felt.maps[mine].reshape(-1, wide), toward[mine].reshape(-1, wide))
