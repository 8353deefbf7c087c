from __future__ import annotations

import numpy as np

from mocap.signal.onsets import novelty, sharp_onsets
from mocap.synthetic.sound import SPEED_M_PER_S, heard

RATE = 16_000


def test_claps_are_picked_where_they_begin():
    claps, away = [0.8, 1.5, 2.9, 3.3], [2.0, 3.5, 5.0, 2.5]
    sound = heard(claps, away, seconds=4.5, rate_hz=RATE, rng=np.random.default_rng(7))
    found = sharp_onsets(sound, float(RATE))
    expected = np.array(claps) + np.array(away) / SPEED_M_PER_S
    # The clap itself is put at a whole sample; the pick may be some samples off where the noise hides the first ones.
    np.testing.assert_allclose(found.time_s, expected, atol=3e-4)
    assert (found.strength_db > 9).all()


def test_steady_noise_and_silence_have_no_onsets():
    rng = np.random.default_rng(8)
    assert not len(sharp_onsets(0.1 * rng.standard_normal(3 * RATE), float(RATE)).time_s)
    assert not len(sharp_onsets(np.zeros(RATE), float(RATE)).time_s)
    assert not len(sharp_onsets(np.zeros(10), float(RATE)).time_s)


def test_novelty_rises_with_a_clap_and_not_with_a_louder_recording():
    sound = heard([1.0], [3.0], seconds=2.0, rate_hz=RATE, rng=np.random.default_rng(9))
    new, step = novelty(sound, float(RATE), step_s=0.002)
    assert abs(np.argmax(new.sum(1)) * step - 1.0 - 3 / SPEED_M_PER_S) < 0.02
    louder, _ = novelty(4 * sound, float(RATE), step_s=0.002)
    np.testing.assert_allclose(louder, new, atol=1e-3)
