"""Checkpoints of Learnable Triangulation (Iskakov et al., ICCV 2019), read strictly and without running what they hold.

The architecture (depth, joints, heads) is read off the keys, so that a file of another size loads too.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from mocap.core.errors import FileFormatError
from mocap.geometry.volumes import Aggregation
from mocap.models.pose_resnet import DEPTHS, Bottleneck, PoseResNet, PoseResNetConfig
from mocap.models.triangulation_nets import AlgebraicNet, AlgebraicNetConfig, VolumetricNet, VolumetricNetConfig
from mocap.models.v2v import V2VConfig

WRAPPERS = ("state_dict", "model_state_dict")
PARALLEL_PREFIX = "module."
BACKBONE_PREFIX = "backbone."
VOLUME_PREFIX = "volume_net."
NAMED_KEYS = 5
"""How many keys an error names of each kind."""

Network = TypeVar("Network", bound=nn.Module)


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint by key, `state_dict` unwrapped and `module.` stripped; on the CPU, nothing is run."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # zip, tar and pickle errors of many kinds; all mean the same to the user
        reason = str(error).strip().split("\n")[0]
        raise FileFormatError(
            f"{path}: cannot be read as a checkpoint of tensors ({reason}). Expected the weights.pth of a published "
            "model; files that hold anything but tensors are not opened, because reading them could run code."
        ) from error
    return _tensors(content, path)


def load_strict(network: Network, state: Mapping[str, Tensor], source: str) -> Network:
    """Fill a network with exactly its tensors; anything missing, surplus or of another shape is named."""
    own = network.state_dict()
    faults = [
        _named("missing", [key for key in own if key not in state]),
        _named("surplus", [key for key in state if key not in own]),
        _named(
            "of another shape", [_shapes(k, state[k], own[k]) for k in own if k in state and _differ(k, state, own)]
        ),
    ]
    if any(faults):
        raise FileFormatError(f"{source}: does not fit the network. " + " ".join(fault for fault in faults if fault))
    network.load_state_dict(state, strict=True)
    return network


def backbone_config(state: Mapping[str, Tensor], source: str, prefix: str = BACKBONE_PREFIX) -> PoseResNetConfig:
    """Depth, joints and heads of the PoseResNet whose keys start with `prefix`."""
    counts = tuple(len(_blocks(state, f"{prefix}layer{layer}.")) for layer in (1, 2, 3, 4))
    bottleneck = f"{prefix}layer1.0.conv3.weight" in state
    depths = [d for d, (block, n) in DEPTHS.items() if n == counts and (block is Bottleneck) == bottleneck]
    final = state.get(f"{prefix}final_layer.weight")
    if not depths or final is None:
        raise FileFormatError(
            f"{source}: holds no PoseResNet under '{prefix}' (blocks a layer: {counts}; known depths: {list(DEPTHS)})."
        )
    return PoseResNetConfig(
        depth=depths[0],
        joints=final.shape[0],
        alg_confidences=_outputs(state, f"{prefix}alg_confidences.head.4.bias"),
        vol_confidences=_outputs(state, f"{prefix}vol_confidences.head.4.bias"),
    )


def load_published(path: Path, *, aggregation: Aggregation | None = None) -> AlgebraicNet | VolumetricNet:
    """The network of a checkpoint, volumetric where it holds a `volume_net`, in evaluation mode.

    aggregation: which of the five the file was trained with, as it does not say: by default softmax, and conf_norm
    where there are confidences for the volume.
    """
    state = read_state(path)
    backbone = backbone_config(state, str(path))
    if f"{VOLUME_PREFIX}output_layer.weight" not in state:
        return load_strict(AlgebraicNet(AlgebraicNetConfig(backbone)), state, str(path)).eval()
    chosen: Aggregation = aggregation or ("conf_norm" if backbone.vol_confidences else "softmax")
    config = VolumetricNetConfig(backbone, v2v_config(state, str(path)), aggregation=chosen)
    return load_strict(VolumetricNet(config), state, str(path)).eval()


def load_published_backbone(path: Path) -> PoseResNet:
    """A file with the 2D network alone, its keys with or without `backbone.`; in evaluation mode."""
    state = read_state(path)
    if all(key.startswith(BACKBONE_PREFIX) for key in state):
        state = {key.removeprefix(BACKBONE_PREFIX): tensor for key, tensor in state.items()}
    config = backbone_config(state, str(path), prefix="")
    return load_strict(PoseResNet(config), state, str(path)).eval()


def v2v_config(state: Mapping[str, Tensor], source: str, prefix: str = VOLUME_PREFIX) -> V2VConfig:
    """Channels, joints, width and depth of the V2V whose keys start with `prefix`."""
    front, output = (state.get(prefix + key) for key in ("front_layers.0.block.0.weight", "output_layer.weight"))
    if front is None or output is None or front.ndim != 5:
        raise FileFormatError(f"{source}: holds no V2V under '{prefix}'.")
    levels = {name for name in _blocks(state, f"{prefix}encoder_decoder.") if name.startswith("encoder_res")}
    return V2VConfig(
        channels_in=front.shape[1],
        joints=output.shape[0],
        width=output.shape[1],
        depth=len(levels),
        front_kernel=front.shape[-1],
    )


def _tensors(content: Any, path: Path) -> dict[str, Tensor]:
    for name in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not content:
        raise FileFormatError(f"{path}: holds {type(content).__name__}, expected tensors by name.")
    strange = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise FileFormatError(f"{path}: expected tensors by name. {_named('not a tensor', strange)}")
    state = {str(key).removeprefix(PARALLEL_PREFIX): value for key, value in content.items()}
    if len(state) < len(content):
        raise FileFormatError(f"{path}: the same keys with and without '{PARALLEL_PREFIX}'.")
    return state


def _blocks(state: Mapping[str, Tensor], prefix: str) -> set[str]:
    return {key.removeprefix(prefix).split(".")[0] for key in state if key.startswith(prefix)}


def _outputs(state: Mapping[str, Tensor], key: str) -> int:
    return state[key].shape[0] if key in state else 0


def _differ(key: str, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> bool:
    return state[key].shape != own[key].shape


def _shapes(key: str, given: Tensor, expected: Tensor) -> str:
    return f"{key} {tuple(given.shape)}, expected {tuple(expected.shape)}"


def _named(kind: str, keys: list[str]) -> str:
    """`2 missing: a; b.`, the first few by name; nothing where there are none."""
    if not keys:
        return ""
    more = f"; and {len(keys) - NAMED_KEYS} more" if len(keys) > NAMED_KEYS else ""
    return f"{len(keys)} {kind}: {'; '.join(keys[:NAMED_KEYS])}{more}."
