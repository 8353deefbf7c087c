"""What a fit of clocks to motion says of every camera, in the words that all methods share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float

from mocap.core.clock import ClockEstimate
from mocap.geometry.clock_refinement import ClockFit
from mocap.geometry.shift_search import APART_S, Candidate, Curve, profile

CLEAR = 0.3
"""Share of the score by which the best offset leads where there is no doubt; repeated steps leave less."""
VAGUE_S = 0.02
"""Standard deviation of an offset that halves its confidence."""


def usual_centre(a: Float[np.ndarray, "_"], b: Float[np.ndarray, "_"]) -> float:
    """0 where the stamps of two cameras overlap by half of the shorter one, else what lets them start together."""
    shared = min(a[-1], b[-1]) - max(a[0], b[0])
    return 0.0 if shared >= 0.5 * min(a[-1] - a[0], b[-1] - b[0]) else float(b[0] - a[0])


def clock_estimates(
    names: Sequence[str],
    curves: Mapping[tuple[int, int], Curve],
    candidate: Candidate,
    fit: ClockFit,
    *,
    method: str,
    notes: Sequence[str],
) -> tuple[ClockEstimate, ...]:
    """One estimate for every camera that the candidate places, but the first."""
    placed = np.isfinite(candidate.offset_s)
    estimates = []
    for c in np.flatnonzero(placed)[1:].tolist():
        others = placed.copy()
        others[c] = False
        curve = profile(curves, np.nan_to_num(candidate.offset_s), c, others)
        drift, sd = float(fit.drift[c]), float(np.sqrt(fit.covariance[c, c]))
        estimates.append(
            ClockEstimate(
                method=method,
                camera=str(names[c]),
                reference=str(names[0]),
                offset_s=float(fit.offset_s[c] - drift * fit.middle_s),
                drift_ppm=1e6 * drift,
                sd_s=sd,
                confidence=confidence_of(curve, float(fit.offset_s[c]), sd),
                curve=curve,
                note=str(notes[c]),
            )
        )
    return tuple(estimates)


def confidence_of(curve: Curve | None, offset_s: float, sd_s: float) -> float:
    """From how far the best offset stands out from the second best of the search, and from the deviation."""
    if curve is None:
        return 0.0
    lags, score = curve
    near = np.abs(lags - offset_s) <= APART_S
    if not near.any() or near.all():
        return 0.0
    first, second = float(score[near].max()), float(score[~near].max())
    margin = np.clip((first - second) / max(first, 1e-9) / CLEAR, 0.0, 1.0)
    return float(margin / (1 + (sd_s / VAGUE_S) ** 2))
