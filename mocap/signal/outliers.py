"""Samples that do not belong to their neighbourhood in time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaincinv

MIN_NEIGHBOURS = 3
"""Fewer finite samples in a window than this say nothing about the one in the middle."""
MIN_MIDPOINTS = 3
"""With fewer pairs of samples left and right of the middle (near the ends and gaps) lines through one side stand in."""
LINE_ERROR = 2.0
"""How much farther off such a line is than a midpoint: exactly 2 for constant acceleration, sqrt(5 / 1.5) for noise."""


def hampel_outliers(
    x: Float[np.ndarray, "T *batch D"], *, half_window: int, n_sigma: float, floor: float = 0.0
) -> Bool[np.ndarray, "T *batch"]:
    """Samples farther than `n_sigma` robust deviations from where their window puts them (Hampel 1974).

    The window holds `half_window` frames to each side, fewer at the ends; NaN is ignored and never an outlier. The
    middle sample is expected at the median, per coordinate, of the midpoints of the pairs k frames before and after:
    unlike the window's median this has no lag in steady motion, whose spread would otherwise hide outliers. The
    deviation is the median of the distances in the window over the one that D Gaussian coordinates of unit deviation
    have (0.6745 for D = 1, 1.538 for D = 3).
    floor: distances up to here are never outliers, in x's unit (still points have a deviation of nearly 0).
    """
    windows = _windows(x, half_window)
    count = np.isfinite(windows[..., 0, :]).sum(-1)
    distance = _distance_to_expected(windows)
    deviation = _nan_median(_windows(distance[..., None], half_window)[..., 0, :])
    deviation = deviation / np.sqrt(2 * gammaincinv(x.shape[-1] / 2, 0.5))
    with np.errstate(invalid="ignore"):
        return (distance > np.maximum(n_sigma * deviation, floor)) & (count >= MIN_NEIGHBOURS)


def _distance_to_expected(windows: Float[np.ndarray, "T *batch D W"]) -> Float[np.ndarray, "T *batch"]:
    half = windows.shape[-1] // 2
    after, before = windows[..., half + 1 :], windows[..., half - 1 :: -1] if half else windows[..., :0]
    midpoints = (before + after) / 2
    lines = np.concatenate([2 * side[..., : half // 2] - side[..., 1::2] for side in (before, after)], axis=-1)
    centred = np.isfinite(midpoints[..., :1, :]).sum(-1) >= MIN_MIDPOINTS
    middle = windows[..., half]
    error = np.where(centred, middle - _nan_median(midpoints), (middle - _nan_median(lines)) / LINE_ERROR)
    return np.linalg.norm(error, axis=-1)


def _windows(x: Float[np.ndarray, "T *batch D"], half_window: int) -> Float[np.ndarray, "T *batch D W"]:
    """A sample with any coordinate missing is missing altogether; beyond the ends everything is."""
    whole = np.where(np.logical_and.reduce(np.isfinite(x), axis=-1, keepdims=True), x, np.nan)
    padding = [(half_window, half_window)] + [(0, 0)] * (x.ndim - 1)
    padded = np.pad(whole, padding, constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * half_window + 1, axis=0)


def _nan_median(values: Float[np.ndarray, "*batch W"]) -> Float[np.ndarray, "*batch"]:
    """Median over the last axis without NaN; NaN where there is nothing. np.nanmedian takes 20 times as long."""
    ordered = np.sort(values, axis=-1)  # NaN goes last
    count = np.isfinite(values).sum(-1)
    low, high = _at(ordered, np.maximum(count - 1, 0) // 2), _at(ordered, np.minimum(count // 2, values.shape[-1] - 1))
    return np.where(count > 0, (low + high) / 2, np.nan)


def _at(values: Float[np.ndarray, "*batch W"], index: Int[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
    return np.take_along_axis(values, index[..., None], axis=-1)[..., 0]
