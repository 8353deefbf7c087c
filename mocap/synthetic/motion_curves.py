"""Curves in time that motions are drawn with; positions, speeds and accelerations of all of them are continuous."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from scipy.interpolate import BPoly
from scipy.ndimage import gaussian_filter1d

Curve = Float[np.ndarray, "T"]

TRUNCATE = 6.0
"""Gaussians are cut where they are e^-18: at the usual 4 the cut shows as jerk."""


def ramp(time: Float[np.ndarray, "T"], start: float, end: float) -> Float[np.ndarray, "T"]:
    """From 0 to 1 with no speed and no acceleration at the ends (minimum jerk)."""
    x = np.clip((time - start) / (end - start), 0.0, 1.0)
    return x**3 * (10 - 15 * x + 6 * x**2)


def pulse(time: Float[np.ndarray, "T"], start: float, rise: float, hold: float, fall: float) -> Float[np.ndarray, "T"]:
    """Up from 0 to 1 from `start` for `rise` seconds, held for `hold`, and down for `fall`."""
    down = start + rise + hold
    return ramp(time, start, start + rise) - ramp(time, down, down + fall)


def eased(share: Float[np.ndarray, "T"], edge: float = 0.4) -> Float[np.ndarray, "T"]:
    """From 0 to 1 at even speed but for the first and last `edge` (up to 0.5) of the way in time.

    Its top speed is 1 / (1 - edge) of the mean one; that of `ramp` is 1.875.
    """
    x = np.clip(share, 0.0, 1.0)
    near = np.minimum(x, 1 - x)
    part = np.minimum(near, edge)
    risen = 0.5 * (part - edge / np.pi * np.sin(np.pi * part / edge)) + (near - part)
    risen = risen / (1 - edge)
    return np.where(x <= 0.5, risen, 1 - risen)


def bump(share: Float[np.ndarray, "T"]) -> Float[np.ndarray, "T"]:
    """0 outside (0, 1), 1 in the middle, no speed and no acceleration at the ends."""
    x = np.clip(share, 0.0, 1.0)
    return 64 * (x * (1 - x)) ** 3


def through(time: Float[np.ndarray, "T"], knots: Sequence[tuple[float, ...]]) -> Float[np.ndarray, "T"]:
    """Quintic pieces through knots (time, value[, speed[, acceleration]]), held before and after."""
    full = [(*knot, *(0.0,) * (4 - len(knot))) for knot in knots]
    at = [knot[0] for knot in full]
    if len(full) == 1:
        return np.full(len(time), float(full[0][1]))
    pieces = BPoly.from_derivatives(at, [list(knot[1:]) for knot in full])
    return np.asarray(pieces(np.clip(time, at[0], at[-1])))


def smooth(values: Float[np.ndarray, "T *n"], seconds: float, fps: float) -> Float[np.ndarray, "T *n"]:
    """Gaussian of that standard deviation over the first axis; ends are held."""
    return gaussian_filter1d(values, seconds * fps, axis=0, mode="nearest", truncate=TRUNCATE)


def drift(
    time: Float[np.ndarray, "T"], rng: np.random.Generator, band_hz: tuple[float, float] = (0.1, 0.5)
) -> Float[np.ndarray, "T"]:
    """Aimless wandering of unit effective value: five waves of the band, of random phases."""
    frequency = rng.uniform(*band_hz, 5)
    phase = rng.uniform(0, 2 * np.pi, 5)
    return np.sqrt(2 / 5) * np.sin(2 * np.pi * frequency * time[:, None] + phase).sum(axis=1)


def clipped_softly(values: Float[np.ndarray, "*b"], bound: float) -> Float[np.ndarray, "*b"]:
    """Between -bound and bound, nearly unchanged up to half of it."""
    return values / (1 + np.abs(values / bound) ** 4) ** 0.25


def beyond(values: Float[np.ndarray, "*b"], bound: float, softness: float) -> Float[np.ndarray, "*b"]:
    """How far values are above the bound, 0 below, rounded off over `softness`."""
    return softness * np.logaddexp(0.0, (values - bound) / softness)
