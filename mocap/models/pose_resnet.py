"""PoseResNet: a residual network and three transposed convolutions, from pictures to heatmaps at a quarter of the size.

Simple Baselines (Xiao et al., ECCV 2018) as Learnable Triangulation (Iskakov et al., ICCV 2019) uses it: 256 channels
of features before the heatmaps, and heads that give each view a confidence. The names of the parts are the published
checkpoints' keys. Residual blocks: He et al., CVPR 2016, with the stride on the 3×3 convolution of a bottleneck.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

STRIDE = 4
"""Pixels of the picture per pixel of the heatmap."""
COARSEST_STRIDE = 32
FEATURES = 256


@dataclass(frozen=True)
class PoseResNetConfig:
    """depth: layers of the residual network. *_confidences: outputs of that head a view; 0 leaves the head out."""

    depth: int = 152
    joints: int = 17
    alg_confidences: int = 0
    vol_confidences: int = 0


@dataclass(frozen=True, eq=False)
class PoseMaps:
    """What a view's picture says. heatmaps are unnormalised scores; confidences in [0, 1], None without their head."""

    heatmaps: Float[Tensor, "N J h w"]
    features: Float[Tensor, "N F h w"]
    alg_confidences: Float[Tensor, "N J"] | None = None
    vol_confidences: Float[Tensor, "N V"] | None = None


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a skip connection; the first has the stride."""

    expansion = 1

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _downsample(channels_in, channels * self.expansion, stride)

    def forward(self, x: Float[Tensor, "N Fin H W"]) -> Float[Tensor, "N Fout h w"]:
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)) + skip)


class Bottleneck(nn.Module):
    """1×1, 3×3 (with the stride), 1×1 to four times the channels, beside a skip connection."""

    expansion = 4

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _downsample(channels_in, channels * self.expansion, stride)

    def forward(self, x: Float[Tensor, "N Fin H W"]) -> Float[Tensor, "N Fout h w"]:
        skip = x if self.downsample is None else self.downsample(x)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.relu(self.bn2(self.conv2(x)))
        return self.relu(self.bn3(self.conv3(x)) + skip)


Block = type[BasicBlock] | type[Bottleneck]

DEPTHS: dict[int, tuple[Block, tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}
"""Blocks in each of the four layers (He et al., table 1)."""


class ConfidenceHead(nn.Module):
    """How far to trust a view, from the coarsest features: two convolutions, their spatial mean, a small MLP, sigmoid.

    Needs at least 4×4 features, pictures of 128×128.
    """

    def __init__(self, channels_in: int, outputs: int) -> None:
        super().__init__()
        self.features = nn.Sequential(*_pooled_conv(channels_in, 512), *_pooled_conv(512, 256))
        hidden = [nn.Linear(256, 512), nn.ReLU(inplace=True), nn.Linear(512, 256), nn.ReLU(inplace=True)]
        self.head = nn.Sequential(*hidden, nn.Linear(256, outputs), nn.Sigmoid())

    def forward(self, x: Float[Tensor, "N F h w"]) -> Float[Tensor, "N V"]:
        return self.head(self.features(x).mean((-2, -1)))


class PoseResNet(nn.Module):
    """Pictures (N, 3, H, W), H and W multiples of 32, to heatmaps and features (N, ·, H/4, W/4) and confidences."""

    def __init__(self, config: PoseResNetConfig) -> None:
        super().__init__()
        if config.depth not in DEPTHS:
            raise ValueError(f"depth is {config.depth}; PoseResNet comes in depths {sorted(DEPTHS)}")
        block, counts = DEPTHS[config.depth]
        self.config = config
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _layer(block, 64, 64, count=counts[0], stride=1)
        self.layer2 = _layer(block, 64 * block.expansion, 128, count=counts[1], stride=2)
        self.layer3 = _layer(block, 128 * block.expansion, 256, count=counts[2], stride=2)
        self.layer4 = _layer(block, 256 * block.expansion, 512, count=counts[3], stride=2)
        deepest = 512 * block.expansion
        self.alg_confidences = _head(deepest, config.alg_confidences)
        self.vol_confidences = _head(deepest, config.vol_confidences)
        self.deconv_layers = nn.Sequential(*_doubled(deepest), *_doubled(FEATURES), *_doubled(FEATURES))
        self.final_layer = nn.Conv2d(FEATURES, config.joints, 1)

    def forward(self, pictures: Float[Tensor, "N 3 H W"]) -> PoseMaps:
        check_multiple(pictures.shape[-2:], COARSEST_STRIDE)
        x = self.maxpool(self.relu(self.bn1(self.conv1(pictures))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        features = self.deconv_layers(x)
        return PoseMaps(
            heatmaps=self.final_layer(features),
            features=features,
            alg_confidences=None if self.alg_confidences is None else self.alg_confidences(x),
            vol_confidences=None if self.vol_confidences is None else self.vol_confidences(x),
        )


def check_multiple(size: torch.Size, multiple: int) -> None:
    """Refuse sizes whose halves would not meet again: every axis must be a multiple."""
    if any(n == 0 or n % multiple for n in size):
        raise ValueError(f"size {'×'.join(str(n) for n in size)}: every side must be a multiple of {multiple}")


def _layer(block: Block, channels_in: int, channels: int, *, count: int, stride: int) -> nn.Sequential:
    """`count` blocks, the first of which changes channels and size."""
    rest = [block(channels * block.expansion, channels, 1) for _ in range(count - 1)]
    return nn.Sequential(block(channels_in, channels, stride), *rest)


def _downsample(channels_in: int, channels: int, stride: int) -> nn.Sequential | None:
    """The skip connection where it cannot be the identity."""
    if stride == 1 and channels_in == channels:
        return None
    return nn.Sequential(nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))


def _doubled(channels_in: int) -> list[nn.Module]:
    """Twice the size by a transposed convolution."""
    deconv = nn.ConvTranspose2d(channels_in, FEATURES, 4, stride=2, padding=1, bias=False)
    return [deconv, nn.BatchNorm2d(FEATURES), nn.ReLU(inplace=True)]


def _pooled_conv(channels_in: int, channels: int) -> list[nn.Module]:
    """Half the size by pooling after the normalisation, as the published head does."""
    conv = nn.Conv2d(channels_in, channels, 3, padding=1)
    return [conv, nn.BatchNorm2d(channels), nn.MaxPool2d(2), nn.ReLU(inplace=True)]


def _head(channels_in: int, outputs: int) -> ConfidenceHead | None:
    return ConfidenceHead(channels_in, outputs) if outputs else None
