from __future__ import annotations

import av
import numpy as np

from mocap.io.video_writer import Sound, VideoWriter
from mocap.synthetic.sound import SPEED_M_PER_S, heard

RATE = 48_000


def track(seed=1, **values):
    values = {"seconds": 2.0, "rate_hz": RATE} | values
    return heard([0.7], [3.43], rng=np.random.default_rng(seed), **values)


def onset_s(samples: np.ndarray, rate: float = RATE) -> float:
    """Where the sound first gets ten times as loud as the room: 0.03 of noise at 0.003, and claps peak above 0.1."""
    return float(np.flatnonzero(np.abs(samples) > 0.05)[0] / rate)


def test_a_clap_comes_later_by_its_way_through_the_air():
    assert abs(onset_s(track()) - (0.7 + 3.43 / SPEED_M_PER_S)) <= 1 / RATE


def test_far_claps_are_softer_and_all_stays_in_range():
    near, far = (heard([0.5], [d], seconds=1.0, rate_hz=RATE, rng=np.random.default_rng(2)) for d in (1.0, 8.0))
    assert np.abs(near).max() > 4 * np.abs(far).max()
    assert np.abs(near).max() <= 1.0
    assert np.std(far[: RATE // 4]) > 1e-4, "a room is never silent"


def test_the_same_seed_sounds_the_same():
    np.testing.assert_array_equal(track(4), track(4))
    assert np.abs(track(4) - track(5)).max() > 0.001


def test_the_sound_is_in_the_video_at_its_time(tmp_path):
    path = tmp_path / "cam.mp4"
    picture = np.full((48, 64, 3), 90, dtype=np.uint8)
    with VideoWriter(path, (64, 48), 30.0, sound=Sound(track(), RATE)) as writer:
        for _ in range(60):
            writer.write(picture)
    with av.open(str(path)) as container:
        blocks = [(float(f.pts * f.time_base), f.to_ndarray()[0]) for f in container.decode(audio=0)]
    assert abs(sum(len(block) for _, block in blocks) / RATE - 2.0) < 2 * 1024 / RATE  # AAC pads to blocks of 1024
    samples = np.concatenate([block for _, block in blocks])
    expected = 0.7 + 3.43 / SPEED_M_PER_S
    # AAC smears an onset over its window: at most one short block (128 samples) of pre-echo above the threshold.
    assert abs(blocks[0][0] + onset_s(samples) - expected) < 2 * 128 / RATE
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 60
