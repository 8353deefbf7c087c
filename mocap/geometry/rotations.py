"""Rotations as unit quaternions, rotation vectors and matrices, over any leading axes.

Convention: quaternions are wxyz and `b_from_a`; `quat_multiply(c_from_b, b_from_a)` is `c_from_a`; matrices act on
columns. A turn of 90 degrees about +Z is (0.7071, 0, 0, 0.7071) and takes +X to +Y. q and -q are the same rotation.
Every singularity (angle 0, angle pi, opposite directions) has its own branch, so that values and gradients stay finite.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

_SMALL_SQUARED_ANGLE = 1e-6
"""Below it the Taylor series is used: its first neglected term is at most angle^6 / 5040 = 2e-22, under the eps."""


def quat_identity(*leading: int, dtype: torch.dtype = torch.float64) -> Float[Tensor, "*b 4"]:
    """Quaternions of no rotation, with the given leading sizes."""
    identity = torch.zeros(*leading, 4, dtype=dtype)
    identity[..., 0] = 1.0
    return identity


def quat_multiply(a: Float[Tensor, "*#b 4"], b: Float[Tensor, "*#b 4"]) -> Float[Tensor, "*b 4"]:
    """Hamilton product: first `b`, then `a`."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def quat_conjugate(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 4"]:
    """The inverse rotation of a unit quaternion."""
    return q * q.new_tensor([1.0, -1.0, -1.0, -1.0])


