"""What file formats want of a skinned mesh beside its vertices: normals, and weights that sum to 1 in float32."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float32, Int


def vertex_normals(vertices: Float[np.ndarray, "V 3"], faces: Int[np.ndarray, "F 3"]) -> Float[np.ndarray, "V 3"]:
    """Unit normals, the faces around a vertex weighted by their area; +Y for vertices that no face gives one."""
    corners = vertices[faces]
    crosses = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros(vertices.shape)
    for corner in range(3):
        np.add.at(normals, faces[:, corner], crosses)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    flat = length < 1e-12
    return np.where(flat, [0.0, 1.0, 0.0], normals / np.where(flat, 1.0, length))


def float32_weights(
    joints: Int[np.ndarray, "V 4"], weights: Float[np.ndarray, "V 4"]
) -> tuple[Int[np.ndarray, "V 4"], Float32[np.ndarray, "V 4"]]:
    """Every joint once a vertex, the greatest weight first, sums of 1 after rounding; unused places are joint 0.

    The rounding errors of three weights go to the greatest, which changes it by less than 2e-7.
    """
    shares = weights.copy()
    for place in range(1, 4):  # a joint that comes twice gets both shares at its first place
        for before in range(place):
            same = joints[:, place] == joints[:, before]
            shares[same, before] += shares[same, place]
            shares[same, place] = 0.0
    order = np.argsort(-shares, axis=1, kind="stable")
    shares = np.take_along_axis(shares, order, axis=1).astype(np.float32)
    sorted_joints = np.where(shares > 0, np.take_along_axis(joints, order, axis=1), 0)
    shares[:, 0] = np.float32(1) - shares[:, 1:].sum(axis=1)
    return sorted_joints, shares
