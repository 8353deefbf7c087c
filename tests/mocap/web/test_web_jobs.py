from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from mocap.core.errors import InputError
from mocap.web.job_worker import Task
from mocap.web.jobs import JobRunner
from running_mocap import copy_of_sample, wait_for

WALK = Task("process", "walk")


def tells_and_ends(connection, task, root, threads):
    connection.send(("progress", ("detect", 3, 9)))
    connection.send(
        ("done", {"verdict": "good", "headline": f"{task.kind} {task.take}", "notes": ["a note"], "figures": {"n": 1}})
    )


def waits(connection, task, root, threads):
    connection.send(("progress", ("waiting", 1, 2)))
    while True:
        time.sleep(0.01)
        connection.send(("progress", ("waiting", int(time.monotonic() * 1e3), 0)))


def dies(connection, task, root, threads):
    os.kill(os.getpid(), signal.SIGKILL)


def ends_late(connection, task, root, threads):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection.send(("done", {"headline": "early"}))
    connection.close()
    time.sleep(60)


def run_to_end(runner, kind="process", take="walk"):
    runner.start(Task(kind, take))
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
        runner.start(WALK)
        wait_for(lambda: runner.job.stage == "waiting")
        with pytest.raises(InputError, match="processing of walk is still running"):
            runner.start(WALK)
        if sys.platform != "win32":
            runner.hold(True)
            wait_for(lambda: runner.job.held)
            time.sleep(0.2)  # what was on its way arrives
            before = runner.job.done
            time.sleep(0.2)
            assert runner.job.done == before, "a held job does nothing"
        assert runner.cancel() == (WALK,)
        assert runner.job.phase == "cancelled"
        assert runner.cancel() == ()
    finally:
        runner.close()
    assert not runner._thread.is_alive()
    assert runner._process.exitcode is not None


def test_a_process_that_ends_late_does_not_speak_for_the_next_job(tmp_path, monkeypatch):
    monkeypatch.setattr("mocap.web.jobs.END_S", 0.3)
    runner = JobRunner(tmp_path, entry=ends_late)
    runner.start(Task("calibrate"))
    wait_for(lambda: runner.job.phase == "done")
    late = runner._thread
    runner._entry = waits
    runner.start(WALK)
    try:
        late.join(30)
        assert not late.is_alive()
        assert (runner.job.number, runner.job.phase) == (2, "running")
    finally:
        runner.close()


def test_unknown_jobs_are_refused(tmp_path):
    with pytest.raises(InputError, match="calibrate, sync, process"):
        JobRunner(tmp_path).start(Task("format"))


def test_what_was_asked_for_meanwhile_comes_in_its_turn(tmp_path):
    ended = []
    runner = JobRunner(tmp_path, entry=tells_and_ends, finished=ended.append)
    asked = [Task("sync", "walk"), Task("process", "jump"), Task("calibrate")]
    try:
        runner.hold(True)
        for task in asked:
            runner.start(task)
        with pytest.raises(InputError, match="clocks of walk waits already"):
            runner.start(Task("sync", "walk", {"again": True}))
        assert runner.job is None, "nothing begins while a recording runs"
        assert runner.waiting == tuple(asked)
        assert runner.cancel(lambda task: task.take == "jump") == (asked[1],)
        runner.hold(False)
        wait_for(lambda: len(ended) == 2)
    finally:
        runner.close()
    assert [job.task for job in ended] == [asked[0], asked[2]]
    assert [job.number for job in ended] == [1, 2]


def test_where_no_process_can_be_started_the_job_has_failed_and_the_next_may_come(tmp_path, monkeypatch):
    runner = JobRunner(tmp_path, entry=tells_and_ends)

    def refuses(task):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(runner, "_spawn", refuses)
    runner.start(WALK)
    assert runner.job.phase == "failed"
    assert "Cannot allocate memory" in runner.job.headline
    monkeypatch.undo()
    assert run_to_end(runner).phase == "done"


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
