from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mocap.models.mobile_pose import InvertedResidual, MobilePose, MobilePoseConfig, scaled_channels


def parameters(width: float) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in MobilePose(MobilePoseConfig(39, width)).parameters())


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_maps_are_a_quarter_of_the_picture(width):
    network = MobilePose(MobilePoseConfig(joints=5, width=width, features=24, confidences=5)).eval()
    with torch.no_grad():
        maps = network(torch.randn(2, 3, 64, 96))
    assert maps.heatmaps.shape == (2, 5, 16, 24)
    assert maps.features.shape == (2, 24, 16, 24)
    assert maps.alg_confidences is not None
    assert maps.alg_confidences.shape == (2, 5)
    assert maps.vol_confidences is None


def test_width_makes_it_larger():
    sizes = [parameters(width) for width in (0.25, 0.5, 0.75, 1.0, 1.4)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 0.15 * sizes[3]


@given(st.integers(1, 400), st.floats(0.05, 3))
def test_channels_are_multiples_of_eight_near_what_is_asked(channels, width):
    scaled = scaled_channels(channels, width)
    assert scaled % 8 == 0
    assert scaled >= max(8, 0.9 * channels * width)
    assert scaled <= max(8, channels * width + 8)


def test_spatial_convolutions_are_depthwise():
    """All but the first, which sees three colours."""
    network = MobilePose(MobilePoseConfig())
    spatial = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size != (1, 1)]
    assert all(conv.groups == conv.in_channels == conv.out_channels for conv in spatial[1:])


def test_identity_is_added_only_where_shapes_agree():
    assert InvertedResidual(16, 16, expansion=6, stride=1).identity
    assert not InvertedResidual(16, 16, expansion=6, stride=2).identity
    assert not InvertedResidual(16, 24, expansion=6, stride=1).identity


def test_every_parameter_gets_a_gradient():
    network = MobilePose(MobilePoseConfig(joints=3, width=0.35, features=16, confidences=3))
    maps = network(torch.randn(2, 3, 64, 64))
    (maps.heatmaps.square().mean() + maps.alg_confidences.sum()).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


def test_pictures_do_not_see_each_other():
    network = MobilePose(MobilePoseConfig(joints=3, width=0.35, features=16)).eval()
    pictures = torch.randn(3, 3, 64, 32)
    with torch.no_grad():
        together = network(pictures).heatmaps
        alone = torch.cat([network(p[None]).heatmaps for p in pictures])
    assert torch.allclose(together, alone, atol=1e-5)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="width and features must be positive"):
        MobilePoseConfig(width=0.0)
    with pytest.raises(ValueError, match="size 48×64: every side must be a multiple of 32"):
        MobilePose(MobilePoseConfig(width=0.25)).eval()(torch.zeros(1, 3, 48, 64))
