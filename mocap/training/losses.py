"""What training lowers. Points are metres in the world; a keypoint that is not `known` counts for nothing.

The paper is Iskakov et al., Learnable Triangulation of Human Pose, ICCV 2019; where its text leaves a choice, the
published implementation decides: points go in as centimetres, and each coordinate, not each point, is an error of its
own. Unknown keypoints may be NaN in the truth; gradients stay finite there.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

CM_PER_M = 100.0
SOFT_BEYOND_M = 0.2
SOFT_POWER = 0.1
LEAST_PROBABILITY = 1e-6
"""Added under the logarithm of the volumetric cross-entropy, so that a cell of probability 0 costs 13.8."""


def soft_mse_loss(
    predicted: Float[Tensor, "*b K 3"],
    truth: Float[Tensor, "*b K 3"],
    known: Bool[Tensor, "*b K"],
    *,
    soft_beyond_m: float = SOFT_BEYOND_M,
) -> Float[Tensor, ""]:
    """The algebraic model's loss, cm²: the mean squared error of a coordinate, softened where it is large (3.1).

    Beyond ε = (20 cm)² a squared error e becomes e^0.1 ε^0.9, so that a point metres away does not rule the batch.
    """
    squared = (_error_m(predicted, truth, known) * CM_PER_M).square()
    limit = (soft_beyond_m * CM_PER_M) ** 2
    large = squared > limit
    softened = torch.where(large, squared, limit) ** SOFT_POWER * limit ** (1 - SOFT_POWER)
    return _mean_of_known(torch.where(large, softened, squared), known)


def mse_loss(
    predicted: Float[Tensor, "*b K 3"], truth: Float[Tensor, "*b K 3"], known: Bool[Tensor, "*b K"]
) -> Float[Tensor, ""]:
    """The mean squared error of a coordinate, cm²."""
    return _mean_of_known((_error_m(predicted, truth, known) * CM_PER_M).square(), known)


def mae_loss(
    predicted: Float[Tensor, "*b K 3"], truth: Float[Tensor, "*b K 3"], known: Bool[Tensor, "*b K"]
) -> Float[Tensor, ""]:
    """The mean absolute error of a coordinate, cm: the first part of the volumetric model's loss (3.2)."""
    return _mean_of_known((_error_m(predicted, truth, known) * CM_PER_M).abs(), known)


def volumetric_cross_entropy(
    volumes: Float[Tensor, "*b K X Y Z"],
    coordinates: Float[Tensor, "*b X Y Z 3"],
    truth: Float[Tensor, "*b K 3"],
    known: Bool[Tensor, "*b K"],
) -> Float[Tensor, ""]:
    """-log of the probability at the voxel next to the truth: the second part of the volumetric loss (3.2), × 0.01.

    volumes: sum to 1. coordinates: of the voxels, m. A truth outside the volume belongs to the nearest voxel. The mean
    is over all keypoints, unknown ones too.
    """
    with torch.no_grad():
        places = coordinates.flatten(-4, -2)
        middle = places.mean(-2, keepdim=True)
        places, points = places - middle, torch.where(known[..., None], truth, 0.0) - middle
        # |c - p|² less |p|², which is the same for every voxel: no (K, X Y Z, 3) of differences
        distance = places.square().sum(-1)[..., None, :] - 2 * points @ places.mT
        nearest = distance.argmin(-1, keepdim=True)
    probability = volumes.flatten(-3).gather(-1, nearest)[..., 0]
    cost = -torch.log(probability + LEAST_PROBABILITY)
    return torch.where(known, cost, 0.0).mean()


