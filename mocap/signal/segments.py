"""Runs of frames without a gap: found for all series at once, and worked on together where equally long.

Time is the first axis everywhere in `mocap.signal`; every other axis is free. NaN is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from jaxtyping import Bool, Float, Int


def runs_of(mask: Bool[np.ndarray, "T N"]) -> tuple[Int[np.ndarray, "R"], Int[np.ndarray, "R"], Int[np.ndarray, "R"]]:
    """Start, length and series of every maximal run of True, ordered by series, then time."""
    n_series = mask.shape[1]
    edge = np.zeros((1, n_series), dtype=np.int8)
    change = np.diff(np.concatenate([edge, mask.astype(np.int8), edge]), axis=0).T
    series, start = np.nonzero(change == 1)
    stop = np.nonzero(change == -1)[1]
    return start, stop - start, series


def over_runs(
    x: Float[np.ndarray, "T *batch"], function: Callable[[Float[np.ndarray, "L n"]], Float[np.ndarray, "L n"]]
) -> Float[np.ndarray, "T *batch"]:
    """`function` applied to every run of finite samples as if it were a recording of its own; gaps stay NaN.

    Runs of equal length go to `function` together, so the calls are as many as there are different lengths.
    """
    flat = np.array(x, dtype=np.float64).reshape(len(x), prod(x.shape[1:]))
    start, length, series = runs_of(np.isfinite(flat))
    result = np.full_like(flat, np.nan)
    for n in np.unique(length):
        same = length == n
        rows, columns = start[same] + np.arange(n)[:, None], np.broadcast_to(series[same], (n, int(same.sum())))
        result[rows, columns] = function(flat[rows, columns])
    return result.reshape(x.shape)
