"""The processes that train together (`torchrun`), and the device of this one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist

from mocap.core.errors import ConfigError

LONGEST_WAIT = timedelta(hours=2)
"""For the first process, which validates alone."""


@dataclass(frozen=True)
class Processes:
    """This one is number `rank` of `world`, and computes on `device`."""

    rank: int = 0
    world: int = 1
    device: torch.device = torch.device("cpu")  # noqa: RUF009 - torch's devices are immutable

    @property
    def first(self) -> bool:
        """Whether this one writes the files."""
        return self.rank == 0

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by their means over the processes; one exchange a dtype."""
        if self.world == 1:
            return
        for dtype in sorted({tensor.dtype for tensor in tensors}, key=str):
            same = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch.cat([tensor.detach().reshape(-1) for tensor in same])
            dist.all_reduce(flat)
            flat /= self.world
            for tensor, mean in zip(same, flat.split([tensor.numel() for tensor in same]), strict=True):
                tensor.detach().copy_(mean.view_as(tensor))

    def from_first(self, *values: float) -> tuple[float, ...]:
        """Numbers that the first process knows, for all."""
        if self.world == 1:
            return values
        shared = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.broadcast(shared, src=0)
        return tuple(shared.tolist())

    def same_everywhere(self, tensors: Sequence[Tensor]) -> None:
        """Replace tensors by the first process's."""
        if self.world > 1:
            for tensor in tensors:
                dist.broadcast(tensor.detach(), src=0)


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that torchrun has started, or this one alone. device: auto, cpu or cuda."""
    rank, world, local = (int(os.environ.get(name, default)) for name, default in _PLACES)
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("no CUDA device here", where="device", remedy="Set device=cpu or device=auto.")
    on_gpu = device != "cpu" and torch.cuda.is_available()
    here = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(here)
    if world > 1:
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=LONGEST_WAIT)
    try:
        yield Processes(rank, world, here)
    finally:
        if world > 1:
            dist.destroy_process_group()


_PLACES = (("RANK", 0), ("WORLD_SIZE", 1), ("LOCAL_RANK", 0))
