"""Things that move: meshes of a frame, the light on them, and their colour where rays meet them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32

from mocap.synthetic.rendering.illumination import highlights, lamp_share, open_share, unblocked
from mocap.synthetic.rendering.lights import ROUND, Lighting
from mocap.synthetic.rendering.normals import interpolate, unit
from mocap.synthetic.rendering.raycasting import Hits, Mesh, Scene
from mocap.synthetic.rendering.topology import Nodes, Topology, flat_normals
from mocap.synthetic.scene import Thing

LIFT_M = 0.02
"""Shadow rays start this far above the skin: more than it is away from its coarse mesh."""


@dataclass(frozen=True, eq=False)
class Instant:
    """Moving things at one moment. flat: normals of every thing's faces."""

    things: tuple[Thing, ...]
    flat: tuple[Float32[np.ndarray, "F 3"], ...]

    @classmethod
    def of(cls, things: Sequence[Thing]) -> Instant:
        """With the normals worked out."""
        return cls(tuple(things), tuple(flat_normals(thing) for thing in things))

    def shadow_scene(self, topologies: Sequence[Topology]) -> Scene:
        """All of it, in coarse triangles."""
        pairs = zip(self.things, topologies, strict=True)
        return Scene([Mesh(thing.vertices, topology.rough) for thing, topology in pairs])


class FrontScene:
    """What of an instant can be seen from one place: triangles that face it, and those of open pieces."""

    def __init__(self, instant: Instant, topologies: Sequence[Topology], eye: Float32[np.ndarray, "3"]) -> None:
        self._kept: list[Int32[np.ndarray, "n"]] = []
        meshes = []
        for thing, flat, topology in zip(instant.things, instant.flat, topologies, strict=True):
            away = np.take(thing.vertices, topology.faces[:, 0], axis=0) - eye
            towards = np.einsum("fa,fa->f", flat, away) < 0
            kept = np.flatnonzero(towards | topology.open).astype(np.int32)
            meshes.append(Mesh(thing.vertices, topology.faces[kept]))
            self._kept.append(kept)
        self._scene = Scene(meshes)

    def cast(self, rays: Float32[np.ndarray, "N 6"]) -> Hits:
        """First hits; faces counted as in the whole mesh."""
        hits = self._scene.cast(rays)
        face = hits.face.copy()
        for index, kept in enumerate(self._kept):
            here = np.flatnonzero(hits.mesh == index)
            face[here] = np.take(kept, hits.face[here])
        return Hits(hits.distance, hits.mesh, face, hits.barycentric)


@dataclass(frozen=True, eq=False)
class Surroundings:
    """What lights a moving thing. blockers: scenes that cast shadows on it. near: those that surround it."""

    lighting: Lighting
    blockers: tuple[Scene, ...]
    near: tuple[Scene, ...]
    rays: int


def shade(
    topology: Topology,
    instant: tuple[Thing, Float32[np.ndarray, "F 3"]],
    around: Surroundings,
    rays: Float32[np.ndarray, "N 6"],
    hits: Hits,
    spread: Float32[np.ndarray, "N"],
) -> Float32[np.ndarray, "N 3"]:
    """Radiance of one thing along rays that meet it. spread: rad that each ray stands for."""
    thing, flat = instant
    nodes = topology.nodes(thing, flat)
    corners, weights = topology.corners(hits)
    used = np.zeros(len(nodes.points), dtype=bool)
    used[corners.reshape(-1)] = True
    light = interpolate(_node_light(nodes, used, around), corners, weights)
    normal = unit(np.take(flat, hits.face, axis=0))
    slant = np.abs(np.einsum("na,na->n", rays[:, 3:], normal))
    footprint = spread * hits.distance / np.sqrt(np.maximum(slant, np.float32(0.05)))
    radiance = thing.surface.albedo(hits.face, hits.barycentric, footprint) * light
    if thing.surface.gloss > 0:
        points = rays[:, :3] + hits.distance[:, None] * rays[:, 3:]
        if topology.smooth:
            normal = unit(interpolate(nodes.normals, corners, weights))
        gloss = np.full(len(hits), thing.surface.gloss, dtype=np.float32)
        radiance += highlights(around.lighting, points, normal, rays[:, 3:], gloss)
    return radiance


def _node_light(nodes: Nodes, used: Bool[np.ndarray, "n"], around: Surroundings) -> Float32[np.ndarray, "n 3"]:
    """Irradiance over pi at the nodes that are used; 0 at the others."""
    index = np.flatnonzero(used)
    normals = nodes.normals[index]
    points = nodes.points[index]
    start = points + np.float32(LIFT_M) * normals
    rays = around.rays if nodes.near is not None else 8
    lamps = around.lighting.lamps
    share = np.empty((len(index), len(lamps) + 1), dtype=np.float32)
    turn = (index * 7) % ROUND
    for kind, lamp in enumerate(lamps):
        share[:, kind] = lamp_share(lamp, start, normals, around.blockers, turn=turn, rays=rays)
    share[:, -1] = open_share(start, normals, around.near, turn=(index * 11) % 64, rays=2 * rays)
    light = np.zeros((len(used), 3), dtype=np.float32)
    if nodes.near is not None:
        share = _smoothed(share, index, nodes)
    light[index] = np.einsum("nkc,nk->nc", unblocked(around.lighting, points, normals), share)
    return light


def _smoothed(share: Float32[np.ndarray, "m K"], index: np.ndarray, nodes: Nodes) -> Float32[np.ndarray, "m K"]:
    """Twice the mean over used neighbours, which takes out the noise of few rays."""
    assert nodes.near is not None
    full = np.zeros((len(nodes.points), share.shape[1] + 1), dtype=np.float32)
    for _ in range(2):
        full[index, :-1], full[index, -1] = share, 1
        summed = (nodes.near @ full)[index]
        share = summed[:, :-1] / summed[:, -1:]
    return share
