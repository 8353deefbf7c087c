"""Gaps in time series: how long they are, and filling those that are short enough."""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

Interpolation = Literal["linear", "pchip"]


def gap_lengths(present: Bool[np.ndarray, "T *batch"]) -> Int[np.ndarray, "T *batch"]:
    """Frames in the gap that a frame lies in; 0 where present, T where nothing bounds the gap on one side."""
    before, after = _neighbours(present)
    inside = (before >= 0) & (after < len(present))
    return np.where(present, 0, np.where(inside, after - before - 1, len(present)))


def fill_gaps(
    x: Float[np.ndarray, "T *batch D"], *, max_gap: int, method: Interpolation = "pchip"
) -> tuple[Float[np.ndarray, "T *batch D"], Bool[np.ndarray, "T *batch"]]:
    """Gaps of at most `max_gap` frames between two samples interpolated, and which frames that were.

    Longer gaps and those at the ends stay NaN: nothing is extrapolated. A sample with any coordinate missing is missing
    altogether. `pchip` is the monotone cubic of Fritsch & Butland 1984 as SciPy has it: no overshoot.
    """
    present = np.logical_and.reduce(np.isfinite(x), axis=-1)
    gap = gap_lengths(present)
    fillable = ~present & (gap <= max_gap) & (gap < len(x))
    before, after = _neighbours(present)
    t = np.arange(len(x)).reshape(-1, *[1] * (present.ndim - 1))
    safe_before, safe_after = np.maximum(before, 0), np.minimum(after, len(x) - 1)
    span = np.maximum(safe_after - safe_before, 1)[..., None]
    share = (t - safe_before)[..., None] / span
    left, right = _pick(x, safe_before), _pick(x, safe_after)
    if method == "linear":
        filled = left + share * (right - left)
    else:
        slope = _pchip_slopes(x, present)
        filled = _hermite(share, left, right, _pick(slope, safe_before) * span, _pick(slope, safe_after) * span)
    return np.where(fillable[..., None], filled, np.where(present[..., None], x, np.nan)), fillable


def _neighbours(
    present: Bool[np.ndarray, "T *batch"],
) -> tuple[Int[np.ndarray, "T *batch"], Int[np.ndarray, "T *batch"]]:
    """The last present frame before and the first after each frame, never itself; -1 and T where there is none."""
    n_frames = len(present)
    t = np.arange(n_frames).reshape(-1, *[1] * (present.ndim - 1))
    edge = np.full((1, *present.shape[1:]), -1)
    before = np.maximum.accumulate(np.concatenate([edge, np.where(present, t, -1)]), axis=0)[:-1]
    after = np.concatenate([np.where(present, t, n_frames), edge * 0 + n_frames])
    after = np.minimum.accumulate(after[::-1], axis=0)[::-1][1:]
    return before, after


def _pick(x: Shaped[np.ndarray, "T *batch D"], frame: Int[np.ndarray, "T *batch"]) -> Shaped[np.ndarray, "T *batch D"]:
    return np.take_along_axis(x, frame[..., None], axis=0)


def _hermite(
    share: np.ndarray, left: np.ndarray, right: np.ndarray, rise_left: np.ndarray, rise_right: np.ndarray
) -> np.ndarray:
    """Cubic between two samples; the rises are slopes times the span."""
    rest = 1 - share
    return (
        (1 + 2 * share) * rest**2 * left
        + share**2 * (3 - 2 * share) * right
        + share * rest**2 * rise_left
        - share**2 * rest * rise_right
    )


def _pchip_slopes(x: Float[np.ndarray, "T *batch D"], present: Bool[np.ndarray, "T *batch"]) -> np.ndarray:
    """Slope per frame at every present sample (0 elsewhere)."""
    n_frames = len(x)
    before, after = _neighbours(present)
    has_before, has_after = (before >= 0)[..., None], (after < n_frames)[..., None]
    before, after = np.maximum(before, 0), np.minimum(after, n_frames - 1)
    t = np.arange(n_frames).reshape(-1, *[1] * (present.ndim - 1))
    h_left, h_right = np.maximum(t - before, 1)[..., None], np.maximum(after - t, 1)[..., None]
    known = np.where(present[..., None], x, 0.0)
    left, right = (known - _pick(known, before)) / h_left, (_pick(known, after) - known) / h_right
    inner = _harmonic(left, right, h_left, h_right)
    # One-sided at the ends: the slope and span of the next interval but one come from the neighbour.
    first = _one_sided(right, _pick(right, after), h_right, _pick(h_right, after), _pick(has_after, after))
    last = _one_sided(left, _pick(left, before), h_left, _pick(h_left, before), _pick(has_before, before))
    slope = np.where(has_before & has_after, inner, np.where(has_after, first, np.where(has_before, last, 0.0)))
    return np.where(present[..., None], slope, 0.0)


def _harmonic(left: np.ndarray, right: np.ndarray, h_left: np.ndarray, h_right: np.ndarray) -> np.ndarray:
    """Weighted harmonic mean of the neighbouring slopes; 0 at a turning point, where it would overshoot."""
    turning = left * right <= 0
    safe_left, safe_right = np.where(turning, 1.0, left), np.where(turning, 1.0, right)
    w_left, w_right = 2 * h_right + h_left, h_right + 2 * h_left
    return np.where(turning, 0.0, (w_left + w_right) / (w_left / safe_left + w_right / safe_right))


def _one_sided(
    near: np.ndarray, far: np.ndarray, h_near: np.ndarray, h_far: np.ndarray, has_far: np.ndarray
) -> np.ndarray:
    """Three-point end slope, kept to the near interval's sign and three times its slope; two samples: their line."""
    slope = ((2 * h_near + h_far) * near - h_near * far) / (h_near + h_far)
    slope = np.where(np.sign(slope) != np.sign(near), 0.0, slope)
    steep = (np.sign(near) != np.sign(far)) & (np.abs(slope) > 3 * np.abs(near))
    return np.where(has_far, np.where(steep, 3 * near, slope), near)
