"""One lens fitted to a table of views: a start out of nothing, outliers found, least squares over the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from calibration.intrinsics_prior import intrinsics_from
from calibration.intrinsics_solver import (
    ROUGH,
    Effort,
    LensFit,
    Linearised,
    WeakPrior,
    cost_of,
    distances,
    linearise,
    residuals,
    solve,
)
from calibration.intrinsics_views import ViewTable, Window, mirrored_poses, poses_from_rays
from calibration.lenses import Lens

MEDIAN_OF_RAYLEIGH = 1.1774
"""Median length of a vector of two normal numbers of deviation 1."""

REDESCENDING = 3.0
"""Deviations at which a corner's weight is a quarter, while outliers are being found."""

ROBUST_ROUNDS = 3
BAD_VIEW = 4.0
"""Views whose median error is so many times that of the median view are left out."""

FOCAL_STARTS = {Lens.BROWN_CONRADY: (0.45, 0.75, 1.2, 2.0, 4.0), Lens.FISHEYE: (0.22, 0.33, 0.5, 0.8, 1.4)}
"""Of the larger side of the picture: 96° to 14° across for one, 260° to 41° for the other."""

PROMISING = 2
"""Focal lengths that are followed with all coefficients, after steps with one."""

POWERS = {Lens.BROWN_CONRADY: (2, 4, 1, 1, 6, 2, 4, 6), Lens.FISHEYE: (2, 4, 6, 8)}
"""Of the radius, by which the displacement relative to the radius grows with each coefficient."""

TYPICAL = {
    "brown_conrady": (0.4, 0.4, 0.005, 0.005, 0.3),
    "rational": (2.0, 2.0, 0.005, 0.005, 2.0, 2.0, 2.0, 2.0),
    "fisheye": (0.3, 0.2, 0.2, 0.1),
}
"""Standard deviations of what the coefficients do at the picture's corner, as shares of its radius; those of the
rational model cancel each other and are larger."""

ANYTHING = 100.0


@dataclass(frozen=True)
class LensModel:
    """A formula with so many coefficients; `typical`: of the sizes that real lenses have."""

    name: str
    lens: Lens
    coefficients: int
    typical: bool = True


BROWN = LensModel("brown_conrady", Lens.BROWN_CONRADY, 5)
RATIONAL = LensModel("rational", Lens.BROWN_CONRADY, 8)
FISHEYE = LensModel("fisheye", Lens.FISHEYE, 4)


@dataclass(frozen=True, eq=False)
class FittedLens:
    """A fit with the views and corners (weight 1) that it rests on.

    sigma_px: standard deviation of either coordinate of a used corner. dropped: view -> reason.
    """

    model: LensModel
    table: ViewTable
    fit: LensFit
    prior: WeakPrior
    sigma_px: float
    dropped: dict[int, str]

    def error_px(self) -> Float[np.ndarray, "V K"]:
        """Distance of every corner from where it should be; 0 where there is none."""
        return distances(self.table, self.fit)

    def linearised(self) -> Linearised:
        """The normal equations at the fit."""
        return linearise(self.table, self.fit)


def lens_prior(window: Window, focal_px: float, model: LensModel) -> WeakPrior:
    """What is known of any lens, to keep systems solvable that the views leave open.

    The focal length of a `typical` lens is within a few widths of the picture, its axis meets the middle half, and its
    coefficients displace the picture's corner by shares of its radius that real lenses have (k1 -0.2, p1 0.002, at
    corners of 0.6 to 1.1, are common): where no corner was seen the polynomial then does not run away.
    """
    corner = float(np.hypot(window.width, window.height)) / 2 / focal_px
    corner = corner if model.lens is Lens.BROWN_CONRADY else min(corner, np.pi)
    powers = POWERS[model.lens][: model.coefficients]
    shares = TYPICAL[model.name] if model.typical else (ANYTHING,) * len(powers)
    spread = [share / corner**power for share, power in zip(shares, powers, strict=True)]
    wide = 1.0 if model.typical else ANYTHING
    focal, aside, down = wide * np.array([3.0 * window.longer, window.width / 4, window.height / 4])
    deviation = np.array([focal, focal, aside, down, *spread])
    return WeakPrior(np.array([focal_px, focal_px, window.x, window.y, *np.zeros(len(powers))]), deviation**-2)


def started(table: ViewTable, model: LensModel) -> LensFit | None:
    """A lens without any knowledge: the best of some focal lengths, each with the poses that follow from it; None
    where no such lens images all corners."""
    base = BROWN if model.lens is Lens.BROWN_CONRADY else FISHEYE
    few = np.isin(np.arange(4 + base.coefficients), (0, 1, 4))
    begun = []
    for share in FOCAL_STARTS[model.lens]:
        prior = lens_prior(table.window, share * table.window.longer, base)
        begun.append(_bettered(table, posed(table, prior.mean, base.lens), prior, few))
    begun.sort(key=lambda tried: tried[0])
    finished = [_bettered(table, fit, prior, ~np.zeros_like(few)) for _, fit, prior in begun[:PROMISING]]
    cost, fit, _ = min(finished, key=lambda tried: tried[0])
    return extended(fit, model) if np.isfinite(cost) else None


def extended(fit: LensFit, model: LensModel) -> LensFit:
    """The same lens with the coefficients that the model has more, at zero."""
    missing = 4 + model.coefficients - len(fit.parameters)
    return LensFit(fit.lens, np.concatenate([fit.parameters, np.zeros(missing)]), fit.R, fit.t)


