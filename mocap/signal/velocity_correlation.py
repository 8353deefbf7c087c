"""The shift of two cameras from how fast the same points move in their pictures, with no knowledge of the cameras.

A point that starts, stops or turns does so in every picture at the same moment; how fast it seems depends on where the
camera stands. Speeds are therefore compared as logarithms, brought to zero mean and unit variance point by point, and
correlated over all shifts with gaps left out (masked normalised correlation, Padfield 2012).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

SLOW = 0.3
"""Of the median speed: what is added to speeds, so that the logarithm does not dwell on things that stand."""
STILL = 1e-3
"""Of the variance of a signal: a stretch with less tells nothing."""
LEAST_OVERLAP = 0.15
"""Of the shorter signal."""


def speed_signals(speed: Float[np.ndarray, "N J"]) -> Float[np.ndarray, "N J"]:
    """Logarithms of speeds as correlated, NaN where unknown."""
    known = np.isfinite(speed)
    typical = np.array([np.median(c[k]) if k.any() else 1.0 for c, k in zip(speed.T, known.T, strict=True)])
    signal = np.log(np.where(known, speed, 0.0) + SLOW * np.maximum(typical, 1e-9))
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, signal, 0.0).sum(0) / count
    spread = np.sqrt((np.where(known, signal - mean, 0.0) ** 2).sum(0) / count)
    return np.where(known, (signal - mean) / np.maximum(spread, 1e-9), np.nan)


def velocity_correlation(
    a: Float[np.ndarray, "N J"], b: Float[np.ndarray, "M J"], *, first: int, last: int
) -> Float[np.ndarray, "L"]:
    """Mean over points of the normalised correlation of a[n] and b[n + shift], shifts `first` to `last`; 0 for shifts
    with little overlap."""
    size = 1 << (len(a) + len(b)).bit_length()
    known = [np.isfinite(x).astype(np.float64) for x in (a, b)]
    value = [np.where(np.isfinite(x), x, 0.0) for x in (a, b)]
    (ka, kb), (va, vb) = known, value

    def slide(x: Float[np.ndarray, "N J"], y: Float[np.ndarray, "M J"]) -> Float[np.ndarray, "L J"]:
        product = np.fft.irfft(np.conj(np.fft.rfft(x, size, axis=0)) * np.fft.rfft(y, size, axis=0), size, axis=0)
        return product[np.arange(first, last + 1) % size]

    n = np.maximum(slide(ka, kb), 1e-9)
    sum_a, sum_b = slide(va, kb), slide(ka, vb)
    var_a = slide(va**2, kb) - sum_a**2 / n
    var_b = slide(ka, vb**2) - sum_b**2 / n
    cross = slide(va, vb) - sum_a * sum_b / n
    shift = np.arange(first, last + 1)
    possible = (shift > -len(a)) & (shift < len(b))
    enough = (n > LEAST_OVERLAP * min(len(a), len(b))) & (np.minimum(var_a, var_b) > STILL * n) & possible[:, None]
    score = np.where(enough, cross / np.sqrt(np.where(enough, var_a * var_b, 1.0)), 0.0)
    # Points that are seen together longer say more: n r² is what counts in a correlation of n samples.
    weight = np.where(enough, np.sqrt(n), 0.0)
    total = weight.sum(1)
    return np.where(total > 0, (weight * score).sum(1) / np.where(total > 0, total, 1.0), 0.0)


def top_between(score: Float[np.ndarray, "L"], top: int) -> float:
    """Where the parabola through a maximum and its neighbours has its vertex, in samples."""
    if not 0 < top < len(score) - 1:
        return float(top)
    left, middle, right = score[top - 1 : top + 2].tolist()
    bend = left - 2 * middle + right
    return float(top + (0.5 * (left - right) / bend if bend < 0 else 0.0))
