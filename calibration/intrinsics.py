"""The lens of every camera from its own views of a board."""

from __future__ import annotations

from collections.abc import Mapping

from calibration.camera import Intrinsics
from calibration.intrinsics_prior import IntrinsicsPrior
from calibration.intrinsics_result import IntrinsicsConfig, IntrinsicsResult, UnobservableIntrinsicsError
from calibration.observations import BoardObservations

__all__ = [
    "IntrinsicsConfig",
    "IntrinsicsPrior",
    "IntrinsicsResult",
    "UnobservableIntrinsicsError",
    "calibrate_intrinsics",
]


def calibrate_intrinsics(
    observations: BoardObservations,
    config: IntrinsicsConfig | None = None,
    known: Mapping[str, Intrinsics] | None = None,
) -> dict[str, IntrinsicsResult]:
    """A lens for every camera of the observations, in their order; `known` ones are taken as they are."""
    raise NotImplementedError
