"""What is seen of points on a skeleton as normal equations of its pose, summed from the tips to the root.

A point on a joint's body, seen with information A (3x3, of its position) and a gradient f, is carried to the joint as
the 6x6 information and the 6-vector of the body's twist. Sums over the joints below give the blocks of two columns by
their twists alone, as composite rigid bodies give a mass matrix (Featherstone, "Rigid Body Dynamics Algorithms", 2008,
table 6.2). The cost hardly depends on how many points there are, and no Jacobian is built.
Twists are (turn, velocity of the point of the body that is at the root's place), in the world's axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mocap.geometry.pose_model import Placement, PoseModel


@dataclass(frozen=True, eq=False)
class Load:
    """Points on the bodies of joints: joint (K,); points (T, K, 3) m.

    information: (T, K, 3, 3) 1/m², the (Gauss-Newton) Hessian of the cost by a point's place; gradient: (T, K, 3) 1/m.
    """

    joint: Int[Tensor, "K"]
    points: Float[Tensor, "T K 3"]
    information: Float[Tensor, "T K 3 3"]
    gradient: Float[Tensor, "T K 3"]


def step_twists(model: PoseModel, placement: Placement) -> Float[Tensor, "T n 6"]:
    """The twist that one unit of every step gives to the bodies that it moves."""
    turns = placement.turns.transpose(-1, -2)
    arms = (placement.joints[:, :1] - placement.joints)[:, :, None]
    twists = torch.cat([turns, torch.linalg.cross(turns, arms.expand_as(turns))], dim=-1)
    slides = turns.new_zeros(len(turns), 3, 6)
    slides[:, :, 3:] = torch.eye(3, dtype=turns.dtype)
    return torch.cat([slides, twists[:, 0], twists[:, model.joint, model.axis]], dim=1)


def normal_terms(
    model: PoseModel, placement: Placement, loads: Sequence[Load]
) -> tuple[Float[Tensor, "T n n"], Float[Tensor, "T n"]]:
    """Matrix and gradient by the steps of every frame."""
    twists = step_twists(model, placement)
    n_frames, n_joints = placement.joints.shape[:2]
    information = twists.new_zeros(n_frames, n_joints, 6, 6)
    wrench = twists.new_zeros(n_frames, n_joints, 6)
    for load in loads:
        carried, force = _carried(load, placement.joints[:, :1])
        information.index_add_(1, load.joint, carried)
        wrench.index_add_(1, load.joint, force)
    below = model.descends.to(twists.dtype).T
    information = (below @ information.flatten(2)).unflatten(2, (6, 6))
    wrench = below @ wrench
    joint = model.step_joint
    gradient = (twists * wrench[:, joint]).sum(-1)
    moved = (information[:, joint] @ twists[..., None])[..., 0]
    products = twists @ moved.transpose(1, 2)
    above, strictly = model.step_above
    return products * above + (products * strictly).transpose(1, 2), gradient


def point_jacobian(
    model: PoseModel, placement: Placement, joint: Int[Tensor, "K"], points: Float[Tensor, "T K 3"]
) -> Float[Tensor, "T K 3 n"]:
    """Derivative of points on the bodies of joints by every step."""
    twists = step_twists(model, placement)[:, None]
    arms = (points - placement.joints[:, :1])[:, :, None]
    velocity = twists[..., 3:] + torch.linalg.cross(
        twists[..., :3].expand(-1, arms.shape[1], -1, -1), arms.expand(-1, -1, twists.shape[2], -1)
    )
    moves = model.descends[joint][:, model.step_joint].to(twists.dtype)
    return (velocity * moves[..., None]).transpose(-1, -2)


def _carried(load: Load, origin: Float[Tensor, "T 1 3"]) -> tuple[Float[Tensor, "T K 6 6"], Float[Tensor, "T K 6"]]:
    """Information and gradient of twists: a twist (w, v) moves a point at r from the origin by v + w x r."""
    arm = load.points - origin
    x, y, z = arm.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    turned = cross @ load.information
    upper = torch.cat([turned @ cross.transpose(-1, -2), turned], dim=-1)
    lower = torch.cat([turned.transpose(-1, -2), load.information], dim=-1)
    force = torch.cat([torch.linalg.cross(arm, load.gradient), load.gradient], dim=-1)
    return torch.cat([upper, lower], dim=-2), force
