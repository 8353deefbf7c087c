"""Projection with its derivatives, for many points of one camera at once.

The formulas are those of `calibration.lenses`, without its folds: while cameras still move, a point beyond the fold
must pull them back rather than vanish. Arrays are laid out one number per plane, as fast code wants them.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from calibration.lenses import Lens

NEAREST = 1e-6
"""Metres before the camera's plane at which a point counts as behind it."""


def project_linearised(
    x: Float[np.ndarray, "V 3 S"],
    lens: Lens,
    parameters: Float[np.ndarray, "P"],
    *,
    skew: float,
    with_lens: bool,
) -> tuple[Float[np.ndarray, "V 2 S"], Float[np.ndarray, "V L 2 S"]]:
    """Pixels of points in camera axes (m) and their derivatives; NaN for what lies behind a camera.

    The L rows: turning the points about the camera's axes (3, rad), shifting them along these (3, m), then, if asked
    for, the P numbers of the lens (fx fy cx cy and the distortion).
    """
    fx, fy, cx, cy = parameters[:4]
    bend = _fisheye if lens is Lens.FISHEYE else _brown
    distorted, slopes, by_coefficient = bend(x, parameters[4:], with_lens)
    views, _, slots = x.shape
    jacobian = np.empty((views, 6 + (len(parameters) if with_lens else 0), 2, slots))
    a = _in_pixels(slopes, fx, fy, skew)
    px, py, pz = x[:, 0], x[:, 1], x[:, 2]
    jacobian[:, 3:6] = np.moveaxis(a, 2, 1)
    jacobian[:, 0] = a[:, :, 2] * py[:, None] - a[:, :, 1] * pz[:, None]
    jacobian[:, 1] = a[:, :, 0] * pz[:, None] - a[:, :, 2] * px[:, None]
    jacobian[:, 2] = a[:, :, 1] * px[:, None] - a[:, :, 0] * py[:, None]
    if with_lens:
        pinhole = jacobian[:, 6:10]
        pinhole[:] = 0
        pinhole[:, 0, 0], pinhole[:, 1, 1] = distorted[:, 0], distorted[:, 1]
        pinhole[:, 2, 0] = pinhole[:, 3, 1] = 1
        jacobian[:, 10:] = np.moveaxis(_in_pixels(by_coefficient, fx, fy, skew), 2, 1)
    px_seen = _in_pixels(distorted[:, :, None], fx, fy, skew)[:, :, 0]
    px_seen[:, 0] += cx
    px_seen[:, 1] += cy
    return px_seen, jacobian


def _in_pixels(normalised: np.ndarray, fx: float, fy: float, skew: float) -> np.ndarray:
    """(V, 2, n, S) from normalised coordinates to pixels, without the principal point."""
    out = np.empty_like(normalised)
    out[:, 0] = fx * normalised[:, 0]
    out[:, 1] = fy * normalised[:, 1]
    if skew:
        out[:, 0] += skew * normalised[:, 1]
    return out


def _brown(x: np.ndarray, k: np.ndarray, with_lens: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distorted (V, 2, S), by point (V, 2, 3, S), by coefficient (V, 2, n, S)."""
    k1, k2, p1, p2, k3 = k[:5]
    k4, k5, k6 = k[5:8] if len(k) == 8 else (0.0, 0.0, 0.0)
    inverse = 1 / np.where(x[:, 2] > NEAREST, x[:, 2], np.nan)
    u, v = x[:, 0] * inverse, x[:, 1] * inverse
    uu, vv, uv = u * u, v * v, u * v
    r2 = uu + vv
    radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = k1 + r2 * (2 * k2 + 3 * k3 * r2)
    low = 1 + r2 * (k4 + r2 * (k5 + r2 * k6)) if len(k) == 8 else np.ones_like(r2)
    if len(k) == 8:
        radial /= low
        slope = (slope - radial * (k4 + r2 * (2 * k5 + 3 * k6 * r2))) / low
    distorted = np.stack(
        [u * radial + 2 * p1 * uv + p2 * (r2 + 2 * uu), v * radial + p1 * (r2 + 2 * vv) + 2 * p2 * uv], 1
    )
    slopes = np.empty((x.shape[0], 2, 3, x.shape[2]))
    across = 2 * (uv * slope + p1 * u + p2 * v)
    slopes[:, 0, 0] = (radial + 2 * uu * slope + 2 * p1 * v + 6 * p2 * u) * inverse
    slopes[:, 1, 1] = (radial + 2 * vv * slope + 6 * p1 * v + 2 * p2 * u) * inverse
    slopes[:, 0, 1] = slopes[:, 1, 0] = across * inverse
    slopes[:, :, 2] = -u[:, None] * slopes[:, :, 0] - v[:, None] * slopes[:, :, 1]
    by_k = np.empty((x.shape[0], 2, len(k), x.shape[2])) if with_lens else np.empty((x.shape[0], 2, 0, x.shape[2]))
    if with_lens:
        by_k[:, 0, 2], by_k[:, 0, 3] = 2 * uv, r2 + 2 * uu
        by_k[:, 1, 2], by_k[:, 1, 3] = r2 + 2 * vv, 2 * uv
        for row, power in ((0, r2), (1, r2 * r2), (4, r2 * r2 * r2)):
            by_k[:, 0, row], by_k[:, 1, row] = u * power / low, v * power / low
            if len(k) == 8:
                below = (5, 6, 7)[(0, 1, 4).index(row)]
                by_k[:, :, below] = -by_k[:, :, row] * radial[:, None]
    return distorted, slopes, by_k


def _fisheye(x: np.ndarray, k: np.ndarray, with_lens: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_brown`. On the axis distorted/radius has the limit 1/z and its slope across the axis vanishes."""
    px, py, pz = x[:, 0], x[:, 1], x[:, 2]
    r2 = px * px + py * py
    radius = np.sqrt(r2)
    on_axis = radius <= 1e-9 * np.abs(pz)
    theta = np.arctan2(radius, pz)
    t2 = theta * theta
    k1, k2, k3, k4 = k
    bent = theta * (1 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4))))
    bending = 1 + t2 * (3 * k1 + t2 * (5 * k2 + t2 * (7 * k3 + t2 * 9 * k4)))
    far2 = r2 + pz * pz
    safe = np.where(on_axis, 1.0, radius)
    scale = np.where(on_axis, 1 / np.where(pz > NEAREST, pz, np.nan), bent / safe)
    curve = np.where(on_axis, 0.0, (bending * pz / far2 - scale) / (safe * safe))
    slopes = np.empty((x.shape[0], 2, 3, x.shape[2]))
    slopes[:, 0, 0] = scale + curve * px * px
    slopes[:, 1, 1] = scale + curve * py * py
    slopes[:, 0, 1] = slopes[:, 1, 0] = curve * px * py
    slopes[:, :, 2] = x[:, :2] * (-bending / far2)[:, None]
    by_k = np.empty((x.shape[0], 2, 4 if with_lens else 0, x.shape[2]))
    if with_lens:
        cubes = theta * t2 / safe
        for row in range(4):
            by_k[:, :, row] = x[:, :2] * cubes[:, None]
            cubes = cubes * t2
    return x[:, :2] * scale[:, None], slopes, by_k
