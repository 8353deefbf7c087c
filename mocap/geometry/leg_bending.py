"""Limbs of two bones that have to reach a point: bent at the middle joint, then swung there, in closed form."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from mocap.geometry.rotations import quat_multiply, quat_rotate, rotvec_to_quat, shortest_arc

STRAIGHTEST = 0.9995
"""Of the full length a limb is stretched at most: at 1 the bend, a square root there, would pop."""
BENT = 0.2
"""Sine of a bend from which on the limb itself shows its plane; below, the hinge counts more and more."""
SOFT = 0.02
"""Share of the full length over which reaching farther slows down towards that."""


def reach(
    bones: tuple[Float[Tensor, "*b 3"], Float[Tensor, "*b 3"]],
    target: Float[Tensor, "*b 3"],
    hinge: Float[Tensor, "*b 3"],
) -> tuple[Float[Tensor, "*b 4"], Float[Tensor, "*b 4"]]:
    """Turns in the world of the upper and of the lower bone that bring the limb's end to `target`.

    bones: from the upper to the middle joint and on to the end, as they are. target: from the upper joint; where it is
    out of reach the limb points at it. hinge: unit vector about which a positive turn of the lower bone bends the limb.
    All in the same unit and axes. The plane of the limb stays, but for the shortest swing to the target.
    """
    upper, lower = bones
    axis = _normal(upper, lower, hinge)
    lengths = torch.stack([upper.norm(dim=-1), lower.norm(dim=-1)], dim=-1)
    distance = _reachable(target.norm(dim=-1), lengths, (upper + lower).norm(dim=-1))
    bend = rotvec_to_quat((_bend(distance, lengths) - _angle(upper, lower, axis))[..., None] * axis)
    end = upper + quat_rotate(bend, lower)
    there = torch.where(target.norm(dim=-1, keepdim=True) > 1e-9, target, end)
    swing = shortest_arc(torch.nn.functional.normalize(end, dim=-1), torch.nn.functional.normalize(there, dim=-1))
    return swing, quat_multiply(swing, bend)


def _normal(
    upper: Float[Tensor, "*b 3"], lower: Float[Tensor, "*b 3"], hinge: Float[Tensor, "*b 3"]
) -> Float[Tensor, "*b 3"]:
    """Of the plane that the limb lies in, on the hinge's side; of a straight one, the hinge square to its bone."""
    along = torch.nn.functional.normalize(upper, dim=-1)
    square = torch.nn.functional.normalize(hinge - (hinge * along).sum(-1, keepdim=True) * along, dim=-1)
    normal = torch.linalg.cross(along, torch.nn.functional.normalize(lower, dim=-1))
    normal = torch.where((normal * square).sum(-1, keepdim=True) < 0, -normal, normal)
    share = (normal.norm(dim=-1, keepdim=True) / BENT).clamp(max=1)
    return torch.nn.functional.normalize(share * normal / BENT + (1 - share) * square, dim=-1)


def _reachable(
    distance: Float[Tensor, "*b"], lengths: Float[Tensor, "*b 2"], stretched: Float[Tensor, "*b"]
) -> Float[Tensor, "*b"]:
    """Distances up to nearly the full length, or to where the limb is `stretched` already, as they are; beyond, an
    exponential approach to the full length."""
    full, least = lengths.sum(-1), (lengths[..., 0] - lengths[..., 1]).abs() + 1e-6
    start = torch.minimum(torch.maximum((1 - SOFT) * full, stretched), full)
    room = (STRAIGHTEST * full - start).clamp(min=0)
    over = (distance - start).clamp(min=0) / room.clamp(min=1e-9)
    return (distance.minimum(start) + room * (1 - torch.exp(-over))).maximum(least)


def _bend(distance: Float[Tensor, "*b"], lengths: Float[Tensor, "*b 2"]) -> Float[Tensor, "*b"]:
    """Angle between the two bones' directions, 0 when straight (law of cosines)."""
    a, b = lengths.unbind(-1)
    return torch.acos(((distance.square() - a.square() - b.square()) / (2 * a * b)).clamp(-1, 1))


def _angle(
    upper: Float[Tensor, "*b 3"], lower: Float[Tensor, "*b 3"], hinge: Float[Tensor, "*b 3"]
) -> Float[Tensor, "*b"]:
    """How far the lower bone is already turned about the hinge."""
    return torch.atan2((torch.linalg.cross(upper, lower) * hinge).sum(-1), (upper * lower).sum(-1))
