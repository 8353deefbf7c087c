"""Where keypoints of a body are, given where they seem to be: a normal distribution of all of them together.

In the frame of the body. Points that move together, as those of a face or a foot, lie in few of the dimensions that
their coordinates have; noise lies in all of them, and most of it is thus taken away. What is not seen follows from the
rest. Axes: N samples, K keypoints.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

FREE_M = 0.3
"""Spread of a shift of the whole body: its place is nothing that a body knows."""
GIVE_M = 0.002
"""Every coordinate may be off by this on its own, however rigid a part is."""
UNKNOWN_M = 10.0
"""Spread of a coordinate before anything is known: points stay where they are."""


class BodyPrior(nn.Module):
    """mean (K, 3) m and covariance (3 K, 3 K) m², kept with the weights; what `fit` has found, or nothing known."""

    mean: Tensor
    covariance: Tensor

    def __init__(self, keypoints: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(keypoints, 3))
        self.register_buffer("covariance", UNKNOWN_M**2 * torch.eye(3 * keypoints))

    def fit(self, xyz: Float[Tensor, "N K 3"]) -> None:
        """From true points in frames of bodies."""
        flat = xyz.double().flatten(1)
        centred = flat - flat.mean(0)
        shift = torch.eye(3, dtype=flat.dtype).repeat(xyz.shape[1], xyz.shape[1])
        own = torch.eye(flat.shape[1], dtype=flat.dtype)
        covariance = centred.mT @ centred / len(flat) + FREE_M**2 * shift + GIVE_M**2 * own
        self.mean.copy_(flat.mean(0).unflatten(0, (-1, 3)))
        self.covariance.copy_(covariance)

    def forward(self, xyz: Float[Tensor, "N K 3"], sigma_m: Float[Tensor, "N K"]) -> Float[Tensor, "N K 3"]:
        """The expected points, each being seen with an error of that spread along every axis.

        x - R (S + R)⁻¹ (x - m) for the covariances S of bodies and R of what is seen, in float64: the numbers of a
        rigid part differ by six orders.
        """
        noise = sigma_m.double().square().repeat_interleave(3, dim=-1)
        away = (xyz - self.mean).double().flatten(1)
        factor = torch.linalg.cholesky(self.covariance.double() + torch.diag_embed(noise))
        back = noise * torch.cholesky_solve(away[..., None], factor)[..., 0]
        return xyz - back.unflatten(1, (-1, 3)).to(xyz.dtype)
