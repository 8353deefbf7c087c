"""Quaternions to Euler angles that play smoothly: the form that BVH and FBX curves need.

Convention: order "ZXY" means `R = Rz(a) @ Rx(b) @ Ry(c)` (intrinsic; the first channel turns last in space), the
order in which BVH lists its channels. Worked number: order "ZXY", a quarter turn about X = (0, pi/2, 0).
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int

from mocap.core.errors import InputError

RotationOrder = Literal["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"]
ROTATION_ORDERS: tuple[str, ...] = get_args(RotationOrder)

# Below this length of a pair of quaternion components (both are of order 1 away from the pole) the angle of the pair is
# noise: holding it still turns the joint by at most 2e-7 rad, 0.2 µm at one metre.
POLE_LENGTH = 1e-7


def continuous_euler(rotations: Float[np.ndarray, "T *batch 4"], order: str) -> Float[np.ndarray, "T *batch 3"]:
    """Angles in radians, in the order of `order`, each a curve without jumps of a turn or half turn over T.

    Every rotation has two triples of angles: (a, b, c) and (a + pi, pi - b, c + pi). The distance between neighbours
    in time is the same whether both are of the first or both of the second kind, so the nearest path is found by a
    running parity instead of a loop. The first frame gets |b| <= pi/2. At the pole (|b| = pi/2) only the sum or the
    difference of a and c is known; the other is held.
    """
    if order not in ROTATION_ORDERS:
        raise InputError(f"no rotation order {order!r}; there are {', '.join(ROTATION_ORDERS)}")
    if not len(rotations):
        return np.zeros((*rotations.shape[:-1], 3))
    first = _principal_euler(rotations, order)
    second = np.stack([first[..., 0] + np.pi, np.pi - first[..., 1], first[..., 2] + np.pi], axis=-1)
    stay = np.square(_wrapped(first[1:] - first[:-1])).sum(-1)
    change = np.square(_wrapped(second[1:] - first[:-1])).sum(-1)
    is_second = np.zeros(first.shape[:-1], dtype=bool)
    is_second[1:] = np.cumsum(change < stay, axis=0) % 2 == 1
    return np.unwrap(np.where(is_second[..., None], second, first), axis=0)


def _principal_euler(rotations: Float[np.ndarray, "T *batch 4"], order: str) -> Float[np.ndarray, "T *batch 3"]:
    """From half sum and half difference of the outer angles (Bernardes & Viollet 2022, intrinsic form).

    With i, j, k the axes of the order and s its parity:
    w + qj, qi + s·qk = (cos + sin)(b/2) · (cos, sin)((a + s·c)/2);
    w - qj, qi - s·qk = (cos - sin)(b/2) · (cos, sin)((a - s·c)/2).
    """
    i, j, k = ("XYZ".index(axis) for axis in order)
    parity = 1.0 if (j - i) % 3 == 1 else -1.0
    w, qi, qj, qk = rotations[..., 0], rotations[..., 1 + i], rotations[..., 1 + j], parity * rotations[..., 1 + k]
    sum_length, difference_length = np.hypot(qi + qk, w + qj), np.hypot(qi - qk, w - qj)
    half_sum = _held(np.arctan2(qi + qk, w + qj), sum_length > POLE_LENGTH)
    half_difference = _held(np.arctan2(qi - qk, w - qj), difference_length > POLE_LENGTH)
    middle = 2 * np.arctan2(sum_length, difference_length) - np.pi / 2
    return np.stack([half_sum + half_difference, middle, parity * (half_sum - half_difference)], axis=-1)


def _held(angles: Float[np.ndarray, "T *batch"], known: Bool[np.ndarray, "T *batch"]) -> Float[np.ndarray, "T *batch"]:
    """Each unknown angle replaced by the last known one, or the first known one before any; 0 where none is known."""
    if known.all():
        return angles
    frames = np.arange(len(angles)).reshape(-1, *[1] * (angles.ndim - 1))
    last_known: Int[np.ndarray, "T *batch"] = np.maximum.accumulate(np.where(known, frames, -1), axis=0)
    source = np.where(last_known < 0, known.argmax(axis=0), last_known)
    return np.where(known.any(axis=0), np.take_along_axis(angles, source, axis=0), 0.0)


def _wrapped(angles: Float[np.ndarray, "*batch"]) -> Float[np.ndarray, "*batch"]:
    return (angles + np.pi) % (2 * np.pi) - np.pi