def _bettered(
    table: ViewTable, fit: LensFit, prior: WeakPrior, free: Bool[np.ndarray, "P"]
) -> tuple[float, LensFit, WeakPrior]:
    """Mean error (px, with an upper limit for outliers) after some steps; infinite where the start images nothing."""
    weighted = table.weighted(robust_weight(table, fit)[0])
    if not np.isfinite(cost_of(weighted, fit)):
        return np.inf, fit, prior
    fit = solve(weighted, fit, prior, noise_px=1.0, free=free, effort=ROUGH)
    error = distances(table, fit)[table.present]
    return float(np.minimum(error, 5 * np.median(error)).mean()), fit, prior


def posed(table: ViewTable, parameters: Float[np.ndarray, "P"], lens: Lens) -> LensFit:
    """A given lens with the poses that the rays to the corners give, unrefined."""
    rays = intrinsics_from(parameters, table.image_size, lens).ray(table.xy)
    return LensFit(lens, parameters, *poses_from_rays(table, rays))


def refined_poses(table: ViewTable, parameters: Float[np.ndarray, "P"], lens: Lens) -> LensFit:
    """A given lens with the poses that fit the corners best."""
    fit = posed(table, parameters, lens)
    prior = WeakPrior(parameters, np.zeros_like(parameters))
    return unmirrored(table.weighted(robust_weight(table, fit)[0]), fit, prior)


def robust_sigma(error_px: Float[np.ndarray, "n"]) -> float:
    """Standard deviation of a coordinate from the median of the distances."""
    finite = error_px[np.isfinite(error_px)]
    return max(float(np.median(finite)) / MEDIAN_OF_RAYLEIGH, 1e-6) if len(finite) else 1e-6


def robust_weight(table: ViewTable, fit: LensFit) -> tuple[Float[np.ndarray, "V K"], float]:
    """Weights that fall with the distance, 1 / (1 + (d / 3 sigma)²)² (Geman & McClure 1985), and sigma, px."""
    error = distances(table, fit)
    sigma = robust_sigma(error[table.present])
    return np.where(table.present, 1 / (1 + (error / (REDESCENDING * sigma)) ** 2) ** 2, 0.0), sigma


def fit_lens(table: ViewTable, start: LensFit, model: LensModel, *, outlier_sigmas: float | int) -> FittedLens:
    """Least squares over the corners that are no outliers, of the views that fit as a whole."""
    prior = lens_prior(table.window, float(start.parameters[:2].mean()), model)
    fit, sigma = start, 1.0
    for round_index in range(ROBUST_ROUNDS):
        weight, sigma = robust_weight(table, fit)
        fit = solve(table.weighted(weight), fit, prior, noise_px=sigma, effort=ROUGH)
        fit = unmirrored(table.weighted(weight), fit, prior) if round_index == 0 else fit
    keep, dropped = fitting_views(table, fit)
    table, fit = table.of(keep), LensFit(fit.lens, fit.parameters, fit.R[keep], fit.t[keep])
    for _ in range(2):
        table, fit, thin = _without_outliers(table, fit, outlier_sigmas)
        dropped |= thin
        fit = solve(table, fit, prior, noise_px=sigma)
        sigma = _sigma(table, fit)
    return FittedLens(model, table, fit, prior, sigma, dropped)


def unmirrored(table: ViewTable, fit: LensFit, prior: WeakPrior) -> LensFit:
    """With the other of the two poses that look alike from afar, in views that it explains better."""
    fixed = np.zeros(len(fit.parameters), dtype=bool)
    here = solve(table, fit, prior, noise_px=1.0, free=fixed, effort=Effort(3, 1e-3))
    other = LensFit(fit.lens, fit.parameters, *mirrored_poses(fit.R, fit.t))
    if not np.isfinite(cost_of(table, other)):
        return here
    other = solve(table, other, prior, noise_px=1.0, free=fixed, effort=Effort(6, 1e-3))
    costs = [np.einsum("vk,vki->v", table.weight, residuals(table, one) ** 2) for one in (here, other)]
    better = costs[1] < costs[0]
    return LensFit(
        fit.lens,
        fit.parameters,
        np.where(better[:, None, None], other.R, here.R),
        np.where(better[:, None], other.t, here.t),
    )


def fitting_views(
    table: ViewTable, fit: LensFit, times: float = BAD_VIEW
) -> tuple[Bool[np.ndarray, "V"], dict[int, str]]:
    """Which views have less than so many times the median error of the median view, and what is wrong with the rest."""
    error = distances(table, fit)
    median = np.array([np.median(row[there]) for row, there in zip(error, table.present, strict=True)])
    usual = float(np.median(median))
    bad = median > times * max(usual, 1e-6)
    reasons = {
        int(table.view[v]): f"its corners are {median[v]:.1f} px off, those of other views {usual:.1f} px"
        for v in np.flatnonzero(bad)
    }
    return ~bad, reasons


def _without_outliers(
    table: ViewTable, fit: LensFit, outlier_sigmas: float | int
) -> tuple[ViewTable, LensFit, dict[int, str]]:
    """Weights 1 and 0; views with fewer than four corners left go."""
    error = distances(table, fit)
    fine = table.present & (error <= float(outlier_sigmas) * robust_sigma(error[table.present]))
    enough = fine.sum(axis=1) >= 4
    reasons = {int(v): "nearly all of its corners are outliers" for v in table.view[~enough]}
    kept = table.weighted(fine.astype(float)).of(enough)
    return kept, LensFit(fit.lens, fit.parameters, fit.R[enough], fit.t[enough]), reasons


def _sigma(table: ViewTable, fit: LensFit) -> float:
    freedom = 2 * float(table.weight.sum()) - 6 * len(table) - len(fit.parameters)
    return float(np.sqrt(2 * cost_of(table, fit) / max(freedom, 1.0)))
