"""Runs that end before their time: a full disk, a folder that must not be written, Ctrl-C, a kill. Nothing half-written
stays, and the next run goes on."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mocap.pipeline import STAGES
from real_takes import as_arguments, short_trial, trial_rig, write_session_of
from running_mocap import complaint, copy_of_sample, mocap, results, rubbish, start_mocap, wait_for
from small_disks import Mount, small_disk_at

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals, limits and mounts are a matter of POSIX"),
]
if sys.platform != "win32":
    import resource


@pytest.fixture
def small_disk(tmp_path) -> Iterator[tuple[Path, Mount]]:
    with small_disk_at(tmp_path / "disk", "64k") as made:
        yield made


@pytest.fixture(scope="module")
def expected(tmp_path_factory) -> bytes:
    """The sample's BVH from a run that nothing has disturbed."""
    session = copy_of_sample(tmp_path_factory.mktemp("undisturbed") / "s")
    (result,) = results(mocap("process", session, "--json"))
    return Path(result["files"][0]).read_bytes()


def test_a_disk_that_fills_up_at_any_stage(small_disk, tmp_path, expected):
    """Too small at first, then a little larger each time until all fits. Each run goes on, none starts over."""
    disk, mount = small_disk
    session = copy_of_sample(tmp_path / "s")
    ran: list[str] = []
    for size_kb in range(100, 3000, 150):
        mount(f"remount,size={size_kb}k")
        done = mocap("process", session, "-o", disk / "out", "--json")
        assert rubbish(disk) == []
        started = [line.removeprefix("walk: ").removesuffix(" …") for line in done.stderr.splitlines() if "…" in line]
        ran += [stage for stage in started if f"{stage} done" in done.stderr]
        if done.returncode == 0:
            break
        told = complaint(done)
        assert told.startswith(str(disk / "out"))
        assert told.endswith(": the disk is full. Free some space and run the same command again.")
        assert not (disk / "out" / "export" / "walk_report.json").exists()
    assert size_kb > 300, "it failed several times"
    assert ran == list(STAGES), "no stage ran twice"
    assert (disk / "out" / "export" / "walk.bvh").read_bytes() == expected


@pytest.mark.parametrize("limit_kb", [1, 250])
def test_a_limit_on_the_size_of_files_is_a_full_disk(tmp_path, limit_kb):
    """Where nobody can mount: the limit strikes at the first and at the largest file."""
    session = copy_of_sample(tmp_path / "s")
    size = limit_kb * 1024
    done = mocap("process", session, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    told = complaint(done)
    assert told.startswith(str(session / "takes" / "walk" / "derived"))
    assert ": the disk is full. Free some space" in told
    assert rubbish(session) == []


@pytest.mark.parametrize("with_results", [False, True])
def test_a_disk_that_must_not_be_written(small_disk, tmp_path, expected, with_results):
    disk, mount = small_disk
    mount("remount,size=8m")
    session = copy_of_sample(disk / "s")
    if with_results:
        results(mocap("process", session, "--json"))
    mount("remount,ro")
    done = mocap("process", session)
    if with_results:
        assert done.returncode == 0, "what is up to date needs no writing"
        assert "nothing to do" in done.stderr
        done = mocap("process", session, "--set", "smooth.cutoff_hz=4")
    told = complaint(done)
    assert told.startswith(str(session / "takes" / "walk" / "derived"))
    assert "cannot be read or written here. Check its permissions, or choose another folder with -o." in told
    (elsewhere,) = results(mocap("process", session, "-o", tmp_path / "out", "--json"))
    assert Path(elsewhere["files"][0]).read_bytes() == expected


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_must_not_be_written(tmp_path):
    session = copy_of_sample(tmp_path / "s")
    (session / "takes" / "walk").chmod(0o555)
    try:
        told = complaint(mocap("process", session))
    finally:
        (session / "takes" / "walk").chmod(0o755)
    assert told.startswith(str(session / "takes" / "walk" / "derived"))
    assert "cannot be read or written here. Check its permissions" in told


def test_a_file_where_the_results_should_go(tmp_path):
    session = copy_of_sample(tmp_path / "s")
    (tmp_path / "out").touch()
    told = complaint(mocap("process", session, "-o", tmp_path / "out"))
    assert told.startswith(str(tmp_path / "out"))
    assert told.endswith(": is a file where a folder is needed. Rename it, or choose another folder with -o.")


# ---- broken off while the networks look at pictures


class Running:
    """`mocap process` of the short treadmill take in segments of eight pictures."""

    def __init__(self, session: Path, log: Path) -> None:
        self.take, self.log = session / "takes" / "balancing", log
        self.process = start_mocap(*COMMAND, self.take, log=log)

    @property
    def parts(self) -> dict[str, int]:
        """Finished segments and when they were written."""
        return {path.name: path.stat().st_mtime_ns for path in self.take.glob("derived/detect.parts/*/*.h5")}

    @property
    def said(self) -> str:
        return self.log.read_text()


COMMAND = ("process", "--set", "detect.segment_frames=8")


@pytest.fixture(scope="module")
def clips(shared_data, tmp_path_factory) -> dict[str, Path]:
    return short_trial(shared_data, tmp_path_factory.mktemp("short"), 40)


@pytest.fixture(scope="module")
def undisturbed(shared_data, clips, blazepose_files, tmp_path_factory) -> bytes:
    session = write_session_of(clips, trial_rig(shared_data), tmp_path_factory.mktemp("calm") / "s", ("balancing",))
    (result,) = results(mocap(*COMMAND, session, "--json"))
    return Path(result["files"][0]).read_bytes()


@pytest.fixture
def session(shared_data, clips, blazepose_files, tmp_path) -> Path:
    return write_session_of(clips, trial_rig(shared_data), tmp_path / "s", ("balancing", "again"))


def without_exports(take: Path) -> bool:
    return not list(take.rglob("*.bvh")) and not (take / "derived" / "detect.h5").exists()


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)], ids=["INT", "TERM", "KILL"]
)
def test_a_run_that_is_broken_off_goes_on_where_it_was(session, tmp_path, undisturbed, sent, code):
    run = Running(session, tmp_path / "log")
    wait_for(lambda: len(run.parts) >= 2, while_running=run.process)
    run.process.send_signal(sent)
    assert run.process.wait(30) == code
    assert "Traceback" not in run.said
    if sent == signal.SIGINT:
        assert run.said.rstrip().endswith(
            "Interrupted. What was finished is kept; run the same command again to go on."
        )
    assert without_exports(run.take)
    kept = run.parts
    assert 2 <= len(kept) < 5
    if sent != signal.SIGKILL:
        assert rubbish(session) == []

    again = Running(session, tmp_path / "second_log")
    wait_for(lambda: len(again.parts) > len(kept), while_running=again.process)
    assert {name: again.parts.get(name) for name in kept} == kept, "the finished segments are not looked at again"
    assert again.process.wait(120) == 0, again.said
    assert (again.take / "export" / "balancing.bvh").read_bytes() == undisturbed
    assert again.parts == {}


