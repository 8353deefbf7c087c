"""Lens models on normalised image coordinates (x/z, y/z), both directions.

Brown–Conrady with OpenCV's coefficient order k1 k2 p1 p2 k3 [k4 k5 k6] (Brown 1971; the rational form is OpenCV's),
fisheye is the equidistant model of Kannala & Brandt 2006 as OpenCV writes it: k1 k2 k3 k4.

A lens polynomial grows with the distance from the axis only up to its fold; beyond, it turns back and would put a ray
from far outside the view into the middle of the image. Such rays are not imaged: both directions give NaN there.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numpy.polynomial import Polynomial

INVERSION_STEPS = 20
"""Newton steps; from the undistorted start 5 suffice for the lenses in use, a strong fisheye edge takes up to 12."""

BISECTION_STEPS = 52
"""Halvings of the range of a lens, for the rare pixels near the fold that Newton leaves: float64 has no more digits."""

FARTHEST = 1e3
"""Ideal normalised radius (89.94° from the axis) that stands for infinity where a lens never folds."""

CONVERGED = 1e-13
"""Normalised units: no step that small moves a pixel by 1e-9."""

INVERTED = 1e-9
"""Normalised units: with a larger residual the pixel is not the image of any ray."""


Scalars = Float[np.ndarray, "*batch"] | float
"""One number per point; numpy makes a plain float of it when there is a single point."""


class Lens(StrEnum):
    """Which formula the distortion coefficients belong to."""

    BROWN_CONRADY = "brown_conrady"
    FISHEYE = "fisheye"


COEFFICIENT_COUNTS = {Lens.BROWN_CONRADY: (5, 8), Lens.FISHEYE: (4,)}


def distort(
    xy: Float[np.ndarray, "*batch 2"], distortion: Float[np.ndarray, "n"], lens: Lens
) -> Float[np.ndarray, "*batch 2"]:
    """Where the lens puts a ray that an ideal pinhole would put at `xy` (normalised, z = 1). NaN beyond the fold."""
    if lens is Lens.FISHEYE:
        return distort_direction(np.concatenate([xy, np.ones_like(xy[..., :1])], axis=-1), distortion, lens)
    beyond = (xy**2).sum(-1) > fold_radius(tuple(distortion.tolist())) ** 2
    return np.where(beyond[..., None], np.nan, _distort_brown(xy, distortion))


def distort_direction(
    direction: Float[np.ndarray, "*batch 3"], distortion: Float[np.ndarray, "n"], lens: Lens
) -> Float[np.ndarray, "*batch 2"]:
    """`distort` of a ray in camera axes, of any length. A fisheye lens images rays beyond 90° from the axis too, up to
    its fold; for Brown–Conrady z <= 0 is NaN, and so is the optical centre itself."""
    z = direction[..., 2]
    if lens is Lens.FISHEYE:
        radius = np.hypot(direction[..., 0], direction[..., 1])
        return direction[..., :2] * np.expand_dims(_fisheye_scale(radius, z, distortion), -1)
    with np.errstate(invalid="ignore", divide="ignore"):
        xy = np.where((z > 0)[..., None], direction[..., :2] / z[..., None], np.nan)
    return distort(xy, distortion, lens)


def undistort(
    xy: Float[np.ndarray, "*batch 2"], distortion: Float[np.ndarray, "n"], lens: Lens
) -> Float[np.ndarray, "*batch 2"]:
    """Inverse of `distort`. NaN where no ray is imaged, and for fisheye lenses where the ray is not in front."""
    return _undistort_fisheye(xy, distortion) if lens is Lens.FISHEYE else _undistort_brown(xy, distortion)


@lru_cache(maxsize=256)
def fold_radius(distortion: tuple[float, ...]) -> float:
    """Ideal normalised radius up to which a Brown–Conrady lens images rays; inf when it never turns back.

    The first positive zero of d(r · radial)/dr or of the denominator. The tangential terms, a thousandth of the radial
    ones, are left out.
    """
    k1, k2, _, _, k3, *rational = distortion
    s = Polynomial([0.0, 1.0])
    top, low = Polynomial([1.0, k1, k2, k3]), Polynomial([1.0, *(rational or [0.0])])
    slope = top * low + 2 * s * (top.deriv() * low - top * low.deriv())
    return float(np.sqrt(min(_first_positive_root(slope), _first_positive_root(low))))


@lru_cache(maxsize=256)
def fisheye_fold(distortion: tuple[float, ...]) -> tuple[float, float]:
    """Largest angle from the axis (rad, at most pi) that a fisheye lens images, and its distorted radius."""
    slope = Polynomial([1.0, *(power * k for power, k in zip((3, 5, 7, 9), distortion, strict=True))])
    angle = min(float(np.sqrt(_first_positive_root(slope))), np.pi)
    return angle, float(_fisheye_radius(angle, np.array(distortion)))


def _first_positive_root(polynomial: Polynomial) -> float:
    """Through the reciprocal roots: the constant term is 1, so that theirs is a monic polynomial of moderate size."""
    reciprocal = np.roots(polynomial.coef)
    real = np.real(reciprocal)[np.abs(np.imag(reciprocal)) <= 1e-9 * np.abs(reciprocal)]
    largest = float(max(real, default=0.0))
    return 1 / largest if largest > 1 / FARTHEST**2 else np.inf


def _brown_terms(
    xy: Float[np.ndarray, "*batch 2"], distortion: Float[np.ndarray, "n"]
) -> tuple[Scalars, Scalars, Scalars]:
    """r², the radial factor and its derivative with respect to r²."""
    k1, k2, _, _, k3 = distortion[:5]
    k4, k5, k6 = distortion[5:8] if len(distortion) == 8 else (0.0, 0.0, 0.0)
    r2 = (xy**2).sum(-1)
    top = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    low = 1 + r2 * (k4 + r2 * (k5 + r2 * k6))
    top_slope = k1 + r2 * (2 * k2 + 3 * k3 * r2)
    low_slope = k4 + r2 * (2 * k5 + 3 * k6 * r2)
    return r2, top / low, (top_slope * low - top * low_slope) / low**2


def _distort_brown(
    xy: Float[np.ndarray, "*batch 2"], distortion: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "*batch 2"]:
    p1, p2 = distortion[2:4]
    r2, radial, _ = _brown_terms(xy, distortion)
    x, y = xy[..., 0], xy[..., 1]
    return np.stack(
        [
            x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
            y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
        ],
        axis=-1,
    )


def _brown_jacobian(
    xy: Float[np.ndarray, "*batch 2"], distortion: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "*batch 2 2"]:
    """d distorted / d ideal, both normalised."""
    p1, p2 = distortion[2:4]
    _, radial, slope = _brown_terms(xy, distortion)
    x, y = xy[..., 0], xy[..., 1]
    cross = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y
    jacobian = np.empty((*xy.shape, 2))
    jacobian[..., 0, 0] = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    jacobian[..., 0, 1] = jacobian[..., 1, 0] = cross
    jacobian[..., 1, 1] = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    return jacobian


def _undistort_brown(
    xy: Float[np.ndarray, "*batch 2"], distortion: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "*batch 2"]:
    """Newton from the distorted point; where that ends beyond the fold, again from the inverse of the radial part."""
    target = np.asarray(xy, dtype=np.float64)
    if not distortion.any():
        return target.copy()
    ideal = _newton_brown(target, target, distortion)
    lost = np.isnan(ideal[..., 0]) & np.isfinite(target).all(axis=-1)
    if lost.any():
        ideal[lost] = _newton_brown(target[lost], _radial_inverse(target[lost], distortion), distortion)
    return ideal


def _newton_brown(
    target: Float[np.ndarray, "*batch 2"], start: Float[np.ndarray, "*batch 2"], distortion: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "*batch 2"]:
    ideal = start.copy()
    with np.errstate(all="ignore"):
        for _ in range(INVERSION_STEPS):
            step = _solve_2x2(_brown_jacobian(ideal, distortion), _distort_brown(ideal, distortion) - target)
            ideal = ideal - step
            if not (np.abs(step) > CONVERGED).any():
                break
        residual = np.abs(_distort_brown(ideal, distortion) - target).max(-1)
        imaged = (ideal**2).sum(-1) <= fold_radius(tuple(distortion.tolist())) ** 2
    return np.where(((residual < INVERTED) & imaged)[..., None], ideal, np.nan)


def _radial_inverse(target: Float[np.ndarray, "N 2"], distortion: Float[np.ndarray, "n"]) -> Float[np.ndarray, "N 2"]:
    """The ideal point of a lens without tangential terms; the end of its range for pixels beyond it."""
    radial_only = distortion.copy()
    radial_only[2:4] = 0.0

    def distorted_radius(radius: np.ndarray) -> np.ndarray:
        return _distort_brown(np.stack([radius, np.zeros_like(radius)], axis=-1), radial_only)[..., 0]

    radius = np.linalg.norm(target, axis=-1)
    limit = min(fold_radius(tuple(distortion.tolist())), FARTHEST)
    return target * (_bisect(distorted_radius, radius, limit) / np.maximum(radius, CONVERGED))[..., None]


def _bisect(increasing: Callable[[np.ndarray], Scalars], target: Scalars, limit: float) -> Scalars:
    """Where a function that increases on [0, limit] has the value `target`."""
    low, high = np.zeros_like(target), np.full_like(target, limit)
    for _ in range(BISECTION_STEPS):
        middle = (low + high) / 2
        below = increasing(middle) < target
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def _solve_2x2(
    matrix: Float[np.ndarray, "*batch 2 2"], right: Float[np.ndarray, "*batch 2"]
) -> Float[np.ndarray, "*batch 2"]:
    (a, b), (c, d) = (matrix[..., 0, 0], matrix[..., 0, 1]), (matrix[..., 1, 0], matrix[..., 1, 1])
    determinant = a * d - b * c
    return (
        np.stack([(d * right[..., 0] - b * right[..., 1]), (a * right[..., 1] - c * right[..., 0])], -1)
        / determinant[..., None]
    )


def _fisheye_radius(theta: Scalars, distortion: Float[np.ndarray, "4"]) -> Scalars:
    t2 = theta**2
    k1, k2, k3, k4 = distortion
    return theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))


def _fisheye_slope(theta: Scalars, distortion: Float[np.ndarray, "4"]) -> Scalars:
    t2 = theta**2
    k1, k2, k3, k4 = distortion
    return 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))


def _fisheye_scale(radius: Scalars, z: Scalars, distortion: Float[np.ndarray, "4"]) -> Scalars:
    """Distorted radius by `radius`, both measured from the axis; 1/z is its limit on the axis in front.

    NaN beyond the fold, and on the axis behind or at the optical centre, where no direction is defined.
    """
    theta = np.arctan2(radius, z)
    on_axis = radius <= 1e-12 * z
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(on_axis, 1 / z, _fisheye_radius(theta, distortion) / radius)
    beyond = (theta > fisheye_fold(tuple(distortion.tolist()))[0]) | ((radius == 0) & (z <= 0))
    return np.where(beyond, np.nan, scale)


def _undistort_fisheye(
    xy: Float[np.ndarray, "*batch 2"], distortion: Float[np.ndarray, "4"]
) -> Float[np.ndarray, "*batch 2"]:
    radius = np.linalg.norm(xy, axis=-1)
    angle = fisheye_angle_from_radius(radius, distortion)
    on_axis = radius < 1e-12  # tan(theta) / theta_d is 1 there
    with np.errstate(invalid="ignore"):
        scale = np.where(on_axis, 1.0, np.tan(angle) / np.where(on_axis, 1.0, radius))
        behind = angle >= np.pi / 2  # no pinhole coordinate exists there; `Intrinsics.ray` still has a direction
    return np.where(np.expand_dims(behind, -1), np.nan, xy * scale[..., None])


def fisheye_angle_from_radius(radius: Scalars, distortion: Float[np.ndarray, "4"]) -> Scalars:
    """Angle from the optical axis in radians of a distorted normalised radius; NaN outside the lens's range."""
    limit, farthest = fisheye_fold(tuple(distortion.tolist()))
    target = np.asarray(radius, dtype=np.float64)
    theta = np.clip(target, 0, limit)
    with np.errstate(all="ignore"):
        for _ in range(INVERSION_STEPS):
            step = (_fisheye_radius(theta, distortion) - target) / _fisheye_slope(theta, distortion)
            theta = np.clip(theta - step, 0, limit)
            if not (np.abs(step) > CONVERGED).any():
                break
        found = np.abs(_fisheye_radius(theta, distortion) - target) < INVERTED
        lost = ~found & (target <= farthest)
    if lost.any():
        theta = np.where(lost, _bisect(lambda angle: _fisheye_radius(angle, distortion), target, limit), theta)
    return np.where(found | lost, theta, np.nan)
