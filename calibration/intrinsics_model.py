"""Projection of camera coordinates to pixels together with its derivatives, without skew.

Beyond the fold of a lens, where `Intrinsics.project` gives NaN, the polynomial goes on: a solver must be able to come
back from there. For Brown–Conrady, points at or behind the plane of the camera give NaN.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from calibration.lenses import Lens

NEAR_AXIS = 1e-4
"""Radius over depth below which the series takes the place of a difference that cancels: either is right to 1e-8."""

Projected = tuple[Float[np.ndarray, "*batch 2"], Float[np.ndarray, "*batch 2 3"], Float[np.ndarray, "*batch 2 P"]]


def project_with_jacobians(
    points: Float[np.ndarray, "*batch 3"], parameters: Float[np.ndarray, "P"], lens: Lens
) -> Projected:
    """px, d px / d point and d px / d parameters (fx fy cx cy, then distortion) of points in camera axes, m."""
    distort = _fisheye if lens is Lens.FISHEYE else _brown
    xy, by_point, by_distortion = distort(points, parameters[4:])
    focal = parameters[:2]
    by_parameters = np.zeros((*xy.shape, len(parameters)))
    by_parameters[..., 0, 0], by_parameters[..., 1, 1] = xy[..., 0], xy[..., 1]
    by_parameters[..., 0, 2] = by_parameters[..., 1, 3] = 1.0
    by_parameters[..., 4:] = by_distortion * focal[:, None]
    return xy * focal + parameters[2:4], by_point * focal[:, None], by_parameters


def project(
    points: Float[np.ndarray, "*batch 3"], parameters: Float[np.ndarray, "P"], lens: Lens
) -> Float[np.ndarray, "*batch 2"]:
    """The pixels alone."""
    if lens is Lens.FISHEYE:
        radius, theta = _radius_and_angle(points)
        xy = points[..., :2] * _fisheye_scale(radius, theta, points[..., 2], parameters[4:])[..., None]
    else:
        x, y, _ = _normalised(points)
        radial, _, _, _ = _radial(x * x + y * y, parameters[4:])
        p1, p2 = parameters[6:8]
        r2 = x * x + y * y
        xy = np.stack(
            [
                x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
                y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
            ],
            axis=-1,
        )
    return xy * parameters[:2] + parameters[2:4]


def _normalised(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with np.errstate(divide="ignore"):
        inverse_z = np.where(points[..., 2] > 0, 1 / points[..., 2], np.nan)
    return points[..., 0] * inverse_z, points[..., 1] * inverse_z, inverse_z


def _radial(r2: np.ndarray, distortion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray]]:
    """The radial factor, its slope in r², the denominator, and r², r⁴, r⁶."""
    k1, k2, _, _, k3 = distortion[:5]
    k4, k5, k6 = distortion[5:8] if len(distortion) == 8 else (0.0, 0.0, 0.0)
    powers = [r2, r2 * r2, r2 * r2 * r2]
    top = 1 + k1 * powers[0] + k2 * powers[1] + k3 * powers[2]
    low = 1 + k4 * powers[0] + k5 * powers[1] + k6 * powers[2]
    radial = top / low
    slope = (k1 + 2 * k2 * r2 + 3 * k3 * powers[1] - radial * (k4 + 2 * k5 * r2 + 3 * k6 * powers[1])) / low
    return radial, slope, low, powers


def _brown(points: np.ndarray, distortion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    p1, p2 = distortion[2:4]
    x, y, inverse_z = _normalised(points)
    r2, xy2 = x * x + y * y, 2 * x * y
    radial, slope, low, powers = _radial(r2, distortion)
    tangential_x, tangential_y = r2 + 2 * x * x, r2 + 2 * y * y
    xy = np.stack([x * radial + p1 * xy2 + p2 * tangential_x, y * radial + p1 * tangential_y + p2 * xy2], axis=-1)

    by_x_x = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
    by_y_y = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
    cross = xy2 * slope + 2 * p1 * x + 2 * p2 * y
    by_point = np.empty((*xy.shape, 3))
    by_point[..., 0, 0], by_point[..., 1, 1] = by_x_x * inverse_z, by_y_y * inverse_z
    by_point[..., 0, 1] = by_point[..., 1, 0] = cross * inverse_z
    by_point[..., 0, 2] = -(by_x_x * x + cross * y) * inverse_z
    by_point[..., 1, 2] = -(cross * x + by_y_y * y) * inverse_z

    ideal = np.stack([x, y], axis=-1)
    by_distortion = np.empty((*xy.shape, len(distortion)))
    for column, power in zip((0, 1, 4), powers, strict=True):
        by_distortion[..., column] = ideal * (power / low)[..., None]
    by_distortion[..., 2] = np.stack([xy2, tangential_y], axis=-1)
    by_distortion[..., 3] = np.stack([tangential_x, xy2], axis=-1)
    if len(distortion) == 8:
        for column, power in zip((5, 6, 7), powers, strict=True):
            by_distortion[..., column] = -ideal * (radial * power / low)[..., None]
    return xy, by_point, by_distortion


def _radius_and_angle(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    radius = np.hypot(points[..., 0], points[..., 1])
    return radius, np.arctan2(radius, points[..., 2])


def _fisheye_scale(radius: np.ndarray, theta: np.ndarray, z: np.ndarray, distortion: np.ndarray) -> np.ndarray:
    """Distorted radius over `radius`."""
    near = radius <= NEAR_AXIS * z
    k1, k2, k3, k4 = distortion
    t2 = theta * theta
    bent = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    with np.errstate(divide="ignore", invalid="ignore"):
        axis = (1 + (k1 - 1 / 3) * (radius / z) ** 2) / z
        return np.where(near, axis, bent / np.where(near, 1.0, radius))


def _fisheye(points: np.ndarray, distortion: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    k1, k2, k3, k4 = distortion
    z = points[..., 2]
    radius, theta = _radius_and_angle(points)
    near = radius <= NEAR_AXIS * z
    safe = np.where(near, 1.0, radius)
    t2 = theta * theta
    slope = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
    scale = _fisheye_scale(radius, theta, z, distortion)
    distance2 = radius * radius + z * z
    with np.errstate(divide="ignore", invalid="ignore"):
        bend = np.where(near, 2 * (k1 - 1 / 3) / z**3, (slope * z / distance2 - scale) / safe**2)

    xy = points[..., :2]
    by_point = np.empty((*xy.shape, 3))
    by_point[..., :2] = xy[..., :, None] * xy[..., None, :] * bend[..., None, None]
    by_point[..., 0, 0] += scale
    by_point[..., 1, 1] += scale
    by_point[..., 2] = -xy * (slope / distance2)[..., None]

    with np.errstate(divide="ignore", invalid="ignore"):
        over_radius = np.where(near, 1 / z, theta / safe)
    powers = np.stack([over_radius * t2, over_radius * t2**2, over_radius * t2**3, over_radius * t2**4], axis=-1)
    return xy * scale[..., None], by_point, xy[..., :, None] * powers[..., None, :]
