from __future__ import annotations

import pytest
import torch
from published_worlds import published_shapes, shapes_of

from mocap.models.v2v import V2V, Res3DBlock, V2VConfig


@pytest.mark.parametrize(
    ("config", "sides"),
    [
        (V2VConfig(channels_in=3, joints=5, width=8, depth=2, front_kernel=3), (4, 8, 12)),
        (V2VConfig(channels_in=6, joints=2, width=4, depth=3), (16, 8, 8)),
        (V2VConfig(channels_in=39, joints=39, width=8, depth=1, front_kernel=5), (2, 4, 6)),
    ],
)
def test_scores_have_the_size_of_the_volume(config, sides):
    network = V2V(config).eval()
    with torch.no_grad():
        scores = network(torch.randn(2, config.channels_in, *sides))
    assert scores.shape == (2, config.joints, *sides)


def test_channels_double_and_then_stay():
    assert V2VConfig().level_channels == (32, 64, 128, 128, 128, 128)
    assert V2VConfig(width=16, depth=1).level_channels == (16, 32)


def test_default_is_the_published_network():
    _, volumetric, _ = published_shapes()
    with torch.device("meta"):
        shapes = shapes_of(V2V(V2VConfig()))
    assert shapes == {k.removeprefix("volume_net."): v for k, v in volumetric.items() if k.startswith("volume_net.")}


def test_residual_block_adds_its_input():
    block = Res3DBlock(4, 4).eval()
    torch.nn.init.zeros_(block.res_branch[3].weight)
    torch.nn.init.zeros_(block.res_branch[3].bias)
    volume = torch.randn(1, 4, 3, 4, 5)
    with torch.no_grad():
        assert torch.equal(block(volume), volume.relu())


def test_the_block_leaves_its_input_as_it_was():
    volume = torch.randn(1, 4, 2, 2, 2)
    before = volume.clone()
    Res3DBlock(4, 4).eval()(volume)
    assert torch.equal(volume, before)


def test_shifted_volumes_give_shifted_scores():
    """By as much as the coarsest level's cell; away from the border, which sees other padding."""
    torch.manual_seed(0)
    network = V2V(V2VConfig(channels_in=2, joints=2, width=4, depth=1, front_kernel=3)).double().eval()
    volume = torch.zeros(1, 2, 48, 4, 4, dtype=torch.float64)
    volume[:, :, 22:24] = torch.randn(1, 2, 2, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        plain, shifted = network(volume), network(volume.roll(2, dims=2))
    assert torch.allclose(plain[:, :, 20:26], shifted[:, :, 22:28], atol=1e-12)


def test_every_parameter_gets_a_gradient():
    network = V2V(V2VConfig(channels_in=2, joints=3, width=4, depth=2, front_kernel=3))
    network(torch.randn(2, 2, 8, 8, 8)).square().mean().backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("wrong", [{"width": 1}, {"depth": 0}, {"front_kernel": 4}])
def test_impossible_sizes_are_refused(wrong):
    with pytest.raises(ValueError, match="width must be at least 2, depth at least 1, front_kernel odd"):
        V2VConfig(**wrong)


def test_volume_that_cannot_be_halved_is_refused():
    network = V2V(V2VConfig(channels_in=1, joints=1, width=2, depth=2)).eval()
    with pytest.raises(ValueError, match="size 8×6×8: every side must be a multiple of 4"):
        network(torch.zeros(1, 1, 8, 6, 8))
