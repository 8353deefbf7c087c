"""What is asked of a calibration of single cameras, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from calibration.camera import Intrinsics
from calibration.errors import CalibrationError
from calibration.intrinsics_prior import IntrinsicsPrior

COVERAGE_CELLS = 8
"""Coverage is counted in 8 x 8 cells: one corner of a board that fills a third of the picture falls into each."""

LensChoice = Literal["auto", "brown_conrady", "rational", "fisheye"]
Verdict = Literal["good", "usable", "redo"]


class UnobservableIntrinsicsError(CalibrationError):
    """The views of a camera do not determine its lens; the message says what footage does."""


@dataclass(frozen=True)
class IntrinsicsConfig:
    """How lenses are calibrated.

    lens: "brown_conrady" has 5 coefficients, "rational" 8, "fisheye" 4; "auto" takes what predicts held-out views best.
    shared: groups of cameras that are of one make and setting and get one common set of numbers. max_views: so many
    are chosen of a camera's views. typical: coefficients are kept to sizes that real lenses have where views leave
    them open; False gives plain least squares. min_corners: views with fewer are not used. outlier_sigmas: corners
    further than so many standard deviations from where they should be are left out. folds: parts of the
    cross-validation.
    """

    lens: LensChoice = "auto"
    shared: tuple[tuple[str, ...], ...] = ()
    max_views: int = 50
    typical: bool = True
    min_corners: int = 6
    outlier_sigmas: float | int = 4.5
    folds: int = 5

    def __post_init__(self) -> None:
        if self.max_views < 3 or self.min_corners < 4 or self.folds < 2 or self.outlier_sigmas < 2:
            raise CalibrationError(
                "a calibration of intrinsics needs max_views >= 3, min_corners >= 4, folds >= 2, outlier_sigmas >= 2"
            )
        named = [name for group in self.shared for name in group]
        twice = sorted({name for name in named if named.count(name) > 1})
        if twice:
            raise CalibrationError(f"cameras belong to two groups of shared intrinsics: {', '.join(twice)}")


@dataclass(frozen=True, eq=False)
class IntrinsicsResult:
    """A calibrated lens and how far it can be trusted.

    covariance: (4 + D, 4 + D) in the order of parameter_names (px, then coefficients); zeros where a number was given
    and not estimated. rms_px, median_px: distance of the used corners from where they should be. used: indices of
    views in the observations. dropped: view -> what is wrong with it; other views were not needed. held_out_rms_px:
    model -> error on views that it was not fitted to, of the models in question. coverage: used corners by rows and
    columns of equal parts of the picture. ray_std: rad, standard deviation of the direction of a pixel's ray, RMS over
    the covered parts, apart from a turn of the whole camera.
    """

    camera: str
    intrinsics: Intrinsics
    parameter_names: tuple[str, ...]
    covariance: Float[np.ndarray, "P P"]
    rms_px: float
    median_px: float
    used: Int[np.ndarray, "U"]
    dropped: Mapping[int, str]
    held_out_rms_px: Mapping[str, float]
    coverage: Int[np.ndarray, "8 8"]
    ray_std: float
    verdict: Verdict
    sentences: tuple[str, ...]

    @property
    def std(self) -> dict[str, float]:
        """Standard deviation by the name of the number."""
        return dict(zip(self.parameter_names, np.sqrt(np.diag(self.covariance)).tolist(), strict=True))

    def prior(self) -> IntrinsicsPrior:
        """This lens as something to start a larger adjustment from."""
        return IntrinsicsPrior(self.intrinsics, self.covariance)
