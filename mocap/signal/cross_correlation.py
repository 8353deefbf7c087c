"""Where two signals match best: correlation over all lags, PHAT for waveforms, peaks between samples.

A lag of L samples means that what `a` shows at n, `b` shows at n + L.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.fft import next_fast_len

APART = 4.0
"""Peaks are rivals when they are further apart than this many times what counts as one peak."""


@dataclass(frozen=True, eq=False)
class Correlation:
    """lags: (n,) samples, ascending. score: (n,) in [-1, 1]. z: (n,) score times the root of the overlap, that is in
    standard deviations of what unrelated signals score."""

    lags: Int[np.ndarray, "n"]
    score: Float[np.ndarray, "n"]
    z: Float[np.ndarray, "n"]


@dataclass(frozen=True)
class Peak:
    """lag: samples, with a fraction. score, z: there. rival: the best z elsewhere, 0 where there is none."""

    lag: float
    score: float
    z: float
    rival: float

    @property
    def confidence(self) -> float:
        """In [0, 1]: 0 where the rival is as good or the peak is what chance gives, 1 where it is half as good.

        The best of some ten thousand lags of unrelated signals reaches about four deviations.
        """
        if self.z <= 0:
            return 0.0
        lead = np.clip(2.0 * (1 - max(self.rival, 0.0) / self.z), 0, 1)
        return float(lead * np.clip((self.z - 4.0) / 6.0, 0, 1))


def correlate(
    a: Float[np.ndarray, "N B"],
    b: Float[np.ndarray, "M B"],
    *,
    max_lag: int | None = None,
    least_overlap: int = 1,
    independent: float = 1.0,
) -> Correlation:
    """Normalised cross-correlation at all lags that leave `least_overlap` samples, summed over the B columns.

    The columns are brought to zero mean and unit variance before; at every lag the norm is that of the parts that
    overlap. independent: samples for one that is independent of the others, which z counts.
    """
    n, m = len(a), len(b)
    a, b = _standard(a), _standard(b)
    size = _fast_length(n + m - 1)
    product = (np.conj(np.fft.rfft(a, size, axis=0)) * np.fft.rfft(b, size, axis=0)).sum(1)
    circular = np.fft.irfft(product, size)
    lags = np.arange(-(n - 1), m)
    raw = circular[lags % size]
    start, stop = np.maximum(0, -lags), np.minimum(n, m - lags)
    energy_a, energy_b = _running((a**2).sum(1)), _running((b**2).sum(1))
    norm = (energy_a[stop] - energy_a[start]) * (energy_b[stop + lags] - energy_b[start + lags])
    overlap = stop - start
    # Where an overlap is quiet the mean level stands for it: silence matches silence everywhere.
    least = (overlap * a.shape[1]).astype(np.float64) ** 2 * 0.25
    score = raw / np.sqrt(np.maximum(norm, least))
    z = score * np.sqrt(overlap * a.shape[1] / independent)
    keep = (overlap >= least_overlap) & (True if max_lag is None else np.abs(lags) <= max_lag)
    return Correlation(lags[keep], score[keep], z[keep])


def best_peak(found: Correlation, *, width: float) -> Peak:
    """The highest z, by a parabola between samples, and its best rival outside APART times `width` (samples)."""
    at = int(np.argmax(found.z))
    away = np.abs(found.lags - found.lags[at]) > APART * width
    rival = float(found.z[away].max()) if away.any() else 0.0
    return Peak(float(found.lags[at]) + vertex(found.z, at), float(found.score[at]), float(found.z[at]), rival)


def candidates(found: Correlation, *, width: float, count: int) -> list[Peak]:
    """The best peaks, `width` samples apart from each other, best first."""
    z, peaks = found.z.copy(), []
    for _ in range(count):
        at = int(np.argmax(z))
        if not np.isfinite(z[at]) or z[at] <= 0:
            break
        near = np.abs(found.lags - found.lags[at]) <= APART * width
        z[near] = -np.inf
        rival = float(z.max()) if not near.all() else 0.0
        lag = float(found.lags[at]) + vertex(found.z, at)
        peaks.append(Peak(lag, float(found.score[at]), float(found.z[at]), max(rival, 0.0)))
    return peaks


def vertex(values: Float[np.ndarray, "n"], at: int) -> float:
    """Where the parabola through a peak and its neighbours is highest, in samples from it; 0 at the ends."""
    if not 0 < at < len(values) - 1:
        return 0.0
    before, here, after = values[at - 1 : at + 2]
    bend = before - 2 * here + after
    return float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0


def phat_lags(
    a: Float[np.ndarray, "W L"], b: Float[np.ndarray, "W L"], *, max_lag: int, weight_power: float = 0.8
) -> tuple[Float[np.ndarray, "W"], Float[np.ndarray, "W"]]:
    """(lag, quality) of W pairs of windows by generalised correlation with phase transform (Knapp & Carter 1976).

    Samples with a fraction, within `max_lag`. The spectrum is divided by its modulus to the power `weight_power`: 1 is
    PHAT proper; somewhat less bears noise better. quality: height of the peak over the root mean square of the rest.
    """
    length = a.shape[-1]
    taper = np.hanning(length)
    size = _fast_length(2 * length)
    one, two = (np.fft.rfft((x - x.mean(-1, keepdims=True)) * taper, size, axis=-1) for x in (a, b))
    cross = np.conj(one) * two
    modulus = np.abs(cross)
    floor = 1e-3 * modulus.mean(-1, keepdims=True) + 1e-30
    whitened = np.fft.irfft(cross / (modulus + floor) ** weight_power, size, axis=-1)
    lags = np.arange(-max_lag, max_lag + 1)
    near = whitened[:, lags % size]
    at = np.argmax(near, axis=-1)
    inner = np.clip(at, 1, len(lags) - 2)
    rows = np.arange(len(near))
    before, here, after = (near[rows, inner + k] for k in (-1, 0, 1))
    bend = before - 2 * here + after
    safe = np.where(bend < 0, bend, -1.0)
    shift = np.where((bend < 0) & (inner == at), np.clip(0.5 * (before - after) / safe, -0.5, 0.5), 0.0)
    level = np.sqrt((near**2).mean(-1)) + 1e-30
    return lags[at] + shift, near[rows, at] / level


def thinned(
    x: Float[np.ndarray, "n"], y: Float[np.ndarray, "n"], most: int
) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """A curve of at most `most` points for a picture of it: of each stretch its highest point."""
    if len(x) <= most:
        return x, y
    stretch = -(-len(x) // most)
    filled = np.concatenate([y, np.full(-len(y) % stretch, -np.inf)]).reshape(-1, stretch)
    at = np.argmax(filled, axis=1) + stretch * np.arange(len(filled))
    return x[at], y[at]


def _fast_length(least: int) -> int:
    return int(next_fast_len(least, real=True) or least)


def _standard(x: Float[np.ndarray, "N B"]) -> Float[np.ndarray, "N B"]:
    spread = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _running(x: Float[np.ndarray, "N"]) -> Float[np.ndarray, "M"]:
    return np.concatenate([[0.0], np.cumsum(x)])
