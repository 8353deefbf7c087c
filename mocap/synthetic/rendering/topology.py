"""What does not change about a moving mesh while its vertices do: neighbours, open edges, and where its light is kept.

Light is worked out at nodes and interpolated. A mesh of small triangles has its vertices as nodes; larger triangles get
a lattice each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32
from scipy.sparse import csr_array

from mocap.synthetic.rendering.coarse import coarse_faces
from mocap.synthetic.rendering.normals import face_normals, interpolate, unit, vertex_from_face
from mocap.synthetic.rendering.open_parts import seen_from_behind
from mocap.synthetic.rendering.raycasting import Hits
from mocap.synthetic.scene import Thing

NODE_SPACING_M = 0.04
MOST_PARTS = 64
"""Parts that an edge is cut into at most."""


@dataclass(frozen=True, eq=False)
class Nodes:
    """Points with light of their own. near: (n, n) neighbours and itself, to smooth over; None for lattices."""

    points: Float32[np.ndarray, "n 3"]
    normals: Float32[np.ndarray, "n 3"]
    near: csr_array | None


class Topology:
    """Of one surface, from a first look at its vertices."""

    def __init__(self, thing: Thing) -> None:
        self.surface = thing.surface
        self.faces: Int32[np.ndarray, "F 3"] = thing.surface.faces
        self.smooth = thing.smooth
        self._around = vertex_from_face(len(thing.vertices), self.faces)
        first, second = thing.vertices[self.faces], thing.vertices[np.roll(self.faces, -1, axis=1)]
        edges = np.linalg.norm(first - second, axis=-1)
        self.fine = bool(thing.smooth and np.quantile(edges, 0.9) < NODE_SPACING_M)
        self.open = seen_from_behind(thing.vertices, self.faces)
        self.rough: Int32[np.ndarray, "G 3"] = coarse_faces(thing.vertices, self.faces) if self.fine else self.faces
        if self.fine:
            self._near = _neighbours(self.faces, len(thing.vertices))
        else:
            self._parts = np.clip(np.ceil(edges.max(1) / NODE_SPACING_M), 1, MOST_PARTS).astype(np.int32)
            self._cut()

    def _cut(self) -> None:
        """Numbers the lattice nodes of all faces, face after face."""
        counts = (self._parts + 1) * (self._parts + 2) // 2
        self._first = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int32)
        self._node_face = np.repeat(np.arange(len(self.faces), dtype=np.int32), counts)
        lattices = [_lattice(int(n)) for n in self._parts]
        self._node_weights = np.concatenate(lattices).astype(np.float32)

    def nodes(self, thing: Thing, flat: Float32[np.ndarray, "F 3"]) -> Nodes:
        """Nodes at a moment. flat: normals of its faces, of any length."""
        if self.fine:
            return Nodes(thing.vertices, unit(self._around @ flat), self._near)
        corners = self.faces[self._node_face]
        points = interpolate(thing.vertices, corners, self._node_weights)
        if not self.smooth:
            return Nodes(points, unit(flat)[self._node_face], None)
        return Nodes(points, unit(interpolate(unit(self._around @ flat), corners, self._node_weights)), None)

    def outline(self, thing: Thing, at_most: int = 1500) -> Float32[np.ndarray, "n 3"]:
        """Points all over the mesh, a few centimetres apart."""
        if self.fine:
            return thing.vertices[:: max(1, len(thing.vertices) // at_most)]
        return interpolate(thing.vertices, self.faces[self._node_face], self._node_weights)

    def corners(self, hits: Hits) -> tuple[Int32[np.ndarray, "N 3"], Float32[np.ndarray, "N 3"]]:
        """The nodes around each hit and their weights."""
        if self.fine:
            return self.faces[hits.face], hits.barycentric
        n = self._parts[hits.face]
        u, v = hits.barycentric[:, 1] * n, hits.barycentric[:, 2] * n
        i = np.clip(u.astype(np.int32), 0, n - 1)
        j = np.clip(v.astype(np.int32), 0, n - 1 - i)
        u, v = u - i, v - j
        far = (u + v > 1) & (i + j < n - 1)
        first, row = self._first[hits.face], _row(i, n)
        beyond = _row(i + 1, n)
        corners = np.stack([np.where(far, beyond + j + 1, row + j), beyond + j, row + j + 1], axis=-1)
        weights = np.stack([np.where(far, u + v - 1, 1 - u - v), np.where(far, 1 - v, u), np.where(far, 1 - u, v)], -1)
        return (first[:, None] + corners).astype(np.int32), weights.astype(np.float32)


def _row(i: Int32[np.ndarray, "N"], n: Int32[np.ndarray, "N"]) -> Int32[np.ndarray, "N"]:
    """Nodes before row i of a lattice whose rows hold n + 1, n, ... 1."""
    return i * (n + 1) - i * (i - 1) // 2


def _lattice(n: int) -> Float32[np.ndarray, "k 3"]:
    """Barycentric weights of the nodes, row after row."""
    i, j = (axis.reshape(-1) for axis in np.mgrid[0 : n + 1, 0 : n + 1])
    keep = i + j <= n
    i, j = i[keep], j[keep]
    return (np.stack([n - i - j, i, j], axis=-1) / n).astype(np.float32)


def _neighbours(faces: Int32[np.ndarray, "F 3"], count: int) -> csr_array:
    """(V, V) ones between vertices that share an edge, and on the diagonal."""
    a = np.concatenate([faces[:, 0], faces[:, 1], faces[:, 2], np.arange(count)])
    b = np.concatenate([faces[:, 1], faces[:, 2], faces[:, 0], np.arange(count)])
    near = csr_array(
        (np.ones(2 * len(a), np.float32), (np.concatenate([a, b]), np.concatenate([b, a]))), shape=(count, count)
    )
    near.sum_duplicates()
    near.data[:] = 1
    return near


def flat_normals(thing: Thing) -> Float32[np.ndarray, "F 3"]:
    """Normals of a thing's faces, not of length one."""
    return face_normals(thing.vertices, thing.surface.faces)
