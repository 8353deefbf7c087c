"""sync.toml and the times of frames: what is written is read, and what is wrong is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mocap.core.clock import Clock, FrameFaults
from mocap.core.errors import ConfigError, FileFormatError, InputError
from mocap.core.session import Take
from mocap.io.session_files import open_take
from mocap.io.sync_file import CameraSync, TakeSync, read_sync, write_sync
from mocap.io.take_times import read_take_stamps, take_times
from video_worlds import write_counter_clip

FAULTS = FrameFaults(repeated=(3,), gaps=((5, 0.1),))


def a_sync() -> TakeSync:
    odd = CameraSync(Clock(-0.5, 1.00002), "audio", 0.9, 0.0004, FAULTS)
    return TakeSync("a", "audio", {"a": CameraSync(Clock(), "audio"), "cam.2 left": odd})


def test_what_is_written_is_read(tmp_path: Path):
    write_sync(a_sync(), tmp_path / "sync.toml")
    found = read_sync(tmp_path / "sync.toml")
    assert (found.reference, found.method, list(found.cameras)) == ("a", "audio", ["a", "cam.2 left"])
    back = found.cameras["cam.2 left"]
    assert (back.clock, back.method, back.confidence, back.faults) == (Clock(-0.5, 1.00002), "audio", 0.9, FAULTS)
    assert back.sd_s == pytest.approx(0.0004)
    assert np.isnan(found.cameras["a"].sd_s)
    assert (tmp_path / "sync.toml").read_text().startswith("# Clocks of this take's cameras: stamp = rate * time")


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ('reference = "b"\n[camera.a]\n', FileFormatError, "its reference 'b' is none of its cameras"),
        ('reference = "a"\n[camera.a]\nrate = 0.0\n', ConfigError, "camera.a.rate"),
        ('reference = "a"\n[camera.a]\noffset_s = nan\n', ConfigError, "camera.a.offset_s"),
        ('reference = "a"\n[camera.a]\ngaps = [[3, inf]]\n', ConfigError, "camera.a.gaps"),
        ('reference = "a"\n[camera.a]\nofset_s = 0.0\n', ConfigError, "unknown key 'camera.a.ofset_s'"),
        ("reference = [", ConfigError, "not valid TOML"),
    ],
)
def test_what_cannot_be_a_sync_file_is_told(tmp_path: Path, text, kind, told):
    (tmp_path / "sync.toml").write_text(text)
    with pytest.raises(kind, match=told):
        read_sync(tmp_path / "sync.toml")


def a_take(root: Path) -> Path:
    """Two cameras of 10 frames; b runs at 20 frames a second."""
    for name, fps in (("a", 10.0), ("b", 20.0)):
        (root / "video").mkdir(parents=True, exist_ok=True)
        write_counter_clip(root / "video" / f"{name}.mp4", 10, fps=fps)
    return root


def test_stamps_are_those_of_the_files_and_times_those_of_the_clocks(tmp_path: Path):
    root = a_take(tmp_path / "take")
    take = open_take(root)
    assert take_times(take) is None
    np.testing.assert_allclose(read_take_stamps(take)["b"], np.arange(10) / 20, atol=1e-4)
    late = CameraSync(Clock(0.25, 1.0), faults=FAULTS)
    write_sync(TakeSync("a", "audio", {"a": CameraSync(Clock()), "b": late}), root / "sync.toml")
    times = take_times(open_take(root))
    assert times is not None
    np.testing.assert_allclose(times["a"], np.arange(10) / 10, atol=1e-4)
    expected = np.arange(10) / 20 - 0.25 + 0.1 * (np.arange(10) >= 5)
    expected[3] = np.nan
    np.testing.assert_allclose(times["b"], expected, atol=1e-4)


def test_a_camera_without_a_clock_has_no_times_and_that_is_told(tmp_path: Path):
    root = a_take(tmp_path / "take")
    write_counter_clip(root / "video" / "c.mp4", 10, fps=10.0)
    both = {"a": CameraSync(Clock()), "b": CameraSync(Clock())}
    write_sync(TakeSync("a", "audio", both), root / "sync.toml")
    take = open_take(root)
    assert list(take_times(take) or ()) == ["a", "b"]
    assert take.notes == ("sync.toml has no clock for c: not used; mocap sync finds one",)


def write_stamps(root: Path, b_frames: list[int]) -> None:
    rows = [f"a,{f},{5 + f / 10:.6f}" for f in range(10)] + [f"b,{f},{5.02 + f / 20:.6f}" for f in b_frames]
    (root / "timestamps.csv").write_text("\n".join(["camera,frame,time_s", *rows]) + "\n")


def test_a_recorder_has_one_clock_for_all(tmp_path: Path):
    """take.toml says so; frames that the recorder lists and the video has lost do not count."""
    root = a_take(tmp_path / "take")
    write_stamps(root, list(range(13)))
    assert take_times(open_take(root)) is None
    (root / "take.toml").write_text('[take]\nclocks = "shared"\n')
    times = take_times(open_take(root))
    assert times is not None
    np.testing.assert_allclose(times["a"], np.arange(10) / 10, atol=1e-9)
    np.testing.assert_allclose(times["b"], 0.02 + np.arange(10) / 20, atol=1e-9)
    assert open_take(root).notes == ()


def test_frames_that_are_not_listed_lie_between_those_that_are(tmp_path: Path):
    root = a_take(tmp_path / "take")
    write_stamps(root, [1, 2, 5, 7])
    np.testing.assert_allclose(read_take_stamps(open_take(root))["b"], 0.02 + np.arange(10) / 20, atol=1e-9)


def test_without_videos_stamps_are_counted_or_there_are_none(tmp_path: Path):
    take = Take("t", tmp_path, detections=tmp_path, detected_cameras=("a", "b"), fps=25.0)
    np.testing.assert_allclose(read_take_stamps(take, n_frames=3)["b"], [0, 0.04, 0.08])
    with pytest.raises(InputError, match="nothing says when"):
        read_take_stamps(take)
