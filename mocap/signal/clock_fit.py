"""Straight lines through times of two clocks: robust against outliers, and under delays that only ever add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.spatial import ConvexHull, QhullError

from mocap.core.errors import InputError

TUKEY = 4.685
"""Residuals beyond so many deviations count nothing; 95 % efficient where there are no outliers."""
MAD = 1.4826
ITERATIONS = 30
CRYSTAL_PPM = 50.0
"""Standard deviation of the drift between two consumer devices; crystals are good to some tens of ppm each."""


@dataclass(frozen=True)
class LineFit:
    """y = value + slope (x - middle). value_sd, slope_sd: standard deviations, independent at `middle`.

    scatter: robust standard deviation of the residuals. inliers: share of the points that count at least half.
    """

    middle: float
    value: float
    slope: float
    value_sd: float
    slope_sd: float
    scatter: float
    inliers: float

    def at(self, x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
        """The line at x."""
        return self.value + self.slope * (x - self.middle)

    @property
    def at_zero(self) -> float:
        """The line at x = 0."""
        return self.value - self.slope * self.middle


def robust_line(
    x: Float[np.ndarray, "N"],
    y: Float[np.ndarray, "N"],
    sd: Float[np.ndarray, "N"] | None = None,
    *,
    slope: float = 0.0,
    slope_sd: float = np.inf,
    floor: float = 1e-9,
) -> LineFit:
    """The line that most points lie on: Tukey's biweight by reweighting, from the medians of slopes and residuals.

    sd: relative weights of the points (standard deviations), equal by default; NaN points are left out. slope,
    slope_sd: what is known of the slope beforehand (normal). floor: the scatter is never believed to be smaller.
    """
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise InputError("a line needs at least one known point")
    x, y = x[known], y[known]
    scale = np.ones(len(x)) if sd is None else sd[known] / np.median(sd[known])
    middle = float(np.average(x, weights=scale**-2))
    away = x - middle
    start = _starting_slope(away, y, slope, slope_sd)
    line = np.array([np.median(y - start * away), start])
    weight, scatter = scale**-2, floor
    prior = 0.0 if np.isinf(slope_sd) else slope_sd**-2
    normal = np.eye(2)
    for _ in range(ITERATIONS):
        residual = (y - line[0] - line[1] * away) / scale
        scatter = max(float(MAD * np.median(np.abs(residual))), floor)
        weight = np.clip(1 - (residual / (TUKEY * scatter)) ** 2, 0, None) ** 2 / (scale * scatter) ** 2
        normal = _normal(weight, away, prior)
        right = np.array([(weight * y).sum(), (weight * away * y).sum() + prior * slope])
        new = np.linalg.solve(normal, right)
        done = np.allclose(new, line, rtol=0, atol=1e-12)
        line = new
        if done:
            break
    covariance = np.linalg.inv(normal)
    return LineFit(
        middle=middle,
        value=float(line[0]),
        slope=float(line[1]),
        value_sd=float(np.sqrt(covariance[0, 0])),
        slope_sd=float(np.sqrt(covariance[1, 1])),
        scatter=scatter,
        inliers=float((weight * (scale * scatter) ** 2 > 0.5).mean()),
    )


def _starting_slope(away: Float[np.ndarray, "N"], y: Float[np.ndarray, "N"], slope: float, slope_sd: float) -> float:
    """The median of the slopes between points half the recording apart, kept within what is plausible."""
    order = np.argsort(away, kind="stable")
    half = len(order) // 2
    one, two = order[:half], order[len(order) - half :]
    run = away[two] - away[one]
    if not (run > 0).any():
        return slope
    found = float(np.median(((y[two] - y[one])[run > 0]) / run[run > 0]))
    return float(np.clip(found, slope - 3 * slope_sd, slope + 3 * slope_sd))


def _normal(weight: Float[np.ndarray, "N"], away: Float[np.ndarray, "N"], prior: float) -> Float[np.ndarray, "2 2"]:
    """Normal matrix of value and slope; a single place fixes no slope, which then stays where the prior has it."""
    total, first, second = weight.sum(), (weight * away).sum(), (weight * away**2).sum()
    spread = second - first**2 / total
    if prior == 0.0 and spread <= 1e-18 * total:
        prior = 1e12
    return np.array([[total, first], [first, second + prior]])


def envelope_line(x: Float[np.ndarray, "N"], y: Float[np.ndarray, "N"]) -> tuple[float, float]:
    """(slope, value at 0) of the line below all points that lies nearest to them in the mean.

    Of arrival times y over the sender's own stamps x it is the clock itself plus the least delay: what comes late by
    the network's doing lies above it. It is that edge of the lower convex hull which passes under the mean of x
    (a linear programme with two unknowns; Moon, Skelly & Towsley 1999).
    """
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(np.unique(x)) < 2:
        raise InputError("a line under points needs two different places")
    middle, steep = x.mean(), np.polyfit(x, y, 1)[0]
    flat = y - steep * (x - middle)  # without the common slope, so that the hull is well conditioned
    corners = _lower_hull(x - middle, flat)
    at = int(np.clip(np.searchsorted(x[corners] - middle, 0.0), 1, len(corners) - 1))
    a, b = corners[at - 1], corners[at]
    slope = steep + (flat[b] - flat[a]) / (x[b] - x[a])
    return float(slope), float(y[a] - slope * x[a])


def _lower_hull(x: Float[np.ndarray, "N"], y: Float[np.ndarray, "N"]) -> np.ndarray:
    """Indices of the corners of the lower convex hull, by x."""
    span = np.ptp(y) or 1.0
    try:
        hull = ConvexHull(np.column_stack([x / np.ptp(x), y / span]))
    except QhullError:  # all points on one line
        return np.array([int(np.argmin(x)), int(np.argmax(x))])
    lower = np.unique(hull.simplices[hull.equations[:, 1] < -1e-12])
    return lower[np.argsort(x[lower], kind="stable")]
