"""Which pictures a machine that is too slow leaves out: evenly, before its queue is full of old ones.

A queue that runs over loses pictures in lumps, and what waits in it is lost by a kill: at twelve pictures a second,
thirty-two that wait are three seconds.
"""

from __future__ import annotations

BACKLOG_S = 0.7
"""Of pictures that may wait to be written; short enough for what a kill may cost, long enough for a hiccup."""

BEHIND_S = 0.3
"""Of pictures that wait, from which on a machine is behind."""

PATIENCE_S = 0.5
"""A machine that is behind for so long will not catch up by itself."""

CALM_S = 2.0
"""Without delay before more is tried again."""

LEAST = 8
"""One picture of so many is always written."""


class Thinning:
    """One picture of `keep_one_in` is written: more are left out while the backlog stays, fewer when it is gone."""

    def __init__(self, fps: float) -> None:
        self.keep_one_in = 1
        self._many = max(2.0, BEHIND_S * fps)
        self._since_s: float | None = None
        self._calm_s: float | None = None
        self._left_out = LEAST

    def leaves_out(self, waiting: int, now_s: float) -> bool:
        """Whether the picture at hand is left out, with so many others waiting."""
        if waiting > self._many:
            self._calm_s = None
            self._since_s = now_s if self._since_s is None else self._since_s
            if now_s - self._since_s > PATIENCE_S and self.keep_one_in < LEAST:
                self.keep_one_in += 1
                self._since_s = now_s
        elif waiting <= 1:
            self._since_s = None
            self._calm_s = now_s if self._calm_s is None else self._calm_s
            if now_s - self._calm_s > CALM_S and self.keep_one_in > 1:
                self.keep_one_in -= 1
                self._calm_s = now_s
        self._left_out += 1
        if self._left_out < self.keep_one_in:
            return True
        self._left_out = 0
        return False
