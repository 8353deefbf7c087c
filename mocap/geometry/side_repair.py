"""Labels of left and right over a take: the ones that rays, time and the detector's own word together speak for.

T frames, C views, K pairs of mirrored keypoints, S = 2^C labellings. Costs are negative log-likelihoods (nats): of
distances between rays and between neighbours in time, heavy-tailed, and that of a detector exchanging sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from mocap.geometry.binary_paths import least_cost_path, settings
from mocap.geometry.side_labels import PairRays, distances, labelling_costs, nearest_points

MOST_JOINT_VIEWS = 6
"""Views labelled together, 64 labellings a frame; further ones are then labelled by the points of these."""
GEOMETRY = 2.0
"""Keypoints of a limb err together: their mean counts as that many independent ones."""
STAYING = 0.15
"""Of the cost of an exchange, that each of its frames has; the rest is for its beginning and its end. A detector that
has exchanged sides goes on so for a while, and ten frames of it are not ten accidents."""
COURSE = 0.7
"""The same for time: limbs move, and pass each other, so that a place half a step away says less than a ray."""
NEVER = 1e6


@dataclass(frozen=True)
class SideRules:
    """tolerance_m: distance at which a ray is at half weight. swap_cost: nats against a view's exchanging sides once.
    speed_m_s: at which limbs may move."""

    tolerance_m: float
    swap_cost: float
    speed_m_s: float
    fps: float


def side_labels(
    rays: PairRays,
    distance_m: Float[np.ndarray, "T C"],
    rules: SideRules,
    *,
    word: Float[np.ndarray, "T C"] | None = None,
) -> Bool[np.ndarray, "T C"]:
    """In which frames which views have left and right exchanged, for one part of one person; N of `rays` is T.

    distance_m: of the person from each camera. word: nats against each frame's being exchanged, where more is known
    than the rules say.
    """
    seen = (rays.weight > 0).any(-1).any(-1).numpy()
    word = np.where(seen, STAYING * rules.swap_cost if word is None else word, 0.0)
    change = _course_costs(rays, distance_m, rules)
    n_views = seen.shape[1]
    first = np.sort(np.argsort(-seen.sum(0), kind="stable")[:MOST_JOINT_VIEWS])
    labels = np.zeros(seen.shape, dtype=bool)
    labels[:, first] = _joint_labels(rays.views(first.tolist()), word[:, first], change[:, first], rules)
    rest = [c for c in range(n_views) if c not in set(first.tolist())]
    if rest:
        settled = rays.views(first.tolist()).labelled(torch.from_numpy(labels[:, first]))
        points = nearest_points(settled, tolerance_m=rules.tolerance_m)
        for c in rest:
            state = _single_costs(rays.views([c]), points, rules) + _word_costs(word[:, [c]])
            labels[:, c] = least_cost_path(state[:, None], change[:, None, [c]])[:, 0, 0]
    return labels & seen


def ray_distances(rays: PairRays, labels: Bool[np.ndarray, "T C"], tolerance_m: float) -> Float[np.ndarray, "T C 2"]:
    """Mean distance (m) of a view's rays from what the labelled views agree on: as it calls them, and relabelled."""
    labelled = rays.labelled(torch.from_numpy(labels))
    points = nearest_points(labelled, tolerance_m=tolerance_m)
    found = torch.stack([distances(r, points).flatten(2) for r in (rays, labelled)], dim=-2).numpy()
    there = np.isfinite(found)
    count = there.sum(-1)
    total = np.where(there, found, 0.0).sum(-1)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def _joint_labels(
    rays: PairRays, word: Float[np.ndarray, "T C"], change: Float[np.ndarray, "T C 2 2"], rules: SideRules
) -> Bool[np.ndarray, "T C"]:
    wanted = np.logical_or.reduce(word < 0, axis=-1)
    state = _geometry_costs(rays, wanted, rules) + _word_costs(word)
    return least_cost_path(state[:, None], change[:, None])[:, 0]


