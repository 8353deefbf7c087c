"""Attention among the keypoints of a body, and small perceptrons. Axes: N samples, K keypoints, W width of a token."""

from __future__ import annotations

from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

FIRST_SCALE = 0.1
"""Of the weights of a network's last layer: what it says at first is what its bias says."""


class Exchange(nn.Module):
    """Every keypoint asks all others, then thinks: a transformer's layer, normalised first (Xiong et al. 2020)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise ValueError(f"a width of {width} cannot be divided among {heads} heads")
        self.heads = heads
        self.before_asking, self.before_thinking = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask = nn.Linear(width, 3 * width)
        self.answer = nn.Linear(width, width)
        self.think = perceptron(width, 2 * width, width)

    def forward(self, tokens: Float[Tensor, "N K W"]) -> Float[Tensor, "N K W"]:
        asked = self.ask(self.before_asking(tokens)).unflatten(-1, (3, self.heads, -1))
        query, key, value = asked.permute(2, 0, 3, 1, 4)
        heard = functional.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.answer(heard.transpose(1, 2).flatten(-2))
        return tokens + self.think(self.before_thinking(tokens))


def perceptron(*widths: int) -> nn.Sequential:
    """Linear layers of these widths with GELU between them."""
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.GELU()]
    last = layers[-2]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.bias)
    last.weight.data.mul_(FIRST_SCALE)
    return nn.Sequential(*layers[:-1])
