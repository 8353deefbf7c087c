"""How well cameras were put on one clock.

Only differences between cameras count: a common offset, or a clock that is fast for all of them, changes nothing in
what the cameras show together.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from mocap.core.clock import Clock
from mocap.core.config import Report
from mocap.core.errors import InputError
from mocap.evaluation.distribution import number


class CameraSync(Report):
    """One camera against the reference camera, ms; positive: its pictures are put too late.

    offset_ms: of the fitted line at the middle of the take. drift_ppm: slope of that line, microseconds a second, None
    for a single frame. rms_ms, max_ms: over the frames, of the error itself.
    """

    frames: int
    offset_ms: float
    drift_ppm: float | None
    rms_ms: float
    max_ms: float


class SyncReport(Report):
    """max_ms: over all cameras and the whole take. missing: cameras of the truth that were not put on the clock."""

    reference: str
    cameras: dict[str, CameraSync]
    max_ms: float | None
    rms_ms: float | None
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


def sync_errors_s(
    found: Mapping[str, Float[np.ndarray, "..."]], true: Mapping[str, Float[np.ndarray, "..."]], *, reference: str
) -> dict[str, Float[np.ndarray, "..."]]:
    """Error of every frame of each shared camera, s: its found time less where the reference camera puts its true time.

    found, true: by camera, shared time and scene time of every frame (F,). NaN where a frame has no found time. The
    reference's own found times are taken as a straight line of the true ones (least squares).
    """
    for name in [n for n in _shared(found, true) if len(found[n]) != len(true[n])]:
        raise InputError(f"camera {name}: {len(found[name])} found times for {len(true[name])} frames")
    if reference not in found or reference not in true:
        raise InputError(
            f"camera {reference} is not in both clocks",
            remedy=f"Both have {', '.join(_shared(found, true)) or 'none'}.",
        )
    slope, start, middle = _line(true[reference], found[reference])
    if np.isnan(start):
        raise InputError(f"camera {reference}, the reference, has no found times")
    slope = 1.0 if np.isnan(slope) else slope
    return {name: found[name] - (slope * (true[name] - middle) + start) for name in _shared(found, true)}


def sync_report(
    found: Mapping[str, Float[np.ndarray, "..."]],
    true: Mapping[str, Float[np.ndarray, "..."]],
    *,
    reference: str | None = None,
) -> SyncReport:
    """Times of frames by camera (see `sync_errors_s`). reference: by default the first camera that both have."""
    shared = _shared(found, true)
    if not shared:
        raise InputError(f"no camera is in both clocks: {', '.join(found) or 'none'} and {', '.join(true) or 'none'}")
    reference = shared[0] if reference is None else reference
    errors = sync_errors_s(found, true, reference=reference)
    cameras = {name: _camera(true[name], error) for name, error in errors.items() if np.isfinite(error).any()}
    others = [1000.0 * e[np.isfinite(e)] for name, e in errors.items() if name != reference]
    every = np.concatenate(others) if others else np.zeros(0)
    return SyncReport(
        reference=reference,
        cameras=cameras,
        max_ms=float(np.abs(every).max()) if every.size else None,
        rms_ms=float(np.sqrt((every**2).mean())) if every.size else None,
        missing=tuple(n for n in true if n not in cameras),
        surplus=tuple(n for n in found if n not in true),
    )


def clock_times_s(
    clocks: Mapping[str, Clock], stamps_s: Mapping[str, Float[np.ndarray, "..."]]
) -> dict[str, Float[np.ndarray, "..."]]:
    """Shared times of frames from their stamps, for the cameras that have a clock: what `sync_report` takes."""
    return {name: clock.time_s(stamps_s[name]) for name, clock in clocks.items() if name in stamps_s}


def _shared(found: Mapping[str, np.ndarray], true: Mapping[str, np.ndarray]) -> list[str]:
    return [name for name in true if name in found]


def _camera(true_s: Float[np.ndarray, "F"], error_s: Float[np.ndarray, "F"]) -> CameraSync:
    known = error_s[np.isfinite(error_s)]
    slope, offset, _ = _line(true_s, error_s)
    return CameraSync(
        frames=known.size,
        offset_ms=1000.0 * offset,
        drift_ppm=number(1e6 * slope),
        rms_ms=float(1000.0 * np.sqrt((known**2).mean())),
        max_ms=float(1000.0 * np.abs(known).max()),
    )


def _line(x: Float[np.ndarray, "F"], y: Float[np.ndarray, "F"]) -> tuple[float, float, float]:
    """y = slope (x - middle) + value over the known ones, by least squares; middle is halfway through them. The slope
    is NaN where all are at one time, everything where none is known."""
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        return np.nan, np.nan, np.nan
    x, y = x[known], y[known]
    middle = float((x.min() + x.max()) / 2)
    spread = ((x - x.mean()) ** 2).sum()
    if spread == 0:
        return np.nan, float(y.mean()), middle
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / spread)
    return slope, float(y.mean() + slope * (middle - x.mean())), middle
