"""Frames of a camera that were lost, doubled or stamped unevenly, by its pictures, its people and its sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from calibration.camera import Rig
from mocap.capture.motion_tracks import TrackConfig, person_tracks
from mocap.capture.sync_gaps import GapConfig, lost_frames
from mocap.core.clock import FrameFaults
from mocap.core.keypoints import Detections2D
from mocap.io.brightness import FrameLight
from mocap.signal.frame_gaps import (
    APART_S,
    frame_steps,
    lost_by_length,
    only_counts,
    repaired,
    repeated_pictures,
)
from mocap.signal.step_counts import StepCount, Witness, counted_steps
from mocap.signal.step_evidence import motion_likelihood, picture_likelihood, whitened

TREMBLING_S = 0.0025
"""Stamps of arrival that tremble by more than this are not those of the exposures."""
FLASH = 4.0
"""Levels of mean brightness: a picture that changes by more says nothing of what moves."""
KEY_SHARE = 0.2
"""Where more of the frames than this are keyframes, all are coded alike."""

JUMP = 5.5
"""Nats that points of people say for a loss at most: networks move whole people ahead in one step of some 300 (four of
2600 of BlazePose on clips that lost nothing), so that only pictures or the sound's length can make it sure."""


@dataclass(frozen=True, eq=False)
class FoundFaults:
    """faults: as sync.toml keeps them. lost: frames that the stamps know nothing of, put right; unseen: of those, so
    many were put where nothing moves. missing: so many more at least are gone, as the sound says, and have no place."""

    faults: FrameFaults
    lost: int = 0
    unseen: int = 0
    missing: int = 0

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, for a report."""
        told = []
        if count := len(self.faults.repeated):
            told.append(f"{count} frame{'s show' if count > 1 else ' shows'} an earlier one again")
        if self.lost:
            one = self.lost == 1
            text = f"{self.lost} frame{' is' if one else 's are'} lost though its times are even"
            somewhere = f" ({self.unseen} of them somewhere in moments of rest)" if self.unseen else ""
            told.append(f"{text}; what comes after {'it' if one else 'them'} is put right{somewhere}")
        if self.missing:
            told.append(f"by its sound {self.missing} or more frames are lost, and nothing shows where")
        if self.faults.uneven_stamps:
            told.append("the times of arrival tremble, and are made even")
        return tuple(told)


def camera_faults(
    stamp_s: Float[np.ndarray, "F"],
    *,
    light: FrameLight | None = None,
    people: Sequence[Float[np.ndarray, "F _ 2"]] = (),
    length_s: float | None = None,
    recorded: bool = False,
) -> FoundFaults:
    """What is wrong with the frames of one camera.

    Losses are looked for where stamps are a mere count. light: its pictures. people: points over its frames, px, NaN
    where unseen. length_s: of its sound, from the first frame on. recorded: the stamps are those of a recorder.
    """
    n = len(stamp_s)
    repeated = _repeated(light, n)
    trembling = False
    if recorded and n > 2:
        steps = frame_steps(stamp_s)
        trembling = not steps.uneven and steps.jitter_s > TREMBLING_S
    again = tuple(np.flatnonzero(repeated).tolist())
    if trembling or not only_counts(stamp_s):
        return FoundFaults(FrameFaults(repeated=again, uneven_stamps=trembling))
    period = frame_steps(stamp_s).period_s
    counted = _counted(n, period, _witnesses(light, people, n), repeated, length_s)
    right = repaired(stamp_s, repeated=repeated, steps=counted.steps)
    again = tuple(np.flatnonzero(right.repeated).tolist())
    faults = FrameFaults(repeated=again, gaps=right.gaps(period))
    return FoundFaults(faults, int(right.lost_before.sum()) if right.moved else 0, counted.unseen, counted.missing)


def faults_together(
    found: Mapping[str, FoundFaults],
    stamps_s: Mapping[str, Float[np.ndarray, "_"]],
    detections: Detections2D,
    rig: Rig,
    *,
    config: GapConfig | None = None,
) -> dict[str, FoundFaults]:
    """With the losses that calibrated cameras see in one another, beyond those that each shows by itself.

    stamps_s: as the files have them. Those that are no mere count are believed.
    """
    kept = np.ones(len(detections), dtype=bool)
    for number, name in enumerate(detections.cameras):
        kept &= ~((detections.camera == number) & np.isin(detections.frame, found[name].faults.repeated))
    counting = [n for n, own in found.items() if only_counts(stamps_s[n]) and not own.faults.uneven_stamps]
    mended = {name: own.faults.corrected_s(stamps_s[name]) for name, own in found.items()}
    lost = lost_frames(detections.select(kept), mended, rig, counting=counting, config=config)
    return {n: _with_lost(own, lost[n], stamps_s[n]) if n in lost else own for n, own in found.items()}


def _with_lost(found: FoundFaults, lost: Int[np.ndarray, "F"], stamp_s: Float[np.ndarray, "F"]) -> FoundFaults:
    count = int(lost.sum())
    if not count:
        return found
    period, gaps = frame_steps(stamp_s).period_s, dict(found.faults.gaps)
    for frame in np.flatnonzero(lost).tolist():
        gaps[frame] = gaps.get(frame, 0.0) + float(lost[frame] * period)
    faults = replace(found.faults, gaps=tuple(sorted(gaps.items())))
    return replace(found, faults=faults, lost=found.lost + count, missing=max(found.missing - count, 0))


def people_points(detections: Detections2D, camera: str, n_frames: int) -> list[Float[np.ndarray, "F _ 2"]]:
    """Points of each person over the frames of a camera, px, NaN where unseen."""
    numbers = np.arange(n_frames, dtype=np.float64)
    tracks = person_tracks(detections, detections.cameras.index(camera), numbers, TrackConfig())
    found = []
    for track in tracks:
        points = np.full((n_frames, *track.xy.shape[1:]), np.nan)
        points[track.stamp_s.astype(np.int64)] = np.where((track.weight > 0)[..., None], track.xy, np.nan)
        found.append(points)
    return found


def _counted(
    n: int, period: float, witnesses: Sequence[Witness], repeated: Bool[np.ndarray, "F"], length_s: float | None
) -> StepCount:
    """Steps by all that is known; the sound says how many are lost, as nearly as it ends with the pictures."""
    if length_s is None:
        return counted_steps(witnesses, n - 1, repeated=repeated)
    lost, more, apart = lost_by_length(n, period, length_s), length_s / period - n, max(2.0, APART_S / period)
    least, most = (max(0, int(bound)) for bound in (more - apart, more + apart))
    return counted_steps(witnesses, n - 1, repeated=repeated, lost=lost, least=least, most=most)


def _repeated(light: FrameLight | None, n: int) -> Bool[np.ndarray, "F"]:
    found = np.zeros(n, dtype=bool)
    if light is not None:
        told = repeated_pictures(light.strongest)[:n]
        found[: len(told)] = told
    return found


def _witnesses(light: FrameLight | None, people: Sequence[Float[np.ndarray, "F _ 2"]], n: int) -> list[Witness]:
    found: list[Witness] = [_of_points(whitened(points)) for points in people]
    if light is not None and len(light.brightness) == n:
        jump = np.abs(np.diff(light.brightness, prepend=light.brightness[0]))
        unclear = (jump > FLASH) | (light.key & (light.key.mean() < KEY_SHARE))
        found.append(_of_pictures(light.moving, unclear))
    return found


def _of_points(points: Float[np.ndarray, "F K 2"]) -> Witness:
    def witness(steps: Int[np.ndarray, "G"]) -> Float[np.ndarray, "G N"]:
        likelihood = motion_likelihood(points, 1.0, steps)
        return np.minimum(likelihood, likelihood[:, 1:2] + JUMP)

    return witness


def _of_pictures(change: Float[np.ndarray, "F 4"], unclear: Bool[np.ndarray, "F"]) -> Witness:
    return lambda steps: picture_likelihood(change, unclear, steps)
