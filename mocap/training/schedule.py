"""How far a run is, and the learning rate there."""

from __future__ import annotations

import math

from mocap.training.train_config import ScheduleConfig

SECONDS_PER_MINUTE = 60.0


def share_done(schedule: ScheduleConfig, step: int, seconds: float) -> float:
    """0 at the start, 1 at the end of a run that has made `step` steps in `seconds`."""
    by_steps = step / schedule.steps if schedule.steps else 0.0
    by_clock = seconds / (schedule.minutes * SECONDS_PER_MINUTE) if schedule.minutes else 0.0
    return min(1.0, max(by_steps, by_clock))


def rate_share(schedule: ScheduleConfig, done: float) -> float:
    """The share of the learning rate's top where the share `done` of the run is over.

    Never 0 at the start: the first step of a warm-up goes as far as one in the middle of its first hundredth.
    """
    if done < schedule.warmup:
        return max(done / schedule.warmup, 0.005)
    down = (done - schedule.warmup) / (1 - schedule.warmup)
    return schedule.last + (1 - schedule.last) * 0.5 * (1 + math.cos(math.pi * down))
