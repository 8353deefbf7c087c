from __future__ import annotations

import numpy as np
import pytest

from mocap.signal.cross_correlation import best_peak, candidates, correlate, phat_lags, thinned


def naive(a: np.ndarray, b: np.ndarray, lag: int) -> float:
    """The definition, sample by sample."""
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a, b))
    pairs = [(a[n], b[n + lag]) for n in range(len(a)) if 0 <= n + lag < len(b)]
    top = sum(float(x @ y) for x, y in pairs)
    norm = sum(float(x @ x) for x, _ in pairs) * sum(float(y @ y) for _, y in pairs)
    return top / np.sqrt(max(norm, 0.25 * (len(pairs) * a.shape[1]) ** 2))


def test_scores_are_those_of_the_definition():
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal((40, 2)), rng.standard_normal((25, 2))
    found = correlate(a, b, least_overlap=5)
    assert found.lags[0] == -35
    assert found.lags[-1] == 20
    for lag in (-30, -1, 0, 7, 20):
        score = found.score[np.flatnonzero(found.lags == lag)[0]]
        assert score == pytest.approx(naive(a, b, lag), abs=1e-9)


def test_a_part_of_a_signal_is_found_with_its_fraction_of_a_sample():
    t = np.arange(1000)
    rng = np.random.default_rng(4)
    bumps = rng.uniform(50, 950, 12)

    def signal(at):
        return np.exp(-0.5 * ((at[:, None] - bumps) / 4.0) ** 2).sum(1)[:, None]

    peak = best_peak(correlate(signal(t.astype(float)), signal(t[300:800] + 0.3), least_overlap=100), width=10.0)
    # b shows at n what a shows at n + 300.3. A parabola through a bump of sd 5.7 samples is right to some hundredths.
    assert peak.lag == pytest.approx(-300.3, abs=0.05)
    assert peak.confidence > 0.6


def test_a_beat_has_rivals_and_noise_has_no_confidence():
    beat = np.zeros((1000, 1))
    beat[50::100] = 1.0
    found = correlate(beat, beat, least_overlap=500)
    peak = best_peak(found, width=5.0)
    assert abs(peak.lag) < 0.01
    assert peak.confidence < 0.3
    assert round(candidates(found, width=5.0, count=3)[0].lag) == 0
    assert {abs(round(p.lag)) for p in candidates(found, width=5.0, count=3)[1:]} == {100}
    rng = np.random.default_rng(5)
    noise = best_peak(correlate(*rng.standard_normal((2, 5000, 1)), least_overlap=500), width=5.0)
    assert noise.confidence < 0.2


def test_phat_finds_a_delay_between_samples_under_an_echo():
    rng = np.random.default_rng(6)
    dry = rng.standard_normal(6000)
    freq = np.fft.rfftfreq(6000)
    late = np.fft.irfft(np.fft.rfft(dry) * np.exp(-2j * np.pi * freq * 7.25), 6000)
    echo = 0.6 * np.roll(late, 40) + 0.3 * rng.standard_normal(6000)
    windows = [np.stack([x[s : s + 2000] for s in (500, 2500)]) for x in (dry, late + echo)]
    lag, quality = phat_lags(*windows, max_lag=60)
    # A sinc sampled at steps of one and a parabola through three of its samples: up to 0.1 off at a quarter.
    np.testing.assert_allclose(lag, 7.25, atol=0.12)
    assert (quality > 4).all()


def test_a_thinned_curve_keeps_its_peaks():
    x, y = np.arange(10_001.0), np.zeros(10_001)
    y[7777] = 1.0
    few_x, few_y = thinned(x, y, 500)
    assert len(few_x) <= 500
    assert few_x[np.argmax(few_y)] == 7777
