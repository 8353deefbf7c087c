"""What the loop asks of something that can be trained.

A task is made from a frozen configuration and a seed alone, `SomeTask(config: SomeTaskConfig, seed: int)`, with
defaults for every value. It holds nothing that cannot be pickled (other processes make batches ahead), and makes what
is expensive on first use.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn


@runtime_checkable
class Task(Protocol):
    """A network, what it learns from, and how well it does."""

    def model(self) -> nn.Module:
        """The untrained network on the CPU. torch's random numbers are seeded before this is called."""
        ...

    def batch(self, step: int, *, rank: int, world: int) -> Any:
        """What process `rank` of `world` learns from at a step: tensors on the CPU, in tuples, dicts or dataclasses.

        Follows from (seed, step, rank, world) alone, never from earlier calls; `mocap.training.seeds` makes generators
        from those. The parts of a step that one process goes through in turn (gradient accumulation) count as further
        ranks, so that two processes learn the same as one with two parts.
        """
        ...

    def loss(self, model: nn.Module, batch: Any) -> tuple[Tensor, dict[str, float]]:
        """The scalar to lower, a mean over the batch, and figures for the log, always of the same names.

        The batch is on the model's device. torch's random numbers are seeded for this step and rank.
        """
        ...

    def validate(self, model: nn.Module) -> dict[str, float]:
        """Figures on a fixed held-out set, always of the same names, lower is better for the first.

        The model is in evaluation mode, without gradients, on any device; one process calls this.
        """
        ...
