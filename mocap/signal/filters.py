"""Low-pass filters: Butterworth and Savitzky–Golay (zero phase) and One-Euro (causal).

x is (T, *batch), time first; NaN is missing and stays missing. The first two treat each run between gaps as a recording
of its own: nothing leaks over a gap.
"""

from __future__ import annotations

from math import prod

import numpy as np
from jaxtyping import Float
from scipy import signal

from mocap.core.errors import ConfigError
from mocap.signal.segments import over_runs

SETTLED = 14.0
"""Time constants after which a transient has fallen to 1e-6 of itself."""


def butterworth(
    x: Float[np.ndarray, "T *batch"], *, fps: float, cutoff_hz: float, order: int = 4
) -> Float[np.ndarray, "T *batch"]:
    """Zero-phase Butterworth: a filter of half the order, forth and back. Gain 1/sqrt(2) at `cutoff_hz`.

    The gain is 1 / (1 + (sqrt(2) - 1) (w / w_cutoff)^order), w = tan(pi f / fps): the cut-off is that of both passes
    together (Winter 2009, 3.4.4). Runs are continued by point reflection about their ends, so that straight lines come
    through unchanged; a run of one sample is returned as it is.
    """
    if order < 2 or order % 2:
        raise ConfigError(f"a zero-phase Butterworth filter has an even order of at least 2, not {order}")
    corner_hz = _single_pass_corner_hz(fps, cutoff_hz, order)
    sections = signal.butter(order // 2, corner_hz, fs=fps, output="sos")
    slowest_pole = 2 * np.pi * corner_hz * np.sin(np.pi / order)  # rad/s, the real part nearest to 0
    pad = int(np.ceil(SETTLED * fps / slowest_pole))

    def forth_and_back(run: Float[np.ndarray, "L n"]) -> Float[np.ndarray, "L n"]:
        if len(run) == 1:
            return run
        padded = np.pad(run, ((pad, pad), (0, 0)), mode="reflect", reflect_type="odd")
        return np.asarray(signal.sosfiltfilt(sections, padded, axis=0, padlen=0))[pad:-pad]

    return over_runs(x, forth_and_back)


def _single_pass_corner_hz(fps: float, cutoff_hz: float, order: int) -> float:
    """Where one pass must have its corner for both together to be 3 dB down at the cut-off."""
    if not 0 < cutoff_hz < fps / 2:
        raise ConfigError(
            f"a cut-off of {cutoff_hz:g} Hz is not between 0 and half of {fps:g} frames a second",
            remedy="Choose a lower cut-off, or no filter for material this slow.",
        )
    warped = np.tan(np.pi * cutoff_hz / fps) / (np.sqrt(2) - 1) ** (1 / order)
    return float(np.arctan(warped) * fps / np.pi)


def savitzky_golay(
    x: Float[np.ndarray, "T *batch"], *, fps: float, window_s: float, degree: int = 3
) -> Float[np.ndarray, "T *batch"]:
    """Least-squares polynomial of `degree` in a sliding window (Savitzky & Golay 1964); polynomials come through.

    The window has the odd number of frames nearest to `window_s`, at least the first odd one above degree + 1. A run
    shorter than the window gets the longest odd window it holds; where that cannot smooth (degree + 1 samples or fewer)
    the run is returned as it is.
    """
    if degree < 0:
        raise ConfigError(f"a Savitzky-Golay polynomial has a degree of 0 or more, not {degree}")
    window = max(2 * round((window_s * fps - 1) / 2) + 1, degree + 3 - degree % 2)

    def fit(run: Float[np.ndarray, "L n"]) -> Float[np.ndarray, "L n"]:
        width = min(window, len(run) - 1 + len(run) % 2)
        if width <= degree + 1:
            return run
        return np.asarray(signal.savgol_filter(run, width, degree, axis=0, mode="interp"))

    return over_runs(x, fit)


def one_euro(
    x: Float[np.ndarray, "T *batch"],
    *,
    fps: float,
    min_cutoff_hz: float = 1.0,
    beta: float = 0.5,
    derivative_cutoff_hz: float = 1.0,
) -> Float[np.ndarray, "T *batch"]:
    """Exponential smoothing whose cut-off grows with speed (Casiez, Roussel & Vogel 2012, algorithm 1). Causal.

    cutoff = min_cutoff_hz + beta |filtered speed|: `beta` is in Hz per (unit of x)/s. Over a gap the state waits and
    the next sample counts with the time that has passed. The recursion in time is the filter; all series go at once.
    """
    samples = np.array(x, dtype=np.float64).reshape(len(x), prod(x.shape[1:]))
    result = np.full_like(samples, np.nan)
    value, speed = np.full(samples.shape[1], np.nan), np.zeros(samples.shape[1])
    elapsed = np.full(samples.shape[1], 1 / fps)
    for frame, sample in enumerate(samples):
        seen = np.isfinite(sample)
        known = np.isfinite(value)
        raw_speed = np.where(seen & known, (sample - value) / elapsed, 0.0)
        new_speed = speed + _smoothing_factor(elapsed, derivative_cutoff_hz) * (raw_speed - speed)
        factor = _smoothing_factor(elapsed, min_cutoff_hz + beta * np.abs(new_speed))
        new_value = np.where(known, value + factor * (sample - value), sample)
        value = np.where(seen, new_value, value)
        speed = np.where(seen & known, new_speed, speed)
        elapsed = np.where(seen | ~known, 1 / fps, elapsed + 1 / fps)
        result[frame] = np.where(seen, new_value, np.nan)
    return result.reshape(x.shape)


def _smoothing_factor(
    elapsed_s: Float[np.ndarray, "N"], cutoff_hz: float | Float[np.ndarray, "N"]
) -> Float[np.ndarray, "N"]:
    return 1 / (1 + 1 / (2 * np.pi * cutoff_hz * elapsed_s))
