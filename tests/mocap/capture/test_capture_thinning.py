from __future__ import annotations

import numpy as np
import pytest

from mocap.capture.thinning import BACKLOG_S, Thinning

FPS = 30.0


def simulated(seconds: float, cost_s: float, hiccup_s: float = 0.0) -> tuple[np.ndarray, int, float]:
    """Numbers of the pictures written by a machine that needs so long for each, dropped ones, and the worst delay."""
    thinning, length = Thinning(FPS), round(BACKLOG_S * FPS)
    free_s, queue, written, dropped, worst = hiccup_s, [], [], 0, 0.0
    for number in range(round(seconds * FPS)):
        now = number / FPS
        while queue and free_s <= now:
            first = queue.pop(0)
            begin = max(free_s, first / FPS)
            if not thinning.leaves_out(len(queue), begin):
                written.append(first)
                worst = max(worst, begin - first / FPS)
                free_s = begin + cost_s
            else:
                free_s = begin
        if len(queue) < length:
            queue.append(number)
        else:
            dropped += 1
    return np.array(written), dropped, worst


def test_a_machine_that_keeps_up_leaves_nothing_out():
    written, dropped, _ = simulated(20, cost_s=0.9 / FPS)
    assert dropped == 0
    assert (np.diff(written) == 1).all()


def test_a_hiccup_costs_nothing():
    written, dropped, worst = simulated(20, cost_s=0.3 / FPS, hiccup_s=0.6)
    assert dropped == 0
    assert (np.diff(written) == 1).all()
    assert worst == pytest.approx(0.6, abs=0.05)


@pytest.mark.parametrize("load", [1.3, 2.0, 3.0, 5.0])
def test_a_machine_that_is_too_slow_writes_evenly_and_not_late(load):
    written, dropped, worst = simulated(60, cost_s=load / FPS)
    late = written[written > 10 * FPS]
    assert len(late) > 0.6 * 50 * FPS / load  # of what it could at best
    assert dropped <= 0.05 * 60 * FPS  # the rest is left out by choice
    assert np.diff(late).max() <= np.ceil(load) + 3
    assert worst < BACKLOG_S * load + 0.1
