"""The batches of a run, in order, made here or ahead by other processes; and onto the device."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator
from itertools import count
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mocap.training.task import Task

AHEAD = 2
"""Batches that each worker keeps ready."""


@dataclasses.dataclass(frozen=True)
class Parts(Dataset[Any]):
    """What one process goes through: part p of step s is number s * accumulate + p."""

    task: Task
    rank: int
    world: int
    accumulate: int

    def __getitem__(self, number: int) -> Any:
        step, part = divmod(number, self.accumulate)
        return self.task.batch(step, rank=part * self.world + self.rank, world=self.world * self.accumulate)


def batches(parts: Parts, start_step: int, workers: int) -> Generator[Any, None, None]:
    """Without end, from the first part of a step on; close the iterator to end its workers."""
    numbers = count(start_step * parts.accumulate)
    if not workers:
        for number in numbers:
            yield parts[number]
    loader = DataLoader(
        parts,
        batch_size=None,
        sampler=numbers,  # type: ignore[arg-type] - endless, so it has no length
        num_workers=workers,
        collate_fn=_as_it_is,
        prefetch_factor=AHEAD,
        multiprocessing_context="spawn",
        worker_init_fn=_one_thread,
    )
    yield from loader


def on_device(batch: Any, device: torch.device) -> Any:
    """The same with its tensors there, within tuples, lists, dicts and dataclasses."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: on_device(value, device) for key, value in batch.items()}
    if isinstance(batch, tuple):
        moved = [on_device(value, device) for value in batch]
        return type(batch)(*moved) if hasattr(batch, "_fields") else tuple(moved)
    if isinstance(batch, list):
        return [on_device(value, device) for value in batch]
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        fields = {field.name: on_device(getattr(batch, field.name), device) for field in dataclasses.fields(batch)}
        return dataclasses.replace(batch, **fields)
    return batch


def _as_it_is(batch: Any) -> Any:
    return batch


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)
