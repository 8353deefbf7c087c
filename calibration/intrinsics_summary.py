"""Results of single cameras from a fitted lens, or from one that was given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from calibration.camera import Intrinsics
from calibration.errors import CalibrationError
from calibration.intrinsics_fit import BROWN, FISHEYE, RATIONAL, FittedLens, LensModel, fit_lens, refined_poses
from calibration.intrinsics_prior import intrinsics_from, parameter_names, parameters_of
from calibration.intrinsics_result import IntrinsicsConfig, IntrinsicsResult
from calibration.intrinsics_solver import distances
from calibration.intrinsics_uncertainty import coverage_of, ray_std_of
from calibration.intrinsics_verdict import choice_sentence, contradiction, sentences_of, verdict_of
from calibration.intrinsics_views import table_of_views
from calibration.lenses import Lens
from calibration.observations import BoardObservations

SAME_SHAPE = 0.01
"""Relative difference of the ratio of width to height up to which a picture counts as resized and not as cropped."""

ENOUGH_VIEWS = 8


@dataclass(frozen=True, eq=False)
class CalibratedLens:
    """A fitted lens of one camera or of several that share it, with all that led to it."""

    fitted: FittedLens
    covariance: Float[np.ndarray, "P P"]
    held_out_rms_px: Mapping[str, float]
    dropped: Mapping[int, str]


def result_of(observations: BoardObservations, camera: str, whole: CalibratedLens) -> IntrinsicsResult:
    """What one camera, alone or in a group, has from the lens; views and errors are its own."""
    fitted = whole.fitted
    own = observations.view_camera[fitted.table.view] == observations.index(camera)
    counted = (fitted.table.weight > 0) & own[:, None]
    error = fitted.error_px()[counted]
    intrinsics = intrinsics_from(fitted.fit.parameters, fitted.table.image_size, fitted.model.lens)
    coverage = coverage_of(fitted.table.xy[counted], intrinsics.image_size)
    reached = coverage_of(fitted.table.xy[fitted.table.weight > 0], intrinsics.image_size)
    ray_std = ray_std_of(intrinsics, whole.covariance, reached)
    ray_std_anywhere = ray_std_of(intrinsics, whole.covariance)
    return IntrinsicsResult(
        camera=camera,
        intrinsics=intrinsics,
        parameter_names=parameter_names(intrinsics),
        covariance=whole.covariance,
        rms_px=_rms(error),
        median_px=_median(error),
        used=fitted.table.view[own],
        dropped=_of_camera(observations, camera, whole.dropped),
        held_out_rms_px=dict(whole.held_out_rms_px),
        coverage=coverage,
        ray_std=ray_std,
        verdict=verdict_of(fitted, ray_std),
        sentences=sentences_of(fitted, whole.covariance, (ray_std, ray_std_anywhere), reached)
        + choice_sentence(fitted.model.name, whole.held_out_rms_px),
    )


def known_result(
    observations: BoardObservations, camera: str, known: Intrinsics, config: IntrinsicsConfig
) -> IntrinsicsResult:
    """A lens that was given: nothing of it is estimated, but views that contradict it are told."""
    intrinsics = _of_size(known, observations.image_sizes[observations.index(camera)], camera)
    table, dropped = table_of_views(observations, (camera,), config.min_corners)
    count = len(parameters_of(intrinsics))
    result = IntrinsicsResult(
        camera=camera,
        intrinsics=intrinsics,
        parameter_names=parameter_names(intrinsics),
        covariance=np.zeros((count, count)),
        rms_px=np.nan,
        median_px=np.nan,
        used=table.view,
        dropped=dropped,
        held_out_rms_px={},
        coverage=coverage_of(table.xy[table.present], intrinsics.image_size),
        ray_std=0.0,
        verdict="good",
        sentences=("Intrinsics were given, not estimated.",),
    )
    if not len(table):
        return result
    fit = refined_poses(table, parameters_of(intrinsics), intrinsics.lens)
    error = distances(table, fit)[table.present]
    error = error[np.isfinite(error)]
    result = replace(result, rms_px=_rms(error), median_px=_median(error))
    if len(table) < ENOUGH_VIEWS:
        return result
    free = fit_lens(table, fit, _model_of(intrinsics), outlier_sigmas=config.outlier_sigmas)
    told = contradiction(result.median_px, _median(free.error_px()[free.table.weight > 0]))
    return replace(result, verdict="redo", sentences=(*result.sentences, told)) if told else result


def _model_of(intrinsics: Intrinsics) -> LensModel:
    if intrinsics.lens is Lens.FISHEYE:
        return FISHEYE
    return RATIONAL if len(intrinsics.distortion) == 8 else BROWN


def _of_size(known: Intrinsics, image_size: tuple[int, int], camera: str) -> Intrinsics:
    if known.image_size == image_size:
        return known
    ratio = (known.image_size[0] * image_size[1]) / (known.image_size[1] * image_size[0])
    if abs(ratio - 1) > SAME_SHAPE:
        raise CalibrationError(
            f"camera {camera} has intrinsics for pictures of {known.image_size[0]} x {known.image_size[1]}, its clip "
            f"is {image_size[0]} x {image_size[1]}: another shape",
            remedy="Record in the mode that was calibrated, or calibrate this one from its clip.",
        )
    return known.resized(image_size)


def _of_camera(observations: BoardObservations, camera: str, views: Mapping[int, str]) -> dict[int, str]:
    index = observations.index(camera)
    return {view: views[view] for view in sorted(views) if observations.view_camera[view] == index}


def _rms(error: Float[np.ndarray, "n"]) -> float:
    return float(np.sqrt((error**2).mean())) if len(error) else np.nan


def _median(error: Float[np.ndarray, "n"]) -> float:
    return float(np.median(error)) if len(error) else np.nan
