"""States that last have the share and the length asked for."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.synthetic.spells import draw_spells, lasting_noise

FRAMES, COLUMNS = 4000, 50


def lengths(active):
    """Of all spells that begin and end within the time."""
    edges = np.diff(active.astype(int), axis=0)
    found = []
    for column in range(active.shape[1]):
        begins, ends = np.flatnonzero(edges[:, column] == 1), np.flatnonzero(edges[:, column] == -1)
        ends = ends[ends > begins[0]] if len(begins) else ends[:0]
        found += list(ends - begins[: len(ends)])
    return np.array(found)


@pytest.mark.parametrize(("share", "mean"), [(0.03, 1.0), (0.1, 6.0), (0.5, 20.0), (0.02, 12.0)])
def test_share_and_length_are_those_asked_for(share, mean):
    spells = draw_spells(np.random.default_rng(0), (FRAMES, COLUMNS), share, mean)
    rate = 1.0 if mean <= 1 else min(1.0, 1 / (mean * (1 - share)))
    # Correlated by (1 - r)^lag: the variance of a mean grows by (2 - r) / r.
    spread = np.sqrt(share * (1 - share) * (2 - rate) / rate / (FRAMES * COLUMNS))
    assert abs(spells.active.mean() - share) < 4.5 * spread
    found = lengths(spells.active)
    expected = 1 / (rate * (1 - share))  # geometric: spread sqrt(m (m - 1))
    assert abs(found.mean() - expected) < 4.5 * np.sqrt(expected * (expected - 1 + 1e-9) / len(found)) + 1e-9
    assert expected == pytest.approx(max(mean, 1 / (1 - share)))


def test_the_first_frame_is_like_all_others():
    spells = draw_spells(np.random.default_rng(1), (3, 200_000), 0.2, 30.0)
    assert np.allclose(spells.active.mean(1), 0.2, atol=4.5 * np.sqrt(0.2 * 0.8 / 200_000))


def test_the_share_may_change_over_time():
    share = np.where(np.arange(FRAMES) < FRAMES // 2, 0.0, 0.4)[:, None]
    active = draw_spells(np.random.default_rng(2), (FRAMES, COLUMNS), share, 5.0).active
    assert not active[: FRAMES // 2].any()
    rate = 1 / (5 * (1 - 0.2))
    spread = np.sqrt(0.4 * 0.6 * (2 - rate) / rate / (FRAMES // 2 * COLUMNS))
    assert abs(active[FRAMES // 2 :].mean() - 0.4) < 4.5 * spread


def test_what_is_held_changes_only_between_spells():
    rng = np.random.default_rng(3)
    spells = draw_spells(rng, (FRAMES, COLUMNS), 0.3, 8.0)
    for values in (rng.random((FRAMES, COLUMNS)), rng.random((FRAMES, COLUMNS, 2))):
        held = spells.held(values)
        assert held.shape == values.shape
        change = np.diff(held, axis=0) != 0
        change = change.any(-1) if values.ndim == 3 else change
        assert (change == (np.diff(spells.since, axis=0) != 0)).all()
    assert (spells.held(spells.active) == spells.active).all(), "a state is one with what was drawn for it"


def test_never_and_always():
    rng = np.random.default_rng(4)
    assert not draw_spells(rng, (50, 3), 0.0, 5.0).active.any()
    assert draw_spells(rng, (50, 3), 1.0, 5.0).active.all()


@pytest.mark.parametrize("memory", [0.0, 3.0, 15.0])
def test_lasting_noise_has_unit_spread_and_forgets_as_asked(memory):
    noise = lasting_noise(np.random.default_rng(5), (FRAMES, COLUMNS), memory)
    keep = np.exp(-1 / memory) if memory else 0.0
    n = FRAMES * COLUMNS * (1 - keep**2) / (1 + keep**2)  # independent squares
    assert abs((noise**2).mean() - 1) < 4.5 * np.sqrt(2 / n)
    assert abs((noise[0] ** 2).mean() - 1) < 4.5 * np.sqrt(2 / COLUMNS)
    lagged = (noise[1:] * noise[:-1]).mean()
    assert abs(lagged - keep) < 4.5 * np.sqrt(2 / n)
