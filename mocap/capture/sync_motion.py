"""Clocks of cameras from the people they saw move: 2D keypoints of each camera at its own times.

With a rig: shifts are searched by how well rays meet (`epipolar_sync`), pairs are joined (`shift_search`), the best
answers are refined on all pairs at once with drift (`clock_refinement`), and the one that fits best is taken. Without a
rig: correlation of the speeds of the keypoints (`sync_speed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float
from pydantic import Field

from calibration.camera import Rig
from mocap.capture.motion_clocks import clock_estimates, usual_centre
from mocap.capture.motion_tracks import TrackConfig, half_width_s, person_tracks, ray_tracks
from mocap.capture.sync_speed import sync_by_speed
from mocap.core.clock import ClockEstimate
from mocap.core.keypoints import Detections2D
from mocap.geometry.clock_refinement import ClockFit, refine_clocks
from mocap.geometry.epipolar_sync import ShiftEvidence, shift_evidence
from mocap.geometry.ray_tracks import RayTracks
from mocap.geometry.shift_search import Candidate, Curve, joint_candidates

COARSE = 2.5
"""Softness of the search, in deviations of the noise: its step is coarse."""
SCALES = (6.0, 4.0, 4.0, 3.0, 2.0, 2.0, 2.0, 2.0)
"""Of the kernel, from step to step of the refinement."""
SURE = 0.7
"""Of the best answer's score: what has less is not refined."""
LINKED = 0.35
"""Of the strongest evidence of a pair of cameras: people who fit that well are one person."""


class MotionSyncConfig(TrackConfig):
    """search_s: how far offsets are searched on both sides. drift_ppm: standard deviation of what clocks usually
    drift, the prior. samples: most moments that are compared in the search; refined: in the refinement."""

    search_s: float = Field(default=10.0, gt=0)
    drift_ppm: float = Field(default=50.0, gt=0)
    samples: int = Field(default=800, ge=50)
    refined: int = Field(default=4000, ge=50)


DEFAULT = MotionSyncConfig()


@dataclass(frozen=True, eq=False)
class _Search:
    """evidence: of pairs of cameras (a, b), a < b; curves: of the same, of all people together."""

    evidence: Mapping[tuple[int, int], ShiftEvidence]
    curves: Mapping[tuple[int, int], Curve]


def sync_by_motion(
    detections: Detections2D,
    stamps_s: Mapping[str, Float[np.ndarray, "_"]],
    rig: Rig | None,
    config: MotionSyncConfig = DEFAULT,
    *,
    reference: str | None = None,
    around_s: Mapping[str, float] | None = None,
) -> tuple[ClockEstimate, ...]:
    """One estimate for every camera but the reference (by default the first) that people tie to it.

    detections: frames of each camera counted on its own; stamps_s: camera -> stamps of its frames. around_s: where the
    search of a camera's offset is centred; by default 0, or where takes start together if their stamps do not overlap.
    Without a rig only speeds are compared (`sync_speed`): coarser, and without a drift.
    """
    if rig is None:
        search_s = config.search_s
        return sync_by_speed(detections, stamps_s, config, search_s=search_s, reference=reference, around_s=around_s)
    first = reference or detections.cameras[0]
    names = [first, *(name for name in detections.cameras if name != first)]
    half = half_width_s({name: stamps_s[name] for name in names}, config)
    tracks = [
        ray_tracks(
            person_tracks(detections, detections.cameras.index(name), stamps_s[name], config),
            rig[name],
            config,
            half_width=half,
        )
        for name in names
    ]
    around = around_s or {}
    centres = [around.get(name, usual_centre(tracks[0].stamp_s, tracks[k].stamp_s)) for k, name in enumerate(names)]
    search = _search(tracks, centres, config)
    candidates = joint_candidates(search.curves, len(tracks))
    candidates = [candidate for candidate in candidates if candidate.score >= SURE * candidates[0].score]
    if not candidates:
        return ()
    fits = [_refined(tracks, search, candidate, config) for candidate in candidates]
    best = min(range(len(fits)), key=lambda k: fits[k].cost)
    notes = [_note(fits[best], track) for track in tracks]
    return clock_estimates(names, search.curves, candidates[best], fits[best], method="motion", notes=notes)


