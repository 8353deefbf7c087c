"""What the views of one camera tell of its lens so far, by the very criteria of its calibration.

`calibration.intrinsics` decides in the end; here the same parts are run on the views of the guide, without the
comparison of formulas, in a tenth of a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from calibration.camera import Intrinsics
from calibration.intrinsics_fit import BROWN, FISHEYE, FittedLens, fit_lens, started
from calibration.intrinsics_prior import intrinsics_from
from calibration.intrinsics_result import COVERAGE_CELLS, IntrinsicsConfig, Verdict
from calibration.intrinsics_uncertainty import covariance_of, coverage_of, ray_std_of
from calibration.intrinsics_verdict import (
    GOOD_RAY,
    USABLE_RAY,
    WANTED_VIEWS,
    board_sizes,
    board_tilts,
    footage_to_add,
    is_padded,
    verdict_of,
)
from calibration.intrinsics_views import ViewTable, table_of_views
from calibration.observations import BoardObservations
from calibration.view_selection import spread_views, view_signatures

FEWEST_VIEWS = 4
"""One more than the calibration needs: with three nothing is left to tell an error by."""

IN_CORNERS = "show the board in the corners of the picture"


@dataclass(frozen=True, eq=False)
class LensKnowledge:
    """What is known of a lens from some views.

    tilts: (V,) rad, between board and picture; distances: (V,) m, of the board; sizes: (V,) share of the picture's
    longer side. ray_std, ray_std_anywhere: rad, where the board was seen and over the whole picture. wishes: what is
    still to be shown, most telling first. share: how far along, 0 to 1.
    """

    intrinsics: Intrinsics
    tilts: Float[np.ndarray, "V"]
    distances: Float[np.ndarray, "V"]
    sizes: Float[np.ndarray, "V"]
    ray_std: float
    ray_std_anywhere: float
    verdict: Verdict
    wishes: tuple[str, ...]
    share: float

    @property
    def is_enough(self) -> bool:
        """Whether calibration would call the lens good and ask for no more footage."""
        return self.verdict == "good" and not self.wishes


def coverage(observations: BoardObservations | None) -> Int[np.ndarray, "8 8"]:
    """Corners in each part of the picture of the only camera."""
    if observations is None:
        return np.zeros((COVERAGE_CELLS, COVERAGE_CELLS), dtype=np.int64)
    return coverage_of(observations.xy, observations.image_sizes[0])


def lens_knowledge(observations: BoardObservations) -> LensKnowledge | None:
    """Of the only camera of the observations; None while its views tell nothing."""
    config = IntrinsicsConfig()
    table, _ = table_of_views(observations, observations.cameras, config.min_corners)
    if len(table) < FEWEST_VIEWS:
        return None
    table = table.of(spread_views(view_signatures(table), config.max_views))
    fitted = _better_fit(table, float(config.outlier_sigmas))
    return None if fitted is None else _knowledge(fitted)


def _better_fit(table: ViewTable, outlier_sigmas: float) -> FittedLens | None:
    """With the kind of lens that leaves less."""
    starts = [(model, started(table, model)) for model in (BROWN, FISHEYE)]
    try:
        fits = [
            fit_lens(table, start, model, outlier_sigmas=outlier_sigmas) for model, start in starts if start is not None
        ]
    except (np.linalg.LinAlgError, ValueError):
        return None  # nearly equal views: no equation is left for something
    usable = [fit for fit in fits if len(fit.table) >= FEWEST_VIEWS and np.isfinite(fit.sigma_px)]
    return min(usable, key=lambda fit: fit.sigma_px, default=None)


def _knowledge(fitted: FittedLens) -> LensKnowledge:
    covariance = covariance_of(fitted)
    reached = coverage_of(fitted.table.xy[fitted.table.weight > 0], fitted.table.image_size)
    intrinsics = intrinsics_from(fitted.fit.parameters, fitted.table.image_size, fitted.model.lens)
    ray_std, anywhere = ray_std_of(intrinsics, covariance, reached), ray_std_of(intrinsics, covariance)
    verdict = verdict_of(fitted, ray_std)
    return LensKnowledge(
        intrinsics=intrinsics,
        tilts=board_tilts(fitted),
        distances=np.linalg.norm(fitted.fit.t, axis=-1),
        sizes=board_sizes(fitted),
        ray_std=ray_std,
        ray_std_anywhere=anywhere,
        verdict=verdict,
        wishes=_wishes(fitted, reached, verdict, anywhere),
        share=_share(len(fitted.table), ray_std, USABLE_RAY if is_padded(fitted) else anywhere),
    )


def _wishes(fitted: FittedLens, reached: Int[np.ndarray, "8 8"], verdict: Verdict, anywhere: float) -> tuple[str, ...]:
    """What calibration would ask for: anything while the lens is not good, else the rest of the picture."""
    sentence = footage_to_add(fitted, reached)
    asked = sentence.removeprefix("Add footage: ").rstrip(".").split("; ")
    if verdict != "good":
        return tuple(asked)
    narrow = anywhere > USABLE_RAY and not is_padded(fitted)
    places = [wish for wish in asked if wish.startswith("show it")] or [IN_CORNERS]
    pictures = [wish for wish in asked if wish.startswith("take more pictures")]
    return (*(places if narrow else ()), *pictures)


def _share(views: int, ray_std: float, anywhere: float) -> float:
    """The least of what pictures, rays where the board was, and rays elsewhere have come to."""
    return float(min(1.0, views / WANTED_VIEWS, GOOD_RAY / max(ray_std, 1e-12), USABLE_RAY / max(anywhere, 1e-12)))
