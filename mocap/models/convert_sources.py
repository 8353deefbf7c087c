"""Networks as they lie on disk: published checkpoints, their backbones, and safetensors that say what they hold.

safetensors hold tensors and text, nothing that could run. The text of ours is `network`, a name of `KINDS`, and
`config`, its configuration as JSON; networks that come with the package have both in a JSON file beside them. Without
either the architecture is read off the keys, as of a published checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mocap.core.config import Config
from mocap.core.errors import FileFormatError, InputError
from mocap.geometry.volumes import Aggregation
from mocap.models.heatmap_volumes import HeatmapVolumeConfig, HeatmapVolumeNet
from mocap.models.mobile_pose import MobilePose, MobilePoseConfig
from mocap.models.pose_resnet import PoseResNet, PoseResNetConfig
from mocap.models.published_weights import (
    BACKBONE_PREFIX,
    VOLUME_PREFIX,
    backbone_config,
    load_strict,
    read_state,
    v2v_config,
)
from mocap.models.triangulation_nets import AlgebraicNet, AlgebraicNetConfig, VolumetricNet, VolumetricNetConfig
from mocap.models.v2v import V2V, V2VConfig
from mocap.models.view_confidences import ViewConfidenceConfig, ViewConfidenceNet

SAFETENSORS = ".safetensors"
KINDS: dict[str, tuple[type[nn.Module], type[Any]]] = {
    "algebraic": (AlgebraicNet, AlgebraicNetConfig),
    "volumetric": (VolumetricNet, VolumetricNetConfig),
    "pose_resnet": (PoseResNet, PoseResNetConfig),
    "mobile_pose": (MobilePose, MobilePoseConfig),
    "v2v": (V2V, V2VConfig),
    "heatmap_volumes": (HeatmapVolumeNet, HeatmapVolumeConfig),
    "view_confidences": (ViewConfidenceNet, ViewConfidenceConfig),
}
"""Networks by the name in a file, and their configurations."""
NESTED: dict[str, type[Any]] = {"backbone": PoseResNetConfig, "v2v": V2VConfig}
REMEDY = f"Give a checkpoint (.pth) of tensors, or a {SAFETENSORS} file that `mocap models convert` wrote."


@dataclass(frozen=True, eq=False)
class Source:
    """A network in evaluation mode, on the CPU, in single precision, and its name in `KINDS`."""

    kind: str
    network: nn.Module


def read_source(path: Path, *, aggregation: Aggregation | None = None) -> Source:
    """The network of a file.

    aggregation: for a volumetric checkpoint, which does not say how its views were aggregated; where the file says so,
    another one is refused.
    """
    if not path.is_file():
        raise InputError("no such file", where=path, remedy=REMEDY)
    if path.suffix != SAFETENSORS:
        return _from_keys(read_state(path), path, aggregation)
    state, text = _read_safetensors(path)
    text = text if "network" in text else _note_beside(path)
    if "network" not in text:
        return _from_keys(state, path, aggregation)
    source = _described(state, text, path)
    stated = getattr(source.network.config, "aggregation", None)
    if aggregation is not None and aggregation != stated:
        raise InputError(
            f"the file says that it aggregates by {stated or 'nothing'}, not {aggregation}",
            where=path,
            remedy="Leave the aggregation out.",
        )
    return source


def kind_of(network: nn.Module) -> str:
    """The name of a network's class."""
    kinds = [kind for kind, (made, _) in KINDS.items() if type(network) is made]
    if not kinds:
        raise InputError(f"{type(network).__name__} is no network that can be converted ({', '.join(KINDS)})")
    return kinds[0]


def stated(network: nn.Module) -> dict[str, str]:
    """What `read_source` wants to know of a network, as the text of a file of safetensors."""
    config = getattr(network, "config")  # noqa: B009 - of every class in KINDS
    values = config.model_dump(mode="json") if isinstance(config, Config) else asdict(config)
    return {"network": kind_of(network), "config": json.dumps(values)}


def write_safetensors(network: nn.Module, path: Path) -> None:
    """The tensors by the checkpoint's keys, with what `read_source` wants to know."""
    text = {**stated(network), "format": "pt"}
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    save_file(state, path, metadata=text)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise FileFormatError(f"not a file of safetensors ({error})", where=path, remedy=REMEDY) from None


def _note_beside(path: Path) -> dict[str, str]:
    """What a JSON file of the same name says of a network, as `shipped.write_shipped` leaves it."""
    try:
        told = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(told, dict) or not isinstance(told.get("network"), str) or "config" not in told:
        return {}
    return {"network": told["network"], "config": json.dumps(told["config"])}


def _described(state: Mapping[str, Tensor], text: Mapping[str, str], path: Path) -> Source:
    kind = text["network"]
    if kind not in KINDS:
        raise FileFormatError(f"holds a network {kind!r}; known are {', '.join(KINDS)}", where=path, remedy=REMEDY)
    make, config = KINDS[kind]
    try:
        values = json.loads(text.get("config", ""))
        nested = {key: NESTED[key](**values[key]) for key in NESTED if key in values}
        network = make(config(**(values | nested)))
    except (TypeError, ValueError) as error:
        raise FileFormatError(
            f"says what {kind} network it is in a way that cannot be read ({error})", where=path, remedy=REMEDY
        ) from None
    return Source(kind, load_strict(network, state, str(path)).eval())


def _from_keys(state: Mapping[str, Tensor], path: Path, aggregation: Aggregation | None) -> Source:
    """As published: a volumetric or an algebraic network, or its PoseResNet alone with or without `backbone.`."""
    where = str(path)
    if f"{VOLUME_PREFIX}output_layer.weight" in state:
        backbone = backbone_config(state, where)
        chosen: Aggregation = aggregation or ("conf_norm" if backbone.vol_confidences else "softmax")
        network: nn.Module = VolumetricNet(VolumetricNetConfig(backbone, v2v_config(state, where), aggregation=chosen))
        return Source("volumetric", load_strict(network, state, where).eval())
    if aggregation is not None:
        raise InputError("holds no volumetric network, so nothing is aggregated", where=path)
    inside = {key.removeprefix(BACKBONE_PREFIX) for key in state}
    if f"{BACKBONE_PREFIX}alg_confidences.head.4.bias" in state:
        network = AlgebraicNet(AlgebraicNetConfig(backbone_config(state, where)))
        return Source("algebraic", load_strict(network, state, where).eval())
    if "final_layer.weight" not in inside:
        raise FileFormatError(
            f"holds none of the networks that are known by their keys (a PoseResNet, alone or in one of the published "
            f"networks); its first keys are {', '.join(list(state)[:3])}",
            where=path,
            remedy=REMEDY,
        )
    state = {key.removeprefix(BACKBONE_PREFIX): tensor for key, tensor in state.items()}
    return Source("pose_resnet", load_strict(PoseResNet(backbone_config(state, where, "")), state, where).eval())