def quat_rotate(q: Float[Tensor, "*#b 4"], v: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 3"]:
    """A unit quaternion applied to a vector: v + 2 w (u x v) + 2 u x (u x v), u its vector part."""
    w, u = q[..., :1], q[..., 1:]
    u, v = torch.broadcast_tensors(u, v)
    t = 2 * torch.linalg.cross(u, v)
    return v + w * t + torch.linalg.cross(u, t)


def rotvec_to_quat(rotvec: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 4"]:
    """Axis times angle in radians to a unit quaternion; smooth everywhere, the zero vector included."""
    squared = rotvec.square().sum(-1, keepdim=True)
    small = squared < _SMALL_SQUARED_ANGLE
    angle = torch.where(small, 1.0, squared).sqrt()
    w = torch.where(small, 1 - squared / 8 + squared.square() / 384, torch.cos(angle / 2))
    scale = torch.where(small, 0.5 - squared / 48 + squared.square() / 3840, torch.sin(angle / 2) / angle)
    return torch.cat([w, scale * rotvec], dim=-1)


def quat_to_rotvec(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3"]:
    """The shortest rotation vector, of length at most pi.

    At exactly pi the axis has two signs: that of `q` is kept. It jumps there; its one-sided gradient is finite.
    """
    q = torch.where(q[..., :1] < 0, -q, q)
    w, u = q[..., :1], q[..., 1:]
    squared = u.square().sum(-1, keepdim=True)
    small = squared < _SMALL_SQUARED_ANGLE
    sine = torch.where(small, 1.0, squared).sqrt()
    ratio = squared / torch.where(small, w, 1.0).square()
    series = 2 / torch.where(small, w, 1.0) * (1 - ratio / 3 + ratio.square() / 5)
    return torch.where(small, series, 2 * torch.atan2(sine, w) / sine) * u


def quat_to_matrix(q: Float[Tensor, "*b 4"]) -> Float[Tensor, "*b 3 3"]:
    """Rotation matrix of a unit quaternion."""
    w, x, y, z = q.unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def matrix_to_quat(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 4"]:
    """Unit quaternion of a rotation matrix; its largest component is positive.

    Shepperd's four branches (J. Guidance and Control 1(3), 1978): the divisor is never under 1, half turns included.
    """
    m = matrix
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    fourfold = torch.stack(  # row i is 4 q_i q, so that its own component is 4 q_i^2
        [
            torch.stack([1 + xx + yy + zz, wx, wy, wz], -1),
            torch.stack([wx, 1 + xx - yy - zz, xy, xz], -1),
            torch.stack([wy, xy, 1 - xx + yy - zz, yz], -1),
            torch.stack([wz, xz, yz, 1 - xx - yy + zz], -1),
        ],
        dim=-2,
    )
    largest = fourfold.diagonal(dim1=-2, dim2=-1).argmax(-1)
    row = torch.take_along_dim(fourfold, largest[..., None, None], dim=-2).squeeze(-2)
    return row / torch.linalg.vector_norm(row, dim=-1, keepdim=True)


def rotvec_to_matrix(rotvec: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Rodrigues' formula, by way of the quaternion."""
    return quat_to_matrix(rotvec_to_quat(rotvec))


def matrix_to_rotvec(matrix: Float[Tensor, "*b 3 3"]) -> Float[Tensor, "*b 3"]:
    """The shortest rotation vector of a rotation matrix."""
    return quat_to_rotvec(matrix_to_quat(matrix))


def cross_matrix(v: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """`cross_matrix(v) @ u` is v x u."""
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return torch.stack([o, -z, y, z, o, -x, -y, x, o], dim=-1).unflatten(-1, (3, 3))


def left_jacobian(rotvec: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """exp(v + dv) = exp(J dv) exp(v) to first order: turns a change of rotation vector into an angular velocity.

    The right Jacobian, exp(v + dv) = exp(v) exp(J dv), is its transpose (Chirikjian 2012, eq. 10.86).
    """
    squared = rotvec.square().sum(-1)[..., None, None]
    small = squared < _SMALL_SQUARED_ANGLE
    safe = torch.where(small, 1.0, squared)
    angle = safe.sqrt()
    first = torch.where(small, 0.5 - squared / 24 + squared.square() / 720, (1 - torch.cos(angle)) / safe)
    second = torch.where(
        small, 1 / 6 - squared / 120 + squared.square() / 5040, (angle - torch.sin(angle)) / (safe * angle)
    )
    K = cross_matrix(rotvec)
    return torch.eye(3, dtype=rotvec.dtype) + first * K + second * (K @ K)


def left_jacobian_inverse(rotvec: Float[Tensor, "*b 3"]) -> Float[Tensor, "*b 3 3"]:
    """Inverse of `left_jacobian`, for angles below 2 pi (where it is singular)."""
    squared = rotvec.square().sum(-1)[..., None, None]
    small = squared < _SMALL_SQUARED_ANGLE
    half = torch.where(small, 1.0, squared).sqrt() / 2
    exact = (1 - half * torch.cos(half) / torch.sin(half)) / (4 * half.square())
    factor = torch.where(small, 1 / 12 + squared / 720 + squared.square() / 30240, exact)
    K = cross_matrix(rotvec)
    return torch.eye(3, dtype=rotvec.dtype) - K / 2 + factor * (K @ K)


def slerp(a: Float[Tensor, "*#b 4"], b: Float[Tensor, "*#b 4"], t: Float[Tensor, "*#b"]) -> Float[Tensor, "*b 4"]:
    """Constant-speed rotation from `a` (t = 0) to `b` (t = 1), the short way round."""
    return quat_multiply(a, rotvec_to_quat(t[..., None] * quat_to_rotvec(quat_multiply(quat_conjugate(a), b))))


def shortest_arc(start: Float[Tensor, "*#b 3"], end: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 4"]:
    """The rotation of least angle that takes one unit vector to another.

    Opposite vectors have no unique axis: one perpendicular to `start` and to the coordinate axis it is least along.
    """
    start, end = torch.broadcast_tensors(start, end)
    length = torch.linalg.vector_norm(start + end, dim=-1, keepdim=True)
    opposite = length < 1e-7
    safe = torch.where(opposite, 1.0, length)
    arc = torch.cat([length / 2, torch.linalg.cross(start, end) / safe], dim=-1)
    least = torch.zeros_like(start).scatter(-1, start.abs().argmin(-1, keepdim=True), 1.0)
    axis = torch.linalg.cross(start, least)
    half_turn = torch.cat([torch.zeros_like(length), axis], dim=-1)
    q = torch.where(opposite, half_turn, arc)
    return q / torch.linalg.vector_norm(q, dim=-1, keepdim=True)


def swing_twist(
    q: Float[Tensor, "*#b 4"], axis: Float[Tensor, "*#b 3"]
) -> tuple[Float[Tensor, "*b 4"], Float[Tensor, "*b 4"]]:
    """Split q = swing * twist, the twist about the unit `axis`, the swing about an axis perpendicular to it.

    A swing of exactly half a turn leaves the twist undetermined: it is then the identity.
    """
    along = (q[..., 1:] * axis).sum(-1, keepdim=True)
    projected = torch.cat([q[..., :1].expand_as(along), along * axis], dim=-1)
    squared = projected.square().sum(-1, keepdim=True)
    undetermined = squared < 1e-14
    twist = projected / torch.where(undetermined, 1.0, squared).sqrt()
    twist = torch.where(undetermined, quat_identity(dtype=q.dtype), twist)
    return quat_multiply(q, quat_conjugate(twist)), twist
