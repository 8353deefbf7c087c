"""Runs of the quick task for tests, and what their folders hold."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import safetensors.torch
from fitting_task import FittingTask, FittingTaskConfig
from torch import Tensor

from mocap.training.loop import Trained, train
from mocap.training.run_folder import RunFolder
from mocap.training.train_config import ScheduleConfig, TrainConfig

SCRIPT = Path(__file__).with_name("fitting_run.py")
ALONE = {
    "OMP_NUM_THREADS": "1",
    "NO_COLOR": "1",
    "PYTHONPATH": os.pathsep.join([str(SCRIPT.parent), str(SCRIPT.parents[3])]),
}


def quick(steps: int = 40, **values: Any) -> TrainConfig:
    """A run of so many steps with a row each, on the CPU."""
    schedule = ScheduleConfig(steps=steps, learning_rate=1e-2)
    return TrainConfig(**{"device": "cpu", "log_every": 1, "validations": 4, "schedule": schedule, **values})


def fitted(
    folder: Path, config: TrainConfig, *, resume: bool = False, task: FittingTaskConfig | None = None, watch: Any = None
) -> Trained:
    """Train the quick task."""
    made = FittingTask(task or FittingTaskConfig(), config.seed)
    return train(made, config, RunFolder(folder), name="fitting", resume=resume, watch=watch)


def curve(folder: Path, table: str = "metrics.csv") -> list[dict[str, str]]:
    """The rows of a table, as written, without the clock."""
    with (folder / table).open(encoding="utf-8", newline="") as stream:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(stream)]


def weights(folder: Path) -> dict[str, Tensor]:
    return safetensors.torch.load_file(folder / "weights.safetensors")


def start_run(folder: Path, *arguments: str, command: tuple[str, ...] = (sys.executable,)) -> subprocess.Popen[str]:
    """The quick task in a process (group) of its own."""
    return subprocess.Popen(
        [*command, str(SCRIPT), str(folder), "device=cpu", "threads=1", *arguments],
        env={**os.environ, **ALONE},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def ended_well(process: subprocess.Popen[str], seconds: float = 120.0) -> None:
    said, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, said
