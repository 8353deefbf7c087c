"""A day of recording without hardware, through the commands: a synthetic rig, lenses, rig, floor, a take, calibration,
animation. The cameras are those of a studio that `mocap synth` makes, played in real time."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from day_rig import CAMERAS, EXTRINSICS_S, FPS, SECONDS, TAKE, made_studio, new_session

from mocap.io.artefacts import load_motions
from mocap.io.bvh_parse import parse_bvh
from mocap.io.recording_date import recording_date
from mocap.io.truth_file import load_truth
from mocap.io.video_reader import VideoReader
from mocap.models.weights import BLAZEPOSE, is_fetched
from mocap.synthetic.gait import joint_poses
from running_mocap import mocap, results, rubbish

pytestmark = pytest.mark.slow

WITH_LENS = CAMERAS[:2]
"""Those whose lens has a clip of its own; that of the others is told by the board among all cameras."""


@pytest.fixture(scope="module")
def rig(tmp_path_factory) -> Path:
    return made_studio(tmp_path_factory)


@pytest.fixture(scope="module")
def day(rig, tmp_path_factory) -> Path:
    """The session after the recording, through the commands."""
    root = new_session(tmp_path_factory.mktemp("day") / "monday", rig)
    printed = _recorded(root, "--intrinsics", ",".join(WITH_LENS), "--seconds", 10)
    assert [(it["mode"], it["name"]) for it in printed] == [("intrinsics", name) for name in WITH_LENS]
    printed = _recorded(root, "--extrinsics", "--seconds", EXTRINSICS_S)
    assert printed[0]["verdict"] in ("good", "usable"), printed[0]["sentences"]
    _recorded(root, "--floor", "--seconds", 4)
    (printed,) = _recorded(root, "--take", TAKE, "--seconds", SECONDS)
    if is_fetched(BLAZEPOSE):
        assert printed["sentences"][-1] == f"people are seen by all {len(CAMERAS)} cameras"
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
    dates = [recording_date(day / path) for path in found]
    assert all(date is not None and date.sure for date in dates), "every clip says when it was recorded"


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
        truth = _small_pictures(rig / "takes" / TAKE / "video" / f"{name}.mp4")
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


def test_the_animation_is_what_happened(processed, rig):
    """16.6 mm measured, joints against joints, in the world that the board on the floor gave: keypoints stray by 3 to
    4 px, each of 4.5 mm at 2.8 m. Times that were off by one picture (0.1 s at 1.2 m/s) would put all of it off by
    120 mm."""
    truth = load_truth(rig / "takes" / TAKE / "truth.npz")
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


def test_the_session_is_found_to_be_in_order(processed, day):
    done = mocap("session", "check", day, "--moved", "--json")
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert [finding["what"] for finding in printed["findings"] if finding["level"] != "note"] == []
    assert printed["next_step"] == "Nothing is left to do: all takes are processed."
    assert "no camera has moved" in printed["moved"][processed.name][0]
