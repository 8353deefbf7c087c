"""Which triangles of a mesh may be seen from behind: those around holes that one can look into."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Int32, Integer
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import KDTree

HOLE_M = 0.03
"""Holes smaller than this (between lids, nostrils) are not looked into."""
DEPTH = 0.6
"""How far one looks into a hole, in parts of its width: limbs, or lower clothes, fill what is left open."""
SAME_PLACE_M = 1e-5
"""Vertices this near to each other are one; meshes are cut where their textures are."""


def seen_from_behind(vertices: Float32[np.ndarray, "V 3"], faces: Int32[np.ndarray, "F 3"]) -> Bool[np.ndarray, "F"]:
    """Faces near a border of some width; all others only ever show their front."""
    first, welded = weld(vertices, faces)
    points = vertices[first]
    edges = _edges(welded)
    border = _border(edges, len(points))
    loop, piece = _pieces(border, len(points)), _pieces(edges, len(points))
    near = np.zeros(len(points), dtype=bool)
    for label in np.unique(loop[border[:, 0]]):
        rim = np.unique(border[loop[border[:, 0]] == label])
        width = np.ptp(points[rim], axis=0).max()
        if width > HOLE_M:
            own = np.flatnonzero(piece == piece[rim[0]])
            away = KDTree(points[rim]).query(points[own], distance_upper_bound=DEPTH * width)[0]
            near[own[np.isfinite(away)]] = True
    return np.asarray(near[welded].any(1))


def weld(
    vertices: Float32[np.ndarray, "V 3"], faces: Int32[np.ndarray, "F 3"]
) -> tuple[Integer[np.ndarray, "U"], Integer[np.ndarray, "F 3"]]:
    """One vertex of each place, and the faces as places."""
    _, first, place = np.unique(np.round(vertices / SAME_PLACE_M), axis=0, return_index=True, return_inverse=True)
    return first, place.reshape(-1)[faces]


def _edges(faces: Integer[np.ndarray, "F 3"]) -> Integer[np.ndarray, "E 2"]:
    """Sides of all faces, the lower number first; those of no length left out."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1).astype(np.int64)
    return edges[edges[:, 0] != edges[:, 1]]


def _border(edges: Integer[np.ndarray, "E 2"], count: int) -> Integer[np.ndarray, "B 2"]:
    """Edges that only one face has."""
    keys, times = np.unique(edges[:, 0] * count + edges[:, 1], return_counts=True)
    return np.stack(np.divmod(keys[times == 1], count), axis=-1)


def _pieces(edges: Integer[np.ndarray, "E 2"], count: int) -> Integer[np.ndarray, "V"]:
    """Numbers of the parts that hang together."""
    links = csr_array((np.ones(len(edges), np.int8), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(links, directed=False)[1]
