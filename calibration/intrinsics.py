"""The lens of every camera from its own views of a board.

Of all views some are chosen (`view_selection`), every formula in question is fitted to them (`intrinsics_fit`),
held-out views decide between formulas (`intrinsics_choice`), and the result says how far it can be trusted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from calibration.camera import Intrinsics
from calibration.errors import CalibrationError
from calibration.intrinsics_choice import CANDIDATES, choose
from calibration.intrinsics_fit import (
    BROWN,
    FISHEYE,
    FittedLens,
    LensModel,
    extended,
    fit_lens,
    fitting_views,
    lens_prior,
    posed,
    refined_poses,
    robust_weight,
    started,
)
from calibration.intrinsics_prior import IntrinsicsPrior
from calibration.intrinsics_result import IntrinsicsConfig, IntrinsicsResult, UnobservableIntrinsicsError
from calibration.intrinsics_solver import LensFit, distances, linearise
from calibration.intrinsics_summary import CalibratedLens, known_result, result_of
from calibration.intrinsics_uncertainty import covariance_of, coverage_of
from calibration.intrinsics_verdict import UNFIT_SIGMA, UNOBSERVABLE, footage_to_add
from calibration.intrinsics_views import ViewTable, Window, table_of_views
from calibration.lenses import Lens
from calibration.observations import BoardObservations
from calibration.view_selection import informative_views, spread_views, view_signatures

__all__ = [
    "IntrinsicsConfig",
    "IntrinsicsPrior",
    "IntrinsicsResult",
    "UnobservableIntrinsicsError",
    "calibrate_intrinsics",
]

START_VIEWS = 16
MISPLACED_VIEW = 10.0
"""Times the usual error, before the lens is known: views at the picture's edges, where it fits worst, must stay."""

SMALL_PART = 0.25
CLEARLY = 0.8
"""Errors smaller by this factor are no chance: they are medians of some hundred corners, known to a tenth."""

FEWEST_VIEWS = 3
"""Two views of a plane give four equations for fx, fy, cx, cy and leave nothing to tell a bent lens by."""


def calibrate_intrinsics(
    observations: BoardObservations,
    config: IntrinsicsConfig | None = None,
    known: Mapping[str, Intrinsics] | None = None,
) -> dict[str, IntrinsicsResult]:
    """A lens for every camera of the observations, in their order.

    `known` lenses are taken as they are (resized to the pictures), with a sentence where the views contradict them.
    Raises UnobservableIntrinsicsError, naming every camera whose views do not determine its lens.
    """
    config = IntrinsicsConfig() if config is None else config
    known = {} if known is None else known
    results: dict[str, IntrinsicsResult] = {}
    refusals: list[UnobservableIntrinsicsError] = []
    for group in _groups(observations, config, known):
        try:
            if group[0] in known:
                results[group[0]] = known_result(observations, group[0], known[group[0]], config)
            else:
                results |= _calibrated(observations, group, config)
        except UnobservableIntrinsicsError as refusal:
            refusals.append(refusal)
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise UnobservableIntrinsicsError("\n".join(str(refusal) for refusal in refusals))
    return {name: results[name] for name in observations.cameras}


def _groups(
    observations: BoardObservations, config: IntrinsicsConfig, known: Mapping[str, Intrinsics]
) -> list[tuple[str, ...]]:
    """Cameras that get one lens, in the order of their first one; known cameras stand alone."""
    shared = [tuple(name for name in group if name not in known) for group in config.shared]
    sizes = dict(zip(observations.cameras, observations.image_sizes, strict=True))
    for group in shared:
        for name in group:
            observations.index(name)
        if len({sizes[name] for name in group}) > 1:
            raise CalibrationError(
                f"cameras {', '.join(group)} are to share one lens, but their pictures differ in size",
                remedy="Share intrinsics between cameras of the same make and setting only.",
            )
    of_camera = {name: group for group in shared for name in group}
    return list(dict.fromkeys(of_camera.get(name, (name,)) for name in observations.cameras))


def _calibrated(
    observations: BoardObservations, cameras: tuple[str, ...], config: IntrinsicsConfig
) -> dict[str, IntrinsicsResult]:
    table, useless = table_of_views(observations, cameras, config.min_corners)
    _check_enough(cameras, len(table), useless)
    models = tuple(replace(model, typical=config.typical) for model in CANDIDATES[config.lens])
    starts = _start(table, models)
    first = min(starts.values(), key=lambda start: start.error_px)
    chosen, misfits = _chosen_views(table.within(first.window), first.fit, config.max_views)
    fits = _fits(chosen, models, starts, config)
    best, held_out = choose(fits, chosen, folds=config.folds, outlier_sigmas=config.outlier_sigmas)
    covariance = covariance_of(best)
    _check_observable(cameras, best, covariance)
    dropped = useless | misfits | best.dropped
    whole = CalibratedLens(best, covariance, held_out, dropped)
    return {name: result_of(observations, name, whole) for name in cameras}


