"""The folder of a run: what was to be done, by which code, where, and what came of it.

config.toml            every value; `mocap train … --config` takes it as it is
run.json               what is trained, seed, and for each start: time, command, code, machine
uncommitted.patch      what the code differed from its commit by, if it did
metrics.csv            step, seconds, learning_rate, loss and the task's figures: means since the row before
validation.csv         step, seconds and the task's figures on its held-out set
events.out.tfevents.*  the same for TensorBoard
checkpoint.pt          to go on from (`--resume`)
weights.safetensors    of the best validation
summary.json           when it has ended: why, after how long, the best figures
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import tomlkit
import torch

from mocap.core.errors import FileFormatError, InputError
from mocap.io.artefacts import write_text_atomic
from mocap.training.train_config import TrainConfig

SOURCE = Path(__file__).resolve().parents[2]
PACKAGES = ("mocap-pipeline", "torch", "numpy", "scipy", "safetensors")
LARGEST_PATCH = 1 << 20
"""Characters; of a larger difference only its size is kept."""
MOST_NAMES = 50


@dataclass(frozen=True)
class RunFolder:
    """Where the files of a run lie."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def record(self) -> Path:
        return self.path / "run.json"

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    def begin(self, name: str, config: TrainConfig) -> None:
        """Make the folder of a new run."""
        if self.record.exists():
            raise InputError("a run lies there", where=self.path, remedy="Add --resume, or name another folder.")
        self.path.mkdir(parents=True, exist_ok=True)
        values = config.model_dump(mode="json", exclude_none=True)
        write_text_atomic(self.config, tomlkit.dumps(values))
        self._write_record({"task": name, "seed": config.seed, "starts": []})

    def check(self, name: str) -> None:
        """Refuse to go on with what is no run of this task."""
        if not self.record.is_file():
            raise InputError("no run lies there", where=self.path, remedy="Start it without --resume.")
        trained = self._read_record().get("task")
        if trained != name:
            raise InputError(f"the run there trains {trained!r}, not {name!r}", where=self.path)

    def note_start(self, step: int, world: int) -> None:
        """Add a start to the record: the code and the machine may have changed since the last."""
        for leftover in self.path.glob(".*.part"):
            leftover.unlink(missing_ok=True)
        record = self._read_record()
        start = {
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "from_step": step,
            "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
            "processes": world,
            "code": self._code(),
            "environment": environment(),
        }
        record["starts"].append(start)
        self._write_record(record)

    def end(self, summary: Mapping[str, Any]) -> None:
        """Write how it ended."""
        write_text_atomic(self.summary, json.dumps(summary, indent=2) + "\n")

    def _code(self) -> dict[str, Any]:
        state = git_state(SOURCE)
        patch = state.pop("patch", "")
        if patch:
            state["uncommitted_characters"] = len(patch)
            if len(patch) <= LARGEST_PATCH:
                write_text_atomic(self.path / "uncommitted.patch", patch)
        return state

    def _read_record(self) -> dict[str, Any]:
        try:
            record = json.loads(self.record.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FileFormatError(f"not the record of a run ({error})", where=self.record) from None
        if not isinstance(record, dict) or not isinstance(record.get("starts"), list):
            raise FileFormatError("not the record of a run", where=self.record)
        return record

    def _write_record(self, record: Mapping[str, Any]) -> None:
        write_text_atomic(self.record, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def git_state(folder: Path) -> dict[str, Any]:
    """commit, as `patch` what tracked files differ by, and untracked files; empty where git knows nothing."""
    if not (folder / ".git").exists():
        return {}
    commit = _git(folder, "rev-parse", "HEAD").strip()
    if not commit:
        return {}
    strangers = _git(folder, "ls-files", "--others", "--exclude-standard").splitlines()
    return {"commit": commit, "untracked": strangers[:MOST_NAMES], "patch": _git(folder, "diff", "HEAD")}


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    except OSError:
        return ""
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else ""


def environment() -> dict[str, Any]:
    """Versions and the machine's kind; nothing that tells who or where."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "packages": {name: _version(name) for name in PACKAGES},
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
