from __future__ import annotations

import numpy as np

from mocap.io.brightness import read_brightness
from mocap.io.video_writer import VideoWriter, VideoWriterConfig


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
    others = np.delete(found.difference, [9, 24])
    assert found.difference[24] < 0.1 * np.median(others)


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
    brightness = read_brightness(path).brightness
    assert len(brightness) == 20
