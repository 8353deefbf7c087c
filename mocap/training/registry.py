"""What can be trained, by name. Tasks are imported when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import create_model

from mocap.core.errors import InputError
from mocap.models.shipped import ShippedName, write_shipped
from mocap.training.checkpoints import load_weights
from mocap.training.run_folder import RunFolder
from mocap.training.task import Task
from mocap.training.train_config import TrainConfig


@dataclass(frozen=True)
class Entry:
    """A task's module, and the names of its class and of its configuration there.

    ready: what the pipeline calls the weights, of `network` as `task.net` configures it.
    """

    module: str
    task: str
    config: str
    ready: ShippedName | None = None
    network: str = ""


ENTRIES = {
    "heatmap": Entry("mocap.training.heatmap_task", "HeatmapTask", "HeatmapTaskConfig"),
    "algebraic": Entry(
        "mocap.training.algebraic_task",
        "AlgebraicTask",
        "AlgebraicTaskConfig",
        "algebraic_blazepose",
        "mocap.models.view_confidences.ViewConfidenceNet",
    ),
    "volumetric": Entry(
        "mocap.training.volumetric_task",
        "VolumetricTask",
        "VolumetricTaskConfig",
        "volumetric_blazepose",
        "mocap.models.heatmap_volumes.HeatmapVolumeNet",
    ),
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


def write_ready(name: str, config: TrainConfig, folder: RunFolder) -> Path | None:
    """The run's best weights as the pipeline takes them (`triangulate.learned.weights` names the run folder)."""
    entry = entry_of(name)
    if entry.ready is None or not folder.weights.is_file():
        return None
    module, _, kind = entry.network.rpartition(".")
    shape = getattr(config, "task").net  # noqa: B009 - a field made at run time
    network = getattr(import_module(module), kind)(shape)
    load_weights(folder.weights, network)
    return write_shipped(entry.ready, network, shape, folder=folder.path)[0]


def entry_of(name: str) -> Entry:
    """The entry of a name; a word about others."""
    if name not in trainable():
        raise InputError(f"nothing called {name!r} can be trained", remedy=f"There are {', '.join(trainable())}.")
    return ENTRIES[name]


def _part(name: str, what: str) -> Any:
    return getattr(import_module(ENTRIES[name].module), what)
