"""Clocks of cameras whose rig nobody knows, from how fast people's keypoints move in each picture.

Coarser than what a rig allows, and no drift: enough to find the frames that belong together, or to calibrate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
from jaxtyping import Float

from mocap.capture.motion_clocks import confidence_of, usual_centre
from mocap.capture.motion_tracks import PersonTrack, TrackConfig, half_width_s, person_tracks
from mocap.core.clock import ClockEstimate
from mocap.core.keypoints import Detections2D
from mocap.geometry.shift_search import Candidate, Curve, joint_candidates, profile
from mocap.signal.local_quadratic import local_quadratic, steady_weights
from mocap.signal.velocity_correlation import speed_signals, top_between, velocity_correlation

STEP_S = 1 / 60
SD_S = 0.012
"""Deviation of a clock found by speeds alone; see `tools/measure_sync_motion.py`."""
BELIEF = 0.7
"""Highest confidence: one clock of four was seconds off in takes of steady walks, where steps are all alike."""
Signals = tuple[float, list[Float[np.ndarray, "..."]]]
"""Stamp of the first sample, and of every person the speeds (N, J) of the keypoints."""


def sync_by_speed(
    detections: Detections2D,
    stamps_s: Mapping[str, Float[np.ndarray, "_"]],
    config: TrackConfig,
    *,
    search_s: float,
    reference: str | None = None,
    around_s: Mapping[str, float] | None = None,
) -> tuple[ClockEstimate, ...]:
    """One estimate for every camera but the reference that speeds tie to it; without a drift."""
    first = reference or detections.cameras[0]
    names = [first, *(name for name in detections.cameras if name != first)]
    half = half_width_s({name: stamps_s[name] for name in names}, config)
    signals = []
    for name in names:
        people = person_tracks(detections, detections.cameras.index(name), stamps_s[name], config)
        signals.append(_signals(people, half))
    spans = [stamps_s[name][np.isfinite(stamps_s[name])] for name in names]
    centres = [
        (around_s or {}).get(name, usual_centre(spans[0], span)) for name, span in zip(names, spans, strict=True)
    ]
    curves = _curves(signals, centres, search_s)
    candidates = joint_candidates(curves, len(names))
    return _estimates(names, curves, candidates[0]) if candidates else ()


def _signals(people: list[PersonTrack], half_width: float) -> Signals:
    start = min((float(p.stamp_s[0]) for p in people), default=0.0)
    end = max((float(p.stamp_s[-1]) for p in people), default=0.0)
    at = start + STEP_S * np.arange(max(2, int((end - start) / STEP_S) + 1))
    signals = []
    for person in people:
        weight = steady_weights(person.stamp_s, person.xy, person.weight, half_width_s=half_width)
        _, rate = local_quadratic(person.stamp_s, person.xy, weight, at, half_width_s=half_width)
        size = np.interp(at, person.stamp_s, person.size_px)
        signals.append(speed_signals(np.linalg.norm(rate, axis=-1) / size[:, None]))
    return start, signals


def _curves(signals: Sequence[Signals], centres: Sequence[float], search_s: float) -> dict[tuple[int, int], Curve]:
    """Of every pair of cameras, of the people who fit best."""
    curves = {}
    for a, b in combinations(range(len(signals)), 2):
        (start_a, people_a), (start_b, people_b) = signals[a], signals[b]
        if not people_a or not people_b:
            continue
        middle = centres[b] - centres[a] - start_b + start_a
        first, last = int(np.ceil((middle - search_s) / STEP_S)), int(np.floor((middle + search_s) / STEP_S))
        pairs = [velocity_correlation(p, q, first=first, last=last) for p in people_a for q in people_b]
        score = max(pairs, key=lambda curve: float(curve.max()))
        score = score / max(float(score.std()), 1e-9)
        curves[a, b] = (start_b - start_a + STEP_S * np.arange(first, last + 1), score)
    return curves


def _estimates(
    names: Sequence[str], curves: Mapping[tuple[int, int], Curve], candidate: Candidate
) -> tuple[ClockEstimate, ...]:
    placed = np.isfinite(candidate.offset_s)
    estimates = []
    for c in np.flatnonzero(placed)[1:].tolist():
        others = placed.copy()
        others[c] = False
        curve = profile(curves, np.nan_to_num(candidate.offset_s), c, others)
        if curve is None:
            continue
        offset, score = curve
        near = np.flatnonzero(np.abs(offset - candidate.offset_s[c]) <= 2 * STEP_S)
        top = top_between(score, int(near[np.argmax(score[near])])) if len(near) else 0.0
        found = float(offset[0] + top * STEP_S) if len(near) else float(candidate.offset_s[c])
        estimates.append(
            ClockEstimate(
                method="motion",
                camera=str(names[c]),
                reference=str(names[0]),
                offset_s=found,
                sd_s=SD_S,
                confidence=BELIEF * confidence_of(curve, found, SD_S),
                curve=curve,
                note="speeds alone, without a rig; the offset holds over the whole take, no drift was fitted",
            )
        )
    return tuple(estimates)
