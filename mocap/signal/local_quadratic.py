"""Values and rates of change of irregularly sampled tracks at any time, from a weighted parabola around it.

Local quadratic regression (Fan & Gijbels 1996, 3.1) with the tricube kernel. Unlike an interpolation it does not pass
through the samples: their noise enters alike between and at the samples, so that what is compared between two cameras
does not depend on where in a frame the time falls. Straight lines and parabolas come through unchanged.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

CHUNK = 2048
"""Times worked on at once."""
LEAST_SAMPLES = 4
TIGHT = 0.02
"""Determinant of the normal equations over that of evenly spread samples, below which there is no parabola."""


def local_quadratic(
    time_s: Float[np.ndarray, "F"],
    x: Float[np.ndarray, "F J D"],
    weight: Float[np.ndarray, "F J"],
    at_s: Float[np.ndarray, "N"],
    *,
    half_width_s: float,
) -> tuple[Float[np.ndarray, "N J D"], Float[np.ndarray, "N J D"]]:
    """Value and rate (per second) of every track at `at_s`; NaN where fewer than four samples are near, or none is on
    one side. time_s ascending; weight 0 (and NaN) is missing."""
    known = (weight > 0) & np.isfinite(x).all(-1)
    weight, x = np.where(known, weight, 0.0), np.where(known[..., None], x, 0.0)
    low = np.searchsorted(time_s, at_s - half_width_s, side="right")
    width = int((np.searchsorted(time_s, at_s + half_width_s) - low).max(initial=0))
    value = np.full((len(at_s), *x.shape[1:]), np.nan)
    rate = value.copy()
    if width < LEAST_SAMPLES:
        return value, rate
    for start in range(0, len(at_s), CHUNK):
        rows = slice(start, start + CHUNK)
        index = low[rows, None] + np.arange(width)
        u = (time_s[np.minimum(index, len(time_s) - 1)] - at_s[rows, None]) / half_width_s
        kernel = np.where((index < len(time_s)) & (np.abs(u) < 1), (1 - np.abs(u) ** 3).clip(0) ** 3, 0.0)
        index = np.minimum(index, len(time_s) - 1)
        value[rows], rate[rows] = _fit(u, kernel[..., None] * weight[index], x[index], half_width_s)
    return value, rate


def _fit(
    u: Float[np.ndarray, "N W"], weight: Float[np.ndarray, "N W J"], x: Float[np.ndarray, "N W J D"], unit_s: float
) -> tuple[Float[np.ndarray, "N J D"], Float[np.ndarray, "N J D"]]:
    """Intercept and slope of the weighted parabola by Cramer's rule; the samples' places in half widths."""
    s0, s1, s2, s3, s4 = (np.einsum("nw,nwj->nj", u**k, weight) for k in range(5))
    t0, t1, t2 = (np.einsum("nw,nwj,nwjd->njd", u**k, weight, x) for k in range(3))
    determinant = s0 * (s2 * s4 - s3**2) - s1 * (s1 * s4 - s2 * s3) + s2 * (s1 * s3 - s2**2)
    count = ((weight > 0) & (np.abs(u) < 1)[..., None]).sum(1)
    before = ((weight > 0) & (u <= 0)[..., None]).any(1)
    after = ((weight > 0) & (u >= 0)[..., None]).any(1)
    good = (count >= LEAST_SAMPLES) & before & after & (determinant > TIGHT * 0.004 * s0**3)
    safe = np.where(good, determinant, 1.0)[..., None]
    a0, a1, a2 = s2 * s4 - s3**2, s2 * s3 - s1 * s4, s1 * s3 - s2**2
    b1, b2 = s0 * s4 - s2**2, s1 * s2 - s0 * s3
    value = (a0[..., None] * t0 + a1[..., None] * t1 + a2[..., None] * t2) / safe
    slope = (a1[..., None] * t0 + b1[..., None] * t1 + b2[..., None] * t2) / safe / unit_s
    return np.where(good[..., None], value, np.nan), np.where(good[..., None], slope, np.nan)


def steady_weights(
    time_s: Float[np.ndarray, "F"],
    x: Float[np.ndarray, "F J D"],
    weight: Float[np.ndarray, "F J"],
    *,
    half_width_s: float,
) -> Float[np.ndarray, "F J"]:
    """The weights, less where a sample lies off the parabola through its neighbours (Tukey's bisquare at six times the
    median residual of its track)."""
    fitted, _ = local_quadratic(time_s, x, weight, time_s, half_width_s=half_width_s)
    off = np.linalg.norm(x - fitted, axis=-1)
    known = np.isfinite(off) & (weight > 0)
    middle = np.array(
        [np.median(column[mask]) if mask.any() else 1.0 for column, mask in zip(off.T, known.T, strict=True)]
    )
    share = np.where(known, off, 0.0) / np.maximum(6 * middle, 1e-12)
    return weight * np.where(known, np.where(share < 1, (1 - share**2) ** 2, 0.0), 1.0)
