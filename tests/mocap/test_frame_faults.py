"""Frames that were lost or doubled in files whose times know nothing of it: found, and put right in sync.toml."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from mocap.core.keypoints import Detections2D, load_keypoint_set
from mocap.frame_faults import camera_faults, people_points
from mocap.io.brightness import read_brightness
from mocap.io.session_files import open_take
from mocap.io.take_times import take_times
from mocap.io.video_writer import Sound, VideoWriter
from mocap.signal.frame_gaps import APART_S, repeated_pictures
from mocap.synthetic.clocks import CameraFaults, FrameClock, frame_clock
from mocap.synthetic.sound import heard
from running_mocap import invoke

FPS, SECONDS, SIZE = 30.0, 8.0, (192, 108)
SOUND_HZ = 16000
CLAPS_S = (1.5, 2.3, 4.0, 5.6, 6.5)
PHONES = Path(__file__).parents[2] / "sample_sessions" / "phones" / "takes" / "clap_and_wave"


def picture_at(time_s: float) -> np.ndarray:
    """A bright thing that goes to and fro before a wall of many greys."""
    x, y = np.arange(SIZE[0]), np.arange(SIZE[1])[:, None]
    wall = 80 + 20 * np.sin(0.3 * x) * np.cos(0.2 * y)
    place = 96 + 50 * np.sin(2 * np.pi * 0.22 * time_s + 0.3), 54 + 20 * np.sin(2 * np.pi * 0.31 * time_s)
    thing = 120 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 200)
    return np.repeat(np.clip(wall + thing, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


def write_camera(path: Path, clock: FrameClock, *, sound: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    start = float(clock.time_s[0])
    claps = [clap - start for clap in CLAPS_S]
    rng = np.random.default_rng(len(clock))
    seconds = float(clock.time_s[-1]) - start + 0.1
    samples = heard(claps, [1.0] * len(claps), seconds=seconds, rate_hz=SOUND_HZ, rng=rng)
    with VideoWriter(path, SIZE, FPS, sound=Sound(samples, SOUND_HZ) if sound else None) as video:
        for time, stamp in zip(clock.time_s, clock.stamp_s, strict=True):
            video.write(picture_at(time), float(stamp - clock.stamp_s[0]))


def faulty(seed: int, **faults: float) -> FrameClock:
    config = CameraFaults.model_validate({"stamps": "nominal", "stamps_from_zero": True} | faults)
    return frame_clock(config, fps=FPS, seconds=SECONDS, rng=np.random.default_rng(seed))


def test_files_that_count_are_put_on_one_clock_with_their_losses(tmp_path):
    take = tmp_path / "takes" / "walk"
    clocks = {"a": faulty(2), "b": faulty(15, dropped=0.025, duplicated=0.01, starts_late_s=0.31)}
    for name, clock in clocks.items():
        write_camera(take / "video" / f"{name}.mp4", clock, sound=True)
    lost = np.flatnonzero(np.diff(clocks["b"].exposure) > 1) + 1
    assert len(lost) >= 4
    assert clocks["b"].repeated.any()
    said = invoke("sync", take, "--method", "audio", "--json")
    found = json.loads(said.stdout)
    opened = open_take(take)
    assert [frame for frame, _ in opened.faults["b"].gaps] == lost.tolist()
    assert not opened.faults["a"].gaps
    assert found["cameras"]["b"]["repeated_frames"] == np.flatnonzero(clocks["b"].repeated).tolist()
    assert any(f"b: {len(lost)} frames are lost though its times are even" in note for note in found["notes"])
    times = take_times(opened)
    assert times is not None
    own = ~clocks["b"].repeated
    np.testing.assert_array_equal(np.isnan(times["b"]), clocks["b"].repeated)
    off = times["b"][own] - clocks["b"].time_s[own]
    # Claps are heard to 2 ms; before, the last frames were early by all that was lost, 0.1 s and more.
    assert np.abs(off - (times["a"] - clocks["a"].time_s).mean()).max() < 0.003


def test_even_files_that_lost_nothing_are_left_alone(tmp_path):
    write_camera(tmp_path / "a.mp4", faulty(5), sound=True)
    light = read_brightness(tmp_path / "a.mp4")
    stamps = np.arange(len(light.brightness)) / FPS
    found = camera_faults(stamps, light=light, length_s=SECONDS + 0.1)
    assert found.faults.gaps == found.faults.repeated == found.sentences == ()
    # A sound that goes on for longer is told of, not believed.
    told = camera_faults(stamps, light=light, length_s=SECONDS + 0.5)
    assert told.faults.gaps == ()
    assert told.sentences == (f"by its sound {told.missing} or more frames are lost, and nothing shows where",)
    assert told.missing == int((0.5 - APART_S) * FPS)


def test_stamps_that_show_their_gaps_are_believed(tmp_path):
    clock = faulty(4, dropped=0.02)
    write_camera(tmp_path / "a.mp4", clock, sound=False)
    light = read_brightness(tmp_path / "a.mp4")
    counted = camera_faults(clock.stamp_s, light=light)
    assert len(counted.faults.gaps) > 1
    assert "lost though its times are even; what comes after them is put right" in counted.sentences[0]
    true = camera_faults(clock.exposure / FPS, light=light)
    assert true.faults.gaps == ()
    trembling = np.arange(len(clock)) / FPS + np.random.default_rng(1).normal(0, 0.004, len(clock))
    shown = camera_faults(trembling, light=light, recorded=True)
    assert shown.faults.uneven_stamps
    assert shown.sentences == ("the times of arrival tremble, and are made even",)


def people(clock: FrameClock, noise_px: float) -> Detections2D:
    """One person whose points swing, as a detector sees it in the first camera; nobody in the second."""
    keypoints = load_keypoint_set("blazepose33")
    n, joints = len(clock), len(keypoints)
    rng = np.random.default_rng(3)
    phase, pace = rng.uniform(0, 6.28, (joints, 2)), rng.uniform(0.3, 0.8, (joints, 2))
    xy = 300 + 60 * np.sin(2 * np.pi * pace * clock.time_s[:, None, None] + phase) + rng.normal(0, 4, (joints, 2))
    xy += rng.normal(0, noise_px, xy.shape)
    box = np.concatenate([xy.min(1), xy.max(1)], axis=1)
    ones, zeros = np.ones(n), np.zeros(n, dtype=np.int64)
    return Detections2D(("a", "b"), n + 5, keypoints, np.arange(n), zeros, zeros, xy, np.ones((n, joints)), box, ones)


def test_points_of_people_show_where_the_losses_are_that_sound_tells_of():
    clock = faulty(15, dropped=0.06)
    found = people(clock, 0.5)
    points = people_points(found, "a", found.n_frames)
    assert [p.shape[0] for p in points] == [found.n_frames]
    assert people_points(found, "b", found.n_frames) == []
    stamps = np.arange(found.n_frames) / FPS
    lost = (np.flatnonzero(np.diff(clock.exposure) > 1) + 1).tolist()
    length = found.n_frames / FPS + (clock.exposure[-1] + 1 - len(clock)) / FPS
    assert [frame for frame, _ in camera_faults(stamps, people=points, length_s=length).faults.gaps] == lost
    # Networks put whole people ahead at times: without a second witness nothing is believed.
    assert camera_faults(stamps, people=points).faults.gaps == ()
    assert camera_faults(stamps, people=[]).faults.gaps == ()


@pytest.mark.parametrize("frame", [100, 150])
def test_a_network_that_puts_somebody_ahead_is_no_loss(frame):
    """Where a whole person jumps in one step, as in the real trial's cam03, the pictures do not."""
    clock = faulty(1)
    found = people(clock, 0.5)
    points = people_points(found, "a", len(clock))
    points[0][frame:] += 3 * (points[0][frame] - points[0][frame - 1])
    stamps = np.arange(len(clock)) / FPS
    assert camera_faults(stamps, people=points).faults.gaps == ()


@pytest.mark.slow  # four videos of 6 s at 1280 × 720
def test_phones_have_repeats_where_somebody_moves_and_no_gaps():
    truth = np.load(PHONES / "truth.npz")
    for name, path in sorted(open_take(PHONES).videos.items()):
        light = read_brightness(path)
        true = set(np.flatnonzero(truth[f"view.{name}.repeated"]).tolist())
        found = set(np.flatnonzero(repeated_pictures(light.strongest)).tolist())
        assert found <= true
        # In the others the person moves by less than a quarter of a pixel.
        step = np.nanmean(np.abs(np.diff(truth[f"view.{name}.xy"][:, 0], axis=0)), axis=(1, 2))
        assert all(step[frame] < 0.4 for frame in true - found)
        counted = camera_faults(np.arange(len(light.brightness)) / 30, light=light)
        assert counted.faults.gaps == ()
