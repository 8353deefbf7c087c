from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal

from mocap.core.errors import ConfigError
from mocap.signal.filters import butterworth, one_euro, savitzky_golay

FPS = 50.0
Filter = Callable[[np.ndarray], np.ndarray]
ZERO_PHASE: dict[str, Filter] = {
    "butterworth 2": lambda x: butterworth(x, fps=FPS, cutoff_hz=6.0, order=2),
    "butterworth 4": lambda x: butterworth(x, fps=FPS, cutoff_hz=6.0),
    "butterworth 6": lambda x: butterworth(x, fps=FPS, cutoff_hz=3.0, order=6),
    "savitzky_golay": lambda x: savitzky_golay(x, fps=FPS, window_s=0.3, degree=2),
}
ALL = ZERO_PHASE | {"one_euro": lambda x: one_euro(x, fps=FPS)}


def _noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize("name", ALL)
def test_constants_are_unchanged_and_the_gain_is_linear(name: str) -> None:
    still = np.full((60, 2, 3), 4.25)
    np.testing.assert_allclose(ALL[name](still), still, rtol=1e-12)
    if name != "one_euro":
        x = _noise((60, 5))
        np.testing.assert_allclose(ALL[name](3 * x + 7), 3 * ALL[name](x) + 7, atol=1e-10)


@pytest.mark.parametrize("name", ZERO_PHASE)
def test_straight_lines_come_through_to_the_very_ends(name: str) -> None:
    line = 2.0 - 0.7 * np.arange(47.0)[:, None] * [1, -3]
    # padding lets transients fall to 1e-6 of the slope's step at the ends (0.7 x 3 units), point reflection adds none
    np.testing.assert_allclose(ZERO_PHASE[name](line), line, atol=5e-6)


@pytest.mark.parametrize("name", ZERO_PHASE)
def test_reversing_time_reverses_the_result(name: str) -> None:
    x = _noise((200, 2))
    # forth-and-back differs from back-and-forth only by the transients at the ends, 1e-6 after the padding
    np.testing.assert_allclose(ZERO_PHASE[name](x[::-1])[::-1], ZERO_PHASE[name](x), atol=2e-5)


@pytest.mark.parametrize("name", ALL)
def test_a_delayed_signal_gives_the_delayed_result(name: str) -> None:
    x = np.zeros((400, 1))
    x[100:140, 0] = _noise((40,))
    late = np.roll(x, 57, axis=0)
    found, found_late = ALL[name](x), ALL[name](late)
    np.testing.assert_allclose(found_late[60:], found[3:-57], atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_gaps_stay_and_separate(name: str) -> None:
    x = _noise((90, 3, 2), 3)
    x[30:34, 0] = np.nan
    x[50, 1, 1] = np.nan
    x[:20, 2] = np.nan
    found = ALL[name](x)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    if name in ZERO_PHASE:
        np.testing.assert_allclose(found[:30, 0], ZERO_PHASE[name](x[:30, 0]), atol=1e-12)
        np.testing.assert_allclose(found[34:, 0], ZERO_PHASE[name](x[34:, 0]), atol=1e-12)
        changed = np.where(np.arange(90)[:, None, None] < 30, x + 100, x)
        np.testing.assert_allclose(ZERO_PHASE[name](changed)[34:, 0], found[34:, 0], atol=1e-12)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_short_runs_are_answered(name: str, n: int) -> None:
    x = np.full((n + 2, 2), np.nan)
    x[1:-1] = _noise((n, 2), n)
    found = ALL[name](x)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(x))
    if n == 1:
        np.testing.assert_allclose(found[1], x[1])


@pytest.mark.parametrize("name", ALL)
def test_all_series_at_once_equal_one_at_a_time(name: str) -> None:
    x = _noise((40, 3, 2), 5)
    x[10:13, 1] = np.nan
    alone = np.stack([[ALL[name](x[:, i, j]) for j in range(2)] for i in range(3)])
    np.testing.assert_allclose(ALL[name](x), np.moveaxis(alone, 2, 0), atol=1e-12)


