from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from calibration.board_file import board_from_table
from calibration.observations import BoardObservations
from mocap.calibrate.observed import Observed
from mocap.core.clock import Clock
from mocap.io.session_files import open_take
from mocap.io.sync_file import CameraSync, TakeSync
from mocap.stage_cache import SilentObserver
from mocap.web.job_worker import Task, clocks_verdict, process_one_take, without_clips
from mocap.web.jobs import JobRunner
from running_mocap import copy_of_sample, wait_for

BOARD = board_from_table({"squares": [3, 3], "square_mm": 40, "marker_mm": 30, "dictionary": "DICT_4X4_50"})


def seen(*cameras) -> BoardObservations:
    """One view with one corner of each camera."""
    every = np.arange(len(cameras))
    none, sizes = np.zeros(len(cameras), dtype=int), ((640, 480),) * len(cameras)
    xy = np.zeros((len(cameras), 2))
    return BoardObservations(cameras, sizes, BOARD.corners, every, none, every, every / 10, every, none, xy)


@pytest.fixture
def observed(tmp_path):
    names = ("a", "b", "c")
    return Observed(names, BOARD, tmp_path, intrinsics=seen("a", "b"), extrinsics=seen(*names), floor=seen("c"))


def test_clips_that_do_not_count_are_left_out(observed):
    left = without_clips(observed, ["b", "never recorded"], floor=False)
    assert left.intrinsics.cameras == ("a",)
    assert left.intrinsics.n_views == 1
    assert left.floor is None
    assert left.extrinsics is observed.extrinsics
    assert without_clips(observed, ["a", "b"], floor=True).intrinsics is None
    assert without_clips(observed, [], floor=True).intrinsics is observed.intrinsics


@pytest.mark.parametrize(
    ("sd_s", "confidence", "missing", "verdict"),
    [
        (0.0012, 0.95, (), "good"),
        (0.0012, 0.5, (), "usable"),
        (0.0090, 0.95, (), "usable"),
        (math.nan, 0.95, (), "usable"),
        (0.0012, 0.95, ("c",), "redo"),
    ],
)
def test_how_sure_clocks_are_is_one_word(sd_s, confidence, missing, verdict):
    cameras = {"a": CameraSync(Clock()), "b": CameraSync(Clock(0.2), "audio", confidence, sd_s)}
    word, told = clocks_verdict(SimpleNamespace(sync=TakeSync("a", "audio", cameras), missing=missing))
    assert word == verdict
    assert ("± " in told) == math.isfinite(sd_s)
    assert ("not on it: c" in told) == bool(missing)


def test_tasks_are_the_same_where_they_write_the_same_files():
    assert Task("process", "walk").same(Task("process", "walk", {"again": True}))
    assert not Task("process", "walk").same(Task("sync", "walk"))
    assert Task("sync", "walk").title == "clocks of walk"


@pytest.mark.slow
def test_a_take_is_put_on_one_clock_and_processed_again(tmp_path):
    root = copy_of_sample(tmp_path / "session")
    runner = JobRunner(root)
    runner.start(Task("sync", "walk"))
    wait_for(lambda: not runner.job.running, seconds=300)
    runner.close()
    assert runner.job.phase == "done", runner.job.headline
    assert runner.job.verdict in ("good", "usable")
    take = open_take(root / "takes" / "walk")
    assert set(take.clocks) == set(take.cameras)
    assert (root / "takes" / "walk" / "sync.html").is_file()
    observer = SilentObserver()
    first = process_one_take(root, Task("process", "walk"), observer, 1)
    assert first["figures"]["frames"] > 0
    report = root / "takes" / "walk" / "derived" / "solve.json"
    before = report.stat().st_mtime_ns
    process_one_take(root, Task("process", "walk"), observer, 1)
    assert report.stat().st_mtime_ns == before, "nothing had changed"
    process_one_take(root, Task("process", "walk", {"again": True}), observer, 1)
    assert report.stat().st_mtime_ns > before