def volumetric_loss(
    predicted: Float[Tensor, "*b K 3"],
    truth: Float[Tensor, "*b K 3"],
    known: Bool[Tensor, "*b K"],
    *,
    volumes: Float[Tensor, "*b K X Y Z"],
    coordinates: Float[Tensor, "*b X Y Z 3"],
    cross_entropy_weight: float = 0.01,
) -> Float[Tensor, ""]:
    """The volumetric model's loss: MAE in cm + 0.01 volumetric cross-entropy."""
    likelihood = volumetric_cross_entropy(volumes, coordinates, truth, known)
    return mae_loss(predicted, truth, known) + cross_entropy_weight * likelihood


def heatmap_mse_loss(
    predicted: Float[Tensor, "*b K H W"], target: Float[Tensor, "*b K H W"], weight: Float[Tensor, "*b K"]
) -> Float[Tensor, ""]:
    """Half the mean squared difference of a cell (Xiao et al. 2018), each keypoint's times its weight; 0 ignores it."""
    difference = torch.where((weight > 0)[..., None, None], predicted - target, 0.0)
    return 0.5 * (difference.square().mean((-2, -1)) * weight).mean()


def heatmap_focal_loss(
    logits: Float[Tensor, "*b K H W"],
    target: Float[Tensor, "*b K H W"],
    weight: Float[Tensor, "*b K"],
    *,
    alpha: float = 2.0,
    beta: float = 4.0,
) -> Float[Tensor, ""]:
    """The focal loss of Gaussian heatmaps (Law & Deng, CornerNet, 2018, eq. 1) on sigmoid(logits), per keypoint shown.

    Cells where the target is 1 are where a keypoint is; the others cost less the nearer they are to one: (1 - y)^β. A
    target without such a cell says that the keypoint is not there. weight: 0 ignores a keypoint.
    """
    probability = logits.sigmoid()
    there = target >= 1
    hit = (1 - probability) ** alpha * softplus(-logits)
    miss = (1 - target) ** beta * probability**alpha * softplus(logits)
    cost = torch.where(there, hit, miss).sum((-2, -1)) * weight
    shown = (there.any(-1).any(-1) & (weight > 0)).sum()
    return cost.sum() / shown.clamp(min=1)


def gaussian_heatmaps(
    cells: Float[Tensor, "*b K 2"], size: tuple[int, int], *, sigma: float, exact_peak: bool = True
) -> Float[Tensor, "*b K H W"]:
    """Peaks of height 1 at (x, y) in cells of a heatmap of `size` (width, height); empty where the place is NaN.

    exact_peak: the cell next to a place within the heatmap is 1, as `heatmap_focal_loss` wants it.
    """
    width, height = size
    x, y = (torch.arange(n, dtype=cells.dtype, device=cells.device) for n in (width, height))
    known = ~cells.isnan().any(-1, keepdim=True)
    places = torch.where(known, cells, 0.0)
    from_x, from_y = (x - places[..., :1]).square(), (y - places[..., 1:]).square()
    peaks = torch.exp(-(from_x[..., None, :] + from_y[..., :, None]) / (2 * sigma * sigma))
    if exact_peak:
        peaks = torch.where(_next_to(from_x)[..., None, :] & _next_to(from_y)[..., :, None], 1.0, peaks)
    return torch.where(known[..., None], peaks, 0.0)


def _next_to(squared: Float[Tensor, "*b N"]) -> Bool[Tensor, "*b N"]:
    """The first cell within half a cell."""
    near = squared <= 0.25
    return near & (near.cumsum(-1) == 1)


def _error_m(
    predicted: Float[Tensor, "*b K 3"], truth: Float[Tensor, "*b K 3"], known: Bool[Tensor, "*b K"]
) -> Float[Tensor, "*b K 3"]:
    """0 where it is not known, also in the gradient."""
    shown = known[..., None]
    return torch.where(shown, predicted, 0.0) - torch.where(shown, truth, 0.0)


def _mean_of_known(cost: Float[Tensor, "*b K 3"], known: Bool[Tensor, "*b K"]) -> Float[Tensor, ""]:
    return cost.sum() / (cost.shape[-1] * known.sum().clamp(min=1))
