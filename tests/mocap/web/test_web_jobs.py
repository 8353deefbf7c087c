from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from mocap.core.errors import InputError
from mocap.web.jobs import JobRunner
from running_mocap import copy_of_sample, wait_for


def tells_and_ends(connection, kind, root, take, threads):
    connection.send(("progress", ("detect", 3, 9)))
    connection.send(
        ("done", {"verdict": "good", "headline": f"{kind} {take}", "notes": ["a note"], "figures": {"n": 1}})
    )


def waits(connection, kind, root, take, threads):
    connection.send(("progress", ("waiting", 1, 2)))
    while True:
        time.sleep(0.01)
        connection.send(("progress", ("waiting", int(time.monotonic() * 1e3), 0)))


def dies(connection, kind, root, take, threads):
    os.kill(os.getpid(), signal.SIGKILL)


def ends_late(connection, kind, root, take, threads):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection.send(("done", {"headline": "early"}))
    connection.close()
    time.sleep(60)


def run_to_end(runner, kind="process", take="walk"):
    runner.start(kind, take)
    wait_for(lambda: runner.job.phase != "running", seconds=120)
    runner.close()
    return runner.job


def test_a_job_tells_how_far_it_is_and_what_came_of_it(tmp_path):
    ended = []
    job = run_to_end(JobRunner(tmp_path, entry=tells_and_ends, finished=ended.append))
    assert (job.phase, job.verdict, job.headline, job.stage, job.total) == ("done", "good", "process walk", "detect", 9)
    assert [it.number for it in ended] == [job.number]


def test_a_process_that_dies_is_told(tmp_path):
    job = run_to_end(JobRunner(tmp_path, entry=dies))
    assert job.phase == "failed"
    assert "died" in job.headline


def test_one_at_a_time_and_it_can_be_cancelled_held_or_not(tmp_path):
    runner = JobRunner(tmp_path, entry=waits)
    try:
        runner.start("process", "walk")
        wait_for(lambda: runner.job.stage == "waiting")
        with pytest.raises(InputError, match="still running"):
            runner.start("calibrate")
        if sys.platform != "win32":
            runner.hold(True)
            wait_for(lambda: runner.job.held)
            time.sleep(0.2)  # what was on its way arrives
            before = runner.job.done
            time.sleep(0.2)
            assert runner.job.done == before, "a held job does nothing"
        assert runner.cancel()
        assert runner.job.phase == "cancelled"
        assert not runner.cancel()
    finally:
        runner.close()
    assert not runner._thread.is_alive()
    assert runner._process.exitcode is not None


def test_a_process_that_ends_late_does_not_speak_for_the_next_job(tmp_path, monkeypatch):
    monkeypatch.setattr("mocap.web.jobs.END_S", 0.3)
    runner = JobRunner(tmp_path, entry=ends_late)
    runner.start("calibrate")
    wait_for(lambda: runner.job.phase == "done")
    late = runner._thread
    runner._entry = waits
    runner.start("process", "walk")
    try:
        late.join(30)
        assert not late.is_alive()
        assert (runner.job.number, runner.job.phase) == (2, "running")
    finally:
        runner.close()


def test_unknown_jobs_are_refused(tmp_path):
    with pytest.raises(InputError, match="calibrate, process"):
        JobRunner(tmp_path).start("format")


@pytest.mark.slow
def test_a_calibration_without_clips_says_what_is_missing(tmp_path):
    job = run_to_end(JobRunner(tmp_path), "calibrate", None)
    assert job.phase == "failed"
    assert "calibration clips" in job.headline


@pytest.mark.slow
def test_a_take_is_processed(tmp_path):
    root = copy_of_sample(tmp_path / "session")
    job = run_to_end(JobRunner(root))
    assert job.phase == "done", job.headline
    assert job.figures["frames"] > 0
    assert (root / "takes" / "walk" / "export" / "walk.bvh").is_file()
