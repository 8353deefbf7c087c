"""What a run is at a step, to go on from it, and weights to use: both written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from mocap.core.errors import FileFormatError
from mocap.io.artefacts import atomic_path

STATE_VERSION = 1


def save_state(path: Path, state: Mapping[str, Any]) -> None:
    """Tensors, numbers and strings in dicts and lists."""
    with atomic_path(path) as temporary:
        torch.save({"version": STATE_VERSION, **state}, temporary)


def load_state(path: Path) -> dict[str, Any]:
    """What `save_state` wrote, on the CPU."""
    remedy = "Delete the run folder and start the run again."
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:
        raise FileFormatError(f"not a checkpoint that can be read ({error})", where=path, remedy=remedy) from None
    if not isinstance(state, dict) or state.get("version") != STATE_VERSION:
        raise FileFormatError(f"not a checkpoint of version {STATE_VERSION}", where=path, remedy=remedy)
    return state


def save_weights(path: Path, model: nn.Module, about: Mapping[str, str]) -> None:
    """A network's parameters and buffers as safetensors; `about` becomes the file's metadata."""
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors, metadata=dict(about)))


def load_weights(path: Path, model: nn.Module) -> None:
    """Fill a network strictly; a mismatch names the missing, the surplus and the misshapen."""
    if not path.is_file():
        raise FileFormatError("no such file", where=path, remedy="Name a .safetensors file of a run.")
    try:
        tensors = safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise FileFormatError(f"not safetensors ({error})", where=path, remedy="Name the weights of a run.") from None
    fill(model, tensors, path)


def fill(model: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """`load_state_dict`, strict, with a sentence."""
    own = model.state_dict()
    problems = {
        "missing": sorted(own.keys() - tensors.keys()),
        "surplus": sorted(tensors.keys() - own.keys()),
        "of another shape": sorted(n for n in own.keys() & tensors.keys() if own[n].shape != tensors[n].shape),
    }
    told = [f"{len(names)} {kind} ({', '.join(names[:3])}…)" for kind, names in problems.items() if names]
    if told:
        remedy = "Use the configuration (config.toml) that these weights were trained with."
        raise FileFormatError(f"weights of another network: {'; '.join(told)}", where=where, remedy=remedy)
    model.load_state_dict(dict(tensors), strict=True)
