"""How to train, whatever is trained. A recipe (configs/train/*.toml) holds these values and a table `task`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from mocap.core.config import Config

Precision = Literal["float32", "bfloat16", "float16"]


class ScheduleConfig(Config):
    """How long, and how the learning rate goes: up in a line over the share `warmup` of the run, down as a cosine.

    The run ends after `steps` or after `minutes` (wall clock), whichever is first; 0 sets no such end. learning_rate:
    at its top; `last` is the share of it that is left at the end. A run that is measured in minutes takes what the
    machine does in them: two such runs are not alike.
    """

    steps: int = Field(default=10_000, ge=0)
    minutes: float = Field(default=0.0, ge=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup: float = Field(default=0.02, ge=0, lt=1)
    last: float = Field(default=0.01, ge=0, le=1)

    @model_validator(mode="after")
    def _ends(self) -> ScheduleConfig:
        if not self.steps and not self.minutes:
            raise ValueError("the run would never end: set steps or minutes")
        return self


class OptimiserConfig(Config):
    """weight_decay spares biases and norms. clip: largest length of the gradient, 0 for any.

    rates: shares of the learning rate for the parts of the network whose names begin so, e.g. {"backbone" = 0.1}.
    """

    kind: Literal["adam", "adamw", "sgd"] = "adamw"
    weight_decay: float = Field(default=0.01, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    clip: float = Field(default=1.0, ge=0)
    rates: dict[str, float] = Field(default_factory=dict)


class TrainConfig(Config):
    """seed: all that is random follows from it. accumulate: batches that one process goes through for each step.

    precision: of the network's arithmetic in training (autocast); weights are float32. threads: of torch, 0 for its
    own choice. workers: processes that make batches ahead, 0 for none. average: decay of the running mean of the
    weights that is validated and kept instead of the last ones, 0 for none. validations: how many, spread evenly over
    the run. patience: validations without a better first figure until the run ends, 0 for never. checkpoint_s:
    seconds between checkpoints. log_every: steps a row of metrics.csv. start_from: weights (.safetensors) of this task.
    """

    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Precision = "float32"
    threads: int = Field(default=0, ge=0)
    workers: int = Field(default=0, ge=0)
    accumulate: int = Field(default=1, ge=1)
    average: float = Field(default=0.0, ge=0, lt=1)
    validations: int = Field(default=20, ge=1)
    patience: int = Field(default=0, ge=0)
    checkpoint_s: float = Field(default=60.0, ge=0)
    log_every: int = Field(default=10, ge=1)
    start_from: Path | None = None
    schedule: ScheduleConfig = ScheduleConfig()
    optimiser: OptimiserConfig = OptimiserConfig()
