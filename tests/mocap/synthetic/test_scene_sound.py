from __future__ import annotations

import numpy as np

from mocap.synthetic.scene_sound import RATE_HZ, Microphone, SoundEvent, recorded, sample_events
from mocap.synthetic.sound import SPEED_M_PER_S


def test_a_clap_arrives_by_the_straight_way_on_the_microphones_clock():
    event = SoundEvent(0.5, np.array([0.3, -0.4, 1.2]))
    place = (3.0, 0.2, 1.5)
    distance = float(np.linalg.norm(np.array(place) - event.place_m))
    heard = recorded([event], Microphone(place, 7.2, 1.0, offset_s=7.0, rate=1.001, noise=1e-5), seed=3)
    first = np.flatnonzero(np.abs(heard) > 0.01)[0] / RATE_HZ
    assert abs(first - (1.001 * (0.5 + distance / SPEED_M_PER_S) + 7.0 - 7.2)) < 3 / RATE_HZ


def test_two_microphones_hear_the_same_waveform():
    events = [SoundEvent(0.3, np.array([0.0, 0.0, 1.0]))]
    near, far = (recorded(events, Microphone((x, 0.0, 1.0), 0.0, 0.6, noise=1e-6), seed=1) for x in (1.0, 2.0))
    gap = round(1.0 / SPEED_M_PER_S * RATE_HZ)
    begin = int((0.3 + 1 / SPEED_M_PER_S) * RATE_HZ)
    cut = slice(begin, begin + 120)  # before the first wall answers
    assert np.corrcoef(near[cut], far[begin + gap : begin + gap + 120])[0, 1] > 0.9
    assert np.abs(far).max() < np.abs(near).max()


def test_scenes_are_made_of_what_was_asked_for_and_repeat():
    events = sample_events(np.random.default_rng(2), 20.0, claps=5, talking=True)
    assert sum(e.kind == "clap" for e in events) == 5
    assert {e.kind for e in events} == {"clap", "step", "syllable"}
    assert (np.diff([e.time_s for e in events]) >= 0).all()
    quiet = sample_events(np.random.default_rng(2), 20.0, claps=3, walking=False)
    microphone = Microphone((2.0, 1.0, 1.0), 0.0, 1.0)
    np.testing.assert_array_equal(recorded(quiet, microphone), recorded(quiet, microphone))
