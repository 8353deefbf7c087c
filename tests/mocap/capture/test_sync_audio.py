from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mocap.capture.sync_audio import AudioSyncConfig, _on_reference, audio_estimates, take_sounds
from mocap.core.errors import InputError
from mocap.geometry.sound_paths import SoundClocks
from mocap.io.video_writer import Sound, VideoWriter
from mocap.synthetic.scene_sound import RATE_HZ
from sound_worlds import sound_world

MIDDLE_S = 6.0


@pytest.fixture(scope="module")
def clapping():
    return sound_world(1, claps=4, walking=False)


def worst_ms(world, estimates) -> float:
    return max(1e3 * abs(world.error_s(e, MIDDLE_S)) for e in estimates)


def test_claps_give_the_clocks_within_what_they_promise(clapping):
    estimates = audio_estimates(clapping.tracks)
    assert [e.camera for e in estimates] == list(clapping.rig.names[1:])
    # Somebody within 1.2 m of the middle: ways that differ by up to some 2 m, 6 ms.
    assert worst_ms(clapping, estimates) < 6.0
    assert all(e.sd_s > 0.004 for e in estimates), "the way of the sound is unknown and has to be in the deviation"
    assert all(e.confidence > 0.8 for e in estimates)
    assert all(e.curve is not None and len(e.curve[0]) <= 2000 for e in estimates)


def test_the_way_of_the_sound_is_taken_out_where_its_place_is_known(clapping):
    estimates = audio_estimates(clapping.tracks, rig=clapping.rig, places=clapping.places)
    # Picks to some tenths of a millisecond; the deviation assumed for the places is 0.1 m, 0.3 ms.
    assert worst_ms(clapping, estimates) < 1.0
    assert all(e.sd_s < 0.002 for e in estimates)


def test_talk_alone_is_enough():
    world = sound_world(2, claps=0, talking=True, walking=False)
    estimates = audio_estimates(world.tracks, rig=world.rig, places=world.places)
    assert worst_ms(world, estimates) < 2.0
    assert all("stretches" in e.note or "sharp" in e.note for e in estimates)


def test_a_camera_that_hears_something_else_has_no_confidence(clapping):
    other = sound_world(9, claps=4, walking=False)
    name = clapping.rig.names[2]
    estimates = audio_estimates({**clapping.tracks, name: other.tracks[other.rig.names[2]]})
    confidence = {e.camera: e.confidence for e in estimates}
    assert confidence[name] < 0.4
    assert min(c for n, c in confidence.items() if n != name) > 0.5


def test_a_reference_that_hears_badly_is_reached_over_the_others(clapping):
    reference = clapping.rig.names[0]
    rng = np.random.default_rng(3)
    track = clapping.tracks[reference]
    noise = rng.normal(0, 0.02, len(track.samples)).astype(np.float32)
    estimates = audio_estimates({**clapping.tracks, reference: replace(track, samples=track.samples + noise)})
    assert worst_ms(clapping, estimates) < 10.0


def test_one_track_is_not_enough(clapping):
    name = clapping.rig.names[0]
    with pytest.raises(InputError, match="two cameras"):
        audio_estimates({name: clapping.tracks[name]})
    with pytest.raises(InputError, match="two cameras"):
        audio_estimates(clapping.tracks, reference="nobody")
    near = audio_estimates(clapping.tracks, config=AudioSyncConfig(max_offset_s=5.0))
    assert worst_ms(clapping, near) < 6.0


def test_the_sound_of_a_file_is_put_on_the_stamps_of_its_frames(tmp_path):
    path = tmp_path / "cam.mp4"
    sound = np.zeros(RATE_HZ, dtype=np.float32)
    sound[RATE_HZ // 2] = 0.5
    picture = np.zeros((48, 64, 3), dtype=np.uint8)
    with VideoWriter(path, (64, 48), 30.0, sound=Sound(sound, RATE_HZ)) as writer:
        for _ in range(30):
            writer.write(picture)
    stamps = 100.0 + 1.0001 * np.arange(30) / 30
    track = take_sounds({"cam": path}, {"cam": stamps})["cam"]
    at = track.start_s + np.argmax(np.abs(track.samples)) / track.rate_hz
    assert abs(at - (100.0 + 1.0001 * 0.5)) < 0.002
    mute = tmp_path / "mute.mp4"
    with VideoWriter(mute, (64, 48), 30.0) as writer:
        writer.write(picture)
    assert take_sounds({"mute": mute}) == {}


def test_sounds_are_placed_in_time_by_cameras_that_are_linked_to_the_reference():
    """Camera c heard one sound together with b, but what links it to the reference is not known; nor what d heard."""
    drift = 5e-5
    clocks = SoundClocks(
        middle_s=10.0,
        offset_s=np.array([0.0, 2.0, 0.0, 0.0]),
        offset_sd_s=np.array([0.0, 1e-3, np.inf, np.inf]),
        drift=np.array([0.0, drift, 0.0, 0.0]),
        drift_sd=np.full(4, 1e-5),
        scatter_s=1e-4,
        heard=np.ones(4),
    )
    made = np.array([4.0, 30.0])
    late = made + 0.010  # the way to b
    arrivals = np.full((3, 4), np.nan)
    arrivals[0, :2] = made[0], late[0] + 2.0 + drift * (late[0] - 10)
    arrivals[1, 1:3] = late[1] + 2.0 + drift * (late[1] - 10), 1.0
    arrivals[2, 2:] = 5.0
    # What drifts between the two ends of the first order: drift squared times some 20 s.
    np.testing.assert_allclose(_on_reference(arrivals, clocks), [4.0, 30.01, np.nan], atol=1e-7)
