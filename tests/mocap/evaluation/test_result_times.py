"""Results of a take whose cameras were put on one clock, against the truth at the common times."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluated_takes import FPS, true_take, write_take
from mocap.core.clock import Clock
from mocap.core.keypoints import Keypoints3D
from mocap.core.truth import TakeTruth
from mocap.evaluation.evaluate_truth import TrueBodies
from mocap.evaluation.result_times import result_times, truth_at
from mocap.evaluation.take import evaluate_take
from mocap.io.artefacts import save_keypoints3d
from mocap.io.session_files import open_take
from mocap.io.sync_file import CameraSync, TakeSync, write_sync
from mocap.signal.track_resampling import CommonTimes
from truth_worlds import KEYPOINTS

REFERENCE = Clock(12.5, 1.0 + 40e-6)
"""The reference camera's own clock against the scene's."""


def a_synced_take(root: Path, common: CommonTimes) -> tuple[Path, TakeTruth]:
    """The second of two cameras is the reference; timestamps.csv holds its clock and another of the first camera."""
    truth = true_take(cameras=2, seconds=1.0)
    one, two = (view.camera for view in truth.views)
    take = write_take(truth, root)
    own = {one: Clock(-3.0, 1.0), two: REFERENCE}
    stamps = {view.camera: own[view.camera].stamp_s(view.time_s) for view in truth.views}
    rows = [f"{name},{f},{stamp:.9f}" for name, stamp_s in stamps.items() for f, stamp in enumerate(stamp_s)]
    (take / "timestamps.csv").write_text("\n".join(["camera,frame,time_s", *rows]) + "\n", encoding="utf-8")
    rate = 1 / REFERENCE.rate
    start = {one: -3.0 - REFERENCE.offset_s * rate, two: 0.0}
    zero = min(stamp_s[0] for stamp_s in stamps.values())
    clock = Clock(start[one] - zero + zero * rate, rate)
    write_sync(TakeSync(two, "audio", {one: CameraSync(clock), two: CameraSync(Clock())}), take / "sync.toml")
    start_s = float(REFERENCE.stamp_s(common.time_s)[0] - zero)
    report = {"n_frames": common.n_frames, "start_s": start_s, "fps": common.fps / REFERENCE.rate}
    (take / "derived").mkdir(exist_ok=True)
    (take / "derived" / "align.json").write_text(json.dumps({"key": "", "seconds": 0, "report": report}))
    return take, truth


def test_entries_are_about_the_common_times_of_the_scene(tmp_path):
    common = CommonTimes(0.111, FPS, 20)
    take, truth = a_synced_take(tmp_path, common)
    when = result_times(open_take(take), take / "derived", truth)
    assert (when.reference, when.counted) == (truth.views[1].camera, False)
    # timestamps.csv holds nanoseconds.
    assert when.of(truth, 20) == pytest.approx(common.time_s, abs=1e-8)
    pictures = when.pictures(truth, common.time_s)[truth.views[0].camera]
    assert np.abs(truth.views[0].time_s[pictures] - common.time_s).max() <= 0.5 / FPS + 1e-9


def test_results_that_are_right_at_the_common_times_are_right(tmp_path):
    common = CommonTimes(0.111, FPS, 20)
    take, truth = a_synced_take(tmp_path, common)
    xyz = TrueBodies(truth).at(common.time_s, fps=FPS).keypoints_m
    ones = np.asarray(np.isfinite(xyz).all(-1))
    points = Keypoints3D(
        KEYPOINTS, xyz, np.where(ones, 0.9, 0.0), np.where(ones, 1.0, np.nan), np.where(ones, 2, 0), FPS
    )
    save_keypoints3d(points, take / "derived" / "smooth.h5")
    (take / "derived" / "associate.h5").unlink(missing_ok=True)
    report, evidence = evaluate_take(open_take(take), take / "derived")
    # truth.npz holds points as float32; limbs move at up to some metres a second, times are right to a nanosecond.
    assert report.headline_mm["smoothed"] == pytest.approx(0.0, abs=1e-3)
    assert len(evidence.time_s) == 20


def test_the_truth_between_pictures_lies_between_their_points():
    truth = true_take(cameras=2, seconds=0.5)
    view = truth.views[0]
    moved = truth_at(truth, view.time_s[:-1] + 0.25 / FPS)
    expected = 0.75 * view.xy[:-1] + 0.25 * view.xy[1:]
    np.testing.assert_allclose(moved.views[0].xy, expected, atol=1e-9, equal_nan=True)
    np.testing.assert_array_equal(moved.views[0].visibility, view.visibility[:-1])


def test_a_picture_that_repeats_another_does_not_count():
    truth = true_take(cameras=2, seconds=0.5)
    view = truth.views[0]
    repeated = np.arange(view.n_frames) == 4
    shown = replace(view, repeated=repeated, xy=np.where(repeated[:, None, None, None], view.xy[[3]], view.xy))
    at = truth_at(replace(truth, views=(shown, *truth.views[1:])), view.time_s[4:5])
    np.testing.assert_allclose(at.views[0].xy[0], (view.xy[3] + view.xy[5]) / 2, atol=1e-9, equal_nan=True)
