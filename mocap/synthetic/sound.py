"""What a camera's microphone hears: claps, later by their way through the air, in a room that is not quite silent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32
from scipy.signal import lfilter

SPEED_M_PER_S = 343.0
"""Of sound in air at 20 °C."""
CLAP_S = 0.012
"""Decay time of a clap itself; the room adds `REVERBERATION_S`."""
REVERBERATION_S = 0.09
HUM = 0.003
LOUDNESS = 0.6
"""Peak of a clap one metre away; full scale is 1."""


def heard(
    clap_times_s: Sequence[float] | Float[np.ndarray, "n"],
    distances_m: Sequence[float] | Float[np.ndarray, "n"],
    *,
    seconds: float,
    rate_hz: int,
    rng: np.random.Generator,
) -> Float32[np.ndarray, "N"]:
    """Mono sound in [-1, 1], sample n at n / rate_hz seconds. Times: when the palms meet; distances: to the camera."""
    n = round(seconds * rate_hz)
    # A room's noise falls off with frequency: white noise through a first-order low-pass.
    sound = 3 * HUM * np.asarray(lfilter([0.05], [1.0, -0.95], rng.standard_normal(n)))
    for time, distance in zip(clap_times_s, distances_m, strict=True):
        start = round((time + distance / SPEED_M_PER_S) * rate_hz)
        if 0 <= start < n:
            burst = _clap(rate_hz, rng)[: n - start] * LOUDNESS / max(distance, 0.5)
            sound[start : start + len(burst)] += burst
    return np.clip(sound, -1.0, 1.0).astype(np.float32)


def _clap(rate_hz: int, rng: np.random.Generator) -> Float[np.ndarray, "n"]:
    """Noise that starts at once and decays, first fast (palms), then slower and softer (room)."""
    t = np.arange(round(5 * REVERBERATION_S * rate_hz)) / rate_hz
    envelope = np.exp(-t / CLAP_S) + 0.12 * np.exp(-t / REVERBERATION_S)
    burst = envelope * rng.standard_normal(len(t))
    burst[0] = np.sign(burst[0]) * 2.0  # the onset is sharp, whatever the noise is
    return burst / np.abs(burst).max()
