"""`mocap process` as a user meets it, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mocap.io.bvh import read_bvh
from mocap.pipeline import STAGES
from running_mocap import ROOT, command_line, complaint, copy_of_sample, environment, invoke, mocap, results, rubbish


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Path:
    """The sample in a folder whose name is awkward: a space, brackets that look like markup, an umlaut."""
    return copy_of_sample(tmp_path_factory.mktemp("awkward") / "Müller [red] take 1")


@pytest.fixture(scope="module")
def first(session):
    """What the first run of it said."""
    return mocap("process", session)


def test_the_files_go_to_stdout_and_all_else_to_stderr(session, first):
    assert first.returncode == 0, first.stderr
    export = session / "takes" / "walk" / "export"
    assert first.stdout.splitlines() == [
        str(export / name) for name in ("walk.bvh", "walk.fbx", "walk.glb", "walk_report.json")
    ]
    assert all(Path(line).is_file() for line in first.stdout.splitlines())
    for stage in STAGES:
        assert f"walk: {stage} …" in first.stderr
        assert f"walk: {stage} done in " in first.stderr
    assert f"walk: ran {', '.join(STAGES)}" in first.stderr
    assert "frames lost: 0" in first.stderr
    assert "\x1b" not in first.stderr, "plain where no terminal is"
    assert rubbish(session) == []


def test_a_second_run_says_that_there_was_nothing_to_do(session, first):
    again = invoke("process", session / "takes" / "walk")
    assert again.stdout == first.stdout
    assert "walk: nothing to do, everything was up to date" in again.stderr


def test_json_is_the_only_thing_on_stdout(session, first):
    (result,) = results(invoke("process", session, "--json"))
    assert result["take"] == "walk"
    assert result["ran"] == []
    assert result["files"] == first.stdout.splitlines()[:-1]
    assert result["figures"]["frames"] == 120
    report = json.loads(Path(result["report"]).read_text(encoding="utf-8"))
    assert report["figures"] == result["figures"]


def test_configuration_file_and_set_and_output_folder(session, first, tmp_path):
    (tmp_path / "own.toml").write_text('[smooth]\nfilter = "rts"\n[export]\nunit = "m"\n')
    options = ["--config", tmp_path / "own.toml", "--set", "export.unit=in", "--set", 'export.name_prefix="m:"']
    (result,) = results(invoke("process", session, *options, "-o", tmp_path / "out", "--json"))
    assert result["files"] == [str(tmp_path / "out" / "export" / f"walk.{kind}") for kind in ("bvh", "fbx", "glb")]
    text = (tmp_path / "out" / "export" / "walk.bvh").read_text()
    assert "ROOT m:Hips" in text
    height = read_bvh(tmp_path / "out" / "export" / "walk.bvh").values[0, 1]
    assert 30 < height < 45, "inches: --set goes before the file"
    assert results(invoke("process", session, "--json"))[0]["ran"] == [], "its own results are as they were"


def test_the_delivered_configuration_is_the_default(session, first):
    config = ROOT / "configs" / "pipeline" / "default.toml"
    assert results(invoke("process", session, "--config", config, "--json"))[0]["ran"] == []


@pytest.mark.parametrize(
    ("arguments", "sentences"),
    [
        (["--set", "smooth.cutof_hz=4"], ["unknown key 'smooth.cutof_hz'; known there: ", "cutoff_hz"]),
        (["--set", "smooht.filter=rts"], ["unknown key 'smooht'; known there: ", "smooth"]),
        (["--set", "smooth.filter=gauss"], ["smooth.filter: input should be 'butterworth'", "(got 'gauss')"]),
        (["--set", "smooth"], ["'smooth' is not KEY=VALUE. Write e.g. --set smooth.filter=rts"]),
        (["--config", "none.toml"], ["none.toml: no such configuration file"]),
        (["--config", "broken.toml"], ["broken.toml: not valid TOML (", "line 2"]),
        (["--rig", "none.toml"], ["none.toml: no such file"]),
        (["--rig", "broken.toml"], ["broken.toml: is not valid TOML (", "line 2"]),
        (
            ["--rig", "poem.txt"],
            ["poem.txt: is not a calibration of a known format. Known: rig (", "qualisys (", "opencv ("],
        ),
    ],
)
def test_what_cannot_be_is_one_sentence_that_names_it(session, tmp_path, monkeypatch, arguments, sentences):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.toml").write_text("[smooth]\nfilter = \n")
    (tmp_path / "poem.txt").write_text("Two roads diverged in a yellow wood\n")
    told = complaint(invoke("process", session, *arguments))
    assert "\n" not in told
    for sentence in sentences:
        assert sentence in told


def test_places_that_are_not_there_or_not_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").touch()
    for name, sentence in [
        ("typo", "typo: there is no such folder. Give the folder of the take."),
        (
            "empty",
            "empty: there are no videos here. Depth needs at least 2 cameras: one file per camera, <camera>.mp4.",
        ),
        ("notes.txt", "notes.txt: is a file. Give the folder of the take."),
        ("cam1=a.mp4", "loose videos need a folder for the results. Add -o FOLDER."),
    ]:
        assert complaint(invoke("process", name)) == sentence


def test_a_broken_session_file_is_named_with_its_line(tmp_path):
    session = copy_of_sample(tmp_path / "s")
    (session / "session.toml").write_text('[[camera]]\nname = "cam01\n')
    told = complaint(invoke("process", session))
    assert told.startswith(f"{session / 'session.toml'}: not valid TOML (")
    assert "line 2" in told
    (session / "session.toml").write_text('[[kamera]]\nname = "cam01"\n')
    told = complaint(invoke("process", session))
    assert f"{session / 'session.toml'}: unknown key 'kamera'; known there: board, camera, fps, notes, rig" in told


def test_help_has_an_example():
    done = invoke("process", "--help")
    assert done.returncode == 0
    assert "mocap process cam01=a.mp4 cam02=b.mp4 cam03=c.mp4 --rig Calib.qca.txt -o out" in done.stdout
    assert invoke("process").returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are a matter of POSIX")
@pytest.mark.slow
@pytest.mark.parametrize("command", ["process", "batch"])
def test_a_person_at_a_terminal_sees_bars(tmp_path, command):
    session = copy_of_sample(tmp_path / "s")
    shown = on_a_terminal(command, session, cwd=tmp_path)
    assert "\x1b[" in shown, "colours and a cursor that moves"
    assert "━" in shown
    if command == "process":
        assert all(stage in shown for stage in STAGES)
        assert "detect …" not in shown, "no log lines between the bars"
    else:
        assert "s/walk" in shown
        assert "up to date" not in shown
    assert shown.count("\n") - shown.count("\x1b[1A") < 60, "bars are drawn in place, however often"


def on_a_terminal(*arguments: object, cwd: Path) -> str:
    """What the command draws on a terminal of 100 columns."""
    ours, theirs = os.openpty()
    env = {**environment(TERM="xterm-256color"), "COLUMNS": "100"}
    del env["NO_COLOR"]
    process = subprocess.Popen(command_line(*arguments), cwd=cwd, env=env, stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    drawn = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # Linux says so at the end
            break
        if not block:
            break
        drawn += block
    os.close(ours)
    assert process.wait(60) == 0, drawn.decode()
    return drawn.decode()
