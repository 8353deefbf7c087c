"""How deep points lie in a body: the distance to the nearest of its triangles."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int, Integer
from scipy.spatial import KDTree

ON_SKIN_M = 2e-4
N_NEAREST = 24
"""Only triangles around so many nearest vertices are tried; tests compare with all of them."""


def faces_around(faces: Integer[np.ndarray, "F 3"], n_vertices: int) -> Int[np.ndarray, "V D"]:
    """The triangles at each vertex, the last one repeated where a vertex has fewer than the most."""
    corner = np.argsort(faces.ravel(), kind="stable")
    count = np.bincount(faces.ravel(), minlength=n_vertices)
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    step = np.minimum(np.arange(count.max()), np.maximum(count[:, None] - 1, 0))
    return (corner // 3)[np.minimum(first[:, None] + step, len(corner) - 1)]


def depths_under_skin(
    points: Float[np.ndarray, "K 3"], vertices: Float[np.ndarray, "V 3"], *,
    faces: Integer[np.ndarray, "F 3"], around: Int[np.ndarray, "V D"],
) -> Float[np.ndarray, "K"]:  # fmt: skip
    """Distance of every point to the mesh, m; 0 for those on it (nearer than 0.2 mm). around: see `faces_around`."""
    distance, nearest = map(np.asarray, KDTree(vertices).query(points, k=N_NEAREST))
    depth = np.zeros(len(points))
    inside = np.flatnonzero(distance[:, 0] > ON_SKIN_M)
    near = around[nearest[inside]].reshape(len(inside), -1)
    depth[inside] = distances_to_triangles(points[inside, None], vertices[faces[near]]).min(1)
    return np.where(depth > ON_SKIN_M, depth, 0.0)


def distances_to_triangles(
    points: Float[np.ndarray, "*n 3"], triangles: Float[np.ndarray, "*m 3 3"]
) -> Float[np.ndarray, "*k"]:
    """From each point to its triangle, m: to its plane where the point is over it, else to the nearest edge."""
    a = triangles[..., 0, :]
    ab, ac, ap = triangles[..., 1, :] - a, triangles[..., 2, :] - a, points - a
    normal = np.cross(ab, ac)
    square = np.einsum("...i,...i->...", normal, normal)
    over = np.maximum(square, np.finfo(float).tiny)
    v = np.einsum("...i,...i->...", np.cross(ap, ac), normal) / over
    w = np.einsum("...i,...i->...", np.cross(ab, ap), normal) / over
    height = np.abs(np.einsum("...i,...i->...", ap, normal)) / np.sqrt(over)
    edges = np.stack([_to_edge(ap, ab), _to_edge(ap, ac), _to_edge(ap - ab, ac - ab)]).min(0)
    return np.where((v >= 0) & (w >= 0) & (v + w <= 1) & (square > 0), height, edges)


def _to_edge(from_start: Float[np.ndarray, "*n 3"], edge: Float[np.ndarray, "*m 3"]) -> Float[np.ndarray, "*k"]:
    length = np.maximum(np.einsum("...i,...i->...", edge, edge), np.finfo(float).tiny)
    along = np.clip(np.einsum("...i,...i->...", from_start, edge) / length, 0.0, 1.0)
    return np.linalg.norm(from_start - along[..., None] * edge, axis=-1)
