"""Rotation vectors of many rotations, and how they change (Solà, Deray & Atchuthan 2018, "A micro Lie theory")."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float


def cross_matrices(vectors: Float[np.ndarray, "*batch 3"]) -> Float[np.ndarray, "*batch 3 3"]:
    """[v]x with [v]x w = v x w."""
    out = np.zeros((*vectors.shape, 3))
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -z, y, -x
    out[..., 1, 0], out[..., 2, 0], out[..., 2, 1] = z, -y, x
    return out


def left_jacobians(rotvec: Float[np.ndarray, "E 3"]) -> Float[np.ndarray, "E 3 3"]:
    """I + (1 - cos a) / a² [w]x + (a - sin a) / a³ [w]x², by the series 1/2 - a²/24 and 1/6 - a²/120 near zero."""
    square = (rotvec**2).sum(axis=-1)
    small = square < 1e-4
    safe = np.sqrt(np.where(small, 1.0, square))
    one = np.where(small, 0.5 - square / 24, (1 - np.cos(safe)) / safe**2)
    two = np.where(small, 1 / 6 - square / 120, (safe - np.sin(safe)) / safe**3)
    cross = cross_matrices(rotvec)
    return np.eye(3) + one[:, None, None] * cross + two[:, None, None] * (cross @ cross)


def inverse_left_jacobians(rotvec: Float[np.ndarray, "E 3"]) -> Float[np.ndarray, "E 3 3"]:
    """I - [w]x / 2 + (1 - (a/2) cot(a/2)) / a² [w]x², whose last factor is 1/12 + a²/720 near zero."""
    square = (rotvec**2).sum(axis=-1)
    small = square < 1e-4
    safe = np.sqrt(np.where(small, 1.0, square))
    factor = np.where(small, 1 / 12 + square / 720, (1 - safe / 2 / np.tan(safe / 2)) / safe**2)
    cross = cross_matrices(rotvec)
    return np.eye(3) - cross / 2 + factor[:, None, None] * (cross @ cross)


def rotvecs_of(R: Float[np.ndarray, "*batch 3 3"]) -> Float[np.ndarray, "*batch 3"]:
    """`logs` with any leading axes."""
    return logs(R.reshape(-1, 3, 3)).reshape(R.shape[:-1])


def logs(R: Float[np.ndarray, "E 3 3"]) -> Float[np.ndarray, "E 3"]:
    """Rotation vectors of many. Tied knots make no half turns; there the axis comes from R + I = 2 a a^T."""
    axis = np.stack([R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]], axis=-1) / 2
    sine = np.linalg.norm(axis, axis=-1)
    cosine = (R[:, 0, 0] + R[:, 1, 1] + R[:, 2, 2] - 1) / 2
    safe = np.where(sine > 1e-12, sine, 1.0)
    out = axis * np.where(sine > 1e-12, np.arctan2(sine, cosine) / safe, 1.0)[:, None]
    half_turn = (cosine < 0) & (sine <= 1e-6)
    if half_turn.any():
        out[half_turn] = _half_turns(R[half_turn])
    return out


def _half_turns(R: np.ndarray) -> np.ndarray:
    outer = (R + np.eye(3)) / 2
    longest = np.argmax(np.diagonal(outer, axis1=1, axis2=2), axis=1)
    column = outer[np.arange(len(R)), :, longest]
    return np.pi * column / np.linalg.norm(column, axis=1, keepdims=True)
