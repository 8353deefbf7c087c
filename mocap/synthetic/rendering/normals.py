"""Normals of meshes that change shape every frame."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32
from scipy.sparse import csr_array


def face_normals(vertices: Float32[np.ndarray, "V 3"], faces: Int32[np.ndarray, "F 3"]) -> Float32[np.ndarray, "F 3"]:
    """Normals of triangles, as long as twice their area."""
    first, second, third = (np.take(vertices, faces[:, corner], axis=0) for corner in range(3))
    return cross(second - first, third - first)


def cross(a: Float32[np.ndarray, "N 3"], b: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """Cross products; several times faster than numpy's."""
    product = np.empty_like(a)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        np.multiply(a[:, j], b[:, k], out=product[:, i])
        product[:, i] -= a[:, k] * b[:, j]
    return product


def unit(vectors: Float32[np.ndarray, "N 3"]) -> Float32[np.ndarray, "N 3"]:
    """Vectors of length one; zero stays zero."""
    length = np.sqrt(np.einsum("na,na->n", vectors, vectors))
    return vectors / np.maximum(length, np.float32(1e-20))[:, None]


def vertex_from_face(n_vertices: int, faces: Int32[np.ndarray, "F 3"]) -> csr_array:
    """(V, F) sums of what belongs to the faces around each vertex."""
    rows = faces.reshape(-1)
    columns = np.repeat(np.arange(len(faces), dtype=np.int32), 3)
    ones = np.ones(len(rows), dtype=np.float32)
    return csr_array((ones, (rows, columns)), shape=(n_vertices, len(faces)))


def interpolate(
    values: Float32[np.ndarray, "V c"], corners: Int32[np.ndarray, "N 3"], weights: Float32[np.ndarray, "N 3"]
) -> Float32[np.ndarray, "N c"]:
    """Values of three vertices mixed by barycentric weights."""
    mixed = np.take(values, corners[:, 0], axis=0) * weights[:, :1]
    mixed += np.take(values, corners[:, 1], axis=0) * weights[:, 1:2]
    mixed += np.take(values, corners[:, 2], axis=0) * weights[:, 2:]
    return mixed
