"""The training loop: steps, validations, checkpoints, until the schedule ends or nothing gets better.

A run that was killed goes on from its last checkpoint along the same curve: batches and random numbers follow from the
step, so nothing but the optimiser's state has to be remembered. Only runs measured in minutes differ.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import nn

from mocap.models.convert_sources import KINDS, stated
from mocap.training.averaging import WeightAverage
from mocap.training.batches import Parts, batches
from mocap.training.checkpoints import fill, load_state, load_weights, save_state, save_weights
from mocap.training.metrics_log import MetricsLog
from mocap.training.processes import Processes, joined
from mocap.training.run_folder import RunFolder
from mocap.training.schedule import rate_share, share_done
from mocap.training.seeds import seed_torch
from mocap.training.step import Stepper
from mocap.training.task import Task
from mocap.training.train_config import TrainConfig

MODEL_SEED, VALIDATION_SEED = 0, 2


@dataclass
class Standing:
    """How far a run is; with the tensors this is what a checkpoint holds.

    best: the lowest first figure of a validation. stale: validations since. pending: sums since the last row of the
    log, over `pending_steps` steps.
    """

    step: int = 0
    seconds: float = 0.0
    validations: int = 0
    best: float = float("inf")
    best_step: int = 0
    best_figures: dict[str, float] = field(default_factory=dict)
    stale: int = 0
    pending: dict[str, float] = field(default_factory=dict)
    pending_steps: int = 0


@dataclass(frozen=True)
class Progress:
    """What a watcher may show: the share of the run that is over, and the last known figures."""

    done: float
    step: int
    loss: float
    validated: dict[str, float]


@dataclass(frozen=True)
class Trained:
    """How a run ended. best: the figures of the weights that were kept."""

    reason: str
    steps: int
    seconds: float
    best_step: int
    best: dict[str, float]


Watch = Callable[[Progress], None]


def train(
    task: Task,
    config: TrainConfig,
    folder: RunFolder,
    *,
    name: str = "task",
    resume: bool = False,
    watch: Watch | None = None,
) -> Trained:
    """Train in a new folder, or go on in one. Under torchrun every process calls this."""
    with joined(config.device) as processes, _threads(config.threads):
        if processes.first and resume:
            folder.check(name)
        elif processes.first:
            folder.begin(name, config)
        processes.from_first(0.0)  # nobody looks into the folder before it is made
        run = _Run(task, config, folder, processes)
        return run.to_the_end(watch or (lambda progress: None))


class _Run:
    """A run in this process."""

    def __init__(self, task: Task, config: TrainConfig, folder: RunFolder, processes: Processes) -> None:
        self.task, self.config, self.folder, self.processes = task, config, folder, processes
        seed_torch(config.seed, MODEL_SEED)
        model = task.model()
        if config.start_from is not None:
            load_weights(config.start_from, model)
        self.model = model.to(processes.device)
        self.average = WeightAverage(self.model, config.average) if config.average else None
        self.stepper = Stepper(task, self.model, config, processes)
        self.standing = Standing()
        if folder.checkpoint.is_file():
            self._restore(load_state(folder.checkpoint))
        processes.same_everywhere([*self.model.parameters(), *self.model.buffers()])
        self._before = self.standing.seconds - time.monotonic()
        self._saved = time.monotonic()

    def to_the_end(self, watch: Watch) -> Trained:
        standing, first = self.standing, self.processes.first
        log = MetricsLog(self.folder.path, standing.step) if first else None
        if first:
            self.folder.note_start(standing.step, self.processes.world)
        parts = Parts(self.task, self.processes.rank, self.processes.world, self.config.accumulate)
        feed = batches(parts, standing.step, self.config.workers)
        try:
            while not self._ended():
                self._advance(feed, log, watch)
        finally:
            feed.close()
            if log is not None:
                log.close()
        return self._finish()

    def _advance(self, feed: Iterator[Any], log: MetricsLog | None, watch: Watch) -> None:
        """One step, and what is due after it."""
        standing, schedule = self.standing, self.config.schedule
        done = share_done(schedule, standing.step, standing.seconds)
        rate = schedule.learning_rate * rate_share(schedule, done)
        figures = self.stepper.step(standing.step, feed, rate)
        if self.average is not None:
            self.average.update(self.model)
        standing.step += 1
        self._tick()
        self._log(figures, rate, log)
        if self._due():
            self._validate(log)
        if self.processes.first and time.monotonic() - self._saved >= self.config.checkpoint_s:
            self._save()
        done = share_done(schedule, standing.step, standing.seconds)
        watch(Progress(done, standing.step, figures["loss"], standing.best_figures))

    def _tick(self) -> None:
        (self.standing.seconds,) = self.processes.from_first(self._before + time.monotonic())

    def _ended(self) -> bool:
        done = share_done(self.config.schedule, self.standing.step, self.standing.seconds)
        return done >= 1 or self._stale()

    def _stale(self) -> bool:
        return 0 < self.config.patience <= self.standing.stale

    def _due(self) -> bool:
        """Whether a further share 1 / validations of the run is over."""
        done = share_done(self.config.schedule, self.standing.step, self.standing.seconds)
        due = int(done * self.config.validations + 1e-9)  # 3 of 30 steps are a tenth, whatever the rounding
        crossed = due > self.standing.validations
        self.standing.validations = max(due, self.standing.validations)
        return crossed

    def _log(self, figures: dict[str, float], rate: float, log: MetricsLog | None) -> None:
        standing = self.standing
        for name, value in figures.items():
            standing.pending[name] = standing.pending.get(name, 0.0) + value
        standing.pending_steps += 1
        if standing.step % self.config.log_every:
            return
        means = {name: value / standing.pending_steps for name, value in standing.pending.items()}
        if log is not None:
            log.training(standing.step, {"seconds": standing.seconds, "learning_rate": rate, **means})
        standing.pending, standing.pending_steps = {}, 0

    def _validate(self, log: MetricsLog | None) -> None:
        """On the first process; the others hear how it went."""
        standing, kept = self.standing, self._kept()
        figures: dict[str, float] = {}
        if self.processes.first:
            seed_torch(self.config.seed, VALIDATION_SEED)
            with torch.no_grad(), _evaluating(kept):
                figures = self.task.validate(kept)
        (watched,) = self.processes.from_first(next(iter(figures.values()), float("nan")))
        self._tick()
        if log is not None:
            log.validation(standing.step, {"seconds": standing.seconds, **figures})
        if watched < standing.best:
            standing.best, standing.best_step, standing.stale = watched, standing.step, 0
            standing.best_figures = dict(figures)
            if self.processes.first:
                save_weights(self.folder.weights, kept, self._about(figures))
        else:
            standing.stale += 1

    def _kept(self) -> nn.Module:
        return self.model if self.average is None else self.average.model

    def _about(self, figures: dict[str, float]) -> dict[str, str]:
        told = {name: f"{value:.6g}" for name, value in figures.items()}
        known = type(self._kept()) in [network for network, _ in KINDS.values()]
        network = stated(self._kept()) if known else {}
        return {**network, "step": str(self.standing.step), "seed": str(self.config.seed), **told}

    def _save(self) -> None:
        state: dict[str, Any] = {
            "standing": asdict(self.standing),
            "model": self.model.state_dict(),
            "optimiser": self.stepper.optimiser.state_dict(),
            "scaler": self.stepper.scaler.state_dict(),
        }
        if self.average is not None:
            state["average"] = {"model": self.average.model.state_dict(), "updates": self.average.updates}
        save_state(self.folder.checkpoint, state)
        self._saved = time.monotonic()

    def _restore(self, state: dict[str, Any]) -> None:
        self.standing = Standing(**state["standing"])
        fill(self.model, state["model"], self.folder.checkpoint)
        self.stepper.optimiser.load_state_dict(state["optimiser"])
        self.stepper.scaler.load_state_dict(state["scaler"])
        if self.average is not None:
            fill(self.average.model, state["average"]["model"], self.folder.checkpoint)
            self.average.updates = state["average"]["updates"]

    def _finish(self) -> Trained:
        standing = self.standing
        reason = f"no better in {standing.stale} validations" if self._stale() else "the schedule has ended"
        trained = Trained(reason, standing.step, standing.seconds, standing.best_step, standing.best_figures)
        if self.processes.first:
            self._save()
            self.folder.end(asdict(trained))
        return trained


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    before = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(before)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
