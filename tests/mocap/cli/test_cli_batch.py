"""`mocap batch` as a user meets it: one table, one summary, an exit code, and no take that stops another."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from mocap.pipeline import STAGES
from running_mocap import complaint, copy_of_sample, invoke, mocap, results, rubbish, start_mocap, wait_for


def summary_of(folder: Path, name: str = "batch_summary.json") -> dict:
    return json.loads((folder / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A folder with a good session, one without a calibration and one that is broken, processed by one command."""
    week = tmp_path_factory.mktemp("week")
    copy_of_sample(week / "monday", ("walk [1]",))
    (copy_of_sample(week / "tuesday") / "calibration" / "rig.toml").unlink()
    (copy_of_sample(week / "wednesday") / "session.toml").write_text("[[camera]\n")
    return week, mocap("batch", ".", cwd=week)


def test_what_can_be_done_is_done_and_the_exit_code_tells_of_the_rest(mixed):
    week, done = mixed
    assert done.returncode == 2, done.stderr
    assert (week / "monday" / "takes" / "walk [1]" / "export" / "walk_1_.bvh").is_file()
    assert not (week / "tuesday" / "takes" / "walk" / "derived").exists()
    assert rubbish(week) == []
    assert "Traceback" not in done.stderr


def test_the_table_has_a_line_for_each_and_a_sentence_for_the_bad(mixed):
    _, done = mixed
    (good,) = [line.split() for line in done.stdout.splitlines() if "monday/walk [1]" in line]
    assert good[:5] == ["monday/walk", "[1]", "done", "120", "0"]
    for place in ("tuesday/takes/walk", "wednesday"):
        row, sentence = (line for line in done.stdout.splitlines() if line.strip().startswith(place))
        assert row.split()[1] == "input"
        assert sentence.startswith(f"{place}: ")
    assert "there is no calibration for this take. Put it at calibration/rig.toml in the session" in done.stdout
    assert "session.toml: not valid TOML (" in done.stdout
    assert done.stdout.splitlines()[-1] == "batch_summary.json"


def test_the_summary_says_the_same_to_machines(mixed):
    week, _ = mixed
    summary = summary_of(week)
    assert summary["counts"] == {"done": 1, "input": 2, "fault": 0}
    assert summary["seconds"] > 0
    takes = {take["take"]: take for take in summary["takes"]}
    assert set(takes) == {"monday/walk [1]", "tuesday/takes/walk", "wednesday"}
    good = takes["monday/walk [1]"]
    assert good["status"] == "done"
    assert tuple(good["ran"]) == STAGES
    assert good["figures"]["frames"] == 120
    export = week / "monday/takes/walk [1]/export"
    assert [week / path for path in good["files"]] == [export / f"walk_1_.{kind}" for kind in ("bvh", "fbx", "glb")]
    assert takes["wednesday"]["status"] == "input"
    assert takes["wednesday"]["message"].startswith("wednesday/session.toml: not valid TOML (")


@pytest.mark.slow
def test_two_at_once_then_nothing_to_do(tmp_path):
    session = copy_of_sample(tmp_path / "s", ("a", "b"))
    done = results(mocap("batch", session, "-j", "2", "--json", "--summary", tmp_path / "deep" / "night.json"))
    assert sorted(take["take"] for take in done) == ["s/a", "s/b"]
    assert {take["status"] for take in done} == {"done"}
    assert summary_of(tmp_path, "deep/night.json")["counts"]["done"] == 2
    again = mocap("batch", session, cwd=tmp_path)
    assert again.returncode == 0
    assert [line.split()[:3] for line in again.stdout.splitlines() if line.strip().startswith("s/")] == [
        ["s/a", "up", "to"],
        ["s/b", "up", "to"],
    ]
    assert {tuple(take["ran"]) for take in summary_of(tmp_path)["takes"]} == {()}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")
@pytest.mark.parametrize("to_all", [False, True], ids=["to the parent", "to the whole group, as a terminal sends it"])
def test_ctrl_c_stops_all_keeps_what_is_done_and_the_next_run_finishes(tmp_path, to_all):
    session = copy_of_sample(tmp_path / "s", tuple("abcdefgh"))
    running = start_mocap("batch", session, "-j", "2", cwd=tmp_path, log=tmp_path / "log")
    wait_for(lambda: "done in" in (tmp_path / "log").read_text(), while_running=running)
    (os.killpg if to_all else os.kill)(running.pid, signal.SIGINT)
    assert running.wait(60) == 130
    said = (tmp_path / "log").read_text()
    assert "Interrupted. What was finished is kept; run the same command again to go on." in said
    assert "Traceback" not in said
    assert rubbish(session) == []
    wait_for(lambda: processes_of_group(running.pid) == [])  # Python's resource tracker ends a moment after its parent
    kept = summary_of(tmp_path)["counts"]["done"]
    assert 0 < kept < 8
    for path in session.rglob("*.bvh"):
        assert path.read_text().count("\n") > 120, "no part of a file"
    finished = results(mocap("batch", session, "-j", "2", "--json", cwd=tmp_path))
    assert [take["status"] for take in finished] == ["done"] * 8
    assert sum(not take["ran"] for take in finished) >= kept


def processes_of_group(group: int) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append((folder / "cmdline").read_text())
    return found


def test_a_batch_of_nothing_is_refused(tmp_path):
    (tmp_path / "s" / "takes").mkdir(parents=True)
    done = invoke("batch", tmp_path / "s", "--summary", tmp_path / "b.json")
    assert done.returncode == 2
    assert "the session has no takes. Put videos at takes/<take>/video/<camera>.mp4." in done.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--set", "smooth.cutof_hz=4"], "unknown key 'smooth.cutof_hz'; known there: "),
        (["--summary", "file/b.json"], "file: is a file where a folder is needed."),
        (["--config", "none.toml"], "none.toml: no such configuration file"),
    ],
)
def test_options_that_cannot_be_are_told_before_any_work(tmp_path, monkeypatch, options, sentence):
    session = copy_of_sample(tmp_path / "s")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert sentence in complaint(invoke("batch", session, *options))
    assert not (session / "takes" / "walk" / "derived").exists()
