"""Clocks of cameras from a light that all of them saw: a flash, a lamp that is switched, a torch at a lens."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from mocap.core.clock import ClockEstimate
from mocap.core.errors import InputError
from mocap.signal.clock_fit import CRYSTAL_PPM
from mocap.signal.cross_correlation import thinned
from mocap.signal.light_events import LightEvents, LightMatch, light_events, match_events

CURVE_POINTS = 2000
UNSEEN_SD_S = 10.0


def flash_estimates(
    brightness: Mapping[str, Float[np.ndarray, "..."]],
    stamps: Mapping[str, Float[np.ndarray, "..."]],
    *,
    reference: str | None = None,
) -> tuple[ClockEstimate, ...]:
    """Every camera against the reference (by default the one with most changes of the light, or the first of those).

    brightness: (F,) mean level of every frame (`mocap.io.brightness.read_brightness`); stamps: (F,) of the same frames.
    """
    names = [name for name in brightness if name in stamps]
    if len(names) < 2 or (reference is not None and reference not in names):
        raise InputError("clocks by light need two cameras", where=reference)
    events = {name: _events(brightness[name], stamps[name]) for name in names}
    reference = reference or max(names, key=lambda name: len(events[name]))
    others = [name for name in names if name != reference]
    return tuple(_estimate(name, reference, match_events(events[reference], events[name])) for name in others)


def _events(brightness: Float[np.ndarray, "F"], stamps: Float[np.ndarray, "G"]) -> LightEvents:
    n = min(len(brightness), len(stamps))
    return light_events(brightness[:n], stamps[:n])


def _estimate(name: str, reference: str, match: LightMatch | None) -> ClockEstimate:
    if match is None:
        note = "no change of the light that both saw"
        return ClockEstimate("flash", name, reference, 0.0, None, UNSEEN_SD_S, 0.0, None, note)
    line, count = match.line, len(match.matched)
    fitted = count > 2 and line.slope_sd < 0.8 * CRYSTAL_PPM * 1e-6
    return ClockEstimate(
        method="flash",
        camera=name,
        reference=reference,
        offset_s=line.at_zero if fitted else line.value,
        drift_ppm=1e6 * line.slope if fitted else None,
        sd_s=line.value_sd,
        confidence=match.confidence,
        curve=thinned(match.lags, match.votes, CURVE_POINTS),
        note=f"{count} change{'s' * (count > 1)} of the light about stamp {line.middle:.1f} s",
    )
