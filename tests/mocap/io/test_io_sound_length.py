"""The end of a video's sound, from its packets."""

from __future__ import annotations

import numpy as np
import pytest

from mocap.core.errors import VideoError
from mocap.io.sound_length import sound_end_s
from mocap.io.video_writer import Sound, VideoWriter


def test_sound_may_end_later_than_the_pictures(tmp_path):
    path, picture = tmp_path / "a.mp4", np.zeros((48, 64, 3), dtype=np.uint8)
    sound = Sound(np.random.default_rng(1).normal(0, 0.1, 2 * 16000).astype(np.float32), 16000)
    with VideoWriter(path, (64, 48), 30.0, sound=sound) as writer:
        for _ in range(30):
            writer.write(picture)
    end = sound_end_s(path)
    assert end is not None
    # AAC fills up its last block of 1024 samples, and puts one before.
    assert 2.0 - 1e-3 <= end <= 2.0 + 2 * 1024 / 16000


def test_no_sound_has_no_end(tmp_path):
    path = tmp_path / "a.mp4"
    with VideoWriter(path, (64, 48), 30.0) as writer:
        writer.write(np.zeros((48, 64, 3), dtype=np.uint8))
    assert sound_end_s(path) is None
    with pytest.raises(VideoError, match="no such file"):
        sound_end_s(tmp_path / "b.mp4")
