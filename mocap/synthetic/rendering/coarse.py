"""A mesh of fewer triangles on some of a mesh's vertices, good enough to cast soft shadows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Int32, Integer
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from mocap.synthetic.rendering.open_parts import weld

CELL_M = 0.025


def coarse_faces(
    vertices: Float32[np.ndarray, "V 3"], faces: Int32[np.ndarray, "F 3"], cell_m: float = CELL_M
) -> Int32[np.ndarray, "G 3"]:
    """Triangles between one vertex of each cube of space; parts that only meet in a cube by chance stay apart."""
    first, welded = weld(vertices, faces)
    points = vertices[first]
    rough = first[_keepers(points, _clusters(points, welded, cell_m))][welded]
    a, b, c = rough.T
    rough = rough[(a != b) & (b != c) & (c != a)]
    once = np.unique(np.sort(rough, axis=1), axis=0, return_index=True)[1]
    return rough[np.sort(once)].astype(np.int32)


def _clusters(
    vertices: Float32[np.ndarray, "V 3"], faces: Integer[np.ndarray, "F 3"], cell_m: float
) -> Integer[np.ndarray, "V"]:
    """Numbers of sets of vertices that share a cube and hang together within it."""
    cell = np.unique(np.floor(vertices / cell_m).astype(np.int64), axis=0, return_inverse=True)[1].reshape(-1)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    within = edges[cell[edges[:, 0]] == cell[edges[:, 1]]]
    links = csr_array((np.ones(len(within), np.int8), (within[:, 0], within[:, 1])), shape=(len(cell), len(cell)))
    return connected_components(links, directed=False)[1]


def _keepers(vertices: Float32[np.ndarray, "V 3"], cluster: Integer[np.ndarray, "V"]) -> Integer[np.ndarray, "V"]:
    """For every vertex, that of its cluster which lies nearest to the cluster's middle."""
    count = np.bincount(cluster)
    middle = np.stack([np.bincount(cluster, weights=vertices[:, axis]) / count for axis in range(3)], axis=-1)
    away = np.linalg.norm(vertices - middle[cluster], axis=1)
    order = np.lexsort((away, cluster))
    first = np.concatenate([[0], np.cumsum(count)[:-1]])
    return order[first][cluster]
