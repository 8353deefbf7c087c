from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator

from mocap.signal.gaps import fill_gaps, gap_lengths


def _holed(seed: int, share: float = 0.4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = np.cumsum(rng.normal(size=(50, 4, 3)), axis=0)
    x[rng.random((50, 4)) < share] = np.nan
    return x


def test_gap_lengths_of_a_known_case() -> None:
    present = np.array([0, 1, 0, 0, 1, 1, 0, 1, 0, 0], dtype=bool)
    assert gap_lengths(present).tolist() == [10, 0, 2, 2, 0, 0, 1, 0, 10, 10]


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.95))
def test_equals_scipy_between_the_samples_and_never_beyond(seed: int, share: float) -> None:
    x = _holed(seed, share)
    for method in ("pchip", "linear"):
        found, filled = fill_gaps(x, max_gap=100, method=method)
        for j in range(4):
            known = np.flatnonzero(np.isfinite(x[:, j, 0]))
            if len(known) < 2:
                assert not filled[:, j].any()
                continue
            inside = np.arange(known[0], known[-1] + 1)
            if method == "pchip":
                expected = PchipInterpolator(known, x[known, j])(inside)
            else:
                expected = np.stack([np.interp(inside, known, x[known, j, d]) for d in range(3)], axis=-1)
            np.testing.assert_allclose(found[inside, j], expected, atol=1e-9)
            outside = np.setdiff1d(np.arange(50), inside)
            assert np.isnan(found[outside, j]).all()
            assert not filled[outside, j].any()


@pytest.mark.parametrize("method", ["pchip", "linear"])
def test_long_gaps_stay_and_everything_filled_is_told(method: str) -> None:
    x = _holed(3)
    x[20:26, 1] = np.nan
    x[19, 1] = x[26, 1] = 1.0
    found, filled = fill_gaps(x, max_gap=2, method=method)
    missing = np.isnan(x[..., 0])
    np.testing.assert_array_equal(filled, missing & (gap_lengths(~missing) <= 2))
    np.testing.assert_array_equal(np.isnan(found).all(-1), missing & ~filled)
    np.testing.assert_array_equal(found[~missing], x[~missing])
    assert np.isnan(found[20:26, 1]).all()


@pytest.mark.parametrize("method", ["pchip", "linear"])
def test_straight_lines_are_continued_through_gaps(method: str) -> None:
    line = np.arange(30.0)[:, None, None] * [0.5, -2.0, 0.0] + 1
    x = line.copy()
    x[5:9] = x[20] = np.nan
    np.testing.assert_allclose(fill_gaps(x, max_gap=4, method=method)[0], line, atol=1e-12)


def test_a_sample_with_one_coordinate_missing_is_missing() -> None:
    x = np.arange(15.0).reshape(5, 1, 3)
    x[2, 0, 1] = np.nan
    found, filled = fill_gaps(x, max_gap=0)
    assert np.isnan(found[2]).all()
    assert not filled.any()