def _search(tracks: Sequence[RayTracks], centres: Sequence[float], config: MotionSyncConfig) -> _Search:
    evidence, curves = {}, {}
    for a, b in combinations(range(len(tracks)), 2):
        if np.isnan(tracks[a].direction).all() or np.isnan(tracks[b].direction).all():
            continue
        found = shift_evidence(
            tracks[a],
            tracks[b],
            around_s=centres[b] - centres[a],
            search_s=config.search_s,
            most_samples=config.samples,
            softness=COARSE,
        )
        evidence[a, b], curves[a, b] = found, (found.offset_s, found.best)
    return _Search(evidence, curves)


def _refined(tracks: Sequence[RayTracks], search: _Search, candidate: Candidate, config: MotionSyncConfig) -> ClockFit:
    """The cameras that the candidate places, refined; the others stay NaN."""
    aligned = _aligned(tracks, search, candidate)
    offset = np.nan_to_num(candidate.offset_s)
    start = min(float(t.start_s - o) for t, o in zip(tracks, offset, strict=True))
    end = max(float(t.stamp_s[-1] - o) for t, o in zip(tracks, offset, strict=True))
    count = min(config.refined, max(2, round((end - start) / config.step_s)))
    times = np.linspace(start, end, count)
    return refine_clocks(aligned, times, offset, scales=SCALES, drift_sd=1e-6 * config.drift_ppm)


def _aligned(tracks: Sequence[RayTracks], search: _Search, candidate: Candidate) -> list[RayTracks]:
    """The people of every camera in one order, as the candidate's offsets have them meet."""
    groups: list[dict[int, int]] = []
    links = []
    for (a, b), found in search.evidence.items():
        if not np.isfinite(candidate.offset_s[[a, b]]).all():
            continue
        lag = int(np.argmin(np.abs(found.offset_s - (candidate.offset_s[b] - candidate.offset_s[a]))))
        strength = found.evidence[:, :, lag]
        strongest = float(strength.max())
        links += [
            (float(strength[p, q]), (a, p), (b, q))
            for p, q in np.argwhere(strength > max(LINKED * strongest, 0.0)).tolist()
        ]
    for _, one, other in sorted(links, key=lambda link: -link[0]):
        _join(groups, one, other)
    if not groups:
        groups = [dict.fromkeys(range(len(tracks)), 0)]
    return [_ordered(track, [group.get(c, -1) for group in groups]) for c, track in enumerate(tracks)]


def _join(groups: list[dict[int, int]], one: tuple[int, int], other: tuple[int, int]) -> None:
    """Two sightings are one person, unless that would give a camera two of them."""
    homes = [next((g for g in groups if g.get(c) == p), None) for c, p in (one, other)]
    first, second = homes
    if first is None and second is None:
        groups.append(dict((one, other)))
    elif first is None or second is None:
        home, (camera, person) = (second, one) if first is None else (first, other)
        if home is not None:
            home.setdefault(camera, person)
    elif first is not second and not first.keys() & second.keys():
        first.update(second)
        groups.remove(second)


def _ordered(track: RayTracks, numbers: Sequence[int]) -> RayTracks:
    picked = track.people([max(number, 0) for number in numbers])
    absent = np.array(numbers)[:, None, None, None] < 0
    return RayTracks(
        track.origin,
        track.start_s,
        track.step_s,
        np.where(absent, np.nan, picked.direction),
        np.where(absent, np.nan, picked.rate),
        picked.noise,
    )


def _note(fit: ClockFit, track: RayTracks) -> str:
    people = int(np.isfinite(track.direction).any((1, 2, 3)).sum())
    return f"{people} {'person' if people == 1 else 'people'}, typical epipolar error {fit.typical_z:.1f} deviations"
