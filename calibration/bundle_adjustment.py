"""Bundle adjustment of cameras, their lenses and a moving board."""

from __future__ import annotations

from collections.abc import Mapping

from calibration.board_motion import BoardMotion
from calibration.bundle_result import BundleConfig, BundleResult
from calibration.camera import Rig
from calibration.intrinsics_prior import IntrinsicsPrior
from calibration.observations import BoardObservations

__all__ = ["BundleConfig", "BundleResult", "bundle_adjust"]


def bundle_adjust(
    rig: Rig,
    motion: BoardMotion,
    observations: BoardObservations,
    config: BundleConfig = BundleConfig(),
    *,
    priors: Mapping[str, IntrinsicsPrior] | None = None,
) -> BundleResult:
    """Cameras, lenses and board motion under which the corners lie where they were seen."""
    raise NotImplementedError
