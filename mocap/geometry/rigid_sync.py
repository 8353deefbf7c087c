"""Shifts of two cameras whose relative pose nobody knows yet, from a rigid thing that each of them locates.

Where the shift is right, one rigid motion takes the points as camera b has them to where camera a has them, at all
moments (Procrustes; Umeyama 1991 without scale). The score of a shift is minus the logarithm of what is left over.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.geometry.shift_search import Curve

FLOOR_M = 0.003
"""Residuals below this tell nothing: no board is located better."""
LEAST_SHARE = 0.15
"""Of the largest overlap: shifts with less have the score of the worst."""
OUTLIER = 3.0
"""Times the median distance."""


@dataclass(frozen=True, eq=False)
class PointTracks:
    """Points of a rigid thing in a camera's axes, m, on an even grid of its stamps: (N, K, 3), NaN where unseen."""

    start_s: float
    step_s: float
    points: Float[np.ndarray, "N K 3"]


def rigid_scores(
    a: PointTracks, b: PointTracks, *, around_s: float, search_s: float, most_samples: int
) -> Curve | None:
    """Offsets (stamp of b less stamp of a) and the score of each, in standard deviations above the median; None where
    the two never see the thing together."""
    step = a.step_s
    first = int(np.ceil((around_s - search_s - b.start_s + a.start_s) / step))
    last = int(np.floor((around_s + search_s - b.start_s + a.start_s) / step))
    shift = np.arange(first, last + 1)
    moments = np.flatnonzero(np.isfinite(a.points).all((1, 2)))
    if len(moments) > most_samples:
        moments = moments[np.linspace(0, len(moments) - 1, most_samples).round().astype(np.int64)]
    there = np.asarray(np.isfinite(b.points).all((1, 2)))
    left, count = _left_over(a.points[moments], np.nan_to_num(b.points), there, moments, shift)
    enough = count >= max(LEAST_SHARE * count.max(initial=0), 3)
    if not enough.any():
        return None
    score = -np.log(np.maximum(left, 0) + FLOOR_M**2)
    score = np.where(enough, score, score[enough].min()) - np.median(score[enough])
    return b.start_s - a.start_s + step * shift, score / max(float(score[enough].std()), 1e-9)


def _left_over(
    a: Float[np.ndarray, "M K 3"],
    b: Float[np.ndarray, "N K 3"],
    there: Bool[np.ndarray, "N"],
    moments: Int[np.ndarray, "M"],
    shift: Int[np.ndarray, "L"],
) -> tuple[Float[np.ndarray, "L"], Int[np.ndarray, "L"]]:
    """Mean squared distance (m²) that the best rigid motion leaves at every shift, and moments it is over. Points of a
    moment move together, so that sums over them are enough."""
    k = a.shape[1]
    index = moments + shift[:, None]
    inside = (index >= 0) & (index < len(b))
    index = np.where(inside, index, 0)
    known = (inside & there[index]).astype(np.float64)
    count = known.sum(1)
    n = np.maximum(k * count, 1)
    sum_a = known @ a.sum(1)
    sum_b = np.einsum("lm,lmi->li", known, b.sum(1)[index])
    square = known @ (a**2).sum((1, 2)) + np.einsum("lm,lm->l", known, (b**2).sum((1, 2))[index])
    cross = np.zeros((len(shift), 3, 3))
    for point in range(k):
        cross += np.einsum("mi,lm,lmj->lij", a[:, point], known, b[index, point])
    cross -= sum_a[:, :, None] * sum_b[:, None] / n[:, None, None]
    square -= ((sum_a**2).sum(1) + (sum_b**2).sum(1)) / n
    values = np.linalg.svd(cross, compute_uv=False)
    values[:, 2] *= np.sign(np.linalg.det(cross))
    return (square - 2 * values.sum(1)) / n, count.astype(np.int64)


def rigid_motion(
    a: Float[np.ndarray, "N 3"], b: Float[np.ndarray, "N 3"]
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, "3"], float]:
    """R, t with a = R b + t, and the median distance left, m; twice more without what is far off."""
    keep = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    a, b = a[keep], b[keep]
    keep = np.ones(len(a), dtype=bool)
    R, t, away = np.eye(3), np.zeros(3), np.full(len(a), np.inf)
    for _ in range(3):
        middle_a, middle_b = a[keep].mean(0), b[keep].mean(0)
        U, _, V = np.linalg.svd((a[keep] - middle_a).T @ (b[keep] - middle_b))
        R = U @ np.diag([1.0, 1.0, np.linalg.det(U @ V)]) @ V
        t = middle_a - R @ middle_b
        away = np.linalg.norm(a - b @ R.T - t, axis=1)
        keep = away <= max(OUTLIER * float(np.median(away)), 1e-9)
    return R, t, float(np.median(away))
