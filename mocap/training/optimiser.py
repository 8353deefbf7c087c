"""The optimiser of a network, in groups by learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mocap.core.errors import ConfigError
from mocap.training.train_config import OptimiserConfig


def make_optimiser(model: nn.Module, config: OptimiserConfig) -> torch.optim.Optimizer:
    """Groups carry `share`, what `set_rate` multiplies the learning rate by."""
    groups = _groups(model, config)
    if config.kind == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=config.momentum, nesterov=config.momentum > 0)
    kind = torch.optim.Adam if config.kind == "adam" else torch.optim.AdamW
    return kind(groups, lr=1.0)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """The learning rate of the next step."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group["share"]


def _groups(model: nn.Module, config: OptimiserConfig) -> list[dict[str, Any]]:
    grouped: dict[tuple[float, float], list[nn.Parameter]] = {}
    named = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    _check_prefixes(config.rates, [name for name, _ in named])
    for name, value in named:
        decay = config.weight_decay if value.ndim > 1 else 0.0
        grouped.setdefault((_share(name, config.rates), decay), []).append(value)
    return [
        {"params": values, "share": share, "weight_decay": decay} for (share, decay), values in sorted(grouped.items())
    ]


def _share(name: str, rates: Mapping[str, float]) -> float:
    """That of the longest beginning."""
    fitting = [prefix for prefix in rates if name.startswith(prefix)]
    return rates[max(fitting, key=len)] if fitting else 1.0


def _check_prefixes(rates: Mapping[str, float], names: list[str]) -> None:
    for prefix in rates:
        if not any(name.startswith(prefix) for name in names):
            parts = ", ".join(sorted({name.split(".")[0] for name in names}))
            raise ConfigError(f"optimiser.rates: nothing to train begins with {prefix!r}", remedy=f"There are {parts}.")
