"""Which views of a board to calibrate a lens from: those that say most about it, and that differ from each other.

Every view contributes its Fisher information about the lens, with the pose eliminated; views are taken one after the
other so that the determinant of the sum grows most (D-optimal design; greedy is within 1 - 1/e of the best set of that
size, Nemhauser et al. 1978). Tilt, closeness and corners near the edges of the picture are what that prefers, with
nobody having to name them. Two views of nearly the same pose share their errors (a bent board, blur), so that the
second one counts less.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from calibration.intrinsics_views import ViewTable

APART = 0.05
"""Signature distance (of the picture's larger side) at which a view counts half as much as a new one."""


def view_signatures(table: ViewTable) -> Float[np.ndarray, "V 6"]:
    """Where and how a board lies in the picture, in shares of its larger side: the image of the board's middle and of
    its half width and half height, by the affine map that fits the corners best."""
    half = np.abs(table.points).max(axis=(0, 1))[:2]
    flat = np.concatenate([table.points[..., :2] / half, np.ones((*table.weight.shape, 1))], axis=-1)
    weighted = flat * table.present[..., None]
    normal = np.einsum("vki,vkj->vij", weighted, flat)
    affine = np.linalg.solve(normal, np.einsum("vki,vkj->vij", weighted, table.xy))
    return affine.reshape(len(table), 6) / max(table.image_size)


def spread_views(signatures: Float[np.ndarray, "V S"], count: int) -> Int[np.ndarray, "n"]:
    """Up to `count` views that differ most, in increasing order: begins in the middle of all, then always takes the
    one farthest from those taken (Gonzalez 1985)."""
    if len(signatures) <= count:
        return np.arange(len(signatures))
    middle = np.median(signatures, axis=0)
    chosen = [int(np.argmin(_distance(signatures, middle)))]
    nearest = _distance(signatures, signatures[chosen[0]])
    while len(chosen) < count:
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, _distance(signatures, signatures[chosen[-1]]))
    return np.sort(np.array(chosen))


def informative_views(
    information: Float[np.ndarray, "V P P"],
    signatures: Float[np.ndarray, "V S"],
    base: Float[np.ndarray, "P P"],
    count: int,
) -> Int[np.ndarray, "n"]:
    """Up to `count` views, in increasing order, whose information on top of `base` (positive definite) is largest."""
    if len(information) <= count:
        return np.arange(len(information))
    left = np.ones(len(information), dtype=bool)
    nearest = np.full(len(information), np.inf)
    total = base.copy()
    for _ in range(count):
        new = nearest**2 / (nearest**2 + APART**2) if np.isfinite(nearest).all() else np.ones(len(nearest))
        gain = np.linalg.slogdet(total + new[:, None, None] * information)[1]
        best = int(np.argmax(np.where(left, gain, -np.inf)))
        total = total + new[best] * information[best]
        left[best] = False
        nearest = np.minimum(nearest, _distance(signatures, signatures[best]))
    return np.flatnonzero(~left)


def _distance(signatures: Float[np.ndarray, "V S"], one: Float[np.ndarray, "S"]) -> Float[np.ndarray, "V"]:
    return np.linalg.norm(signatures - one, axis=-1)
