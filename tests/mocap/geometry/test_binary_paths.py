from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from mocap.geometry.binary_paths import least_cost_path, settings


def path_cost(path: np.ndarray, state_cost: np.ndarray, change_cost: np.ndarray) -> float:
    """Of one path of states, summed naively."""
    switches = settings(change_cost.shape[1])[path]
    total = sum(state_cost[t, s] for t, s in enumerate(path))
    for t in range(1, len(path)):
        for c in range(change_cost.shape[1]):
            total += change_cost[t, c, int(switches[t - 1, c]), int(switches[t, c])]
    return total


@pytest.mark.parametrize("n_switches", [1, 2, 3])
def test_no_path_of_all_is_cheaper(n_switches):
    rng = np.random.default_rng(n_switches)
    n_frames, n_states = 4, 1 << n_switches
    state_cost = rng.uniform(size=(n_frames, 3, n_states))
    change_cost = rng.uniform(size=(n_frames, 3, n_switches, 2, 2))
    found = least_cost_path(state_cost, change_cost)
    numbers = (found * (1 << np.arange(n_switches))).sum(-1)
    for b in range(3):
        every = [path_cost(np.array(p), state_cost[:, b], change_cost[:, b])
                 for p in product(range(n_states), repeat=n_frames)]  # fmt: skip
        assert path_cost(numbers[:, b], state_cost[:, b], change_cost[:, b]) == pytest.approx(min(every))


def test_a_change_that_costs_more_than_it_saves_is_not_made():
    state_cost = np.zeros((5, 1, 2))
    state_cost[:, 0, 1] = 0.4
    state_cost[2, 0] = [1.1, 0.0]
    stay = np.array([[0.0, 0.6], [0.6, 0.0]])
    dear = np.broadcast_to(stay, (5, 1, 1, 2, 2))
    assert not least_cost_path(state_cost, dear).any()
    assert least_cost_path(state_cost, dear / 2)[:, 0, 0].tolist() == [False, False, True, False, False]


def test_no_frames_and_wrong_sizes():
    assert least_cost_path(np.zeros((0, 2, 4)), np.zeros((0, 2, 2, 2, 2))).shape == (0, 2, 2)
    with pytest.raises(ValueError, match="2 switches have 4 states, not 2"):
        least_cost_path(np.zeros((3, 1, 2)), np.zeros((3, 1, 2, 2, 2)))
