"""Frames that were lost, doubled or counted wrongly: found in times, in motion and in pictures, and put right."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.errors import InputError
from mocap.signal.clock_fit import MAD, envelope_line, robust_line

RATES = tuple(
    Fraction(n, d)
    for n, d in ((15, 1), (24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001),
                 (60, 1), (90, 1), (100, 1), (120000, 1001), (120, 1), (240000, 1001), (240, 1))
)  # fmt: skip
"""Frames a second that cameras are built for."""
RATE_TOLERANCE = 4e-4
"""Between a crystal's worst (100 ppm) and the distance from 30 to 29.97 (1000 ppm)."""
SAME_PICTURE = 0.12
"""A picture differs from the one that it repeats by less than this part of what its neighbours differ by."""
SURE = 4.0
"""Standard deviations by which a step must differ from an ordinary one."""
WORST_SD = 0.12
"""Of a step's ratio: with more, too little moves to tell one step from two."""
WHOLE = 0.3
PASSES = 6
MOST_STEPS = 30
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


def step_ratios(
    tracks: Float[np.ndarray, "F K D"], noise: float, steps: Int[np.ndarray, "G"] | None = None
) -> tuple[Float[np.ndarray, "F-1"], Float[np.ndarray, "F-1"]]:
    """(ratio, sd) of every step of moving points to what the steps beside it lead one to expect.

    1: an ordinary step; 0: the frame shows the same moment again; 2: one exposure is missing; 3: two. tracks: points
    over the frames as counted, NaN where unseen. noise: standard deviation of a coordinate. The expected step is that
    of the nearest two on either side, so that a change of speed at an even rate cancels; steps: exposures that those
    are thought to hold. sd is infinite where nothing moves.
    """
    step = np.diff(tracks, axis=0)
    beside = _two_either_side(step)
    known = np.logical_and(np.isfinite(step).all(-1), np.isfinite(beside).all((0, -1)))
    if steps is None:
        expected = np.median(beside, axis=0) / 2 + beside.mean(0) / 2
    else:
        count = _two_either_side(steps.astype(np.float64)).sum(0)
        expected = beside.sum(0) / np.where(count > 0, count, np.nan)[:, None, None]
        known = np.logical_and(known, (count > 0)[:, None])
    expected, taken = (np.where(known[..., None], x, 0.0) for x in (expected, step))
    power = (expected**2).sum((-1, -2))
    # The mean of four steps has a fourth of a step's variance, which is 2 noise².
    moving = np.maximum(power - known.sum(-1) * tracks.shape[-1] * noise**2 / 2, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(moving > 0, (expected * taken).sum((-1, -2)) / moving, np.nan)
        sd = np.where(moving > 0, noise * np.sqrt(2.5 / moving), np.inf)
    return ratio, sd


def _two_either_side(x: Float[np.ndarray, "N *rest"]) -> Float[np.ndarray, "4 N *rest"]:
    ends = np.full((2, *x.shape[1:]), np.nan)
    padded = np.concatenate([ends, x, ends])
    return np.stack([padded[:-4], padded[1:-3], padded[3:-1], padded[4:]])


def steps_from_motion(
    tracks: Float[np.ndarray, "F K D"], noise: float, *, lost: int | None = None
) -> Int[np.ndarray, "F-1"]:
    """Exposures between frames as moving points tell: 0 for a frame that repeats the one before, 1 where in doubt.

    A frame that repeats the one before in its place is followed by a double step, which belongs to it: 0, 2. lost: so
    many exposures are known to be missing (`lost_by_length`); those that motion does not show for certain are put where
    it speaks least against them, which is where little moves and an error of time does little harm.
    """
    steps = np.ones(max(len(tracks) - 1, 0), dtype=np.int64)
    for passed in range(PASSES):
        ratio, sd = step_ratios(tracks, noise, steps if passed else None)
        found = np.nan_to_num(ratio, nan=1.0)
        whole = np.abs(found - np.round(found)) < WHOLE  # else a step beside it is not counted rightly yet
        sure = whole & (np.abs(found - 1) > SURE * sd) & (sd < WORST_SD)
        steps = np.where(sure, np.round(found).clip(0, MOST_STEPS), 1).astype(np.int64)
    left = 0 if lost is None else lost - int((steps - 1).sum())
    if left <= 0:
        return steps
    ratio, sd = step_ratios(tracks, noise, steps)
    off = np.nan_to_num(ratio, nan=1.5) - steps
    for_one_more = np.where(np.isfinite(sd) & (steps > 0), (off - 0.5) / np.hypot(sd, 0.1) ** 2, -np.inf)
    likely = np.argsort(-for_one_more, kind="stable")[: min(left, int(np.isfinite(for_one_more).sum()))]
    steps[likely] += 1
    return steps


def lost_by_length(n_frames: int, period_s: float, length_s: float) -> int:
    """Exposures missing in a file that only counts its frames, by how long its sound is; 0 where that is up to two
    frames, by which sound and pictures may begin and end apart."""
    lost = round(length_s / period_s) - n_frames
    return lost if lost > 2 else 0


def repeated_pictures(difference: Float[np.ndarray, "G"], *, noise: float = 1.0) -> Bool[np.ndarray, "F"]:
    """Frames whose picture is that of the frame before: they differ by nearly nothing while others change.

    difference: of the pictures of consecutive frames, levels of 255. noise: where the usual differences are below it
    the scene is at rest, and they mean nothing. Three in a row and more are a still picture rather than repeats, and
    are left alone.
    """
    n = len(difference)
    if n < 5:
        return np.zeros(n + 1, dtype=bool)
    padded = np.pad(difference, 5, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 11)
    usual = np.median(windows, axis=-1)
    same = (difference <= SAME_PICTURE * usual) & (usual > noise)
    run = same & np.roll(same, 1) & np.roll(same, 2)
    run[:2] = False
    still = run | np.roll(run, -1) | np.roll(run, -2)
    return np.concatenate([[False], same & ~still])


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
    counted = own.lost == 0 and not own.uneven and own.jitter_s < 2e-3 * own.period_s + 2e-6
    if steps is None or not counted:
        return FrameRepair(stamp_s, repeated, np.concatenate([[0], own.steps - 1]), moved=False)
    again = repeated | np.concatenate([[False], steps == 0])
    order = np.arange(len(again))
    last_own = np.maximum.accumulate(np.where(again, -1, order))
    in_a_row = np.concatenate([[0], (order - last_own)[:-1]])  # repeats right before each frame
    extra = np.maximum(np.concatenate([[0], steps - 1]) - in_a_row, 0)
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
