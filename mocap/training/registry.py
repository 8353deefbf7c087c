"""What can be trained, by name. Tasks are imported when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pydantic import create_model

from mocap.core.errors import InputError
from mocap.training.task import Task
from mocap.training.train_config import TrainConfig


@dataclass(frozen=True)
class Entry:
    """A task's module, and the names of its class and of its configuration there."""

    module: str
    task: str
    config: str


ENTRIES = {
    "heatmap": Entry("mocap.training.heatmap_task", "HeatmapTask", "HeatmapTaskConfig"),
    "algebraic": Entry("mocap.training.algebraic_task", "AlgebraicTask", "AlgebraicTaskConfig"),
    "volumetric": Entry("mocap.training.volumetric_task", "VolumetricTask", "VolumetricTaskConfig"),
}


def trainable() -> tuple[str, ...]:
    """The names that `mocap train` takes."""
    return tuple(name for name, entry in ENTRIES.items() if find_spec(entry.module) is not None)


@cache
def run_config(name: str) -> type[TrainConfig]:
    """The configuration of a run: `TrainConfig` and the task's own as the table `task`."""
    kind = _part(name, entry_of(name).config)
    fields: dict[str, Any] = {"task": (kind, kind())}
    return create_model(f"{name.title()}Run", __base__=TrainConfig, **fields)


def make_task(name: str, config: TrainConfig) -> Task:
    """The task of a run's configuration, as `run_config` has it."""
    task = _part(name, entry_of(name).task)(getattr(config, "task"), config.seed)  # noqa: B009 - a field made at run time
    if not isinstance(task, Task):
        raise TypeError(f"{type(task).__name__} lacks a method of Task")
    return task


def entry_of(name: str) -> Entry:
    """The entry of a name; a word about others."""
    if name not in trainable():
        raise InputError(f"nothing called {name!r} can be trained", remedy=f"There are {', '.join(trainable())}.")
    return ENTRIES[name]


def _part(name: str, what: str) -> Any:
    return getattr(import_module(ENTRIES[name].module), what)