def _geometry_costs(rays: PairRays, wanted: Bool[np.ndarray, "T"], rules: SideRules) -> Float[np.ndarray, "T S"]:
    """Of every labelling. Where no view is so far off that an exchange could pay, and it is not wanted anyway, others
    than the given one are not looked at: they cost what the exchange costs."""
    points = nearest_points(rays, tolerance_m=rules.tolerance_m)
    own = _view_costs(rays, points, rules)
    n_states = 1 << own.shape[1]
    total = own.sum(-1)
    costs = np.repeat(total[:, None] + rules.swap_cost, n_states, axis=1)
    costs[:, [0, -1]] = total[:, None]
    doubtful = np.flatnonzero(wanted | (own > rules.swap_cost / 3).any(-1))
    if len(doubtful):
        looked_at = labelling_costs(rays.moments(torch.from_numpy(doubtful)), tolerance_m=rules.tolerance_m)
        costs[doubtful] = GEOMETRY * looked_at.numpy()
    return costs


def _view_costs(rays: PairRays, points: torch.Tensor, rules: SideRules) -> Float[np.ndarray, "T C"]:
    """What each view as it is labelled costs against given points."""
    apart = distances(rays, points) / rules.tolerance_m
    cost = torch.where(apart.isnan(), 0.0, rays.weight * torch.log1p(apart.square()))
    pairs = (rays.weight > 0).any(1).any(1).sum(-1).clamp(min=1)
    return GEOMETRY * (cost.sum((-1, -2)) / pairs[:, None]).numpy()


def _single_costs(rays: PairRays, points: torch.Tensor, rules: SideRules) -> Float[np.ndarray, "T 2"]:
    """Of one view's two labellings."""
    exchanged = rays.labelled(torch.ones(len(rays.weight), 1, dtype=torch.bool))
    return np.concatenate([_view_costs(r, points, rules) for r in (rays, exchanged)], axis=-1)


def _word_costs(word: Float[np.ndarray, "T C"]) -> Float[np.ndarray, "T S"]:
    return word @ settings(word.shape[1]).T.astype(np.float64)


def _course_costs(
    rays: PairRays, distance_m: Float[np.ndarray, "T C"], rules: SideRules
) -> Float[np.ndarray, "T C 2 2"]:
    """Of a view keeping or changing its labels against where it last saw the same; not told where it sees nothing."""
    directions, weight = rays.directions.numpy(), rays.weight.numpy()
    n_frames = len(weight)
    frame = np.arange(n_frames)[:, None, None]
    both = (weight > 0).all(2)  # (T, C, K)
    last = np.maximum.accumulate(np.where(both, frame, -1), axis=0)
    last = np.concatenate([np.full_like(last[:1], -1), last[:-1]])[:n_frames]
    known = both & (last >= 0)
    view, pair = np.arange(directions.shape[1])[:, None], np.arange(directions.shape[3])
    earlier = directions[np.maximum(last, 0), view, :, pair]  # (T, C, K, 2, 3)
    now = directions.transpose(0, 1, 3, 2, 4)
    age_s = np.where(known, frame - last, 1) / rules.fps
    spread = np.sqrt(rules.tolerance_m**2 + (rules.speed_m_s * age_s) ** 2)
    costs = []
    for old in (earlier, earlier[..., ::-1, :]):
        moved = np.linalg.norm(now - old, axis=-1) * distance_m[:, :, None, None] / spread[..., None]
        costs.append(np.where(known, np.log1p(moved**2).sum(-1), 0.0).sum(-1) / np.maximum(known.sum(-1), 1))
    seen = (weight > 0).any((2, 3))
    keep, change = COURSE * costs[0], np.where(seen, COURSE * costs[1] + rules.swap_cost / 2, NEVER)
    return np.stack([np.stack([keep, change], -1), np.stack([change, keep], -1)], -2)
