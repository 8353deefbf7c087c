"""Frames that cameras lost though their stamps count on, found by the people whom several calibrated cameras saw.

One camera's picture of a motion is ambiguous; against the other cameras a lost frame shows as a stair: from there on
it is a period late. Clocks (`sync_by_motion`) and losses (`lost_counts`) are found in turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field
from scipy.optimize import linear_sum_assignment

from calibration.camera import Rig
from mocap.capture.motion_tracks import half_width_s, person_tracks, ray_tracks
from mocap.capture.sync_motion import COARSE, LINKED, MotionSyncConfig, sync_by_motion
from mocap.core.clock import Clock
from mocap.core.keypoints import Detections2D
from mocap.geometry.epipolar_sync import shift_evidence
from mocap.geometry.stair_counts import MOST_TOGETHER, CountedCamera, lost_counts
from mocap.signal.frame_gaps import frame_steps

NEAR_S = 0.15
"""Clocks are known within this when people are told apart by how well their rays meet."""
LEAST_FRAMES = 60
"""Cameras with fewer tell nothing."""
SURE = 0.3
"""Confidence of a clock without which a camera is left out: against a wrong one, anything looks lost."""
END_S = 1.0
"""Errors of detectors last so long: of losses nearer to the ends too little is seen on one side."""
LONGEST_S = 1800.0
"""Of a take: the way back through all states takes 300 kB a second."""


class GapConfig(MotionSyncConfig):
    """step_nats: by which a lost exposure is unlikely in any one frame: one in a hundred is lost where some are (4.6),
    the rest is caution: detectors' errors last. correlated: so many misfits say as much as one would if errors were
    independent. With 10 and 6, 2 of 96 cameras of synthetic takes that lost nothing had false losses. rounds: of clocks
    and losses in turn."""

    step_nats: float = Field(default=12.0, gt=0)
    correlated: float = Field(default=10.0, gt=0)
    rounds: int = Field(default=2, ge=1)


def lost_frames(
    detections: Detections2D,
    stamps_s: Mapping[str, Float[np.ndarray, "_"]],
    rig: Rig,
    *,
    counting: Sequence[str],
    config: GapConfig | None = None,
) -> dict[str, Int[np.ndarray, "..."]]:
    """Exposures lost right before each frame (F,) of the cameras in `counting`, beyond what their stamps know.

    detections: frames of each camera counted on its own, without those that show an earlier one again. stamps_s: of
    all frames. The stamps of the other cameras are believed. More cameras than can be solved together are taken in
    groups; a camera that no motion ties to the others is left alone.
    """
    config = config or GapConfig()
    names = [name for name in detections.cameras if len(stamps_s[name]) >= LEAST_FRAMES]
    lost = {name: np.zeros(len(stamps_s[name]), dtype=np.int64) for name in counting}
    asked = [name for name in counting if name in names]
    if len(names) < 2 or not asked:
        return lost
    take = _Take(
        detections, stamps_s, rig, asked, config, {name: frame_steps(stamps_s[name]).period_s for name in names}
    )
    for _ in range(config.rounds):
        clocks = take.clocks({name: lost[name] for name in asked})
        for group in _groups([name for name in names if name in clocks]):
            lost.update(take.lost({name: clocks[name] for name in group}))
    return lost


@dataclass(frozen=True, eq=False)
class _Take:
    """What is known of a take; asked: cameras whose losses are looked for; periods: of the cameras that are used."""

    detections: Detections2D
    stamps_s: Mapping[str, Float[np.ndarray, "_"]]
    rig: Rig
    asked: Sequence[str]
    config: GapConfig
    periods: Mapping[str, float]

    def clocks(self, lost: Mapping[str, Int[np.ndarray, "_"]]) -> dict[str, Clock]:
        """Of all cameras that motion ties to the first one, with losses so far put right."""
        first = next(iter(self.periods))
        stamps = {n: s + np.cumsum(lost[n]) * self.periods[n] if n in lost else s for n, s in self.stamps_s.items()}
        found = sync_by_motion(self.detections, stamps, self.rig, self.config, reference=first)
        return {first: Clock()} | {
            e.camera: e.clock for e in found if e.camera in self.periods and e.confidence >= SURE
        }

    def lost(self, clocks: Mapping[str, Clock]) -> dict[str, Int[np.ndarray, "_"]]:
        """Losses of a group of cameras, all of them sought anew."""
        stamps = {name: self.stamps_s[name] for name in clocks}
        half = half_width_s(stamps, self.config)
        begin = min(float(clocks[n].time_s(s[:1])[0]) for n, s in stamps.items())
        end = max(float(clocks[n].time_s(s[-1:])[0]) for n, s in stamps.items())
        cameras = []
        for name, clock in clocks.items():
            people = person_tracks(self.detections, self.detections.cameras.index(name), stamps[name], self.config)
            tracks = ray_tracks(people, self.rig[name], self.config, half_width=half)
            # Where nothing is lost yet clocks hold: they are not believed to drift, which losses look like.
            offset = float(clock.stamp_s(np.array([begin]))[0]) - begin
            nats = self.config.step_nats if name in self.asked else np.inf
            cameras.append(CountedCamera(tracks, offset, self.periods[name], nats))
        if len(cameras) < 2 or end - begin > LONGEST_S:
            return {}
        times = begin + self.config.step_s * np.arange(max(2, round((end - begin) / self.config.step_s)))
        counts = lost_counts(cameras, _links(cameras, self.config), times, correlated=self.config.correlated)
        return {
            name: _by_frame(stamps[name], times + camera.offset_s, count, camera.period_s)
            for name, camera, count in zip(clocks, cameras, counts.T, strict=True)
            if name in self.asked
        }


def _by_frame(
    stamp_s: Float[np.ndarray, "F"], exposed_s: Float[np.ndarray, "T"], count: Int[np.ndarray, "T"], period_s: float
) -> Int[np.ndarray, "F"]:
    """Losses right before each frame. exposed_s: when, by the camera's own clock, each count (T,) was the case; stamps
    are less by the losses."""
    place = np.searchsorted(exposed_s - count * period_s, stamp_s - 0.5 * (exposed_s[1] - exposed_s[0]))
    before = np.maximum.accumulate(count[np.clip(place, 0, len(count) - 1)])
    lost = np.diff(before, prepend=before[:1])
    inside = (stamp_s >= stamp_s[0] + END_S) & (stamp_s <= stamp_s[-1] - END_S)
    return np.where(inside, lost, 0)


def _links(cameras: Sequence[CountedCamera], config: GapConfig) -> dict[tuple[int, int], tuple[list[int], list[int]]]:
    """Who is the same in every pair of cameras."""
    found = {}
    for a, b in combinations(range(len(cameras)), 2):
        one, other = cameras[a], cameras[b]
        if np.isnan(one.tracks.direction).all() or np.isnan(other.tracks.direction).all():
            continue
        evidence = shift_evidence(
            one.tracks,
            other.tracks,
            around_s=other.offset_s - one.offset_s,
            search_s=NEAR_S,
            most_samples=config.samples,
            softness=COARSE,
        ).evidence.max(-1)
        rows, columns = linear_sum_assignment(-evidence)
        sure = evidence[rows, columns] > max(LINKED * float(evidence.max()), 0.0)
        found[a, b] = rows[sure].tolist(), columns[sure].tolist()
    return found


def _groups(names: Sequence[str]) -> list[list[str]]:
    """Of at most as many as can be solved together; the last one is filled up with cameras of the one before."""
    count = len(names)
    starts = [min(start, max(count - MOST_TOGETHER, 0)) for start in range(0, count, MOST_TOGETHER)]
    return [list(names[start : start + MOST_TOGETHER]) for start in starts] if count > 1 else []
