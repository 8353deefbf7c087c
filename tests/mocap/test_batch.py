"""Takes side by side in processes: each ends with an outcome of its own, whatever happens to the others."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

import mocap.batch
from mocap.batch import Outcome, run_batch, run_one
from mocap.jobs import find_jobs
from mocap.pipeline import STAGES, PipelineConfig, TakeJob
from mocap.stage_cache import SilentObserver
from running_mocap import copy_of_sample, rubbish


def jobs_of(session: Path) -> list[TakeJob]:
    return find_jobs([str(session)])


def without_a_rig_camera(session: Path) -> Path:
    """The calibration forgets the last camera."""
    path = session / "calibration" / "rig.toml"
    path.write_text(path.read_text().split("[cam_3]")[0] + '[metadata]\nworld_frame = "z_up"\n')
    return session


def test_every_take_gets_an_outcome_and_a_bad_one_stops_no_other(tmp_path):
    good = copy_of_sample(tmp_path / "good", ("one", "two"))
    bad = without_a_rig_camera(copy_of_sample(tmp_path / "bad"))
    heard: set[tuple[str, str]] = set()
    outcomes = {
        outcome.take: outcome
        for outcome in run_batch(
            jobs_of(bad) + jobs_of(good),
            PipelineConfig(),
            n_workers=2,
            on_progress=lambda take, stage, done, total: heard.add((take, stage)),
        )
    }
    assert {name: outcome.status for name, outcome in outcomes.items()} == {
        "bad/walk": "input",
        "good/one": "done",
        "good/two": "done",
    }
    assert "the rig has no camera cam04; it has cam01, cam02, cam03" in outcomes["bad/walk"].message
    assert outcomes["bad/walk"].files == ()
    for name in ("one", "two"):
        outcome = outcomes[f"good/{name}"]
        export = good / "takes" / name / "export"
        assert outcome.files == tuple(str(export / f"{name}.{kind}") for kind in ("bvh", "fbx", "glb"))
        assert outcome.ran == STAGES
        assert outcome.figures["frames"] == 120
        assert {stage for take, stage in heard if take == f"good/{name}"} == set(STAGES)
    written = [Path(outcomes[f"good/{name}"].files[0]).read_bytes() for name in ("one", "two")]
    assert written[0] == written[1]
    assert multiprocessing.active_children() == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")
def test_a_worker_that_is_killed_takes_only_its_take_along(tmp_path):
    session = copy_of_sample(tmp_path / "s", ("a", "b", "c"))
    killed: list[int] = []

    def kill_once(take: str, stage: str, done: int, total: int) -> None:
        (worker,) = multiprocessing.active_children()
        if take == "s/b" and not killed:
            killed.append(worker.pid)
            os.kill(worker.pid, signal.SIGKILL)

    outcomes = list(run_batch(jobs_of(session), PipelineConfig(), n_workers=1, on_progress=kill_once))
    assert [(outcome.take, outcome.status) for outcome in outcomes] == [
        ("s/a", "done"),
        ("s/b", "fault"),
        ("s/c", "done"),
    ]
    assert outcomes[1].message == (
        "the worker process died (exit code -9); out of memory is the usual cause: try fewer takes at once with --jobs"
    )
    (again,) = run_batch(jobs_of(session)[1:2], PipelineConfig(), n_workers=1)
    assert again.status == "done"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")
def test_a_worker_that_dies_between_takes_is_replaced(tmp_path):
    session = copy_of_sample(tmp_path / "s", ("a", "b"))
    statuses = []
    for outcome in run_batch(jobs_of(session), PipelineConfig(), n_workers=1):
        statuses.append(outcome.status)
        for worker in multiprocessing.active_children():
            worker.kill()
            worker.join()
    assert statuses == ["done", "done"]


@pytest.mark.slow
def test_leaving_early_stops_the_workers_and_leaves_nothing_half_done(tmp_path):
    session = copy_of_sample(tmp_path / "s", ("a", "b", "c"))
    running = run_batch(jobs_of(session), PipelineConfig(), n_workers=2)
    assert next(running).status == "done"
    running.close()
    assert multiprocessing.active_children() == []
    assert rubbish(session) == []


def test_nothing_to_do_is_done_at_once():
    assert list(run_batch([], PipelineConfig(), n_workers=3)) == []
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "out/solve.h5"), "input", "out/solve.h5: the disk is full."),
        (PermissionError(errno.EACCES, "Permission denied", "out"), "input", "out: cannot be read or written here."),
        (FileExistsError(errno.EEXIST, "File exists", "out"), "input", "out: is a file where a folder is needed."),
        (KeyError("people"), "fault", "KeyError: 'people' (at test_batch.py:"),
        (OSError(errno.EIO, "Input/output error", "a.mp4"), "fault", "OSError: [Errno 5] Input/output error: 'a.mp4'"),
    ],
)
def test_what_goes_wrong_is_somebodys_fault(tmp_path, monkeypatch, error, status, message):
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(mocap.batch, "process_take", fail)
    (job,) = jobs_of(copy_of_sample(tmp_path / "s"))
    outcome = run_one(job, PipelineConfig(), threads=1, observer=SilentObserver())
    assert isinstance(outcome, Outcome)
    assert outcome.status == status
    assert outcome.message.startswith(message)
