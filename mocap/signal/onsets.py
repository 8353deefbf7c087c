"""When sounds begin: how much new sound there is over time, and the instants of sharp ones to a part of a ms."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int
from scipy import signal
from scipy.ndimage import maximum_filter1d, median_filter, uniform_filter1d

BAND_EDGES_HZ = (150.0, 400.0, 900.0, 1800.0, 3200.0, 5200.0, 7800.0)
"""Below lie handling noise and hum."""
FRAME_S = 0.016
DECIBEL = 10.0 / np.log(10.0)
AMBIENCE_S = 2.0
"""The level that a sound must rise above is the median of so long about it."""
SHARP_DB = 9.0
"""By so much a sharp sound's first milliseconds are louder than what is before them."""
APART_S = 0.08
"""Of two sharp sounds closer than this the second is the first one's echo."""
BEFORE_S = 0.020
AFTER_S = 0.008
"""The stretch about a rise in which its first instant is looked for."""


@dataclass(frozen=True, eq=False)
class Onsets:
    """Sharp sounds. time_s: (n,) since the first sample, ascending. strength_db: (n,) by how much each rises."""

    time_s: Float[np.ndarray, "n"]
    strength_db: Float[np.ndarray, "n"]


CODING = 0.003
"""Of a sharp sound's greatest power: what a codec puts before it (some milliseconds of pre-echo) lies below."""


def novelty(
    sound: Float[np.ndarray, "N"], rate_hz: float, *, step_s: float = 0.002
) -> tuple[Float[np.ndarray, "F B"], float]:
    """(F, B) how much louder each band gets at every step, dB, and the time between steps in s.

    Step k looks at FRAME_S about the sample at k * step. Levels under the ambience count as the ambience, so that
    noise in quiet moments says nothing; rises are taken over 10 ms and compressed by the root, so that one slammed
    door does not outweigh all else.
    """
    hop = max(1, round(step_s * rate_hz))
    length = 2 * round(FRAME_S * rate_hz / 2)
    padded = np.pad(sound.astype(np.float32), (length // 2, length))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[: len(sound) : hop]
    bands = _bands(length, rate_hz)
    power = np.concatenate([_band_power(part, bands) for part in np.array_split(frames, 1 + len(frames) // 8192)])
    level = DECIBEL * np.log(power + 1e-12)
    wide = 1 + 2 * round(0.5 * AMBIENCE_S / step_s / 20)
    ambience = np.repeat(median_filter(level[::20], size=(wide, 1), mode="nearest"), 20, axis=0)[: len(level)]
    above = np.maximum(level - ambience - 3.0, 0.0)
    lag = max(1, round(0.010 / step_s))
    rise = np.maximum(above - np.concatenate([np.repeat(above[:1], lag, 0), above[:-lag]]), 0.0)
    return np.sqrt(rise).astype(np.float64), hop / rate_hz


def _bands(length: int, rate_hz: float) -> Float[np.ndarray, "n B"]:
    hz = np.fft.rfftfreq(length, 1 / rate_hz)
    edges = [edge for edge in BAND_EDGES_HZ if edge < 0.49 * rate_hz]
    return np.stack([(hz >= low) & (hz < high) for low, high in pairwise(edges)], 1).astype(np.float64)


def _band_power(frames: Float[np.ndarray, "F L"], bands: Float[np.ndarray, "n B"]) -> Float[np.ndarray, "F B"]:
    taper = np.hanning(frames.shape[1]).astype(np.float32)
    return (np.abs(np.fft.rfft(frames * taper, axis=1)) ** 2) @ bands


def sharp_onsets(sound: Float[np.ndarray, "N"], rate_hz: float, *, most: int = 400) -> Onsets:
    """Claps, knocks, clicks: where the level jumps by SHARP_DB within milliseconds; of too many the strongest.

    The instant is where the two halves of the stretch about the rise are most unlike: the least of Akaike's criterion
    k log var(before) + (n - k) log var(after), as seismologists pick first arrivals (Maeda 1985).
    """
    n_least = round((BEFORE_S + AFTER_S) * rate_hz)
    if len(sound) < 2 * n_least:
        return Onsets(np.zeros(0), np.zeros(0))
    high = _without_rumble(sound, rate_hz)
    at, strength = _rises(high, rate_hz)
    if len(at) > most:
        strongest = np.sort(np.argsort(-strength)[:most])
        at, strength = at[strongest], strength[strongest]
    if not len(at):
        return Onsets(np.zeros(0), np.zeros(0))
    return Onsets(_first_instants(high, at, rate_hz) / rate_hz, strength)


def _without_rumble(sound: Float[np.ndarray, "N"], rate_hz: float) -> Float[np.ndarray, "N"]:
    sections = signal.butter(2, 400.0, "highpass", fs=rate_hz, output="sos")
    return np.asarray(signal.sosfilt(sections, sound.astype(np.float64)))


def _rises(high: Float[np.ndarray, "N"], rate_hz: float) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Samples at which the next 3 ms are loudest against the 30 ms before, and by how many dB."""
    short, before = round(0.003 * rate_hz), round(0.030 * rate_hz)
    total = np.concatenate([[0.0], np.cumsum(high**2)])
    n = len(high)
    at = np.arange(before, n - short, max(1, round(0.0005 * rate_hz)))
    ahead = (total[at + short] - total[at]) / short
    behind = (total[at] - total[at - before]) / before
    ambient = np.median(behind)
    gain = DECIBEL * np.log((ahead + 1e-14) / (behind + 0.3 * ambient + 1e-14))
    loud = ahead > 4.0 * ambient
    apart = max(3, round(APART_S / 0.0005))
    peak = (gain == maximum_filter1d(gain, size=2 * apart + 1)) & (gain > SHARP_DB) & loud
    found = np.flatnonzero(peak)
    return at[found], gain[found]


def _first_instants(high: Float[np.ndarray, "N"], at: Int[np.ndarray, "n"], rate_hz: float) -> Float[np.ndarray, "n"]:
    before, after = round(BEFORE_S * rate_hz), round(AFTER_S * rate_hz)
    start = np.clip(at - before, 0, len(high) - before - after)
    x2 = high[start[:, None] + np.arange(before + after)] ** 2
    total = np.cumsum(x2, axis=1)
    k = np.arange(8, before + after - 8)
    head = total[:, k - 1] / k
    tail = (total[:, -1:] - total[:, k - 1]) / (before + after - k)
    floor = CODING * x2.max(axis=1, keepdims=True) + 1e-20
    criterion = k * np.log(head + floor) + (before + after - k) * np.log(tail + floor)
    return (start + k[np.argmin(criterion, axis=1)]).astype(np.float64)


def smoothed(x: Float[np.ndarray, "F B"], width: int) -> Float[np.ndarray, "F B"]:
    """The mean of `width` steps about each."""
    return uniform_filter1d(x, size=max(1, width), axis=0, mode="constant")
