"""Rauch–Tung–Striebel smoothing with an integrated white-noise motion model, all series at once.

The state is position and its first order - 1 derivatives; the derivative after those is white noise of density q
(order 2: white acceleration, 3: white jerk, 4: white snap). Formulas: Kalman 1960, Rauch, Tung & Striebel 1965;
transition and noise: Bar-Shalom, Li & Kirubarajan 2001, 6.2.
"""

from __future__ import annotations

from math import factorial, prod

import numpy as np
from jaxtyping import Float

from mocap.core.errors import ConfigError

DIFFUSE = 1e8
"""Prior variance of position and derivatives over what one frame adds: no say after `order` samples."""
MAX_ELEMENTS = 1 << 24
"""Numbers kept for the backward pass at a time (128 MB); series beyond that wait for the next turn."""


def rts_smooth(
    x: Float[np.ndarray, "T *batch D"],
    variance: Float[np.ndarray, "T *batch"],
    *,
    fps: float,
    density: float,
    order: int = 3,
) -> tuple[Float[np.ndarray, "T *batch D"], Float[np.ndarray, "T *batch"]]:
    """The expected trajectory given all samples, and its standard deviation per coordinate.

    variance: of each sample in each coordinate, in the square of x's unit; infinite (or a NaN sample) is missing.
    density: q of the white noise, unit² / s^(2 order - 1); see `density_for_cutoff`. Gaps are filled; frames before the
    first and after the last sample of a series are NaN: nothing is extrapolated. The recursion in time is the filter.
    """
    if not 1 <= order <= 4:
        raise ConfigError(f"the motion model has an order from 1 to 4, not {order}")
    n_frames, n_axes = len(x), x.shape[-1]
    samples = np.moveaxis(np.asarray(x, dtype=np.float64).reshape(n_frames, prod(x.shape[1:-1]), n_axes), 1, 2)
    variance = np.where(
        np.logical_and.reduce(np.isfinite(samples), axis=1), variance.reshape(n_frames, samples.shape[2]), np.inf
    )
    mean, deviation = np.empty_like(samples), np.empty_like(variance)
    group = max(1, MAX_ELEMENTS // max(1, n_frames * 3 * order * (order + n_axes)))
    for first in range(0, samples.shape[2], group):
        part = slice(first, first + group)
        mean[:, :, part], deviation[:, part] = _smooth(samples[:, :, part], variance[:, part], fps, density, order)
    return np.moveaxis(mean, 2, 1).reshape(x.shape), deviation.reshape(x.shape[:-1])


def density_for_cutoff(cutoff_hz: float, variance: float, *, fps: float, order: int = 3) -> float:
    """The noise density for which the smoother is 3 dB down at `cutoff_hz`, for samples of the given variance.

    Well inside the data the smoother's gain is 1 / (1 + r w^(2 order) / (q fps)), w in rad/s: the steady-state
    (Wiener) smoother of a signal of spectrum q / w^(2 order) in white noise of density r / fps; for order 2 that is the
    response of a zero-phase Butterworth filter of order 4.
    """
    return variance / fps * (2 * np.pi * cutoff_hz) ** (2 * order) / (np.sqrt(2) - 1)


def _smooth(
    samples: Float[np.ndarray, "T D N"], variance: Float[np.ndarray, "T N"], fps: float, density: float, order: int
) -> tuple[Float[np.ndarray, "T D N"], Float[np.ndarray, "T N"]]:
    transition, noise = motion_model(1 / fps, density, order)
    forward = _filter(samples, variance, transition, noise)
    mean, covariance = _backward(*forward, transition)
    seen = np.isfinite(variance)
    between = np.maximum.accumulate(seen, axis=0) & np.maximum.accumulate(seen[::-1], axis=0)[::-1]
    deviation = np.sqrt(np.maximum(covariance, 0))
    return np.where(between[:, None], mean, np.nan), np.where(between, deviation, np.nan)


def motion_model(
    step_s: float, density: float, order: int
) -> tuple[Float[np.ndarray, "n n"], Float[np.ndarray, "n n"]]:
    """Transition matrix and covariance of the noise that one time step adds."""
    i, j = np.indices((order, order))
    inverse_factorial = np.array([1 / factorial(k) for k in range(order)])
    transition = np.where(j >= i, step_s ** np.maximum(j - i, 0) * inverse_factorial[np.maximum(j - i, 0)], 0.0)
    power = 2 * order - 1 - i - j
    noise = density * step_s**power / power * inverse_factorial[order - 1 - i] * inverse_factorial[order - 1 - j]
    return transition, noise


def _filter(
    samples: Float[np.ndarray, "T D N"],
    variance: Float[np.ndarray, "T N"],
    transition: Float[np.ndarray, "n n"],
    noise: Float[np.ndarray, "n n"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Forward pass: predicted and updated means (T, n, D, N) and covariances (T, n, n, N)."""
    n_frames, n_axes, n_series = samples.shape
    order = len(noise)
    predicted, updated = (np.empty((n_frames, order, n_axes, n_series)) for _ in range(2))
    predicted_cov, updated_cov = (np.empty((n_frames, order, order, n_series)) for _ in range(2))
    mean, cov = _diffuse_prior(samples, variance, noise)
    seen = np.isfinite(variance)
    samples = np.where(seen[:, None], samples, 0.0)
    for t in range(n_frames):
        predicted[t], predicted_cov[t] = mean, cov
        gain = np.where(seen[t], cov[:, 0] / (cov[0, 0] + np.where(seen[t], variance[t], 1.0)), 0.0)
        mean = mean + gain[:, None] * (samples[t] - mean[0])
        cov = cov - gain[:, None] * cov[0]
        updated[t], updated_cov[t] = mean, cov
        mean = _left(transition, mean)
        cov = _left(transition, _left(transition, cov).swapaxes(0, 1)) + noise[..., None]
    return predicted, predicted_cov, updated, updated_cov


def _left(matrix: Float[np.ndarray, "n n"], stack: Float[np.ndarray, "n m N"]) -> Float[np.ndarray, "n m N"]:
    return (matrix @ stack.reshape(len(stack), -1)).reshape(stack.shape)


def _diffuse_prior(
    samples: Float[np.ndarray, "T D N"], variance: Float[np.ndarray, "T N"], noise: Float[np.ndarray, "n n"]
) -> tuple[Float[np.ndarray, "n D N"], Float[np.ndarray, "n n N"]]:
    """Position of the first sample, everything else 0, with hardly any weight."""
    first = np.isfinite(variance).argmax(0)
    mean = np.zeros((len(noise), *samples.shape[1:]))
    mean[0] = np.nan_to_num(np.take_along_axis(samples, first[None, None], axis=0)[0])
    typical = np.where(np.isfinite(variance), variance, 0).max(0)
    spread = DIFFUSE * (np.diag(noise)[:, None] + typical * np.diag(noise)[:, None] / noise[0, 0])
    return mean, np.eye(len(noise))[..., None] * spread[:, None]


def _backward(
    predicted: Float[np.ndarray, "T n D N"],
    predicted_cov: Float[np.ndarray, "T n n N"],
    updated: Float[np.ndarray, "T n D N"],
    updated_cov: Float[np.ndarray, "T n n N"],
    transition: Float[np.ndarray, "n n"],
) -> tuple[Float[np.ndarray, "T D N"], Float[np.ndarray, "T N"]]:
    """Backward pass: smoothed positions and their variances."""
    ahead = np.moveaxis(predicted_cov[1:], 3, 1)
    gains = np.linalg.solve(ahead, transition @ np.moveaxis(updated_cov[:-1], 3, 1))  # (P⁻ F^T)^T: transposed gains
    mean, cov = updated[-1], updated_cov[-1]
    position, spread = np.empty(updated[:, 0].shape), np.empty(updated_cov[:, 0, 0].shape)
    position[-1], spread[-1] = mean[0], cov[0, 0]
    for t in range(len(updated) - 2, -1, -1):
        gain = np.ascontiguousarray(np.moveaxis(gains[t], 0, 2)).swapaxes(0, 1)
        mean = updated[t] + np.einsum("ijn,jdn->idn", gain, mean - predicted[t + 1])
        cov = updated_cov[t] + np.einsum("ijn,jkn,lkn->iln", gain, cov - predicted_cov[t + 1], gain)
        position[t], spread[t] = mean[0], cov[0, 0]
    return position, spread
