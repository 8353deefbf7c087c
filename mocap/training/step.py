"""One step of the optimiser: batches in, gradients averaged over parts and processes, weights moved."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mocap.core.errors import ConfigError, InputError
from mocap.training.batches import on_device
from mocap.training.optimiser import make_optimiser, set_rate
from mocap.training.processes import Processes
from mocap.training.seeds import seed_torch
from mocap.training.task import Task
from mocap.training.train_config import TrainConfig

AUTOCAST = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
MOST_SKIPPED = 50
"""Steps in a row whose gradient is not finite; float16 finds its scale in some fifteen."""
STEP_SEED = 1


class Stepper:
    """A network, its optimiser, and how a step is made."""

    def __init__(self, task: Task, model: nn.Module, config: TrainConfig, processes: Processes) -> None:
        self.task, self.model, self.config, self.processes = task, model, config, processes
        self.optimiser = make_optimiser(model, config.optimiser)
        self._dtype = AUTOCAST[config.precision]
        if config.precision == "float16" and processes.device.type == "cpu":
            raise ConfigError("float16 is for GPUs", where="precision", remedy="Set precision=bfloat16 or float32.")
        self.scaler = torch.amp.GradScaler(processes.device.type, enabled=config.precision == "float16")
        self.skipped = 0

    def step(self, step: int, parts: Iterator[Any], rate: float) -> dict[str, float]:
        """Make step number `step`; its loss and figures, means over all parts and processes."""
        set_rate(self.optimiser, rate)
        self.optimiser.zero_grad(set_to_none=True)
        figures = self._gradients(step, parts)
        norm = self._move()
        return {**figures, "gradient": norm}

    def _gradients(self, step: int, parts: Iterator[Any]) -> dict[str, float]:
        accumulate, processes = self.config.accumulate, self.processes
        sums: dict[str, float] = {}
        for part in range(accumulate):
            batch = on_device(next(parts), processes.device)
            seed_torch(self.config.seed, STEP_SEED, step, part * processes.world + processes.rank)
            with torch.autocast(processes.device.type, self._dtype, enabled=self._dtype != torch.float32):
                loss, figures = self.task.loss(self.model, batch)
            self.scaler.scale(loss / accumulate).backward()
            for name, value in {"loss": loss.item(), **figures}.items():
                sums[name] = sums.get(name, 0.0) + value / accumulate
        means = torch.tensor(list(sums.values()), dtype=torch.float64, device=processes.device)
        processes.average([*self._reduced(), means])
        return dict(zip(sums, means.tolist(), strict=True))

    def _reduced(self) -> list[Tensor]:
        """Gradients, 0 where a part of the network took no part, and the running means of norms."""
        if self.processes.world == 1:
            return []
        trained = [value for value in self.model.parameters() if value.requires_grad]
        for value in trained:
            value.grad = torch.zeros_like(value) if value.grad is None else value.grad
        buffers = [value for value in self.model.buffers() if value.is_floating_point()]
        return [*(value.grad for value in trained if value.grad is not None), *buffers]

    def _move(self) -> float:
        """The length of the gradient; a step that has none is skipped, on every process alike."""
        self.scaler.unscale_(self.optimiser)
        clip = self.config.optimiser.clip or float("inf")
        trained = [value for value in self.model.parameters() if value.grad is not None]
        norm = torch.nn.utils.clip_grad_norm_(trained, clip).item()
        finite = norm < float("inf")
        if finite or self.scaler.is_enabled():  # the scaler skips by itself, and learns from it
            self.scaler.step(self.optimiser)
        self.scaler.update()
        self.skipped = 0 if finite else self.skipped + 1
        if self.skipped > MOST_SKIPPED:
            raise InputError(
                f"the gradient was not finite in {self.skipped} steps in a row",
                remedy="Lower schedule.learning_rate, or train in float32.",
            )
        return norm
