"""What the published implementation of Learnable Triangulation computes, and how to refill its weights.

The reference holds no weights: they follow from the keys by `tensor_of_key`. The fixture is its first sample and its
list of keys; where the whole of it lies beside the checkout, two samples, that is used.
"""

from __future__ import annotations

import re
import zlib
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

FIXTURE = Path(__file__).parent / "fixtures" / "learnable_triangulation.npz"
WHOLE = Path(__file__).resolve().parents[4] / "shared" / "reference" / "learnable_triangulation_outputs.npz"


def published_shapes() -> list[dict[str, tuple[int, ...]]]:
    """Key -> shape of the algebraic network, the volumetric one, and what the latter has more for confidences."""
    with np.load(FIXTURE) as arrays:
        text = arrays["state_dict_txt"].tobytes().decode()
    sections: list[dict[str, tuple[int, ...]]] = []
    for line in text.splitlines():
        if line.startswith("#"):
            sections.append({})
            continue
        key, _, shape = line.partition(" ")
        sections[-1][key] = tuple(int(n) for n in re.findall(r"\d+", shape))
    return sections


@cache
def published_outputs() -> dict[str, np.ndarray]:
    """Inputs and outputs of the published networks, samples first."""
    with np.load(WHOLE if WHOLE.is_file() else FIXTURE) as arrays:
        return {key: arrays[key] for key in arrays if key != "state_dict_txt"}


def shapes_of(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}


@cache
def tensor_of_key(key: str, shape: tuple[int, ...]) -> torch.Tensor:
    """The rule that the reference was filled by; the key is that of the whole network."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("running_var"):
        values = 0.5 + rng.random(shape)
    elif key.endswith("running_mean"):
        values = 0.1 * rng.standard_normal(shape)
    elif key.endswith("bias"):
        values = 0.05 * rng.standard_normal(shape)
    elif len(shape) == 1:
        values = 0.3 + 0.4 * rng.random(shape)
    else:
        values = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def filled(network: nn.Module, prefix: str = "") -> nn.Module:
    """The network with the reference's weights, in evaluation mode."""
    state = {key: tensor_of_key(prefix + key, shape) for key, shape in shapes_of(network).items()}
    network.load_state_dict(state, strict=True)
    return network.eval()
