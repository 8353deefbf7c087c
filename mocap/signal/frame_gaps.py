"""Frames that were lost, doubled or counted wrongly: found in times, in motion and in pictures, and put right."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.errors import InputError
from mocap.signal.clock_fit import MAD, envelope_line, robust_line
from mocap.signal.step_counts import losses

RATES = tuple(
    Fraction(n, d)
    for n, d in ((15, 1), (24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001),
                 (60, 1), (90, 1), (100, 1), (120000, 1001), (120, 1), (240000, 1001), (240, 1))
)  # fmt: skip
"""Frames a second that cameras are built for."""
RATE_TOLERANCE = 4e-4
"""Between a crystal's worst (100 ppm) and the distance from 30 to 29.97 (1000 ppm)."""
SAME_PICTURE = 0.45
"""A picture differs from the one that it repeats by less than this part of what those on either side differ by: coding
leaves 1.5 levels where people who walk change 20 to 50."""
GONE_ON, TURNED = 0.7, 5.0
"""Over three steps things go further than over one, and if they do not turn round in the middle one, further than three
times that: what turns evenly goes as 2 s in that and 6 s in all."""
STIRRED = 4.0
"""Levels that the most changed blocks change by where anything moves; a picture at rest changes by 1 to 3."""
APART_S = 0.15
"""Sound goes on by so much more than pictures, or less, in files that lost nothing."""
TICK_S = 0.00075
"""Stamps that were rounded to milliseconds, or cut off, lie within this of even ones."""
PACE_FRAMES = 31
PACE_CHANGE = 0.15
"""A camera changes its pace by more; jitter of a tenth of an interval moves the median of 31 by 3 %."""
RAYLEIGH_FRAMES = 600
PACE_SHARE = 0.02
"""By which the median interval may be wrong."""
LOOP_GAIN = 0.05
"""Part of a frame's deviation that the count of exposures follows: it averages some 20 frames."""


@dataclass(frozen=True, eq=False)
class FrameSteps:
    """How many exposures lie between frames.

    period_s: between exposures, of the camera's clock. steps: (G,), one less than frames, 1 where none is missing.
    jitter_s: standard deviation of the stamps about even times. uneven: the camera changed its pace, so that the steps
    are counted with the pace around each frame.
    """

    period_s: float
    steps: Int[np.ndarray, "G"]
    jitter_s: float
    uneven: bool

    @property
    def lost(self) -> int:
        """Exposures of which there is no frame."""
        return int((self.steps - 1).sum())


def nominal_rate(stamp_s: Float[np.ndarray, "F"]) -> float | None:
    """The usual rate (23.976, 24, 25, 29.97, 30, …) that the frames come at; None where they come at no such rate."""
    if len(stamp_s) < 3:
        return None
    rate = 1.0 / frame_steps(stamp_s).period_s
    nearest = min(RATES, key=lambda usual: abs(float(usual) / rate - 1))
    return float(nearest) if abs(float(nearest) / rate - 1) < RATE_TOLERANCE else None


def frame_steps(stamp_s: Float[np.ndarray, "F"]) -> FrameSteps:
    """Lost exposures as gaps of whole periods between stamps.

    The period is the median interval made precise by a line through all stamps over the exposures' numbers. Where
    the stamps do not keep to that (a phone that slows down in the dark), each interval is compared with the median of
    those about it.
    """
    if len(stamp_s) < 2:
        raise InputError("a single frame has no period")
    interval = np.diff(stamp_s)
    if not (interval > 0).all():
        raise InputError(f"the stamps do not increase after frame {int(np.argmin(interval > 0))}")
    pace = _local_pace(interval)
    number = _even_numbers(stamp_s, float(pace[0])) if np.ptp(pace) == 0 else _followed_numbers(stamp_s, pace)
    steps = np.diff(number)
    number = number.astype(np.float64)
    line = robust_line(number, stamp_s, floor=1e-7)
    away = stamp_s - line.at(number)
    uneven = bool(np.abs(away).max() > 0.5 * line.slope and np.ptp(pace) > 0)
    jitter = MAD * float(np.median(np.abs(interval - steps * pace))) / np.sqrt(2) if uneven else line.scatter
    return FrameSteps(float(np.median(pace)) if uneven else line.slope, steps, float(jitter), uneven)


