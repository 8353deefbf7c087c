from __future__ import annotations

import numpy as np

from mocap.io.brightness import read_brightness
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from mocap.signal.frame_gaps import repeated_pictures


def test_flashes_and_repeated_pictures_show(tmp_path):
    rng = np.random.default_rng(1)
    path, scene = tmp_path / "cam.mp4", rng.integers(60, 120, (144, 256, 3)).astype(np.uint8)
    with VideoWriter(path, (256, 144), 30.0, VideoWriterConfig(crf=18, preset="fast")) as writer:
        for frame in range(40):
            picture = scene.copy()
            at = 4 * (frame - (frame == 25))  # frame 25 shows what frame 24 shows
            picture[40:100, at : at + 30] = 200
            writer.write(np.clip(picture.astype(int) + 50 * (frame >= 10), 0, 255).astype(np.uint8))
    found = read_brightness(path)
    assert len(found.brightness) == 40
    step = np.diff(found.brightness)
    assert np.argmax(step) == 9
    # 50 of 255 levels of grey are 50 * 219 / 255 of the luma's limited range.
    assert abs(step[9] - 50 * 219 / 255) < 3
    np.testing.assert_array_equal(np.flatnonzero(repeated_pictures(found.strongest)), [25])
    # Two steps change more than one, and what is not there is missing.
    usual = np.nanmedian(found.moving, axis=0)
    assert usual[0] < usual[1] < usual[2] < usual[3]
    np.testing.assert_array_equal(np.isnan(found.moving[:5]), np.arange(4) >= np.arange(5)[:, None])
    assert found.key[0]
    assert (found.strongest >= found.moving)[np.isfinite(found.moving)].all()


def test_damaged_frames_are_missing(tmp_path):
    path = tmp_path / "cam.mp4"
    with VideoWriter(path, (64, 48), 30.0) as writer:
        for frame in range(20):
            writer.write(np.full((48, 64, 3), 5 * frame, dtype=np.uint8))
    assert np.isfinite(read_brightness(path).brightness).all()
    content = bytearray(path.read_bytes())
    middle = content.find(b"mdat") + 200
    content[middle : middle + 60] = bytes(60)
    path.write_bytes(bytes(content))
    found = read_brightness(path)
    assert found.brightness.shape == found.key.shape == (20,)
    lost = np.isnan(found.brightness)
    assert np.isnan(found.strongest[lost]).all()


def test_large_pictures_are_made_small_and_small_ones_are_left(tmp_path):
    for size in ((640, 480), (480, 640), (32, 24)):
        path = tmp_path / f"{size[0]}.mp4"
        with VideoWriter(path, size, 30.0) as writer:
            for frame in range(3):
                picture = np.full((size[1], size[0], 3), 40, dtype=np.uint8)
                picture[: size[1] // 2] += np.uint8(40 * frame)
                writer.write(picture)
        found = read_brightness(path)
        # Half of the picture grows by 40 of 255, which are 219 / 255 of it in the luma's limited range.
        assert abs(found.strongest[1, 0] - 40 * 219 / 255) < 3
        assert abs(found.moving[2, 1] - 80 * 219 / 255) < 3