def _check_enough(cameras: tuple[str, ...], count: int, useless: Mapping[int, str]) -> None:
    if count >= FEWEST_VIEWS:
        return
    name = ", ".join(cameras)
    if not count and not useless:
        what = f"camera {name} never sees the board"
    else:
        few = f", and {len(useless)} with too few corners" if useless else ""
        what = f"camera {name} has {count} usable views of the board{few}: no lens can be told from that"
    raise UnobservableIntrinsicsError(
        what,
        remedy=f"Add footage in which it sees the board from {FEWEST_VIEWS} sides or more (20 are better), near and "
        "tilted; or give its intrinsics; or let it share those of a camera of the same make.",
    )


def _check_observable(cameras: tuple[str, ...], best: FittedLens, covariance: Float[np.ndarray, "P P"]) -> None:
    if best.sigma_px > UNFIT_SIGMA * best.table.window.longer:
        raise UnobservableIntrinsicsError(
            f"camera {', '.join(cameras)}: no lens puts the corners of these {len(best.table)} views where they were "
            f"seen, they are {best.sigma_px:.0f} px off",
            remedy="Check the board's description: the number of its squares, its dictionary and its layout.",
        )
    relative = float((np.sqrt(np.diag(covariance)[:2]) / best.fit.parameters[:2]).max())
    if relative <= UNOBSERVABLE:
        return
    coverage = coverage_of(best.table.xy[best.table.weight > 0], best.table.image_size)
    raise UnobservableIntrinsicsError(
        f"camera {', '.join(cameras)}: its focal length cannot be told from these {len(best.table)} views, in which "
        f"others that differ by {min(relative, 1.0):.0%} fit as well",
        remedy=footage_to_add(best, coverage, tilt=True),
    )


@dataclass(frozen=True, eq=False)
class _Start:
    """A first fit, the median distance of the corners that it leaves (px), and where the axis was expected."""

    error_px: float
    fit: LensFit
    window: Window


def _start(table: ViewTable, models: tuple[LensModel, ...]) -> dict[Lens, _Start]:
    """A first fit of each kind of lens to some views that differ.

    Where corners fill a small part of the picture the axis is looked for there too: recordings of screens and padded
    clips show the camera's picture in a corner of a larger one.
    """
    some = table.of(spread_views(view_signatures(table), START_VIEWS))
    kinds = [FISHEYE if lens is Lens.FISHEYE else BROWN for lens in dict.fromkeys(m.lens for m in models)]
    starts = _starts_within(some, kinds)
    seen = Window.around(table.xy[table.present])
    if seen.width * seen.height < SMALL_PART * table.window.width * table.window.height:
        inner = _starts_within(some.within(seen), kinds)
        if _least(inner) < CLEARLY * _least(starts):
            return inner
    if not starts:
        raise UnobservableIntrinsicsError(
            f"no {' or '.join(kind.name for kind in kinds)} lens explains where the corners are in {len(some)} views",
            remedy="Check the board's description, or choose another lens.",
        )
    return starts


def _starts_within(some: ViewTable, kinds: list[LensModel]) -> dict[Lens, _Start]:
    fits = {kind.lens: started(some, kind) for kind in kinds}
    return {
        lens: _Start(float(np.median(distances(some, fit)[some.present])), fit, some.window)
        for lens, fit in fits.items()
        if fit is not None
    }


def _least(starts: Mapping[Lens, _Start]) -> float:
    return min((start.error_px for start in starts.values()), default=np.inf)


def _chosen_views(table: ViewTable, start: LensFit, count: int) -> tuple[ViewTable, dict[int, str]]:
    """The views that say most about the lens, of those that fit it."""
    model = FISHEYE if start.lens is Lens.FISHEYE else BROWN
    prior = lens_prior(table.window, float(start.parameters[:2].mean()), model)
    fit = refined_poses(table, start.parameters, start.lens)
    keep, dropped = fitting_views(table, fit, MISPLACED_VIEW)
    table, fit = table.of(keep), LensFit(fit.lens, fit.parameters, fit.R[keep], fit.t[keep])
    weight, sigma = robust_weight(table, fit)
    information = linearise(table.weighted(weight), fit).information / sigma**2
    base = np.diag(prior.information)
    return table.of(informative_views(information, view_signatures(table), base, count)), dropped


def _fits(
    table: ViewTable, models: tuple[LensModel, ...], starts: Mapping[Lens, _Start], config: IntrinsicsConfig
) -> list[FittedLens]:
    """Every model whose kind of lens has a start; a model with more coefficients begins at the fit with fewer."""
    fits: list[FittedLens] = []
    begin = {lens: posed(table, start.fit.parameters, lens) for lens, start in starts.items()}
    for model in models:
        if model.lens in begin:
            start = extended(begin[model.lens], model)
            fits.append(fit_lens(table, start, model, outlier_sigmas=config.outlier_sigmas))
    return fits
