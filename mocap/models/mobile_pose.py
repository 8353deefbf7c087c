"""MobilePose: pictures to heatmaps at a quarter of the size on small devices, with a width multiplier.

Inverted residuals of depthwise-separable convolutions (MobileNetV2, Sandler et al., CVPR 2018, table 2 without its last
two rows), then three steps back up that add the encoder's features of the same size. At width 1 and 39 joints 1.4 M
parameters; no transposed convolutions, no dynamic sizes.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mocap.models.pose_resnet import COARSEST_STRIDE, PoseMaps, check_multiple

CHANNEL_STEP = 8
"""Channels are multiples of this, so that vector units are full."""
STEM = 32
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
"""Expansion, channels, blocks, stride of the first."""
LATERAL = (1, 2, 4)
"""Stages whose output is the last of strides 4, 8 and 16."""


@dataclass(frozen=True)
class MobilePoseConfig:
    """width multiplies the encoder's channels. features: channels before the heatmaps. confidences: outputs, or 0."""

    joints: int = 17
    width: float = 1.0
    features: int = 96
    confidences: int = 0

    def __post_init__(self) -> None:
        if self.width <= 0 or self.features < 1:
            raise ValueError(f"{self}: width and features must be positive")


def scaled_channels(channels: int, width: float) -> int:
    """channels × width to the nearest multiple of 8, never less than 8 nor a tenth below what was asked."""
    wanted = channels * width
    nearest = max(CHANNEL_STEP, int(wanted + CHANNEL_STEP / 2) // CHANNEL_STEP * CHANNEL_STEP)
    return nearest if nearest >= 0.9 * wanted else nearest + CHANNEL_STEP


class InvertedResidual(nn.Module):
    """1×1 up, depthwise 3×3, 1×1 down without a nonlinearity; the identity is added where shapes agree."""

    def __init__(self, channels_in: int, channels: int, *, expansion: int, stride: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        up = [] if expansion == 1 else _conv(channels_in, hidden, 1)
        down = [nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels)]
        self.block = nn.Sequential(*up, *_conv(hidden, hidden, 3, stride=stride, groups=hidden), *down)
        self.identity = stride == 1 and channels_in == channels

    def forward(self, x: Float[Tensor, "N Fin H W"]) -> Float[Tensor, "N Fout h w"]:
        return x + self.block(x) if self.identity else self.block(x)


class UpStep(nn.Module):
    """Twice the size, plus the encoder's features there, then a depthwise-separable 5×5 convolution."""

    def __init__(self, channels: int, lateral: int) -> None:
        super().__init__()
        self.lateral = nn.Sequential(nn.Conv2d(lateral, channels, 1, bias=False), nn.BatchNorm2d(channels))
        self.mix = nn.Sequential(*_conv(channels, channels, 5, groups=channels), *_conv(channels, channels, 1))

    def forward(self, x: Float[Tensor, "N F h w"], beside: Float[Tensor, "N Flateral H W"]) -> Float[Tensor, "N F H W"]:
        doubled = functional.interpolate(x, scale_factor=2.0, mode="nearest")
        return self.mix(doubled + self.lateral(beside))


class MobilePose(nn.Module):
    """Pictures (N, 3, H, W), H and W multiples of 32, to heatmaps and features (N, ·, H/4, W/4) and confidences."""

    def __init__(self, config: MobilePoseConfig) -> None:
        super().__init__()
        self.config = config
        stem = scaled_channels(STEM, config.width)
        outputs = [scaled_channels(channels, config.width) for _, channels, _, _ in STAGES]
        inputs = [stem, *outputs[:-1]]
        self.stem = nn.Sequential(*_conv(3, stem, 3, stride=2))
        self.stages = nn.ModuleList(map(_stage, STAGES, inputs, outputs))
        self.neck = nn.Sequential(*_conv(outputs[-1], config.features, 1))
        self.up = nn.ModuleList(UpStep(config.features, outputs[index]) for index in reversed(LATERAL))
        self.final_layer = nn.Conv2d(config.features, config.joints, 1)
        self.confidences = _confidence_head(outputs[-1], config.confidences) if config.confidences else None

    def forward(self, pictures: Float[Tensor, "N 3 H W"]) -> PoseMaps:
        check_multiple(pictures.shape[-2:], COARSEST_STRIDE)
        x = self.stem(pictures)
        encoded = []
        for stage in self.stages:
            x = stage(x)
            encoded.append(x)
        features = self.neck(x)
        for step, index in zip(self.up, reversed(LATERAL), strict=True):
            features = step(features, encoded[index])
        confidences = None if self.confidences is None else self.confidences(x.mean((-2, -1)))
        return PoseMaps(self.final_layer(features), features, alg_confidences=confidences)


def _stage(row: tuple[int, int, int, int], channels_in: int, channels: int) -> nn.Sequential:
    expansion, _, count, stride = row
    first = InvertedResidual(channels_in, channels, expansion=expansion, stride=stride)
    rest = [InvertedResidual(channels, channels, expansion=expansion, stride=1) for _ in range(count - 1)]
    return nn.Sequential(first, *rest)


def _conv(channels_in: int, channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(channels_in, channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(channels), nn.ReLU6(inplace=True)]


def _confidence_head(channels_in: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(channels_in, 64), nn.ReLU(inplace=True), nn.Linear(64, outputs), nn.Sigmoid())
