"""Many values in a few figures, with the count that they were taken over."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from mocap.core.config import Report


class Distribution(Report):
    """Figures over the `n` values that are known; None where there are none. Percentiles interpolate linearly.

    missing: values that the truth has and the prediction has not; they are in no figure but this.
    """

    n: int
    missing: int
    mean: float | None
    median: float | None
    p90: float | None
    p95: float | None
    max: float | None


def distribution(
    values: Float[np.ndarray, "*batch"], expected: Bool[np.ndarray, "*batch"] | None = None
) -> Distribution:
    """Of all finite values. expected: where the truth is there, so that a value that is not finite is missing."""
    known = np.isfinite(values)
    missing = 0 if expected is None else int((expected & ~known).sum())
    chosen = values[known]
    if not chosen.size:
        return Distribution(n=0, missing=missing, mean=None, median=None, p90=None, p95=None, max=None)
    median, p90, p95 = np.percentile(chosen, [50, 90, 95])
    return Distribution(
        n=chosen.size,
        missing=missing,
        mean=float(chosen.mean()),
        median=float(median),
        p90=float(p90),
        p95=float(p95),
        max=float(chosen.max()),
    )


def known_mean(
    values: Float[np.ndarray, "*batch"], axis: int | tuple[int, ...] | None = None
) -> Float[np.ndarray, "*rest"]:
    """Mean of the finite values along an axis; NaN, without a warning, where there are none."""
    known = np.isfinite(values)
    count = known.sum(axis)
    total = np.where(known, values, 0.0).sum(axis)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))


def number(value: float | Float[np.ndarray, ""]) -> float | None:
    """For reports: a plain number, None for NaN."""
    return float(value) if np.isfinite(value) else None
