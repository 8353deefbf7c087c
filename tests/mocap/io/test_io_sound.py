from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import VideoError
from mocap.io.sound import SoundTrack, read_sound
from mocap.io.video_writer import Sound, VideoWriter
from mocap.signal.onsets import sharp_onsets
from mocap.synthetic.sound import SPEED_M_PER_S, heard

RATE = 48_000
PICTURE = np.full((48, 64, 3), 90, dtype=np.uint8)


def write(path, sound: Sound | None, n: int = 60):
    with VideoWriter(path, (64, 48), 30.0, sound=sound) as writer:
        for _ in range(n):
            writer.write(PICTURE)
    return path


def test_claps_are_where_they_were_recorded(tmp_path):
    samples = heard([0.4, 1.3], [2.0, 3.0], seconds=2.0, rate_hz=RATE, rng=np.random.default_rng(1))
    sound = read_sound(write(tmp_path / "a.mp4", Sound(samples, RATE)))
    assert sound is not None
    assert sound.rate_hz == 16_000
    assert abs(sound.duration_s - 2.0) < 2 * 1024 / RATE
    found = sound.time_s(sharp_onsets(sound.samples, sound.rate_hz).time_s)
    # AAC smears an onset over a short block (128 samples at 48 kHz, 2.7 ms) at most.
    np.testing.assert_allclose(found, [0.4 + 2 / SPEED_M_PER_S, 1.3 + 3 / SPEED_M_PER_S], atol=128 / RATE)


def test_a_video_without_sound_has_none_and_a_missing_one_is_named(tmp_path):
    assert read_sound(write(tmp_path / "mute.mp4", None, 5)) is None
    with pytest.raises(VideoError, match="nowhere"):
        read_sound(tmp_path / "nowhere.mp4")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(VideoError, match="cannot be read"):
        read_sound(tmp_path / "text.mp4")


def test_a_track_on_another_clock_keeps_its_sounds_in_time():
    track = SoundTrack(np.zeros(32_000, dtype=np.float32), 16_000.0, 0.5)
    moved = track.on(1.0001, 100.0)
    n = 24_000
    assert moved.start_s + n / moved.rate_hz == pytest.approx(1.0001 * (0.5 + n / 16_000) + 100.0)
    assert track.silent
