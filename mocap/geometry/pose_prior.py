"""What is believed of poses before anything is seen, from the marker set; and which frames show the body best."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mocap.core.markers import JointPriors
from mocap.geometry.pose_model import PoseModel
from mocap.geometry.pose_solver import PosePrior


def pose_prior(priors: JointPriors, model: PoseModel, fps: float, smoothness: float = 1.0) -> PosePrior:
    """Precisions by angle; those of second differences from the densities of acceleration (see the marker set)."""
    joint, axis = model.joint.numpy(), model.axis.numpy()
    precision = np.diag(priors.rest_sd[joint, axis] ** -2.0)
    for (a, b), spread in zip(priors.shares, priors.share_sd, strict=True):
        for i in range(3):
            first, second = (np.flatnonzero((joint == j) & (axis == i)) for j in (a, b))
            if len(first) and len(second):
                pair = np.array([first[0], second[0]])
                precision[np.ix_(pair, pair)] += spread**-2.0 * np.array([[1, -1], [-1, 1]])
    still, per_frame = smoothness**2 * fps, smoothness**2 * fps**3
    return PosePrior(
        rest=model.clamped(torch.from_numpy(priors.rest[joint, axis])[None])[0],
        precision=torch.from_numpy(precision),
        upright=priors.upright_sd**-2.0,
        translation=(still / priors.root_drift[0] ** 2, per_frame / priors.root_acceleration**2),
        root=(still / priors.root_drift[1] ** 2, per_frame / float(priors.acceleration[0]) ** 2),
        angles=per_frame / torch.from_numpy(priors.acceleration[joint]) ** 2,
    )


def keyframes(confidence: Float[Tensor, "T M"], observed: Bool[Tensor, "T"], count: int) -> Tensor:
    """From equal parts of the observed frames, the one of each that was seen best."""
    frames = torch.nonzero(observed)[:, 0]
    best = [part[confidence[part].sum(-1).argmax()] for part in torch.tensor_split(frames, min(count, len(frames)))]
    return torch.stack(best)
