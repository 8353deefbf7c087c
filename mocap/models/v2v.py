"""V2V: a 3D encoder-decoder from volumes of features to volumes of joint scores (Moon et al., CVPR 2018).

The shape is that of Learnable Triangulation (Iskakov et al., ICCV 2019), whose checkpoints' keys are the names of the
parts; its size is `V2VConfig()`. Smaller ones serve small devices.
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from mocap.models.pose_resnet import check_multiple


@dataclass(frozen=True)
class V2VConfig:
    """width: channels at full size (twice that one level down, four times below). depth: how often the size is halved.

    front_kernel: side of the first convolution; 7³ is a third of the published network's multiplications at full size.
    """

    channels_in: int = 32
    joints: int = 17
    width: int = 32
    depth: int = 5
    front_kernel: int = 7

    def __post_init__(self) -> None:
        if self.width < 2 or self.depth < 1 or self.front_kernel % 2 == 0:
            raise ValueError(f"{self}: width must be at least 2, depth at least 1, front_kernel odd")

    @property
    def level_channels(self) -> tuple[int, ...]:
        """Channels at full size, half, quarter, …"""
        return self.width, 2 * self.width, *[4 * self.width] * (self.depth - 1)


class Basic3DBlock(nn.Module):
    """A convolution that keeps the size, normalised."""

    def __init__(self, channels_in: int, channels: int, kernel: int) -> None:
        super().__init__()
        conv = nn.Conv3d(channels_in, channels, kernel, padding=kernel // 2)
        self.block = nn.Sequential(conv, nn.BatchNorm3d(channels), nn.ReLU(inplace=True))

    def forward(self, x: Float[Tensor, "N Fin X Y Z"]) -> Float[Tensor, "N Fout X Y Z"]:
        return self.block(x)


class Res3DBlock(nn.Module):
    """Two 3³ convolutions beside a skip connection (1³ where the channels differ)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        first = [nn.Conv3d(channels_in, channels, 3, padding=1), nn.BatchNorm3d(channels), nn.ReLU(inplace=True)]
        second = [nn.Conv3d(channels, channels, 3, padding=1), nn.BatchNorm3d(channels)]
        self.res_branch = nn.Sequential(*first, *second)
        change = [] if channels_in == channels else [nn.Conv3d(channels_in, channels, 1), nn.BatchNorm3d(channels)]
        self.skip_con = nn.Sequential(*change)

    def forward(self, x: Float[Tensor, "N Fin X Y Z"]) -> Float[Tensor, "N Fout X Y Z"]:
        return functional.relu(self.res_branch(x) + self.skip_con(x), inplace=True)


class Upsample3DBlock(nn.Module):
    """Twice the size by a transposed 2³ convolution."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        deconv = nn.ConvTranspose3d(channels_in, channels, 2, stride=2)
        self.block = nn.Sequential(deconv, nn.BatchNorm3d(channels), nn.ReLU(inplace=True))

    def forward(self, x: Float[Tensor, "N Fin X Y Z"]) -> Float[Tensor, "N Fout X2 Y2 Z2"]:
        return self.block(x)


class EncoderDecoder(nn.Module):
    """Halve `len(channels) - 1` times, come back, and add at every size what was there on the way down."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.levels = range(1, len(channels))
        for level in self.levels:
            above, below = channels[level - 1], channels[level]
            self.add_module(f"skip_res{level}", Res3DBlock(above, above))
            self.add_module(f"encoder_res{level}", Res3DBlock(above, below))
            self.add_module(f"decoder_res{level}", Res3DBlock(below, below))
            self.add_module(f"decoder_upsample{level}", Upsample3DBlock(below, above))
        self.mid_res = Res3DBlock(channels[-1], channels[-1])

    def forward(self, x: Float[Tensor, "N F X Y Z"]) -> Float[Tensor, "N F X Y Z"]:
        skips = []
        for level in self.levels:
            skips.append(self.get_submodule(f"skip_res{level}")(x))
            x = self.get_submodule(f"encoder_res{level}")(functional.max_pool3d(x, 2))
        x = self.mid_res(x)
        for level in reversed(self.levels):
            x = self.get_submodule(f"decoder_res{level}")(x)
            x = self.get_submodule(f"decoder_upsample{level}")(x) + skips[level - 1]
        return x


class V2V(nn.Module):
    """Volumes (N, F, X, Y, Z), every side a multiple of 2**depth, to unnormalised scores (N, J, X, Y, Z)."""

    def __init__(self, config: V2VConfig) -> None:
        super().__init__()
        width = config.width
        self.config = config
        self.front_layers = nn.Sequential(
            Basic3DBlock(config.channels_in, width // 2, config.front_kernel),
            Res3DBlock(width // 2, width),
            Res3DBlock(width, width),
            Res3DBlock(width, width),
        )
        self.encoder_decoder = EncoderDecoder(config.level_channels)
        self.back_layers = nn.Sequential(
            Res3DBlock(width, width), Basic3DBlock(width, width, 1), Basic3DBlock(width, width, 1)
        )
        self.output_layer = nn.Conv3d(width, config.joints, 1)

    def forward(self, volumes: Float[Tensor, "N F X Y Z"]) -> Float[Tensor, "N J X Y Z"]:
        check_multiple(volumes.shape[-3:], 2**self.config.depth)
        return self.output_layer(self.back_layers(self.encoder_decoder(self.front_layers(volumes))))
