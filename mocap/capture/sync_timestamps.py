"""Clocks of cameras from times alone: stamps that one computer gave, timecodes, and the time of day in the files."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from mocap.core.clock import ClockEstimate
from mocap.core.errors import InputError
from mocap.io.file_clock import FileClock
from mocap.signal.frame_gaps import frame_steps

ARRIVAL_SD_S = 0.010
"""Of what a camera takes to hand a frame over, against another camera of the same kind."""
TIME_OF_DAY_SD_S = 1.0
DAY_S = 86400.0
"""After which timecodes begin anew."""
UNKNOWN_SD_S = 10.0
SAME_START_S = 1e-6
DELAYED_START_S = 0.5
"""Files that begin nearer to zero count from it: their first pictures wait for the sound, or for those shown before."""


def timestamp_estimates(
    stamps: Mapping[str, Float[np.ndarray, "..."]],
    *,
    reference: str | None = None,
    shared: bool = False,
    listed: bool = True,
    clocks: Mapping[str, FileClock] | None = None,
) -> tuple[ClockEstimate, ...]:
    """Every camera against the reference (by default the first). stamps: (F,) s of every frame.

    shared: the stamps are known to be on one clock (a take of ours says so). Else stamps that do not all begin with the
    same number are likely one computer's, while cameras that each count from zero tell nothing of each other; then the
    timecodes and times of day of the files are looked at (clocks), which are good to a frame and to a second. listed:
    by timestamps.csv; the videos' own times are zero about their beginning, without which they are a computer's.
    """
    names = list(stamps)
    reference = reference or next(iter(names), "")
    if reference not in stamps or len(names) < 2:
        raise InputError("clocks need two cameras with times", where=reference or None)
    others = [name for name in names if name != reference]
    if shared:
        return tuple(_shared(name, reference, stamps, 1.0, "the recorder's own clock") for name in others)
    starts = {name: float(stamps[name][0]) for name in names if len(stamps[name])}
    if len(starts) == len(names) and np.ptp(list(starts.values())) > (SAME_START_S if listed else DELAYED_START_S):
        note = "the times do not all begin alike, so they are taken for one computer's"
        return tuple(_shared(name, reference, stamps, 0.5, note) for name in others)
    return tuple(_by_file(name, reference, stamps, clocks or {}) for name in others)


def _shared(
    name: str, reference: str, stamps: Mapping[str, Float[np.ndarray, "..."]], confidence: float, note: str
) -> ClockEstimate:
    jitter = np.hypot(_error(stamps[name]), _error(stamps[reference]))
    sd = float(np.hypot(jitter, ARRIVAL_SD_S if confidence < 1 else 0.0))
    return ClockEstimate("timestamps", name, reference, 0.0, 0.0, sd, confidence, None, note)


def _error(stamp_s: Float[np.ndarray, "F"]) -> float:
    """Standard deviation of the mean of a camera's jitter."""
    return frame_steps(stamp_s).jitter_s / np.sqrt(len(stamp_s)) if len(stamp_s) > 2 else 0.0


def _by_file(
    name: str, reference: str, stamps: Mapping[str, Float[np.ndarray, "..."]], clocks: Mapping[str, FileClock]
) -> ClockEstimate:
    one, two = clocks.get(reference, FileClock()), clocks.get(name, FileClock())
    if not (len(stamps[name]) and len(stamps[reference])):
        return ClockEstimate("timestamps", name, reference, 0.0, None, UNKNOWN_SD_S, 0.0, None, "no frames with times")
    begin = float(stamps[name][0] - stamps[reference][0])
    if one.timecode_s is not None and two.timecode_s is not None:
        frame = max(_period(stamps[n]) for n in (name, reference))
        offset = begin - float(np.remainder(two.timecode_s - one.timecode_s + DAY_S / 2, DAY_S) - DAY_S / 2)
        note = "timecodes, to a frame"
        return ClockEstimate("timestamps", name, reference, offset, None, frame / np.sqrt(6), 0.6, None, note)
    if one.created_s is not None and two.created_s is not None:
        offset = begin - (two.created_s - one.created_s)
        note = "times of day in the files, to some seconds at best"
        return ClockEstimate("timestamps", name, reference, offset, None, TIME_OF_DAY_SD_S, 0.1, None, note)
    note = "every camera counts from its own zero"
    return ClockEstimate("timestamps", name, reference, 0.0, None, UNKNOWN_SD_S, 0.0, None, note)


def _period(stamp_s: Float[np.ndarray, "F"]) -> float:
    return frame_steps(stamp_s).period_s if len(stamp_s) > 2 else 1 / 30
