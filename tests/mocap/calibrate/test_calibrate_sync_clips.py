"""Clips of a waved board, each on a clock of its own: the board puts them on one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mocap.calibrate.sync_clips import PREVIOUS, ClipClocks, write_clip_times
from mocap.io.frame_times import read_frame_times
from mocap.io.video import probe_video
from running_mocap import mocap

SAMPLE = Path(__file__).resolve().parents[3] / "sample_sessions" / "one_person"
CLOCKS = {"cam01": (0.0, 1.0), "cam02": (0.73, 1 + 40e-6), "cam03": (-1.1, 1 - 30e-6)}


def test_times_are_written_and_what_was_there_stays(tmp_path):
    (tmp_path / "timestamps.csv").write_text("camera,frame,time_s\na,0,1.0\n", encoding="utf-8")
    times = {"a": np.array([3.0, 3.1]), "b": np.array([2.9, 3.05, 3.2])}
    path = write_clip_times(ClipClocks("a", (), times), tmp_path)
    assert (tmp_path / PREVIOUS).read_text(encoding="utf-8").endswith("a,0,1.0\n")
    found = read_frame_times(path)
    assert found.cameras == ("a", "b")
    np.testing.assert_allclose(found.of_clip("b", 3).time_s, [0.0, 0.15, 0.3], atol=1e-6)
    np.testing.assert_allclose(found.of_clip("a", 2).time_s, [0.1, 0.2], atol=1e-6)
    write_clip_times(ClipClocks("a", (), times), tmp_path)
    assert (tmp_path / PREVIOUS).read_text(encoding="utf-8").endswith("a,0,1.0\n")


@pytest.mark.slow
def test_rendered_clips_with_clocks_of_their_own_come_together(tmp_path):
    """At 6 pictures a second; what is left is some tenths of a percent of the time between two."""
    folder, true = tmp_path / "calibration" / "extrinsics", {}
    folder.mkdir(parents=True)
    board = (SAMPLE / "session.toml").read_text(encoding="utf-8").partition("[board]")[2]
    (tmp_path / "session.toml").write_text(f"[board]{board}", encoding="utf-8")
    with (folder / "timestamps.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("camera", "frame", "time_s"))
        for name, (offset, rate) in CLOCKS.items():
            clip = folder / f"{name}.mp4"
            clip.write_bytes((SAMPLE / "calibration" / "extrinsics" / clip.name).read_bytes())
            true[name] = np.asarray(probe_video(clip).times_s)
            writer.writerows((name, k, f"{t * rate + offset + 5:.6f}") for k, t in enumerate(true[name]))
    done = mocap("sync", tmp_path, "--method", "board", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["cameras"]) == {"cam02", "cam03"}
    found = read_frame_times(folder / "timestamps.csv")
    first = found.of_clip("cam01", len(true["cam01"])).time_s[0] - true["cam01"][0]
    for name, times in true.items():
        wrong = found.of_clip(name, len(times)).time_s - first - times
        assert np.abs(wrong).max() < 0.004, name  # 2 ms with five cameras; a hand's wave moves 4 mm in that time
