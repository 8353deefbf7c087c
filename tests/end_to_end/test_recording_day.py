"""A day of recording without hardware, through the commands: lenses, rig, floor, a take, calibration, animation.

The cameras are those of a session that `mocap synth` made (sample_sessions/one_person), played in real time, in smaller
and fewer pictures than it has, so that two busy cores can decode, look at and encode those of four cameras together.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from mocap.io.artefacts import load_motions
from mocap.io.bvh_parse import parse_bvh
from mocap.io.truth_file import load_truth
from mocap.io.video_reader import VideoReader
from mocap.io.video_writer import VideoWriter, VideoWriterConfig
from mocap.synthetic.gait import joint_poses
from running_mocap import ROOT, mocap, results, rubbish

pytestmark = pytest.mark.slow

SAMPLE = ROOT / "sample_sessions" / "one_person"
CAMERAS = ("cam01", "cam02", "cam04", "cam05")
WITH_LENS = CAMERAS[:2]
"""Those whose lens has a clip of its own; that of the others is told by the board among all cameras."""

EVERY = 3
FPS = 10.0
SECONDS = 6.0


@pytest.fixture(scope="module")
def rig(tmp_path_factory) -> Path:
    """The synthetic rig: clips of the board at 3 pictures a second (4 s of it on the floor), a take at 10."""
    root = tmp_path_factory.mktemp("rig") / "studio"
    root.mkdir()
    shutil.copy(SAMPLE / "session.toml", root / "session.toml")
    for name in CAMERAS:
        _rewritten(SAMPLE / "takes" / "walk" / "video" / f"{name}.mp4", root, every=EVERY, fps=FPS)
        _rewritten(SAMPLE / "calibration" / "extrinsics" / f"{name}.mp4", root, every=2, fps=3.0)
        _rewritten(SAMPLE / "calibration" / "floor" / f"{name}.mp4", root, every=1, fps=1.5)
    for name in WITH_LENS:
        _rewritten(SAMPLE / "calibration" / "intrinsics" / f"{name}.mp4", root, every=2, fps=3.0)
    return root


def _rewritten(path: Path, root: Path, *, every: int, fps: float) -> None:
    """Some pictures of a clip of the sample, three quarters as wide, at another rate, in the same place."""
    config = VideoWriterConfig(crf=20, preset="ultrafast", threads=1)
    target = root / path.relative_to(SAMPLE)
    with VideoReader(path) as reader:
        size = (reader.info.size[0] * 3 // 4, reader.info.size[1] * 3 // 4)
        with VideoWriter(target, size, fps, config) as writer:
            for frame in reader:
                if frame.index % every == 0:
                    writer.write(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA))


@pytest.fixture(scope="module")
def day(rig, tmp_path_factory) -> Path:
    """The session after the recording, through the commands."""
    root = tmp_path_factory.mktemp("day") / "monday"
    sources = [text for name in CAMERAS for text in ("--camera", f"{name}=synth:{rig}")]
    made = mocap("session", "new", root, *sources, "--board", rig / "session.toml")
    assert made.returncode == 0, made.stderr
    printed = _recorded(root, "--intrinsics", ",".join(WITH_LENS), "--seconds", 10)
    assert [(it["mode"], it["name"]) for it in printed] == [("intrinsics", name) for name in WITH_LENS]
    printed = _recorded(root, "--extrinsics", "--seconds", 30)
    assert printed[0]["verdict"] in ("good", "usable"), printed[0]["sentences"]
    _recorded(root, "--floor", "--seconds", 4)
    _recorded(root, "--take", "walk", "--seconds", SECONDS)
    return root


def _recorded(root: Path, *steps: object) -> list[dict[str, Any]]:
    return results(mocap("record", root, *steps, "--headless", "--json"))


@pytest.fixture(scope="module")
def processed(day) -> Path:
    """The take's folder after calibration and processing."""
    made = mocap("calibrate", day, "--thickness-mm", 2, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["verdict"] == "good"
    (printed,) = results(mocap("process", day, "--json"))
    assert any(str(file).endswith(".bvh") for file in printed["files"])
    return day / "takes" / "walk_01"


def test_everything_lies_where_it_belongs(day):
    found = sorted(path.relative_to(day).as_posix() for path in day.rglob("*.mp4"))
    wanted = [f"calibration/{kind}/{name}.mp4" for kind in ("extrinsics", "floor") for name in CAMERAS]
    wanted += [f"calibration/intrinsics/{name}.mp4" for name in WITH_LENS]
    wanted += [f"takes/walk_01/video/{name}.mp4" for name in CAMERAS]
    assert found == sorted(wanted)
    assert not list(day.rglob(".recording"))
    assert rubbish(day) == []


def _times(folder: Path) -> dict[str, np.ndarray]:
    rows: dict[str, list[float]] = {}
    with (folder / "timestamps.csv").open() as file:
        for row in csv.DictReader(file):
            rows.setdefault(row["camera"], []).append(float(row["time_s"]))
    return {name: np.array(times) for name, times in rows.items()}


def test_times_are_those_of_the_exposures(day, rig):
    """The rig exposes at multiples of a tenth of a second from the recording's start, and every picture of the file is
    that of the moment which timestamps.csv gives it: it looks like that one, not like its neighbours."""
    for name, times in _times(day / "takes" / "walk_01").items():
        moments = np.rint(times * FPS).astype(int)
        assert np.abs(times - moments / FPS).max() < 2e-3
        assert len(np.unique(moments)) == len(moments) > 0.9 * SECONDS * FPS
        truth = _small_pictures(rig / "takes" / "walk" / "video" / f"{name}.mp4")
        seen = _small_pictures(day / "takes" / "walk_01" / "video" / f"{name}.mp4")
        assert len(seen) == len(times)
        inner = [i for i in range(len(seen)) if 0 < moments[i] < len(truth) - 1]
        own, before, after = (
            np.array([np.abs(seen[i] - truth[moments[i] + d]).mean() for i in inner]) for d in (0, -1, 1)
        )
        assert (own < np.minimum(before, after)).mean() > 0.95, name


def _small_pictures(path: Path) -> np.ndarray:
    with VideoReader(path) as reader:
        return np.stack([frame.image[4::8, 4::8].astype(np.float32) for frame in reader])


def test_the_animation_is_what_happened(processed):
    """14.9 mm measured, joints against joints, in the world that the board on the floor gave. Times that were off by
    one picture (0.1 s at 1.2 m/s) would put all of it off by 120 mm."""
    truth = load_truth(SAMPLE / "takes" / "walk" / "truth.npz")
    (motion,) = load_motions(processed / "derived" / "feet.h5")
    start_s, fps = _clock_of(processed, motion.fps)
    times = start_s + np.arange(len(motion.root_translation)) / fps
    true_motion = truth.people[0].motion
    names = [name for name in motion.skeleton.joint_names if name in true_motion.skeleton.joint_names]
    own = joint_poses(motion)[1][:, [motion.skeleton.joint_names.index(name) for name in names]]
    true = joint_poses(true_motion)[1][:, [true_motion.skeleton.joint_names.index(name) for name in names]]
    at = np.clip(times * true_motion.fps, 0, len(true) - 1)
    low = np.minimum(at.astype(int), len(true) - 2)
    share = (at - low)[:, None, None]
    error_mm = 1000 * np.linalg.norm(own - ((1 - share) * true[low] + share * true[low + 1]), axis=-1)
    print(f"{len(times)} frames at {fps} fps, {len(names)} joints, MPJPE {error_mm.mean():.1f} mm")
    assert len(names) > 12
    assert error_mm.mean() < 30
    (bvh,) = (processed / "export").glob("*.bvh")
    assert len(parse_bvh(bvh.read_text()).values) == len(times)


def _clock_of(take: Path, fps: float) -> tuple[float, float]:
    report = json.loads((take / "derived" / "align.json").read_text())["report"]
    if report.get("start_s") is None:
        return float(_times(take)[CAMERAS[0]][0]), fps
    return float(report["start_s"]), float(report["fps"])
