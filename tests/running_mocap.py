"""The `mocap` command as a user starts it: a process of its own, through the real entry point."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_sessions" / "numeric_walk"
"""Four cameras' 2D results without videos, with their rig."""

Done = subprocess.CompletedProcess[str]


def environment(**variables: str) -> dict[str, str]:
    """This one, with the project on the path, two threads, and lines wide enough for whole sentences."""
    fixed = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2", "COLUMNS": "400", "NO_COLOR": "1"}
    return {**os.environ, **fixed, **variables}


def run_python(*lines: str, cwd: Path | None = None) -> Done:
    """A script in a process of its own."""
    command = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, check=False)


def command_line(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "mocap.cli.main", *(str(argument) for argument in arguments)]


def mocap(*arguments: object, cwd: Path | None = None, **options: Any) -> Done:
    """Run a command to its end. `options` go to subprocess.run; `env` adds to this environment."""
    env = environment(**options.pop("env", {}))
    options = {"timeout": 600, **options}
    return subprocess.run(
        command_line(*arguments), cwd=cwd, env=env, capture_output=True, text=True, check=False, **options
    )


def invoke(*arguments: object) -> Done:
    """The same command line within this process: quicker, for what does not need a process of its own."""
    from typer.testing import CliRunner

    from mocap.cli.main import app

    given = [str(argument) for argument in arguments]
    ended = CliRunner().invoke(app, given, env={"COLUMNS": "400", "NO_COLOR": "1"}, prog_name="mocap")
    assert ended.exception is None or isinstance(ended.exception, SystemExit), ended.exception
    return Done(given, ended.exit_code, ended.stdout, ended.stderr)


def start_mocap(*arguments: object, log: Path, cwd: Path | None = None) -> subprocess.Popen[str]:
    """Start a command in a process group of its own; both its outputs go to `log`."""
    with log.open("w") as stream:
        return subprocess.Popen(
            command_line(*arguments),
            cwd=cwd,
            env=environment(),
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def wait_for(
    condition: Callable[[], bool], *, seconds: float = 120.0, while_running: subprocess.Popen[str] | None = None
) -> None:
    """Until `condition` holds; fails when the process ends before, or when it takes too long."""
    end = time.monotonic() + seconds
    while not condition():
        assert while_running is None or while_running.poll() is None, (
            f"the command ended with {while_running.returncode}"
        )
        assert time.monotonic() < end, f"nothing happened in {seconds} s"
        time.sleep(0.02)


def results(done: Done) -> list[dict[str, Any]]:
    """What `--json` printed; fails with what the command said where it did not succeed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def complaint(done: Done, code: int = 2) -> str:
    """The sentence of a command that had to refuse: the last thing on stderr, no trace, nothing on stdout."""
    assert done.returncode == code, f"exit code {done.returncode}: {done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    assert "fault of the program" not in done.stderr
    assert done.stderr.count("Error ") == 1, done.stderr
    assert done.stdout == ""
    return done.stderr.partition("Error ")[2].strip()


def rubbish(folder: Path) -> list[str]:
    """What must never stay behind: parts of files, empty files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(p.relative_to(folder)) for p in files if ".part" in p.name or p.stat().st_size == 0]


def copy_of_sample(target: Path, takes: tuple[str, ...] = ("walk",), *, frames: int | None = None) -> Path:
    """The sample session without results, its take under one or several names; its first frames only where asked."""
    shutil.copytree(SAMPLE, target, ignore=shutil.ignore_patterns("derived", "export", "takes"))
    for name in takes:
        shutil.copytree(
            SAMPLE / "takes" / "walk", target / "takes" / name, ignore=shutil.ignore_patterns("derived", "export")
        )
    for path in target.glob("takes/*/detections/*.json") if frames else ():
        content = json.loads(path.read_text(encoding="utf-8"))
        content["instance_info"] = content["instance_info"][:frames]
        path.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
    return target