def even_times(stamp_s: Float[np.ndarray, "F"], *, late_only: bool = False) -> Float[np.ndarray, "F"]:
    """Stamps without the jitter of their arrival: a camera exposes evenly, whatever the way to the computer does.

    late_only: the stamps are times of arrival, never too early, so that the line lies under them; else through them.
    Stamps of a camera that changes its pace come back as they are.
    """
    if len(stamp_s) < 3:
        return stamp_s
    found = frame_steps(stamp_s)
    if found.uneven:
        return stamp_s
    number = np.concatenate([[0], np.cumsum(found.steps)]).astype(np.float64)
    if not late_only:
        return robust_line(number, stamp_s, floor=1e-7).at(number)
    slope, start = envelope_line(number, stamp_s)
    return start + slope * number


def lost_by_length(n_frames: int, period_s: float, length_s: float) -> int:
    """Exposures missing in a file that only counts its frames, by how long its sound is; 0 where that is up to two
    frames or APART_S, by which sound and pictures may begin and end apart."""
    lost = round(length_s / period_s) - n_frames
    return lost if lost > max(2.0, APART_S / period_s) else 0


def only_counts(stamp_s: Float[np.ndarray, "F"]) -> bool:
    """Whether stamps are a count of frames at an even rate, rounded to ticks of up to a millisecond, so that they would
    not show a lost exposure."""
    if len(stamp_s) < 3 or not (np.diff(stamp_s) > 0).all():
        return False
    own = frame_steps(stamp_s)
    if own.lost or own.uneven:
        return False
    number = np.arange(len(stamp_s), dtype=np.float64)
    away = np.abs(stamp_s - robust_line(number, stamp_s, floor=1e-7).at(number))
    in_ticks = np.abs(1000 * stamp_s - np.round(1000 * stamp_s)).max() < 1e-3
    return bool(own.jitter_s < 2e-3 * own.period_s + 2e-6 or (in_ticks and away.max() < TICK_S))


def repeated_pictures(change: Float[np.ndarray, "F 4"], *, least: float = STIRRED) -> Bool[np.ndarray, "F"]:
    """Frames whose picture is that of the frame before: they differ by much less than those on either side.

    change: of each picture to the 1, 2, 3 and 4 before it, levels of 255 where they differ most; NaN where unknown.
    least: where the pictures on either side change by less, the scene is at rest, and nothing is known or lost. One
    and two in a row; more are a still picture. Hands that clap are for a moment where they were, too: what repeats is
    told from what turns round by the pictures beyond, which are then alike.
    """
    n = len(change)
    found = np.zeros(n, dtype=bool)
    padded = np.concatenate([np.full((2, 4), np.nan), change, np.full((3, 4), np.nan)])
    row = np.arange(n) + 2
    for in_a_row in (2, 1):
        same = np.max([padded[row + k, 0] for k in range(in_a_row)], axis=0)
        beside = np.stack([padded[row - 1, 0], padded[row + in_a_row, 0]])
        across = padded[row + in_a_row, in_a_row + 1]
        with np.errstate(invalid="ignore"):
            first = (same <= SAME_PICTURE * beside.min(0)) & (beside.min(0) > least)
            first &= (across >= GONE_ON * beside.max(0)) & (across >= TURNED * same)
        for k in range(in_a_row):
            found[np.flatnonzero(first) + k] = True
    return found


