"""Which formula a lens gets: the one that predicts views it was not fitted to.

Brown–Conrady stays unless another model is better by more than chance and by an amount that matters. Models that fit
the views no better by that amount are out at once. The rest are fitted to all folds but one; in the fold left out only
the poses are fitted, and what remains is scored, cut off at the outlier limit of the best model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from calibration.intrinsics_fit import BROWN, FISHEYE, RATIONAL, FittedLens, LensModel
from calibration.intrinsics_prior import intrinsics_from
from calibration.intrinsics_solver import ROUGH, LensFit, distances, solve
from calibration.intrinsics_views import ViewTable
from calibration.lenses import Lens

CANDIDATES: Mapping[str, tuple[LensModel, ...]] = {
    "auto": (BROWN, FISHEYE, RATIONAL),
    "brown_conrady": (BROWN,),
    "rational": (RATIONAL,),
    "fisheye": (FISHEYE,),
}

CHANCE = 0.005
"""Probability at which a mean difference between two models over views (Student's t) counts as none of chance."""

WORTH = 0.01
"""Share of the squared error that another model has to save; below, the picture's corners move by less than the noise
of one corner, and three more coefficients only make others less certain."""


def held_out_errors(
    fitted: FittedLens, everything: ViewTable, *, folds: int, limit_px: float
) -> Float[np.ndarray, "V"]:
    """Mean squared distance, px², in every view of `everything` when the lens is fitted to other folds; distances count
    up to `limit_px`. Views that the model dropped count that much."""
    rows = _rows_in(fitted, everything)
    score = np.full(len(everything), limit_px**2)
    fold = np.argsort(np.argsort(everything.frame, kind="stable"), kind="stable")[rows] % folds
    fixed = np.zeros(len(fitted.fit.parameters), dtype=bool)
    for index in range(folds):
        out = fold == index
        if not out.any() or (~out).sum() < 2:
            continue
        trained = _of_views(fitted, ~out)
        inner = solve(trained.table, trained.fit, fitted.prior, noise_px=fitted.sigma_px, effort=ROUGH)
        left = _of_views(fitted, out)
        start = replace(left.fit, parameters=inner.parameters)
        seen = solve(left.table, start, fitted.prior, noise_px=1.0, free=fixed, effort=ROUGH)
        score[rows[out]] = _limited(left.table, seen, limit_px)
    return score


def _own_errors(fitted: FittedLens, everything: ViewTable, limit_px: float) -> Float[np.ndarray, "V"]:
    """The same score in the views that the lens was fitted to."""
    score = np.full(len(everything), limit_px**2)
    score[_rows_in(fitted, everything)] = _limited(fitted.table, fitted.fit, limit_px)
    return score


def _limited(table: ViewTable, fit: LensFit, limit_px: float) -> Float[np.ndarray, "V"]:
    squared = np.where(table.present, np.minimum(distances(table, fit), limit_px) ** 2, 0.0)
    return squared.sum(axis=1) / table.present.sum(axis=1)


def _rows_in(fitted: FittedLens, everything: ViewTable) -> Int[np.ndarray, "n"]:
    """Where the views of a fit stand among all."""
    order = np.argsort(everything.view)
    return order[np.searchsorted(everything.view[order], fitted.table.view)]


def _of_views(fitted: FittedLens, rows: np.ndarray) -> FittedLens:
    fit = fitted.fit
    return replace(fitted, table=fitted.table.of(rows), fit=LensFit(fit.lens, fit.parameters, fit.R[rows], fit.t[rows]))


def choose(
    fits: Sequence[FittedLens], everything: ViewTable, *, folds: int, outlier_sigmas: float | int
) -> tuple[FittedLens, dict[str, float]]:
    """The fit to take, and the RMS error on held-out views of those in question; the first is the usual one."""
    limit = float(outlier_sigmas) * min(one.sigma_px for one in fits)
    own = [float(_own_errors(one, everything, limit).mean()) for one in fits]
    rivals = [one for one, error in zip(fits, own, strict=True) if error < (1 - WORTH) * own[0]]
    tried = [fits[0], *(rivals if covers_window(fits[0]) else fits[1:])]
    scores = {one.model.name: held_out_errors(one, everything, folds=folds, limit_px=limit) for one in tried}
    best = tried[0]
    for other in tried[1:]:
        mine, theirs = scores[best.model.name], scores[other.model.name]
        if covers_window(best) == covers_window(other):
            take = _is_better(theirs, mine)
        else:
            take = covers_window(other) and not _is_better(mine, theirs)
        best = other if take else best
    return best, {name: float(np.sqrt(score.mean())) for name, score in scores.items()}


def _is_better(other: Float[np.ndarray, "V"], best: Float[np.ndarray, "V"]) -> bool:
    saved = best - other
    if len(saved) < 2 or saved.mean() <= WORTH * best.mean():
        return False
    error = float(saved.std(ddof=1)) / np.sqrt(len(saved))
    return bool(saved.mean() > stats.t.isf(CHANCE, len(saved) - 1) * error)


def covers_window(fitted: FittedLens) -> bool:
    """Whether every pixel up to the corners has a ray. A fisheye's picture may end within the frame; another lens's
    polynomial that turns back there has been bent by corners elsewhere."""
    if fitted.model.lens is Lens.FISHEYE:
        return True
    window = fitted.table.window
    ways = np.array([[x, y] for x in (-0.5, 0.5) for y in (-0.5, 0.5)])
    corners = np.array([window.x, window.y]) + ways * np.array([window.width, window.height])
    lens = intrinsics_from(fitted.fit.parameters, fitted.table.image_size, fitted.model.lens)
    return bool(np.isfinite(lens.ray(corners)).all())
