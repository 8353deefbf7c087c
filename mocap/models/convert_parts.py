"""The parts of a network that other runtimes can compute: convolutions. What is geometry stays in torch.

A triangulation network is a picture network, which every view passes alone, and (volumetric) a volume network; between
them lie the lifting and after them a soft-argmax or a triangulation of double precision, which are short.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mocap.core.errors import InputError
from mocap.models.mobile_pose import MobilePose
from mocap.models.pose_resnet import COARSEST_STRIDE, PoseMaps, PoseResNet
from mocap.models.triangulation_nets import AlgebraicNet, VolumetricNet
from mocap.models.v2v import V2V

PICTURE_AXES = ("N", None, "H", "W")
LEAST_SIDE = 128
"""Of pictures where views get a confidence: its head halves the coarsest features twice."""
VOLUME_AXES = ("N", None, "X", "Y", "Z")


@dataclass(frozen=True, eq=False)
class Part:
    """A network of one input and some outputs. example: an input; axes: names of those of its axes that can be free."""

    name: str
    network: nn.Module
    input: str
    outputs: tuple[str, ...]
    example: Tensor
    axes: tuple[str | None, ...]
    multiple: int
    """What every side of the input must be a multiple of."""


class PictureNetwork(nn.Module):
    """Pictures (N, 3, H, W) to some of the maps of a network, as a tuple in the order of `outputs`.

    features: what a volumetric network lifts, after its 1×1 convolution `last`.
    """

    def __init__(self, network: nn.Module, outputs: tuple[str, ...], last: nn.Module | None = None) -> None:
        super().__init__()
        self.network, self.outputs, self.last = network, outputs, last
        self.eval()

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        maps: PoseMaps = self.network(pictures)
        found = [getattr(maps, name) for name in self.outputs]
        if self.last is None:
            return tuple(found)
        return (self.last(found[0]), *found[1:])


def parts_of(network: nn.Module, *, size: tuple[int, int], views: int) -> tuple[Part, ...]:
    """size: (width, height) of pictures. views: how many pictures the examples have."""
    if isinstance(network, V2V):
        return (_volume(network, side=2**network.config.depth * 4),)
    if isinstance(network, VolumetricNet):
        outputs = ("features", *(head for head in _heads(network.backbone) if head == "vol_confidences"))
        pictures = PictureNetwork(network.backbone, outputs, network.process_features)
        return _pictures(pictures, size, views), _volume(network.volume_net, side=network.config.size)
    if isinstance(network, AlgebraicNet):
        outputs = ("heatmaps", *(head for head in _heads(network.backbone) if head == "alg_confidences"))
        return (_pictures(PictureNetwork(network.backbone, outputs), size, views),)
    if isinstance(network, (PoseResNet, MobilePose)):
        return (_pictures(PictureNetwork(network, ("heatmaps", "features", *_heads(network))), size, views),)
    raise InputError(
        f"{type(network).__name__} is attention between steps of geometry: no parts that other runtimes compute",
        remedy="Convert it with --to safetensors; `mocap process` runs it as it is.",
    )


def computed(part: Part, given: Tensor | None = None) -> Mapping[str, Tensor]:
    """What torch says of the example, or of another input."""
    with torch.inference_mode():
        found = part.network(part.example if given is None else given)
    return dict(zip(part.outputs, (found,) if isinstance(found, Tensor) else found, strict=True))


def _heads(network: PoseResNet | MobilePose) -> list[str]:
    """Which confidences the network's maps have."""
    if isinstance(network, MobilePose):
        return ["alg_confidences"] if network.config.confidences else []
    return [name for name in ("alg_confidences", "vol_confidences") if getattr(network, name) is not None]


def _pictures(network: PictureNetwork, size: tuple[int, int], views: int) -> Part:
    least = LEAST_SIDE if len(network.outputs) > 1 else COARSEST_STRIDE
    if any(side < least or side % COARSEST_STRIDE for side in size):
        raise InputError(
            f"pictures of {size[0]}x{size[1]} do not fit the network",
            remedy=f"Choose a width and a height of at least {least} that are multiples of {COARSEST_STRIDE}.",
        )
    example = torch.randn(views, 3, size[1], size[0], generator=torch.Generator().manual_seed(1))
    return Part("pictures", network, "pictures", network.outputs, example, PICTURE_AXES, COARSEST_STRIDE)


def _volume(network: V2V, *, side: int) -> Part:
    shape = (1, network.config.channels_in, side, side, side)
    example = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    return Part("volume", network, "volumes", ("scores",), example, VOLUME_AXES, 2**network.config.depth)
