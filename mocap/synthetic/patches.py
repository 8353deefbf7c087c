"""Pieces of mesh that are cut out of a body's skin, or added to it, each with its place on a page of the atlas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int, Int32
from scipy.sparse import csr_array, vstack


@dataclass(frozen=True, eq=False)
class Patch:
    """A piece of mesh in the T-pose.

    vertices: (n, 3) m. weights: (n, J), rows sum to 1. uv: (F, 3, 2) place of every face's corners on its page, 0 to 1
    across and down. page: of every face. source: (n, V) which of the body's vertices every vertex is a mixture of,
    rows sum to 1; no columns for pieces that were not cut out of a body.
    """

    vertices: Float32[np.ndarray, "n 3"]
    weights: csr_array
    faces: Int32[np.ndarray, "F 3"]
    uv: Float32[np.ndarray, "F 3 2"]
    page: Int32[np.ndarray, "F"]
    source: csr_array

    def on_page(self, page: int) -> Patch:
        """The same mesh, coloured by another page."""
        return replace(self, page=np.full(len(self.faces), page, dtype=np.int32))

    def moved(self, vertices: Float[np.ndarray, "n 3"]) -> Patch:
        """The same mesh with its vertices elsewhere."""
        return replace(self, vertices=vertices.astype(np.float32))

    def selected(self, keep: np.ndarray) -> Patch:
        """Only some faces, and the vertices that they need."""
        faces, page, uv = self.faces[keep], self.page[keep], self.uv[keep]
        used, renamed = np.unique(faces, return_inverse=True)
        rows = renamed.reshape(-1, 3).astype(np.int32)
        return Patch(self.vertices[used], self.weights[used], rows, uv, page, self.source[used])

    def mixed(self, mixture: csr_array, *, faces: Int[np.ndarray, "G 3"], uv: Float[np.ndarray, "G 3 2"]) -> Patch:
        """New vertices, each a mixture of these ones; all faces on the page of the first."""
        page = np.full(len(faces), self.page[0] if len(self.page) else 0, dtype=np.int32)
        vertices = (mixture @ self.vertices.astype(np.float64)).astype(np.float32)
        weights, source = csr_array(mixture @ self.weights), csr_array(mixture @ self.source)
        return Patch(vertices, weights, faces.astype(np.int32), uv.astype(np.float32), page, source)


def joined(patches: Sequence[Patch]) -> Patch:
    """One mesh of several; `source` is dropped."""
    first = np.cumsum([0, *(len(p.vertices) for p in patches[:-1])])
    vertices = np.concatenate([p.vertices for p in patches])
    return Patch(
        vertices=vertices,
        weights=csr_array(vstack([p.weights for p in patches])),
        faces=np.concatenate([p.faces + n for p, n in zip(patches, first, strict=True)]).astype(np.int32),
        uv=np.concatenate([p.uv for p in patches]),
        page=np.concatenate([p.page for p in patches]),
        source=csr_array((len(vertices), 0)),
    )


def clipped(patch: Patch, field: Float[np.ndarray, "n"]) -> Patch:
    """The part where a field, given at the vertices and linear on the triangles, is positive; edges are cut exactly."""
    inside = field > 0
    count = inside[patch.faces].sum(1)
    corners = [np.flatnonzero(count == 3)[:, None].repeat(3, 1) * 3 + np.arange(3)]
    cuts = []
    for wanted in (1, 2):
        here = np.flatnonzero(count == wanted)
        odd = (inside[patch.faces[here]] == (wanted == 1)).argmax(1)
        a, b, c = (here * 3 + (odd + k) % 3 for k in range(3))
        cuts.append((a, b, c))
    (a1, b1, c1), (a2, b2, c2) = cuts
    places = [(corner, corner) for corner in corners]
    places.append((np.stack([a1, a1, a1], 1), np.stack([a1, b1, c1], 1)))
    places.append((np.stack([a2, b2, c2], 1), np.stack([b2, b2, c2], 1)))
    places.append((np.stack([a2, a2, c2], 1), np.stack([b2, c2, c2], 1)))
    start = np.concatenate([p[0] for p in places])
    end = np.concatenate([p[1] for p in places])
    return _cut(patch, field, start, end)


def _cut(
    patch: Patch, field: Float[np.ndarray, "n"], start: Int[np.ndarray, "G 3"], end: Int[np.ndarray, "G 3"]
) -> Patch:
    """New faces whose corners lie where the field vanishes between two corners (3 * face + corner) of the old ones."""
    old = patch.faces.reshape(-1).astype(np.int64)
    a, b = old[start], old[end]
    gap = field[a] - field[b]
    t = np.where(a == b, 0.0, field[a] / np.where(gap == 0, 1.0, gap))
    uv_of = patch.uv.reshape(-1, 2)
    uv = uv_of[start] + t[..., None] * (uv_of[end] - uv_of[start])
    low, high = np.minimum(a, b), np.maximum(a, b)
    keys, first, faces = np.unique(low * len(field) + high, return_index=True, return_inverse=True)
    n = len(keys)
    share = np.where(a <= b, t, 1 - t).reshape(-1)[first]
    rows = np.concatenate([np.arange(n), np.arange(n)])
    columns = np.concatenate([keys // len(field), keys % len(field)])
    mixture = csr_array((np.concatenate([1 - share, share]), (rows, columns)), shape=(n, len(field)))
    return patch.mixed(mixture, faces=faces.reshape(-1, 3), uv=uv)


def subdivided(patch: Patch) -> Patch:
    """Every face cut into four at the middles of its edges."""
    faces = patch.faces.astype(np.int64)
    n = len(patch.vertices)
    ends = np.stack([faces, np.roll(faces, -1, axis=1)], -1)
    keys, middle = np.unique(ends.min(-1) * n + ends.max(-1), return_inverse=True)
    m = middle.reshape(-1, 3) + n
    rows = np.concatenate([np.arange(n), np.tile(np.arange(n, n + len(keys)), 2)])
    columns = np.concatenate([np.arange(n), keys // n, keys % n])
    share = np.concatenate([np.ones(n), np.full(2 * len(keys), 0.5)])
    mixture = csr_array((share, (rows, columns)), shape=(n + len(keys), n))
    a, b, c = faces.T
    ab, bc, ca = m.T
    new = np.concatenate([np.stack(f, 1) for f in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    ua, ub, uc = (patch.uv[:, k] for k in range(3))
    vab, vbc, vca = (ua + ub) / 2, (ub + uc) / 2, (uc + ua) / 2
    uv = np.concatenate([np.stack(f, 1) for f in ((ua, vab, vca), (vab, ub, vbc), (vca, vbc, uc), (vab, vbc, vca))])
    return patch.mixed(mixture, faces=new, uv=uv)


def vertex_normals(vertices: Float[np.ndarray, "n 3"], faces: Int[np.ndarray, "F 3"]) -> Float[np.ndarray, "n 3"]:
    """Unit normals, weighted by the areas of the faces around."""
    p = vertices.astype(np.float64)[faces]
    flat = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    rows = faces.reshape(-1)
    normals = np.stack([np.bincount(rows, np.repeat(flat[:, k], 3), len(vertices)) for k in range(3)], -1)
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def grid_patch(
    points: Float[np.ndarray, "m n 3"],
    weights: csr_array,
    *,
    tile: tuple[float, float, float, float],
    page: int,
    closed: bool = False,
) -> Patch:
    """A lattice of quads, seen from the side of `d/dn x d/dm`, on the part (left, top, width, height) of a page.

    weights: (m n, J). closed: the last column joins the first one.
    """
    m, n = points.shape[:2]
    index = np.arange(m * n).reshape(m, n)
    u, v = np.meshgrid(np.linspace(0, 1, n + closed), np.linspace(0, 1, m))
    place = np.stack([tile[0] + u * tile[2], tile[1] + v * tile[3]], -1)
    if closed:
        index = np.concatenate([index, index[:, :1]], axis=1)
    corners = [(slice(None, -1), slice(None, -1)), (slice(None, -1), slice(1, None))]
    corners += [(slice(1, None), slice(1, None)), (slice(1, None), slice(None, -1))]
    quads = np.stack([index[c] for c in corners], -1).reshape(-1, 4)
    places = np.stack([place[c] for c in corners], -2).reshape(-1, 4, 2)
    faces = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32)
    uv = np.concatenate([places[:, :3], places[:, [0, 2, 3]]]).astype(np.float32)
    pages = np.full(len(faces), page, dtype=np.int32)
    vertices = points.reshape(-1, 3).astype(np.float32)
    return Patch(vertices, weights, faces, uv, pages, csr_array((m * n, 0)))
