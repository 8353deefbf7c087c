"""Meshes built from boxes and round bars, with textures in metres: the surfaces of rooms and furniture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float, Float32, Int32

from mocap.synthetic.rendering.textures import Texture
from mocap.synthetic.scene import Thing


@dataclass(frozen=True, eq=False)
class TexturedSurface:
    """A Surface: faces with places on textures. uv: (F, 3, 2) m of every face's corners. texture_of: (F,)."""

    faces: Int32[np.ndarray, "F 3"]
    uv: Float32[np.ndarray, "F 3 2"]
    texture_of: Int32[np.ndarray, "F"]
    textures: tuple[Texture, ...]
    gloss: float = 0.0

    def albedo(
        self,
        face: Int32[np.ndarray, "N"],
        barycentric: Float32[np.ndarray, "N 3"],
        footprint_m: Float32[np.ndarray, "N"],
    ) -> Float32[np.ndarray, "N 3"]:
        """Linear RGB."""
        uv = (barycentric[:, :1] * self.uv[face, 0]) + barycentric[:, 1:2] * self.uv[face, 1]
        uv += barycentric[:, 2:] * self.uv[face, 2]
        if len(self.textures) == 1:
            return self.textures[0].sample(uv, footprint_m)
        colours = np.empty((len(face), 3), dtype=np.float32)
        texture_of = self.texture_of[face]
        for index, texture in enumerate(self.textures):
            here = np.flatnonzero(texture_of == index)
            if len(here):
                colours[here] = texture.sample(uv[here], footprint_m[here])
        return colours


@dataclass(eq=False)
class MeshBuilder:
    """Collects quads; vertices are shared only where the surface is round."""

    textures: Sequence[Texture]
    vertices: list[np.ndarray] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    uv: list[np.ndarray] = field(default_factory=list)
    texture_of: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def quad(
        self,
        corner: Sequence[float | int] | Float[np.ndarray, "3"],
        across: Sequence[float | int] | Float[np.ndarray, "3"],
        down: Sequence[float | int] | Float[np.ndarray, "3"],
        texture: int = 0,
        shift: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """A rectangle seen from the side of `down x across`; texture's first texel at `corner` plus `shift` m."""
        corner, across, down = (np.asarray(a, dtype=np.float64) for a in (corner, across, down))
        width, height = np.linalg.norm(across), np.linalg.norm(down)
        corners = np.stack([corner, corner + down, corner + down + across, corner + across])
        uv = np.array([(0, 0), (0, height), (width, height), (width, 0)]) + shift
        self._add(corners, uv, np.array([[0, 1, 2], [0, 2, 3]]), texture)

    def box(
        self,
        lower: Sequence[float | int] | Float[np.ndarray, "3"],
        upper: Sequence[float | int] | Float[np.ndarray, "3"],
        texture: int = 0,
        shift: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """An axis-aligned box; texture's `across` runs along the longer side of each face."""
        lower, size = np.asarray(lower, dtype=np.float64), np.subtract(upper, lower)
        for axis in range(3):
            a, b = (axis + 1) % 3, (axis + 2) % 3
            across, down = np.zeros(3), np.zeros(3)
            across[a], down[b] = size[a], size[b]
            top = lower.copy()
            top[axis] += size[axis]
            if size[a] >= size[b]:
                self.quad(lower, across, down, texture, shift)
                self.quad(top + down, across, -down, texture, shift)
            else:
                self.quad(lower + across, down, -across, texture, shift)
                self.quad(top, down, across, texture, shift)

    def bar(
        self,
        start: Sequence[float | int] | Float[np.ndarray, "3"],
        end: Sequence[float | int] | Float[np.ndarray, "3"],
        radii: tuple[float, float],
        texture: int = 0,
        sides: int = 16,
    ) -> None:
        """A round bar or cone with flat ends."""
        start, end = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
        axis = (end - start) / np.linalg.norm(end - start)
        one = np.cross(axis, np.eye(3)[np.abs(axis).argmin()])
        one /= np.linalg.norm(one)
        other = np.cross(axis, one)
        angle = np.linspace(0, 2 * np.pi, sides + 1)
        ring = np.cos(angle)[:, None] * one + np.sin(angle)[:, None] * other
        around = np.stack([start + radii[0] * ring, end + radii[1] * ring])
        u = np.broadcast_to(angle * max(radii), (2, sides + 1))
        v = np.linspace(0.0, float(np.linalg.norm(end - start)), 2)[:, None] * np.ones(sides + 1)
        self.grid(around, np.stack([u, v], axis=-1), texture)
        for centre, radius, turn in ((start, radii[0], -1), (end, radii[1], 1)):
            if radius > 0:
                self._disc(centre, radius * ring[::turn], texture)

    def grid(self, points: Float[np.ndarray, "m n 3"], uv: Float[np.ndarray, "m n 2"], texture: int = 0) -> None:
        """A lattice of smoothly joined quads, seen from the side of `d/dn x d/dm`."""
        m, n = points.shape[:2]
        index = np.arange(m * n).reshape(m, n)
        quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], axis=-1).reshape(-1, 4)
        faces = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
        self._add(points.reshape(-1, 3), uv.reshape(-1, 2), faces, texture)

    def thing(self, *, gloss: float = 0.0) -> Thing:
        """What was collected so far."""
        surface = TexturedSurface(
            faces=np.concatenate(self.faces).astype(np.int32),
            uv=np.concatenate(self.uv).astype(np.float32),
            texture_of=np.concatenate(self.texture_of).astype(np.int32),
            textures=tuple(self.textures),
            gloss=gloss,
        )
        return Thing(surface, np.concatenate(self.vertices).astype(np.float32))

    def _disc(self, centre: np.ndarray, ring: np.ndarray, texture: int) -> None:
        n = len(ring) - 1
        points = np.concatenate([[centre], centre + ring[:-1]])
        around = 1 + np.arange(n)
        faces = np.stack([np.zeros(n, dtype=int), around, 1 + (np.arange(n) + 1) % n], axis=-1)
        self._add(points, points[:, :2], faces, texture)

    def _add(self, points: np.ndarray, uv: np.ndarray, faces: np.ndarray, texture: int) -> None:
        self.vertices.append(points)
        self.faces.append(faces + self.count)
        self.uv.append(uv[faces])
        self.texture_of.append(np.full(len(faces), texture))
        self.count += len(points)


def placed(thing: Thing, position: Sequence[float | int], heading: float) -> Thing:
    """The thing turned about the vertical (rad) and moved (m)."""
    c, s = np.cos(heading), np.sin(heading)
    turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    vertices = thing.vertices @ turn.T + np.asarray(position)
    return Thing(thing.surface, vertices.astype(np.float32), thing.smooth)