def test_ctrl_c_is_heard_within_seconds_even_while_the_program_loads(session, tmp_path):
    for moment_s in (0.5, 1.2, 2.0):
        run = Running(session, tmp_path / "log")
        time.sleep(moment_s)
        run.process.send_signal(signal.SIGINT)
        # Python ends by the signal itself where it struck inside the loading of an extension; shells call both 130.
        assert run.process.wait(10) in (130, -signal.SIGINT)
        assert "Traceback" not in run.said
        assert rubbish(session) == []


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the worker in /proc")
def test_a_killed_worker_of_a_batch_costs_its_take_only(session, tmp_path, undisturbed):
    """One take after the other; the first one's process is killed while it detects."""
    log = tmp_path / "log"
    running = start_mocap("batch", session, "-j", "1", "--set", COMMAND[-1], "--summary", tmp_path / "b.json", log=log)
    first, second = (session / "takes" / name for name in ("again", "balancing"))
    wait_for(lambda: bool(list(first.glob("derived/detect.parts/*/*.h5"))), while_running=running)
    (worker,) = [pid for pid in children(running.pid) if "spawn_main" in command_of(pid)]
    os.kill(worker, signal.SIGKILL)
    assert running.wait(120) == 1
    said = log.read_text()
    assert "s/again: the worker process died (exit code -9); out of memory is the usual cause" in said
    assert "Traceback" not in said
    assert (second / "export" / "balancing.bvh").read_bytes() == undisturbed
    done = results(mocap("batch", session, "--set", COMMAND[-1], "--summary", tmp_path / "b.json", "--json"))
    assert [take["status"] for take in done] == ["done", "done"]
    assert (first / "export" / "again.bvh").read_bytes() == undisturbed


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def test_loose_videos_can_be_broken_off_too(shared_data, clips, blazepose_files, tmp_path, undisturbed):
    loose = [*as_arguments(clips), "--rig", trial_rig(shared_data), "-o", tmp_path / "out"]
    running = start_mocap(*COMMAND, *loose, log=tmp_path / "log")
    wait_for(lambda: bool(list(tmp_path.glob("out/derived/detect.parts/*/*.h5"))), while_running=running)
    running.send_signal(signal.SIGINT)
    assert running.wait(30) == 130
    assert without_exports(tmp_path / "out")
    (result,) = results(mocap(*COMMAND, *loose, "--json"))
    assert Path(result["files"][0]).read_bytes() == undisturbed
