"""Flat points near a place of a board tell where in the picture the place is, and how the board lies there."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

DAMPING = 1e-9
FLATTEST = 0.05
"""Neighbours that lie on a line say nothing across it: ratio of their spreads."""


def local_maps(
    places: Float[np.ndarray, "K 2"], flat: Float[np.ndarray, "K n 2"], px: Float[np.ndarray, "K n 2"]
) -> tuple[Float[np.ndarray, "K 2"], Float[np.ndarray, "K 2 2"]]:
    """Picture of every place and its derivative there, by the homography that fits its n neighbours best; NaN where
    they lie on a line.

    Direct linear transformation with the place as origin, where the homography's last entry is 1.
    """
    around = flat - places[:, None]
    scale = np.abs(around).max(axis=(1, 2), keepdims=True)
    middle = px.mean(axis=1, keepdims=True)
    spread = np.abs(px - middle).max(axis=(1, 2), keepdims=True)
    spread = np.where(spread > 0, spread, 1.0)
    a, b = around / scale, (px - middle) / spread
    ones, zero = np.ones_like(a[..., :1]), np.zeros((*a.shape[:2], 3))
    rows = [
        np.concatenate([a, ones, zero, -b[..., :1] * a], axis=-1),
        np.concatenate([zero, a, ones, -b[..., 1:] * a], axis=-1),
    ]
    A, y = np.concatenate(rows, axis=1), np.concatenate([b[..., 0], b[..., 1]], axis=1)
    transposed = np.swapaxes(A, 1, 2)
    normal = transposed @ A
    normal += DAMPING * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(8)
    h = np.linalg.solve(normal, transposed @ y[..., None])[..., 0]
    at = h[:, [2, 5]]
    turn = np.stack([h[:, 0:2], h[:, 3:5]], axis=1) - at[:, :, None] * h[:, None, 6:8]
    flattest = np.linalg.svd(around - around.mean(axis=1, keepdims=True), compute_uv=False)
    bad = flattest[:, 1] < FLATTEST * flattest[:, 0]
    xy = at * spread[:, 0] + middle[:, 0]
    jacobian = turn * spread / scale
    return np.where(bad[:, None], np.nan, xy), np.where(bad[:, None, None], np.nan, jacobian)
