"""All that does not move in a session's room, as one scene to cast rays against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from mocap.synthetic.rendering.lens_rays import LensRays
from mocap.synthetic.rendering.lights import Lamp
from mocap.synthetic.rendering.normals import face_normals, interpolate, unit, vertex_from_face
from mocap.synthetic.rendering.raycasting import Hits, Mesh, Scene
from mocap.synthetic.rendering.room import Room
from mocap.synthetic.scene import Thing

LAMP_FACES = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.int32)


class Statics:
    """Room and furniture. `scene` holds all of it and the lamps; `blockers` what casts shadows."""

    def __init__(self, room: Room, furniture: Sequence[Thing]) -> None:
        self.lighting = room.lighting
        self.things = (*room.shell, *room.decor, *furniture)
        meshes = [Mesh(thing.vertices, thing.surface.faces) for thing in self.things]
        lamps = [Mesh(_outline(lamp), LAMP_FACES) for lamp in room.lighting.lamps]
        self.scene = Scene([*meshes, *lamps])
        self.solid = Scene(meshes)
        self.blockers = Scene(meshes[len(room.shell) :])
        self._normals = [_normals(thing) for thing in self.things]

    def normals(self, hits: Hits) -> Float32[np.ndarray, "N 3"]:
        """Unit normals at hits, interpolated over the triangles; lamps have their own."""
        normals = np.zeros((len(hits), 3), dtype=np.float32)
        for index, here in _by_mesh(hits):
            if index < len(self.things):
                normals[here] = self._thing_normals(index, hits[here])
            else:
                normals[here] = self.lighting.lamps[index - len(self.things)].normal
        return unit(normals)

    def _thing_normals(self, index: int, hits: Hits) -> Float32[np.ndarray, "N 3"]:
        if not self.things[index].smooth:
            return self._normals[index][hits.face]
        return interpolate(self._normals[index], self.things[index].surface.faces[hits.face], hits.barycentric)

    def albedo(self, hits: Hits, footprint_m: Float32[np.ndarray, "N"]) -> Float32[np.ndarray, "N 3"]:
        """Diffuse colours at hits; black for lamps and where nothing was met."""
        colours = np.zeros((len(hits), 3), dtype=np.float32)
        for index, here in _by_mesh(hits):
            if index < len(self.things):
                surface = self.things[index].surface
                colours[here] = surface.albedo(hits.face[here], hits.barycentric[here], footprint_m[here])
        return colours

    def glow(self, hits: Hits) -> Float32[np.ndarray, "N 3"]:
        """Radiance of lamps at hits, 0 elsewhere."""
        n = len(self.things)
        table = np.zeros((n + len(self.lighting.lamps) + 1, 3), dtype=np.float32)
        for index, lamp in enumerate(self.lighting.lamps):
            table[n + index] = lamp.radiance
        return table[hits.mesh]

    def gloss(self, hits: Hits) -> Float32[np.ndarray, "N"]:
        """Gloss at hits, 0 for lamps and nothing."""
        values = [thing.surface.gloss for thing in self.things] + [0.0] * (len(self.lighting.lamps) + 1)
        return np.array(values, dtype=np.float32)[hits.mesh]


def footprints(
    lens: LensRays, pixels: np.ndarray, rays: np.ndarray, distance: np.ndarray, normals: np.ndarray
) -> Float32[np.ndarray, "N"]:
    """Width on the surface that one pixel stands for, m: the geometric mean of across and along the slant."""
    slant = np.abs(np.einsum("na,na->n", rays[:, 3:], normals))
    across = lens.spread.reshape(-1)[pixels] * distance
    return (across / np.sqrt(np.maximum(slant, 0.02))).astype(np.float32)


def _by_mesh(hits: Hits) -> list[tuple[int, np.ndarray]]:
    return [(int(index), np.flatnonzero(hits.mesh == index)) for index in np.unique(hits.mesh) if index >= 0]


def _normals(thing: Thing) -> Float32[np.ndarray, "n 3"]:
    """At vertices of a smooth thing, else of faces."""
    faces = thing.surface.faces
    flat = face_normals(thing.vertices, faces)
    return unit(vertex_from_face(len(thing.vertices), faces) @ flat if thing.smooth else flat)


def _outline(lamp: Lamp) -> Float32[np.ndarray, "4 3"]:
    sides = [(-1, -1), (-1, 1), (1, 1), (1, -1)]  # across, down; counter-clockwise from where it shines to
    return np.stack([lamp.centre + np.float32(a) * lamp.across + np.float32(b) * lamp.down for a, b in sides])
