from __future__ import annotations

import numpy as np

from mocap.signal.segments import over_runs, runs_of


def test_runs_are_found_per_series_in_order_of_time() -> None:
    mask = np.array([[1, 1, 0, 1, 0, 0, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0, 0], [1] * 9], dtype=bool).T
    start, length, series = runs_of(mask)
    assert list(zip(series, start, length, strict=True)) == [(0, 0, 2), (0, 3, 1), (0, 6, 3), (2, 0, 9)]


def test_each_run_is_worked_on_alone_and_gaps_stay() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3, 2))
    x[rng.random(x.shape) < 0.2] = np.nan
    found = over_runs(x, lambda run: np.cumsum(run, axis=0) + len(run))
    expected = np.full_like(x, np.nan)
    for column in np.ndindex(3, 2):
        t = 0
        while t < 40:
            stop = t
            while stop < 40 and np.isfinite(x[(stop, *column)]):
                stop += 1
            expected[(slice(t, stop), *column)] = np.cumsum(x[(slice(t, stop), *column)]) + (stop - t)
            t = max(stop, t + 1)
    np.testing.assert_allclose(found, expected)


def test_nothing_present_gives_nothing() -> None:
    assert np.isnan(over_runs(np.full((5, 2), np.nan), lambda run: run)).all()
    assert over_runs(np.zeros((0, 4)), lambda run: run).shape == (0, 4)
