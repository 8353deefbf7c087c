"""How uncertain the joints of a solved take are, from the equations that it was solved by."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mocap.geometry.banded_inverse import inverse_blocks
from mocap.geometry.pose_loads import point_jacobian
from mocap.geometry.pose_model import Pose, place
from mocap.geometry.pose_solver import PosePrior, PoseProblem
from mocap.geometry.take_equations import CORNER, TakeEquations

WINDOW, CONTEXT = 64, 8
"""Moments whose covariances are found at once, and how many before and after are taken into account besides."""
_FLOOR = 1e-6


def joint_spread(problem: PoseProblem, pose: Pose, *, scale: float, stride: int) -> Float[Tensor, "T J"]:
    """Root of the mean squared distance that joints are expected to be off, m.

    From the marginal covariance of every frame's pose, given all that was seen and the priors: the diagonal blocks of
    the inverse of the equations. Sizes of the subject are taken as known. Every `stride`th frame stands for those about
    it (priors in time are rescaled to its rate, so that the result hardly depends on it); linear in between.
    """
    frames = torch.arange(0, len(pose), stride)
    sparse, chosen = replace(problem, prior=_at_rate(problem.prior, stride)).frames(frames), pose.frames(frames)
    spread = torch.cat([_of_window(sparse, chosen, scale, begin) for begin in range(0, len(frames), WINDOW)])
    spread = spread / stride**0.5
    every = np.arange(len(pose))
    columns = [np.interp(every, frames.numpy(), column) for column in spread.numpy().T]
    return torch.from_numpy(np.stack(columns, axis=-1))


def _at_rate(prior: PosePrior, stride: int) -> PosePrior:
    """For frames that are `stride` times as far apart, each standing for that many: then over `stride`."""
    first, second = stride**-2.0, stride**-4.0
    return replace(
        prior,
        translation=(prior.translation[0] * first, prior.translation[1] * second),
        root=(prior.root[0] * first, prior.root[1] * second),
        angles=prior.angles * second,
    )


def _of_window(problem: PoseProblem, pose: Pose, scale: float, begin: int) -> Float[Tensor, "n J"]:
    first, end = max(begin - CONTEXT, 0), min(begin + WINDOW, len(pose))
    rows = slice(first, min(end + CONTEXT, len(pose)))
    part, poses = problem.frames(rows), pose.frames(rows)
    placement = place(part.model, poses)
    covariance = _covariance(part.equations(poses, placement, scale))
    joints = torch.arange(len(part.model.parents))
    by_step = point_jacobian(part.model, placement, joints, placement.joints).flatten(1, 2)
    variance = (by_step @ covariance * by_step).sum(-1).unflatten(1, (len(joints), 3)).sum(-1)
    return variance[begin - first : end - first].clamp_min(0).sqrt()


def _covariance(equations: TakeEquations) -> Float[Tensor, "T n n"]:
    diagonal = equations.diagonal + _FLOOR * torch.eye(equations.gradient.shape[1], dtype=equations.gradient.dtype)
    couplings = []
    for straight, corner in ((equations.one, equations.corner_one), (equations.two, equations.corner_two)):
        block = torch.diag_embed(straight)
        block[:, CORNER : CORNER + 3, CORNER : CORNER + 3] += corner
        couplings.append(block[None])
    return inverse_blocks(diagonal[None], couplings[0], couplings[1])[0]