@dataclass(frozen=True, eq=False)
class FrameRepair:
    """Frames with their times put right.

    stamp_s: (F,) of the exposure that each frame stands for. repeated: (F,) shows the picture of an earlier one.
    lost_before: (F,) exposures missing right before it. moved: whether any stamp differs from the file's.
    """

    stamp_s: Float[np.ndarray, "F"]
    repeated: Bool[np.ndarray, "F"]
    lost_before: Int[np.ndarray, "F"]
    moved: bool

    def gaps(self, period_s: float) -> tuple[tuple[int, float], ...]:
        """(frame, seconds) that all from that frame on was taken later than the file says; none where it knows."""
        places = np.flatnonzero(self.lost_before) if self.moved else []
        return tuple((int(frame), float(self.lost_before[frame] * period_s)) for frame in places)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What was found, for a report."""
        lost, repeated = int(self.lost_before.sum()), int(self.repeated.sum())
        told = []
        if lost:
            times = "the times after them are put right" if self.moved else "the times show the gaps"
            places = int((self.lost_before > 0).sum())
            told.append(f"{lost} lost frame{'s' * (lost > 1)} in {places} place{'s' * (places > 1)}; {times}")
        if repeated:
            told.append(f"{repeated} frame{'s' * (repeated > 1)} repeat{'s' * (repeated == 1)} the one before")
        return tuple(told)


def repaired(
    stamp_s: Float[np.ndarray, "F"],
    *,
    repeated: Bool[np.ndarray, "F"] | None = None,
    steps: Int[np.ndarray, "G"] | None = None,
) -> FrameRepair:
    """Times put right by `steps` (exposures between frames, as motion tells) where the stamps know of no gap.

    A frame that repeats stands for its own exposure, its stamp stays; a step that is too long right after it is no
    loss. Where the stamps show gaps themselves they are believed, and `steps` are not used.
    """
    repeated = np.zeros(len(stamp_s), dtype=bool) if repeated is None else repeated
    if len(stamp_s) < 3:
        return FrameRepair(stamp_s, repeated, np.zeros(len(stamp_s), dtype=np.int64), moved=False)
    own = frame_steps(stamp_s)
    if steps is None or not only_counts(stamp_s):
        return FrameRepair(stamp_s, repeated, np.concatenate([[0], own.steps - 1]), moved=False)
    again = repeated | np.concatenate([[False], steps == 0])
    extra = np.concatenate([[0], losses(np.where(again[1:], 0, steps))])
    return FrameRepair(stamp_s + own.period_s * np.cumsum(extra), again, extra, moved=bool(extra.any()))


def _even_numbers(stamp_s: Float[np.ndarray, "F"], period: float) -> Int[np.ndarray, "F"]:
    """Numbers of the exposures, from 0, of a camera that keeps its pace: of the frequencies near 1 / period that one
    which the stamps are most in step with (Rayleigh's test) needs no count, so that no miscount adds up."""
    begin = stamp_s[:RAYLEIGH_FRAMES] - stamp_s[0]
    span, whole = float(np.ptp(begin)), float(np.ptp(stamp_s))
    near = np.arange(-PACE_SHARE / period, PACE_SHARE / period, 0.2 / span) + 1 / period
    coarse = near[np.argmax(_in_step(begin, near))]
    fine = np.arange(-0.5 / span, 0.5 / span, 0.1 / whole) + coarse
    frequency = float(fine[np.argmax(_in_step(stamp_s - stamp_s[0], fine))])
    turns = (stamp_s - stamp_s[0]) * frequency
    phase = float(np.angle(np.exp(2j * np.pi * turns).mean()) / (2 * np.pi))
    return _one_each(np.round(turns - phase).astype(np.int64))


def _in_step(stamp_s: Float[np.ndarray, "F"], frequency_hz: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Length of the mean of the stamps' phases, 1 where all are equal."""
    parts = np.array_split(frequency_hz, 1 + len(frequency_hz) * len(stamp_s) // 2_000_000)
    return np.concatenate([np.abs(np.exp(2j * np.pi * part[:, None] * stamp_s).mean(1)) for part in parts])


def _one_each(number: Int[np.ndarray, "F"]) -> Int[np.ndarray, "F"]:
    """Frames are late, never early: where two would have one number, the earlier one was late. Begins at 0."""
    order = np.arange(len(number))
    numbered = order + np.minimum.accumulate((number - order)[::-1])[::-1]
    return numbered - numbered[0]


def _followed_numbers(stamp_s: Float[np.ndarray, "F"], pace: Float[np.ndarray, "G"]) -> Int[np.ndarray, "F"]:
    """Numbers of the exposures, from 0, where the pace changes: by a phase-locked loop."""
    begin = min(15, len(stamp_s))
    phase = float(np.median(stamp_s[:begin] - float(np.median(pace)) * np.arange(begin)))
    number, numbers = 0, [0]
    for stamp, period in zip(stamp_s[1:].tolist(), pace.tolist(), strict=True):
        ahead = round((stamp - phase) / period)
        phase += ahead * period
        phase += LOOP_GAIN * (stamp - phase)
        number += ahead
        numbers.append(number)
    return _one_each(np.array(numbers))


def _local_pace(interval: Float[np.ndarray, "N"]) -> Float[np.ndarray, "N"]:
    """The median interval of those about each one; the overall one where they agree."""
    overall = float(np.median(interval))
    if len(interval) < PACE_FRAMES:
        return np.full(len(interval), overall)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(interval, PACE_FRAMES // 2, mode="reflect"), PACE_FRAMES)
    local = np.median(windows, axis=-1)
    return np.where(np.abs(local / overall - 1) < PACE_CHANGE, overall, local)
