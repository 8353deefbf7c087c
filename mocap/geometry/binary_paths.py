"""Several binary switches over time: the joint path of least cost, exactly, by dynamic programming (Viterbi 1967).

The state of a frame is the setting of C switches, numbered by the integer whose bit c is switch c. Changing from frame
to frame costs switch by switch, so that the minimum over all previous states is C minima over two values each.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

MOST_SWITCHES = 12
"""4096 states a frame; more would be slow and large."""


def settings(n_switches: int) -> Bool[np.ndarray, "S C"]:
    """Row s: the switches of state s."""
    return (np.arange(1 << n_switches)[:, None] >> np.arange(n_switches)) & 1 == 1


def least_cost_path(
    state_cost: Float[np.ndarray, "T B S"], change_cost: Float[np.ndarray, "T B C 2 2"]
) -> Bool[np.ndarray, "T B C"]:
    """The switches of B independent paths. change_cost[t, b, c, i, j]: of switch c being i in frame t - 1 and j in t
    (that of frame 0 is not read). Among paths of equal cost, the one with the lower states from the end on.
    """
    n_frames, n_paths, n_states = state_cost.shape
    n_switches = change_cost.shape[2]
    if n_states != 1 << n_switches:
        raise ValueError(f"{n_switches} switches have {1 << n_switches} states, not {n_states}")
    if not n_frames:
        return np.zeros((0, n_paths, n_switches), dtype=bool)
    before = np.zeros((n_frames, n_switches, n_paths, n_states), dtype=bool)
    value = state_cost[0]
    for t in range(1, n_frames):
        for c in range(n_switches):
            value, before[t, c] = _switched(value, change_cost[t, :, c], c)
        value = value + state_cost[t]
    return settings(n_switches)[_trace_back(value.argmin(-1), before)]


def _switched(
    value: Float[np.ndarray, "B S"], cost: Float[np.ndarray, "B 2 2"], switch: int
) -> tuple[Float[np.ndarray, "B S"], Bool[np.ndarray, "B S"]]:
    """The least cost of every new setting of one switch, and its old setting there."""
    n_paths = len(value)
    off_on = value.reshape(n_paths, -1, 2, 1 << switch)
    stay, go = off_on[:, :, 0, None], off_on[:, :, 1, None]
    stay = stay + cost[:, None, 0, :, None]
    go = go + cost[:, None, 1, :, None]
    return np.minimum(stay, go).reshape(n_paths, -1), (go < stay).reshape(n_paths, -1)


def _trace_back(last: np.ndarray, before: Bool[np.ndarray, "T C B S"]) -> np.ndarray:
    """(T, B) states from the last ones, undoing the switches in the opposite order."""
    n_frames, n_switches, n_paths = before.shape[:3]
    path = np.zeros((n_frames, n_paths), dtype=np.int64)
    path[-1] = last
    rows = np.arange(n_paths)
    for t in range(n_frames - 1, 0, -1):
        state = path[t].copy()
        for c in range(n_switches - 1, -1, -1):
            was_on = before[t, c, rows, state]
            state = np.where(was_on, state | (1 << c), state & ~(1 << c))
        path[t - 1] = state
    return path
