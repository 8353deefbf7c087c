"""Trained networks that come with the package: `mocap/weights/<name>.safetensors`, a `.json` and a model card (`.md`).

The JSON names the network, its configuration and the SHA-256 of the tensors. safetensors hold nothing that could run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from mocap.core.config import Config
from mocap.core.errors import FileFormatError, InputError
from mocap.models.published_weights import load_strict

ShippedName = Literal["algebraic_blazepose", "volumetric_blazepose"]
SUFFIX = ".safetensors"
REMEDY = "Take the file from the same version of the package, or reinstall it."


def shipped_names() -> tuple[ShippedName, ...]:
    """What could be shipped, whether or not it is."""
    return get_args(ShippedName)


def is_shipped(name: ShippedName, *, folder: Path | None = None) -> bool:
    """Whether the package holds trained weights of that name."""
    return (_folder(folder) / f"{name}{SUFFIX}").is_file()


def load_shipped(name: ShippedName, *, folder: Path | None = None) -> nn.Module:
    """A trained network, in evaluation mode and in single precision, on the CPU.

    folder: another place than the package, such as that of a training run.
    """
    place = _folder(folder)
    path, note = place / f"{name}{SUFFIX}", place / f"{name}.json"
    if name not in shipped_names():
        raise InputError(f"no shipped network {name!r}; there are {', '.join(shipped_names())}")
    if not path.is_file():
        raise InputError("no trained weights of that name", where=path, remedy="Choose another method, or train one.")
    description = _description(note)
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != description["sha256"]:
        raise FileFormatError(
            f"has SHA-256 {found}, expected {description['sha256']} as in {note.name}", where=path, remedy=REMEDY
        )
    network = _network(description, note)
    try:
        state = {key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in load(content).items()}
    except SafetensorError as error:
        raise FileFormatError(f"is no file of safetensors ({error})", where=path, remedy=REMEDY) from None
    return load_strict(network, state, str(path)).eval()


def write_shipped(
    name: ShippedName, network: nn.Module, config: Config, *, folder: Path, half: bool = False
) -> tuple[Path, Path]:
    """The tensors of a network and what `load_shipped` must know of it. half: floats in 16 bits."""
    kinds = {kind for kind, (_, config_type) in _makers().items() if isinstance(config, config_type)}
    if len(kinds) != 1:
        raise InputError(f"{type(config).__name__} configures no network that can be shipped")
    state = {key: _stored(tensor, half) for key, tensor in network.state_dict().items()}
    content = save(state)
    description = {
        "network": kinds.pop(),
        "config": config.model_dump(mode="json"),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path, note = folder / f"{name}{SUFFIX}", folder / f"{name}.json"
    path.write_bytes(content)
    note.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return path, note


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu().contiguous()
    return tensor.to(torch.float16) if half and tensor.is_floating_point() else tensor


def _folder(given: Path | None) -> Path:
    return given if given is not None else Path(str(resources.files("mocap") / "weights"))


def _description(note: Path) -> dict[str, Any]:
    try:
        description = json.loads(note.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileFormatError("does not lie beside its weights", where=note, remedy=REMEDY) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise FileFormatError(f"is not JSON ({error})", where=note, remedy=REMEDY) from None
    missing = {"network", "config", "sha256"} - set(description if isinstance(description, dict) else ())
    if missing:
        raise FileFormatError(f"lacks {', '.join(sorted(missing))}", where=note, remedy=REMEDY)
    return description


def _network(description: dict[str, Any], note: Path) -> nn.Module:
    makers = _makers()
    if description["network"] not in makers:
        raise FileFormatError(
            f"names the network {description['network']!r}; known are {', '.join(makers)}", where=note, remedy=REMEDY
        )
    make, config_type = makers[description["network"]]
    try:
        config = config_type.model_validate(description["config"])
    except ValueError as error:
        raise FileFormatError(f"has another configuration than this version knows ({error})", where=note) from None
    return make(config)


def _makers() -> dict[str, tuple[Callable[[Any], nn.Module], type[Config]]]:
    from mocap.models.heatmap_volumes import HeatmapVolumeConfig, HeatmapVolumeNet
    from mocap.models.view_confidences import ViewConfidenceConfig, ViewConfidenceNet

    return {
        "heatmap_volumes": (HeatmapVolumeNet, HeatmapVolumeConfig),
        "view_confidences": (ViewConfidenceNet, ViewConfidenceConfig),
    }
