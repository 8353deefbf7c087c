"""What is known of a lens, with its uncertainty: the numbers of a calibration in one fixed order.

Order: fx, fy, cx, cy (px), then the distortion coefficients as `Intrinsics.distortion` holds them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from calibration.camera import Intrinsics
from calibration.errors import CalibrationError
from calibration.lenses import Lens

PINHOLE_NAMES = ("fx", "fy", "cx", "cy")
BROWN_NAMES = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
FISHEYE_NAMES = ("k1", "k2", "k3", "k4")


def parameter_names(intrinsics: Intrinsics) -> tuple[str, ...]:
    """Names of the 4 + D numbers that describe a lens, in their order everywhere."""
    names = FISHEYE_NAMES if intrinsics.lens is Lens.FISHEYE else BROWN_NAMES
    return PINHOLE_NAMES + names[: len(intrinsics.distortion)]


def parameters_of(intrinsics: Intrinsics) -> Float[np.ndarray, "P"]:
    """The numbers themselves; the skew of K is none of them."""
    K = intrinsics.K
    return np.concatenate([[K[0, 0], K[1, 1], K[0, 2], K[1, 2]], intrinsics.distortion])


def intrinsics_from(parameters: Float[np.ndarray, "P"], image_size: tuple[int, int], lens: Lens) -> Intrinsics:
    """The lens that the numbers describe, without skew."""
    fx, fy, cx, cy = parameters[:4]
    K = np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])
    return Intrinsics(image_size, K, parameters[4:], lens)


@dataclass(frozen=True, eq=False)
class IntrinsicsPrior:
    """A normal distribution over the numbers of a lens.

    covariance: (4 + D, 4 + D) in the order of `names`; a row of zeros is a number that is not to be changed.
    """

    intrinsics: Intrinsics
    covariance: Float[np.ndarray, "P P"]

    def __post_init__(self) -> None:
        count = 4 + len(self.intrinsics.distortion)
        if self.covariance.shape != (count, count) or not np.isfinite(self.covariance).all():
            raise CalibrationError(
                f"the covariance of a lens with {count} numbers must be finite and {count} x {count}, "
                f"not {' x '.join(map(str, self.covariance.shape))}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        return parameter_names(self.intrinsics)

    @property
    def mean(self) -> Float[np.ndarray, "P"]:
        return parameters_of(self.intrinsics)