def _gain(filtered: np.ndarray, x: np.ndarray) -> float:
    middle = slice(len(x) // 4, 3 * len(x) // 4)
    return float(np.sqrt((filtered[middle] ** 2).mean() / (x[middle] ** 2).mean()))


@pytest.mark.parametrize("order", [2, 4, 8])
@pytest.mark.parametrize("hz", [1.5, 5.0, 11.0])
def test_butterworth_has_the_gain_that_its_docstring_states(order: int, hz: float) -> None:
    t = np.arange(2000) / FPS
    x = np.sin(2 * np.pi * hz * t)[:, None]
    cutoff = 5.0
    warp = np.tan(np.pi * hz / FPS) / np.tan(np.pi * cutoff / FPS)
    expected = 1 / (1 + (np.sqrt(2) - 1) * warp**order)
    # 1000 samples hold whole periods only to 1/1000
    assert _gain(butterworth(x, fps=FPS, cutoff_hz=cutoff, order=order), x) == pytest.approx(expected, rel=2e-3)


def test_butterworth_equals_scipy_forth_and_back() -> None:
    x = _noise((300, 4), 8)
    corner = np.arctan(np.tan(np.pi * 6 / FPS) / (np.sqrt(2) - 1) ** 0.25) * FPS / np.pi
    b, a = signal.butter(2, corner, fs=FPS)
    expected = signal.filtfilt(b, a, x, axis=0, padlen=60)
    np.testing.assert_allclose(butterworth(x, fps=FPS, cutoff_hz=6.0), expected, atol=1e-5)


def test_an_impulse_is_spread_and_its_sum_kept() -> None:
    x = np.zeros((301, 1))
    x[150] = 1.0
    for name, smooth in ZERO_PHASE.items():
        found = smooth(x)
        assert found.sum() == pytest.approx(1.0, abs=1e-6), name  # gain 1 at 0 Hz
        assert found[150] == found.max() < 0.5, name
        np.testing.assert_allclose(found, found[::-1], atol=1e-9, err_msg=name)


def test_savitzky_golay_equals_scipy_and_keeps_polynomials() -> None:
    x = _noise((80, 3), 9)
    expected = signal.savgol_filter(x, 15, 3, axis=0)
    np.testing.assert_allclose(savitzky_golay(x, fps=FPS, window_s=0.3, degree=3), expected, atol=1e-12)
    t = np.arange(60.0)[:, None]
    cubic = 1 - t + 0.03 * t**2 - 4e-4 * t**3
    np.testing.assert_allclose(savitzky_golay(cubic, fps=FPS, window_s=0.4, degree=3), cubic, atol=1e-9)
    even = savitzky_golay(x, fps=FPS, window_s=0.0, degree=2)  # the shortest window that smooths: 5 for degree 2
    np.testing.assert_allclose(even, signal.savgol_filter(x, 5, 2, axis=0), atol=1e-12)


def _naive_one_euro(x: np.ndarray, min_cutoff: float, beta: float, d_cutoff: float) -> np.ndarray:
    """The paper's algorithm 1, one number at a time."""
    result, previous, dx_hat = [], None, 0.0
    elapsed = 1 / FPS
    for value in x:
        if np.isnan(value):
            result.append(np.nan)
            elapsed += 0 if previous is None else 1 / FPS
            continue
        if previous is None:
            previous = value
        else:
            alpha = 1 / (1 + 1 / (2 * np.pi * d_cutoff) / elapsed)
            dx_hat = alpha * (value - previous) / elapsed + (1 - alpha) * dx_hat
            alpha = 1 / (1 + 1 / (2 * np.pi * (min_cutoff + beta * abs(dx_hat))) / elapsed)
            previous = alpha * value + (1 - alpha) * previous
        result.append(previous)
        elapsed = 1 / FPS
    return np.array(result)


def test_one_euro_equals_the_papers_algorithm() -> None:
    x = np.cumsum(_noise((100, 3), 10), axis=0)
    x[20:24, 0] = np.nan
    x[:5, 1] = np.nan
    found = one_euro(x, fps=FPS, min_cutoff_hz=1.7, beta=0.3, derivative_cutoff_hz=2.0)
    expected = np.stack([_naive_one_euro(x[:, i], 1.7, 0.3, 2.0) for i in range(3)], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_one_euro_is_causal_and_opens_up_with_speed() -> None:
    x = _noise((80, 1), 11)
    later = x.copy()
    later[50:] += 9
    np.testing.assert_array_equal(one_euro(later, fps=FPS)[:50], one_euro(x, fps=FPS)[:50])
    ramp = 3.0 * np.arange(200)[:, None] / FPS
    lag_stiff = ramp[-1] - one_euro(ramp, fps=FPS, beta=0.0)[-1]
    lag_quick = ramp[-1] - one_euro(ramp, fps=FPS, beta=1.0)[-1]
    # The lag of a first-order filter behind a ramp is speed x tau, tau = 1 / (2 pi cutoff). The algorithm measures the
    # speed from its own last output: v / alpha, alpha = 1 / (1 + tau fps); the cut-off solves c = 1 + v / alpha(c).
    assert lag_stiff == pytest.approx(3.0 / (2 * np.pi), rel=1e-6)
    cutoff = 1.0
    for _ in range(200):
        cutoff = 1 + 3.0 * (1 + FPS / (2 * np.pi * cutoff))
    assert lag_quick == pytest.approx(3.0 / (2 * np.pi * cutoff), rel=1e-4)


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="even order"):
        butterworth(np.zeros((9, 1)), fps=FPS, cutoff_hz=5.0, order=3)
    with pytest.raises(ConfigError, match="half of 50 frames a second"):
        butterworth(np.zeros((9, 1)), fps=FPS, cutoff_hz=25.0)
    with pytest.raises(ConfigError, match="degree"):
        savitzky_golay(np.zeros((9, 1)), fps=FPS, window_s=0.2, degree=-1)
